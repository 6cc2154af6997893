"""The claims 6-1 to 6-5 in words: folklore about optimisers and automatic differentiation."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from theory.certificates import Certificate, certificate
from theory.checker import descent_cycle
from theory.claims import Claim, Corrected, Statement
from theory.learning import certificates, checks, descent, domains, figures
from theory.propositions import Proposition

__all__ = ["CLAIMS"]

ADAM = Claim(
    number="6-1",
    title="Adam converges, at any scale of the loss",
    statement=Statement(
        "On convex problems Adam's average regret tends to 0, and its steps do not depend on the scale of the loss.",
    ),
    source="folklore, after D. Kingma and J. Ba (2015), Corollary 4.2",
    propositions=(
        Proposition(
            "no regret",
            "for the losses of the correction the average regret tends to 0 (C = 3, 4, 10)",
            checks.regret_vanishes,
            domains.PERIODS,
            show=lambda C: f"C = {C}",
            latex=r"For the losses of the correction the average regret tends to 0 ($C=3,4,10$).",
            false=True,
        ),
        Proposition(
            "scale",
            "the first step is the same for the losses cx and x (c = 1e-8, eps = 1e-8)",
            checks.scale_is_ignored,
            domains.SMALL_SCALES,
            show=lambda c: f"c = {c}",
            latex=r"The first step is the same for the losses $cx$ and $x$ ($c=\epsilon=10^{-8}$).",
            false=True,
        ),
        Proposition(
            "trap",
            "exact ranges of the second moment prove the return; minigrad agrees for 90 steps (C to 50, α to 4)",
            checks.stays_in_the_trap,
            domains.TRAPS,
            "corrected",
            share=0.3,
        ),
        Proposition(
            "scale and eps",
            "trained on cL with eps, a tanh unit has the same bits as on L with eps/c (c = 2^-40 to 2^40, ten steps)",
            checks.scale_divides_eps,
            domains.SCALES,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "wrong traps",
            "the check rejects wrong ranges, and C = 2",
            checks.is_refused(certificates.check_trap),
            domains.WRONG_TRAPS,
            "general",
        ),
    ),
    corrected=Corrected(
        "On [-1, 1], with losses Cx, -x, -x, Cx, …, C > 2, betas = (0, 1/(1 + C²)), eps = 0 and rates α/√t, Adam "
        "starts at 1 and returns to 1 after every third step. So its average regret is always at least (2C - 4)/3. "
        "Multiplying the loss by c > 0 is the same as dividing eps by c.",
        r"On $[-1,1]$, with losses $Cx,-x,-x,Cx,\dots$, $C>2$, betas $(0,1/(1+C^2))$, $\epsilon=0$ and rates "
        r"$\alpha/\sqrt t$, Adam starts at 1 and returns to 1 after every third step. So its average regret is always "
        r"at least $(2C-4)/3$. Multiplying the loss by $c>0$ is the same as dividing $\epsilon$ by $c$.",
        by=("trap", "scale and eps"),
    ),
    proof=r"""*Trap* (S. Reddi et al. 2018, Theorem 1, but with bias correction). With $\beta=1/(1+C^2)$ a gradient
$g$ turns the bias-corrected second moment $v$ into $wg^2+(1-w)v$, $1-\beta\le w\le1$, so $1\le v\le C^2$. In a period
$v$ is first at least $(1-\beta)C^2+\beta$, then at most $2(1-\beta)$ and $(1-\beta)(1+2\beta)$. So $x$ falls by at
most $\alpha C/\sqrt{tv}$, then rises by $\alpha/\sqrt{(t+1)v}$ and $\alpha/\sqrt{(t+2)v}$, or to 1. The bounds of
both rises, relative to that of the fall, are smallest at $t=1$. There, with $s=C^2$, it suffices that
$s/\sqrt{s^2+1}\le\frac12+\sqrt{(s+1)/(3s+9)}$. For $s>4$ the right side grows, from above 0.987 to 1 at $s=5$. The
left side is below 1, and below 0.981 up to $s=5$. In a period Adam's losses sum to $C-2$ or more, those of $x=-1$ to
$2-C$. Within a period the regret is above this average, as the first loss adds $2C$.

