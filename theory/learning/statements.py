"""The claims 6-1 to 6-5 in words: folklore about optimisers and automatic differentiation."""

from __future__ import annotations

from functools import partial

from theory.claims import Claim, Corrected, Statement
from theory.learning import certificates, checks, domains, figures
from theory.propositions import Proposition

__all__ = ["CLAIMS"]

ADAM = Claim(
    number="6-1",
    title="Adam converges on convex problems and ignores the scale of the loss",
    statement=Statement(
        "On convex problems Adam's average regret tends to 0, and its steps do not depend on the scale of the loss.",
    ),
    source="folklore, after D. P. Kingma and J. Ba (2015), Corollary 4.2 and section 2.1, which assumes eps = 0",
    propositions=(
        Proposition(
            "no regret",
            "with betas = (0, 1/(1 + C²)), eps = 0 and rates falling as 1/√t, the average regret of the losses C x, "
            "-x, -x, C x, … on [-1, 1] tends to 0 (C = 3, 4, 10)",
            checks.regret_vanishes,
            domains.PERIODS,
            show=lambda C: f"C = {C}",
            false=True,
        ),
        Proposition(
            "scale",
            "the first step is the same for the loss c x as for x (c = 1e-8, default eps)",
            checks.scale_is_ignored,
            domains.SMALL_SCALES,
            show=lambda c: f"c = {c}",
            false=True,
        ),
        Proposition(
            "trap",
            "exact ranges of the second moment prove that x returns to 1 after every period of three steps; minigrad's "
            "Adam does (C from 2.01 to 50, first rates to 4, 30 periods)",
            checks.stays_in_the_trap,
            domains.TRAPS,
            "corrected",
            share=0.3,
        ),
        Proposition(
            "scale and eps",
            "a tanh unit gets the same weights, in every bit, from c L with eps as from L with eps / c "
            "(c = 2^-40 to 2^40, 10 steps)",
            checks.scale_divides_eps,
            domains.SCALES,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "wrong traps",
            "the check rejects ranges that are too narrow or too wide, and C = 2",
            checks.is_refused(certificates.check_trap),
            domains.WRONG_TRAPS,
            "general",
        ),
    ),
    corrected=Corrected(
        "For C > 2, these betas and any first rate, x is 1 at every third step, and the average regret is at least "
        "(2C - 4)/3 after each period. Multiplying the loss by c > 0 has the effect of dividing eps by c, so it "
        "changes nothing if eps = 0.",
        by=("trap", "scale and eps"),
    ),
    proof=r"""*Trap* (S. J. Reddi, S. Kale and S. Kumar 2018, Theorem 1; here with the bias corrected). Let
$\beta=1/(1+C^2)$. A step with the gradient $g$ turns the corrected moment $v$ into $w g^2+(1-w)v$ with
$w=(1-\beta)/(1-\beta^t) \ge 1-\beta$. So $1 \le v \le C^2$ always. In a period $v$ is at least $(1-\beta)C^2+\beta$
after the first step, and then at most $(1-\beta)+\beta C^2=2(1-\beta)$ and $(1-\beta)(1+2\beta)$. From $x=1$ the first
step falls by at most $\alpha C / \sqrt{tv}$. The other two rise by $\alpha / \sqrt{(t+1)v}$ and
$\alpha / \sqrt{(t+2)v}$, or up to 1. These are enough if they are at $t=1$, that is, with $s=C^2$, if
$s / \sqrt{s^2+1} \le \frac12+\sqrt{(s+1)/(3s+9)}$. The right side rises from 0.988 at $s=4$ to 1 at $s=5$. The left
side is below 1, and below 0.981 up to $s=5$. So $x$ returns to 1. In each period Adam's losses add up to at least
$C-2$, and those of $-1$ to $2-C$.

*Scale.* $c$ turns the means $m$ and $v$ into $cm$ and $c^2v$, and $cm/(c\sqrt v+\epsilon)=m/(\sqrt v+\epsilon/c)$. For
a power of 2 this is exact in floating point, without overflow and underflow. With $\epsilon=0$, $v$ must not be 0.""",
    draw=figures.draw_trap,
)