*Scale:* $cm/(c\sqrt v+\epsilon)=m/(\sqrt v+\epsilon/c)$ if $v>0$ or $\epsilon>0$. If $c$ is a power of 2,
floating-point arithmetic gives the same bits, barring over- and underflow.""",
    draw=figures.draw_trap,
)


def _cycle(cycle: descent.Cycle) -> Certificate:
    names = "derivative", "points", "rate", "momentum"
    return certificate("descent_cycle", **dict(zip(names, cycle, strict=True)))


def certify_ball() -> Iterator[Certificate]:
    """Certify heavy ball's cycle."""
    yield _cycle(descent.CYCLE)


def certify_rates() -> Iterator[Certificate]:
    """Certify two-cycles of gradient descent on (ab - 1)²/2, at points (x, x) given by x, for three rates."""
    for k in (Fraction(3), Fraction(14, 5), Fraction(5, 2)):
        yield _cycle(descent.two_cycle(k))


HEAVY_BALL = Claim(
    number="6-2",
    title="Heavy ball is globally optimal",
    statement=Statement(
        "Heavy ball with the rate 4/(√L + √m)² and the momentum ((√L - √m)/(√L + √m))² converges to the minimum of "
        "every function whose curvature is between m > 0 and L. The error falls at each step.",
        r"Heavy ball with the rate $4/(\sqrt L+\sqrt m)^2$ and the momentum "
        r"$((\sqrt L-\sqrt m)/(\sqrt L+\sqrt m))^2$ converges to the minimum of every function whose curvature is "
        r"between $m>0$ and $L$. The error falls at each step.",
    ),
    source="folklore, after B. T. Polyak (1964), who proves the rate near a minimum",
    propositions=(
        Proposition(
            "from everywhere",
            "from rest at x = 0, 1, 2 or 3, it converges on the correction's function (m = 1, L = 25)",
            checks.converges_from,
            domains.STARTS,
            show=lambda x: f"x = {x}",
            latex=r"From rest at $x=0$, 1, 2 or 3, it converges on the correction's function ($m=1$, $L=25$).",
            false=True,
        ),
        Proposition(
            "every step",
            "on L x²/2 the error never exceeds the initial one (m = 1; L = 4, 9, 25, 100; 40 steps)",
            checks.error_falls,
            domains.ROOTS,
            show=lambda q: f"L = {q**2}",
            latex=r"On $\frac12Lx^2$ the error never exceeds the initial one ($m=1$; $L=4$, 9, 25 or 100; 40 steps).",
            false=True,
        ),
        Proposition(
            "cycle",
            "exact arithmetic confirms the cycle; minigrad ends on it from rest between 3.1 and 3.4",
            checks.ends_on_the_cycle,
            domains.CAPTURED,
            "corrected",
            share=0.2,
        ),
        Proposition(
            "quadratics",
            "the bound holds along each axis, with equality for the curvature L (L/m to 144, up to 5 curvatures, 60 "
            "steps)",
            checks.quadratic_rate,
            domains.QUADRATICS,
            "corrected",
            share=0.4,
        ),
        Proposition(
            "wrong cycles",
            "the check rejects a moved point, another rate or momentum, and a single point",
            checks.is_refused(descent_cycle),
            domains.WRONG_BALLS,
            "general",
        ),
    ),
    corrected=Corrected(
        "On quadratics, from rest, k steps multiply the error by at most r^k (1 + (1 + r) k), r = (√L - √m)/(√L + √m). "
        "This bound is attained; for L/m = 100 it is 3.71 after 4 steps. But let m = 1, L = 25, and the "
        "derivative be 25x below 1, x + 24 up to 2, and 25x - 24 above. Then 792/1225, -2208/1225, 2592/1225 is an "
        "attracting cycle.",
        r"On quadratics, from rest, $k$ steps multiply the error by at most $r^k(1+(1+r)k)$, "
        r"$r=(\sqrt L-\sqrt m)/(\sqrt L+\sqrt m)$. This bound is attained; for $L/m=100$ it is 3.71 after 4 steps. But "
        r"let $m=1$, $L=25$, and the derivative be $25x$ below 1, $x+24$ up to 2, and $25x-24$ above. Then "
        r"$\frac{792}{1225},-\frac{2208}{1225},\frac{2592}{1225}$ is an attracting cycle.",
        by=("cycle", "quadratics"),
    ),
    proof=r"""*Cycle* (L. Lessard, B. Recht and A. Packard 2016): at all three points the curvature is 25, so small
deviations follow $d_{k+1}=(1+\frac49-\frac{25}9)d_k-\frac49d_{k-1}$. Both characteristic roots are $-\frac23$, so
deviations vanish.

*Quadratics:* let $\alpha$ be the rate, $\beta=r^2$ the momentum, $m=1$. Along the curvature $\lambda$, $e_0=1$,
$e_1=1-\alpha\lambda$ and $e_{k+1}=(1+\beta-\alpha\lambda)e_k-\beta e_{k-1}$. As $\alpha=(1-r)^2$ and
$\alpha L=(1+r)^2$, $1+\beta-\alpha\lambda=2r\cos\theta$ for some $\theta$. So
$e_k=r^k(U_k(\cos\theta)-rU_{k-1}(\cos\theta))$ with Chebyshev's $U_k$. $|U_k|\le k+1$ gives the bound. At $\lambda=L$,
$U_k(-1)=(-1)^k(k+1)$ attains it.

*Optimality on quadratics:* let all roots of $z^2-(1+\beta-\alpha\lambda)z+\beta$, $\beta\ge0$, have modulus at most
$\rho$, $0<\rho<1$, for $\lambda=m$ and $\lambda=L$. Then $\beta\le\rho^2$ and
$|1+\beta-\alpha\lambda|\le\rho+\beta/\rho$. So $\alpha m\ge(1-\rho)(1-\beta/\rho)$ and
$\alpha L\le(1+\rho)(1+\beta/\rho)$, hence $L/m\le((1+\rho)/(1-\rho))^2$ and $\rho\ge r$.""",
    draw=figures.draw_heavy_ball,
    certify=certify_ball,
)