HEAVY_BALL = Claim(
    number="6-2",
    title="Heavy ball is globally optimal",
    statement=Statement(
        "Heavy ball with Polyak's rate 4/(√L + √m)² and momentum ((√L - √m)/(√L + √m))² converges to the minimum of "
        "every function whose curvature lies between m > 0 and L, and the error falls at each step.",
    ),
    source="folklore, after B. T. Polyak (1964), who proves the rate near a minimum",
    propositions=(
        Proposition(
            "from everywhere",
            "at rest at x = 0, 1, 2 or 3, it converges to 0 on a function with curvatures 1 and 25",
            checks.converges_from,
            domains.STARTS,
            show=lambda x: f"x = {x}",
            false=True,
        ),
        Proposition(
            "every step",
            "on L x²/2 with m = 1 the error falls at each step (L = 4, 9, 25, 100)",
            checks.error_falls,
            domains.ROOTS,
            show=lambda q: f"L = {q**2}",
            false=True,
        ),
        Proposition(
            "cycle",
            "exact arithmetic confirms the cycle, and minigrad ends on it from x between 3.1 and 3.4",
            checks.ends_on_the_cycle,
            domains.CAPTURED,
            "corrected",
            share=0.2,
        ),
        Proposition(
            "quadratics",
            "the error is at most r^k (1 + (1 + r) k) times the first, and equal to it along the largest curvature "
            "(L/m to 144, up to 5 curvatures, 60 steps)",
            checks.quadratic_rate,
            domains.QUADRATICS,
            "corrected",
            share=0.4,
        ),
        Proposition(
            "wrong cycles",
            "the check rejects a moved point, another rate or momentum, and a single point",
            checks.is_refused(partial(certificates.check_cycle, certificates.gradient_of_lessard)),
            domains.WRONG_BALLS,
            "general",
        ),
    ),
    corrected=Corrected(
        "On quadratics, from rest, the error after k steps is at most r^k (1 + (1 + r) k) times the first, with "
        "r = (√L - √m)/(√L + √m). For L/m = 100 this is 3.71 after 4 steps. On the function with the derivative 25x "
        "below 1, x + 24 between 1 and 2, and 25x - 24 above 2, the points 792/1225, -2208/1225, 2592/1225 are a cycle "
        "that attracts.",
        by=("cycle", "quadratics"),
    ),
    proof=r"""*Cycle* (L. Lessard, B. Recht and A. Packard 2016): for $m=1$ and $L=25$ the rate is $\frac19$ and the
momentum $\beta=\frac49$. Each point follows from the two before it. All three lie where the curvature is 25, so there
the deviations from the cycle follow $d_{k+1}=(1+\frac49-\frac{25}9)d_k-\frac49 d_{k-1}$. Both roots are $-\frac23$,
so small deviations vanish.

*Quadratics:* scale $m$ to 1, let $q^2=L$, so $r^2=\beta$. Along the curvature $\lambda$, $e_0=1$,
$e_1=1-\alpha\lambda$, and $e_{k+1}=(1+\beta-\alpha\lambda)e_k-\beta e_{k-1}$. As $\alpha=(1-r)^2$ and
$\alpha q^2=(1+r)^2$, $1+\beta-\alpha\lambda=2r\cos\theta$ for some real $\theta$. So
$e_k=r^k(U_k(\cos\theta)-r U_{k-1}(\cos\theta))$ with Chebyshev's $U_k$, where $|U_k| \le k+1$ gives the bound. At
$\lambda=L$, $\cos\theta=-1$ and $U_k=(-1)^k(k+1)$, so it is attained.

*In this sense it is optimal:* if all roots of $z^2-(1+\beta-\alpha\lambda)z+\beta$ have modulus at most $\rho<1$ and
$\beta \ge 0$, then $\beta \le \rho^2$ and $|1+\beta-\alpha\lambda| \le \rho+\beta/\rho$. So
$\alpha m \ge (1-\rho)(1-\beta/\rho)$ and $\alpha L \le (1+\rho)(1+\beta/\rho)$. Hence
$L/m \le ((1+\rho)/(1-\rho))^2$ and $\rho \ge r$.""",
    draw=figures.draw_heavy_ball,
)

RATES = Claim(
    number="6-3",
    title="Gradient descent diverges at rates above 2/λ",
    statement=Statement(
        "Gradient descent diverges if its rate is above 2/λ, where λ is the largest curvature at the minimum.",
    ),
    source="folklore, from the analysis of quadratics",
    propositions=(
        Proposition(
            "two layers",
            "it does on (ab - 1)²/2, where λ = 2 at (1, 1), at the rate 49/40 from (5/7, 5/7)",
            checks.diverges,
            domains.ATTRACTING,
            show=lambda k: "rate 49/40",
            false=True,
        ),
        Proposition(
            "quadratics and momentum",
            "Jury's test has these thresholds; minigrad's SGD shrinks x at 0.2, 0.5 and 0.9 of them, and blows it up "
            "at 1.1 and 1.5 (momentum 0 to 0.9, 200 steps)",
            checks.threshold,
            domains.MOMENTA,
            "corrected",
            share=0.3,
        ),
        Proposition(
            "cycles",
            "exact arithmetic confirms the cycle and its attraction; minigrad follows it from a point nearby (rates "
            "from 1.07 to 1.225 of rational cycles, 400 steps)",
            checks.follows_the_cycle,
            domains.CYCLES,
            "corrected",
            share=0.2,
        ),
        Proposition(
            "wrong cycles",
            "the check rejects a moved point, another rate, a momentum, and a single point",
            checks.is_refused(partial(certificates.check_cycle, certificates.gradient_of_product)),
            domains.WRONG_CYCLES,
            "general",
        ),
        Proposition(
            "repelling cycles",
            "the check of attraction rejects the cycles at the rates 169/120 and 169/105",
            checks.is_refused(certificates.check_attracting),
            domains.REPELLING,
            "general",
        ),
    ),
    corrected=Corrected(
        "On λx²/2 with x ≠ 0 it diverges above 2/λ; from rest, heavy ball with momentum β above (2 + 2β)/λ, "
        "Nesterov's above (2 + 2β)/((1 + 2β)λ). But on (ab - 1)²/2, a linear network of two layers with λ ≥ 2 at each "
        "minimum, an attracting cycle of two points exists at each rate between 1 and √5 - 1. At 49/40 it is "
        "(5/7, 5/7), (8/7, 8/7).",
        by=("quadratics and momentum", "cycles"),
    ),
    proof=r"""*Quadratics:* $x_{k+1}=(1-\eta\lambda)x_k$. With momentum the characteristic polynomial is
$z^2-(1+\beta-\eta\lambda)z+\beta$, or $z^2-(1+\beta)wz+\beta w$ with $w=1-\eta\lambda$ for Nesterov's. Jury's test:
both roots of $z^2-pz+q$ are inside the unit circle if and only if $|q|<1$ and $|p|<1+q$. For $0 \le \beta<1$ and
$\eta\lambda>0$ it fails first at $p=-(1+q)$, which is the threshold. Above it one root is real and below $-1$.

*Cycles:* on $a=b=x$ the step is $x \mapsto x(1+\eta-\eta x^2)$. For $s>1$ let $\eta=s+\frac1s-1$ and $x^2=1/(s\eta)$.
Then the factor is $s$ at $x$ and $\frac1s$ at $sx$: a cycle. The Hessian at $(x,x)$ has the eigenvalues $3x^2-1$ along
$(1,1)$ and $1-x^2$ along $(1,-1)$. So one turn multiplies deviations by $5-2(s^2+s^{-2})$ and by
$(2-s)(2-\frac1s)=5-2(s+\frac1s)$. Both are between $-1$ and 1 if $s^2+s^{-2}<3$, that is for $s$ below the golden
ratio and $\eta<\sqrt5-1$. The points are rational for $s=(k^2-1)/(2k-1)$, as $s\eta=(k-s)^2$. At a minimum, $ab=1$ and
$\lambda=a^2+b^2 \ge 2$. Networks often train at this edge of stability (J. Cohen et al. 2021).""",
    draw=figures.draw_rates,
)