RATES = Claim(
    number="6-3",
    title="Learning rates above 2/λ diverge",
    statement=Statement(
        "Gradient descent diverges if its rate is above 2/λ, where λ is the largest curvature at the minimum.",
        r"Gradient descent diverges if its rate is above $2/\lambda$, where $\lambda$ is the largest curvature at the "
        "minimum.",
    ),
    source="folklore, from quadratics",
    propositions=(
        Proposition(
            "two layers",
            "it diverges on (ab - 1)²/2, where λ = 2 at (1, 1), with the rate 49/40 from (5/7, 5/7)",
            checks.diverges,
            domains.ATTRACTING,
            show=lambda k: "rate 49/40",
            latex=r"It diverges on $\frac12(ab-1)^2$, where $\lambda=2$ at $(1,1)$, with the rate $\frac{49}{40}$ from "
            r"$(\frac57,\frac57)$.",
            false=True,
        ),
        Proposition(
            "quadratics and momentum",
            "Jury's test gives the thresholds; in 200 steps minigrad's x shrinks at 0.2, 0.5 and 0.9 times these, and "
            "explodes at 1.1 and 1.5 times these (β to 0.9)",
            checks.threshold,
            domains.MOMENTA,
            "corrected",
            share=0.3,
        ),
        Proposition(
            "cycles",
            "fractions confirm that cycles attract; minigrad ends on them from nearby (rates 1.07 to 1.225)",
            checks.follows_the_cycle,
            domains.CYCLES,
            "corrected",
            share=0.2,
        ),
        Proposition(
            "wrong cycles",
            "the check rejects a moved point, another rate, a momentum, and a single point",
            checks.is_refused(descent_cycle),
            domains.WRONG_CYCLES,
            "general",
        ),
        Proposition(
            "repelling cycles",
            "the check rejects two repelling cycles",
            checks.is_refused(certificates.check_attracting),
            domains.REPELLING,
            "general",
        ),
    ),
    corrected=Corrected(
        "On λx²/2, from rest at x ≠ 0, gradient descent diverges if the rate is above 2/λ. With momentum 0 ≤ β < 1 "
        "this limit is (2 + 2β)/λ, and with Nesterov momentum (2 + 2β)/((1 + 2β)λ). But on (ab - 1)²/2, a linear "
        "network with λ ≥ 2 at each minimum, it has an attracting cycle of two points at each rate between 1 and "
        "√5 - 1. At 49/40 these are (5/7, 5/7) and (8/7, 8/7).",
        r"On $\frac12\lambda x^2$, from rest at $x\ne0$, gradient descent diverges if the rate is above $2/\lambda$. "
        r"With momentum $0\le\beta<1$ this limit is $(2+2\beta)/\lambda$, and with Nesterov momentum "
        r"$(2+2\beta)/((1+2\beta)\lambda)$. But on $\frac12(ab-1)^2$, a linear network with $\lambda\ge2$ at each "
        r"minimum, it has an attracting cycle of two points at each rate between 1 and $\sqrt5-1$. At $\frac{49}{40}$ "
        r"these are $(\frac57,\frac57)$ and $(\frac87,\frac87)$.",
        by=("quadratics and momentum", "cycles"),
    ),
    proof=r"""*Quadratics:* $x_{k+1}=(1-\eta\lambda)x_k$. With momentum the characteristic polynomial is
$z^2-(1+\beta-\eta\lambda)z+\beta$, with Nesterov momentum $z^2-(1+\beta)wz+\beta w$, $w=1-\eta\lambda$. Both roots of
$z^2-pz+q$ are inside the unit circle if and only if $|q|<1$ and $|p|<1+q$ (Jury's test). For $0\le\beta<1$ and
$\eta\lambda>0$ this fails first at $p=-(1+q)$. For larger rates a root is real and below $-1$. Rest at
$x\neq0$ is no eigenvector of the other root, as the new velocity is $\lambda x\neq0$. So $x$ diverges.

*Cycles:* on $a=b=x$ the step is $x\mapsto x(1+\eta-\eta x^2)$. For $s>1$, $\eta=s+\frac1s-1$ and $x^2=1/(s\eta)$ it
multiplies $x$ by $s$, and $sx$ by $\frac1s$: a cycle. The Hessian at $(x,x)$ has the eigenvalues $3x^2-1$ along
$(1,1)$ and $1-x^2$ along $(1,-1)$. So a turn multiplies deviations by $5-2(s^2+s^{-2})$ and $5-2(s+s^{-1})$. Both are
between $-1$ and 1 if $s^2+s^{-2}<3$, that is, if $\eta<\sqrt5-1$. At minima $ab=1$ and
$\lambda=a^2+b^2\ge2$. Training often runs at such an edge of stability (J. Cohen et al. 2021).""",
    draw=figures.draw_rates,
    certify=certify_rates,
)

BACKPROP = Claim(
    number="6-4",
    title="Backprop gives the derivative wherever it exists",
    statement=Statement("Backprop gives the derivative of a network wherever the derivative exists."),
    source="folklore",
    propositions=(
        Proposition(
            "two units",
            "backprop gives the derivative of v_1 relu(w_1 x) + v_2 relu(w_2 x) at x = 0 if it exists (weights -1, "
            "0, 1)",
            checks.matches_where_it_exists,
            domains.PAIRS_OF_UNITS,
            show=lambda c: f"w = {c[:2]}, v = {c[2:]}",
            latex=r"Backprop gives the derivative of $v_1\mathrm{relu}(w_1x)+v_2\mathrm{relu}(w_2x)$ at $x=0$ if it "
            r"exists (weights $-1$, 0, 1).",
            false=True,
        ),
        Proposition(
            "off the breakpoints",
            "between breakpoints in [-8, 8], which are certified in fractions, minigrad's derivative is the slope, "
            "at two points of each piece (up to three hidden layers of 4 units, integer weights)",
            checks.matches_off_the_breakpoints,
            domains.RELU_NETWORKS,
            "corrected",
        ),
        Proposition(
            "wrong pieces",
            "the check rejects pieces of relu(x + 1) - relu(2 - x) that omit or misplace a breakpoint or an end",
            checks.is_refused(certificates.check_pieces),
            domains.WRONG_PIECES,
            "general",
        ),
    ),
    corrected=Corrected(
        "For a ReLU network with one input, backprop in exact arithmetic gives the derivative at all but finitely many "
        "inputs.",
        by=("off the breakpoints",),
    ),
    proof=r"""*The counterexample:* $\mathrm{relu}(x)-\mathrm{relu}(-x)=x$ has the derivative 1. minigrad, like most
frameworks, takes $\mathrm{relu}'(0)=0$, so backprop gives $0-0=0$. No other value $s$ of $\mathrm{relu}'(0)$ works for
every network: backprop gives $2s$ here, and $s-s^2$ for $\mathrm{relu}(x)-\mathrm{relu}(\mathrm{relu}(x))=0$. These are
right only if $2s=1$ and $s=s^2$, which is impossible.

*The theorem,* in exact arithmetic (J. Bolte and E. Pauwels 2020, and W. Lee et al. 2020, prove more general ones),
follows by induction over the layers. Finitely many breakpoints divide the line into pieces. On each piece, the input
$z$ of each unit is affine and backprop gives its derivative. For each unit, add the points where $z$ changes its sign,
and the ends of the intervals where $z=0$. Then $z>0$, $z<0$ or $z=0$ throughout the inside of a piece. In the first two
cases the chain rule holds. In the third, $\mathrm{relu}(z)=0$ and $z'=0$, so backprop gives $s \cdot 0=0$, which is
right for every $s$. Sums of such units are affine on each piece, and backprop adds up their derivatives.

*The check* computes the ends of the pieces in exact fractions. No unit may have inputs of opposite signs at the two
ends of a piece. Layer by layer this proves that no unit changes its sign inside.""",
    draw=figures.draw_pieces,
)