BACKPROP = Claim(
    number="6-4",
    title="Backprop gives the derivative wherever it exists",
    statement=Statement("Backprop gives the derivative of a network wherever the derivative exists."),
    source="folklore",
    propositions=(
        Proposition(
            "two units",
            "at x = 0 it does for v_1 relu(w_1 x) + v_2 relu(w_2 x) with weights -1, 0, 1",
            checks.matches_where_it_exists,
            domains.PAIRS_OF_UNITS,
            show=lambda c: f"w = {c[:2]}, v = {c[2:]}",
            false=True,
        ),
        Proposition(
            "off the breakpoints",
            "minigrad's derivative is the slope between all breakpoints on [-8, 8], which are certified in fractions "
            "(up to three hidden layers of 4 units, integer weights)",
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
        "For a ReLU network with one input, backprop gives the derivative at all but finitely many inputs.",
        by=("off the breakpoints",),
    ),
    proof=r"""*The counterexample:* $\mathrm{relu}(x)-\mathrm{relu}(-x)=x$ has the derivative 1. minigrad, like most
frameworks, takes $\mathrm{relu}'(0)=0$, so backprop gives $0-0=0$. No other value $s$ of $\mathrm{relu}'(0)$ is always
right: here backprop gives $2s$, and $s-s^2$ for $\mathrm{relu}(x)-\mathrm{relu}(\mathrm{relu}(x))=0$. $2s=1$ and
$s=s^2$ contradict each other.

*The theorem,* in exact arithmetic (S. Kakade and J. Lee 2018, and J. Bolte and E. Pauwels 2020, prove more general
ones): by induction over the layers there are finitely many breakpoints between which the input $z$ of each unit is
affine and backprop gives its derivative. For each unit add the points where $z$ changes its sign, or begins or ceases
to be 0. Inside of a piece then $z>0$, $z<0$ or $z=0$ throughout. In the first two cases the chain rule holds. In the
third, $\mathrm{relu}(z)=0$ and $z'=0$, so backprop gives $s \cdot 0=0$, which is right for every $s$. Sums of such
units are affine on each piece, and backprop adds up their derivatives.

*The certificate* lists the ends of the pieces. No unit may have inputs of opposite signs at the two ends of a piece.
Layer by layer this proves that no unit changes its sign inside.""",
    draw=figures.draw_pieces,
)

REVERSE = Claim(
    number="6-5",
    title="Reverse mode is always cheaper than forward mode",
    statement=Statement("A Jacobian is always cheaper in reverse mode than in forward mode."),
    source="folklore",
    propositions=(
        Proposition(
            "always",
            "minigrad's trace of a network with one hidden layer of tanh has no more multiply-adds in reverse mode "
            "(inputs, units and outputs up to 3)",
            checks.reverse_is_cheaper,
            domains.WIDTHS,
            show=lambda widths: "widths {}, {}, {}".format(*widths),
            false=True,
        ),
        Proposition(
            "inputs and outputs",
            "with n inputs and m outputs, the Jacobian takes m times the multiply-adds of an evaluation in reverse "
            "mode, and n times in forward mode; a gradient takes twice (up to 4 layers of 6 units, batches to 5)",
            checks.passes_cost,
            domains.LAYERS,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "smallest graph",
            "on every graph of up to 5 vertices and 5 edges, one excepted, forward or reverse elimination is optimal "
            "(all orders tried)",
            checks.forward_or_reverse_is_optimal,
            domains.GRAPHS,
            "corrected",
            show=str,
        ),
        Proposition(
            "skip connection",
            "on it, tanh units have minigrad's derivative in each order, with 4 multiplications forward and in "
            "reverse, and 3 from the skipped unit outwards",
            checks.skip_connection,
            domains.WEIGHTS,
            "corrected",
        ),
    ),
    corrected=Corrected(
        "For dense layers, n inputs and m outputs, reverse mode is cheaper if and only if m < n. A reverse pass to all "
        "parameters takes at most twice the multiply-adds of an evaluation. In general neither mode is optimal: the "
        "smallest graph is a skip connection between two layers.",
        by=("inputs and outputs", "smallest graph", "skip connection"),
    ),
    proof=r"""Only products of matrices are counted. *Dense layers:* an evaluation of one input has $F=\sum_l
d_{l-1}d_l$ multiply-adds. A tangent passes each weight matrix once, and so does a cotangent. So $n$ tangents cost $nF$,
$m$ cotangents cost $mF$.

*The cheap gradient* (W. Baur and V. Strassen 1983): the cotangents of a product $AB$ are $GB'$ and $A'G$, each with as
many multiply-adds as $AB$. So all gradients take $2F$, less $d_0d_1$ if that of the input is not needed.

*Elimination* (A. Griewank and A. Walther 2008, chapter 9): a vertex with $p$ predecessors and $s$ successors is removed
with $ps$ multiplications of partial derivatives. Forward mode removes vertices in topological order, reverse mode in
the opposite one. With at most two intermediate vertices there are no other orders, up to exchanges of vertices that are
not adjacent, which change nothing. So the smallest graph has three, an input and an output. All 1,024 graphs of five
vertices are tried. The one with the fewest edges is $0 \to 1$, $1 \to 2$, $1 \to 3$, $2 \to 3$, $3 \to 4$. There 1 has
two successors and 3 has two predecessors, so forward mode takes $2+1+1$ and reverse mode $2+1+1$ multiplications.
Removing 2 first merges its path with the skip connection, and leaves $1+1+1$.""",
    draw=figures.draw_costs,
)

CLAIMS = (ADAM, HEAVY_BALL, RATES, BACKPROP, REVERSE)