REVERSE = Claim(
    number="6-5",
    title="Reverse mode is always cheaper",
    statement=Statement("A Jacobian is always cheaper in reverse mode than in forward mode."),
    source="folklore",
    propositions=(
        Proposition(
            "always",
            "for one hidden layer the Jacobian takes no more multiply-adds in reverse mode than in forward mode "
            "(widths up to 3)",
            checks.reverse_is_cheaper,
            domains.WIDTHS,
            show=lambda widths: "widths {}, {}, {}".format(*widths),
            false=True,
        ),
        Proposition(
            "inputs and outputs",
            "minigrad's traces have as many multiply-adds as the proof says (up to 4 layers of 6 units, batches to 5)",
            checks.passes_cost,
            domains.LAYERS,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "smallest graph",
            "forward or reverse elimination is optimal among all orders on each graph of up to 5 vertices, except the "
            "example, and perhaps graphs of 6 or more edges and 3 intermediate vertices",
            checks.forward_or_reverse_is_optimal,
            domains.GRAPHS,
            "corrected",
            show=str,
        ),
        Proposition(
            "skip connection",
            "on that graph each order gives minigrad's derivative, with 4 multiplications forward, 4 in reverse, and "
            "3 if the skipped unit comes first",
            checks.skip_connection,
            domains.WEIGHTS,
            "corrected",
        ),
    ),
    corrected=Corrected(
        "For dense layers with n inputs and m outputs, the Jacobian costs m evaluations in reverse mode and n in "
        "forward mode. All gradients of one output cost at most two. In general neither mode is optimal: in the "
        "example with the fewest vertices, and then the fewest edges, a connection skips one unit.",
        "For dense layers with $n$ inputs and $m$ outputs, the Jacobian costs $m$ evaluations in reverse mode and $n$ "
        "in forward mode. All gradients of one output cost at most two. In general neither mode is optimal: in the "
        "example with the fewest vertices, and then the fewest edges, a connection skips one unit.",
        by=("inputs and outputs", "smallest graph", "skip connection"),
    ),
    proof=r"""The cost is that of the multiply-adds of matrix products, after the evaluation itself. *Dense layers* of
widths $d_l$ take $F=\sum_ld_{l-1}d_l$ for one input. Each tangent is multiplied once by each weight matrix, and so is
each cotangent. So the Jacobian takes $nF$ in forward mode and $mF$ in reverse mode.

*The cheap gradient* (W. Baur and V. Strassen 1983): the cotangents of a product $AB$ are $GB'$ and $A'G$, each with as
many multiply-adds as $AB$. All gradients take $2F$, less $d_0d_1$ without that of the input.

*Elimination* (A. Griewank and A. Walther 2008, chapter 9): removing a vertex with $p$ predecessors and $s$ successors
takes $ps$ multiplications of partial derivatives. Forward mode removes vertices in topological order, reverse mode in
the opposite one. Two intermediate vertices have only these two orders. So an example
needs three, an input and an output. Among all 1,024 graphs of five vertices, the one with the fewest edges is
$0\to1$, $1\to2$, $1\to3$, $2\to3$, $3\to4$. Both modes take $2+1+1$ multiplications. Removing 2 first merges its path
with the skip connection, and leaves $1+1+1$.""",
    draw=figures.draw_costs,
)

CLAIMS = (ADAM, HEAVY_BALL, RATES, BACKPROP, REVERSE)
