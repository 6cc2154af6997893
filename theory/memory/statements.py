"""Claims 4-1 to 4-5 in words: what makes gradients vanish or explode, and what does not.

Source: folklore of courses and papers; each claim names where it stands, and its proof who proved what is right.
"""

from __future__ import annotations

from theory.claims import Claim, Corrected, Statement
from theory.memory import checks, domains, figures
from theory.propositions import Proposition

__all__ = ["CLAIM_4_1", "CLAIM_4_2", "CLAIM_4_3", "CLAIM_4_4", "CLAIM_4_5"]

CLAIM_4_1 = Claim(
    number="4-1",
    title="A spectral radius below 1 makes an RNN forget",
    statement=Statement(
        "A tanh RNN, h_t = tanh(x_t + b + h_{t-1} Wh), forgets its initial state if the spectral radius of Wh is "
        "below 1.",
        r"A tanh RNN, $h_t=\tanh(x_t+b+h_{t-1} W_h)$, forgets its initial state if the spectral radius of $W_h$ is "
        "below 1.",
    ),
    source="folklore about echo state networks",
    corrected=Corrected(
        "It forgets for all inputs if the spectral radius of |Wh|, the absolute values, is below 1. For Wh >= 0 of a "
        "radius above 1, b = 0 and no input, it does not.",
        "It forgets for all inputs if the spectral radius of $|W_h|$, the absolute values, is below 1. For "
        r"$W_h \ge 0$ of a radius above 1, $b=0$ and no input, it does not.",
        by=("absolute values", "positive weights"),
    ),
    propositions=(
        Proposition(
            "spectral radius below 1",
            "with b = (3/2, 30), no input and Wh of the radius below 1, the states from (1, 1) and (-1, 1) meet (all "
            "Wh with the entries 0 and ±3/2)",
            checks.forgets,
            domains.FLIPS,
            false=True,
        ),
        Proposition(
            "absolute values",
            "v > 0 with |Wh| v <= c v and c < 1 is certified in fractions, and minigrad's states and Jacobians "
            "shrink by c^t in the 1-norm with weights v (up to 4 units, radii 0.5 to 0.98)",
            checks.shrinks_by_absolute_values,
            domains.SIGNED,
            "corrected",
        ),
        Proposition(
            "positive weights",
            "with Wh >= 0 of the radius 1.1, 2 or 5, the state from a small eigenvector never falls below it, and "
            "the state from 0 stays 0",
            checks.never_forgets,
            domains.POSITIVE,
            "corrected",
        ),
        Proposition(
            "growth",
            "for Wh = [[3/2, 3/2], [-3/2, -3/2]], Wh^2 = 0, but ‖dh_k/dh_0‖ = √2 1.5^k at (0, 1) with that b: 4,703 "
            "for k = 20 (k to 40)",
            checks.grows,
            domains.STEPS,
            "general",
        ),
        Proposition(
            "wrong vectors",
            "the check rejects v with an entry of 0 or below, another matrix, and a lower rate",
            checks.rejects_vectors,
            domains.SIGNED,
            "general",
        ),
    ),
    proof=r"""For the counterexample $W_h^2=0$, but $b=(\frac32,30)$ keeps the second unit within $10^{-24}$ of 1.
So the first one follows $h \mapsto \tanh(\frac32 h)$, which has the stable states $\pm 0.8586$: the network
remembers one bit for ever. At $(0,1)$ each step multiplies the Jacobian by 3/2.

*Absolute values.* Let $A=|W_h|$ have a radius below 1. Then $v=(I-A)^{-1} \mathbf{1}=\sum_k A^k \mathbf{1} \ge 1$,
and $A v=v-\mathbf{1} \le c v$ with $c=\max_i (1-1/v_i)<1$. For two states with the same inputs
$|h_t-\tilde h_t| \le |h_{t-1}-\tilde h_{t-1}| A$, entry by entry, as tanh has slopes of at most 1. Hence
$\sum_j v_j |h_{tj}-\tilde h_{tj}|$ shrinks by $c$ at each step. The same holds for each column of
$\partial h_t / \partial h_0$.

*Positive weights.* Let $W_h \ge 0$ have the radius $\rho>1$. By Perron and Frobenius some $u \ge 0$, $u \neq 0$,
has $u W_h=\rho u$. As $\tanh y \ge y-y^3/3$, $\tanh y \ge y/\rho$ for $0 \le y \le \sqrt{3 (1-1/\rho)}$. Scale $u$
so that $\rho u$ is in this range. Then $h_{t-1} \ge u$ gives $h_t \ge \tanh(\rho u) \ge u$, while $h_0=0$ stays 0.

Signed weights may forget although $|W_h|$ has a radius above 1, see 4-2. The folklore is also refuted by Yildiz,
Jaeger and Kiebel, *Re-visiting the echo state property* (2012).""",
    draw=figures.draw_forgetting,
)

CLAIM_4_2 = Claim(
    number="4-2",
    title="Gradients vanish if each step has a spectral radius below 1",
    statement=Statement(
        "If the Jacobian J_t of every step has a spectral radius below 1, J_k ... J_1 vanishes for large k.",
        r"If the Jacobian $J_t$ of every step has a spectral radius below 1, $J_k \cdots J_1$ vanishes for large $k$.",
    ),
    source="folklore",
    corrected=Corrected(
        "For a compact set of matrices, all infinite products vanish if and only if some norm shrinks under all of "
        "them by a rate c < 1. For a tanh RNN it is enough that J'PJ < c^2 P for a P > 0 and the 2^H matrices J = D "
        "Wh', D diagonal with entries 0 or 1.",
        "For a compact set of matrices, all infinite products vanish if and only if some norm shrinks under all of "
        "them by a rate $c<1$. For a tanh RNN it is enough that $J'PJ<c^2 P$ for a $P>0$ and the $2^H$ matrices "
        "$J=D W_h'$, $D$ diagonal with entries 0 or 1.",
        by=("ellipsoid",),
    ),
    propositions=(
        Proposition(
            "radius of each step",
            "‖dh_20/dh_0‖ < 1 if each step's Jacobian has a radius below 1 (tanh RNNs with the weights 0 and 2, "
            "whose inputs keep one unit at 0 and the other at 1)",
            checks.vanishes,
            domains.TWOS,
            false=True,
        ),
        Proposition(
            "ellipsoid",
            "for Wh = c S Q S^-1 (S diagonal, Q orthogonal) a diagonal P is certified in fractions, and minigrad's "
            "states and Jacobians shrink by c^t in its norm (2 to 4 units, c = 0.5 to 0.98)",
            checks.shrinks_ellipsoid,
            domains.SCALED,
            "corrected",
        ),
        Proposition(
            "joint spectral radius",
            "for Wh = [[0, 2], [2, 0]] both matrices D Wh' with one row have the radius 0, and their product 4; P = "
            "I certifies the rate 2 + 2^-40, and not 2",
            checks.joint_radius,
            domains.PAIR,
            "general",
        ),
        Proposition(
            "wrong ellipsoids",
            "the check rejects a rate below the radius of Wh, a P that is not symmetric or not positive, and one "
            "that shrinks Wh' but not all D Wh'",
            checks.rejects_ellipsoids,
            domains.SCALED,
            "general",
        ),
    ),
    proof=r"""For $W_h$ of the rows $(0,2)$ and $(2,0)$, inputs keep one unit at 0 and the other near 1, in turns.
Then $J_t$ has, up to $10^{-20}$, the rows $(0,2)$, $(0,0)$ or $(0,0)$, $(2,0)$. Both square to 0, but their product
is $\mathrm{diag}(4,0)$, so $\lVert \partial h_{20} / \partial h_0 \rVert=2^{20}$.

*A norm* (Rota and Strang, *A note on the joint spectral radius*, 1960). If a norm shrinks by $c<1$ under all
matrices of the set, products of $k$ have at most the norm $c^k$. Conversely, let all infinite products vanish. Each
sequence has a first $n$ with $\lVert J_n \cdots J_1 \rVert<\frac12$. By compactness all these $n$ are at most some
$N$. Cutting products into such pieces gives $\lVert J_k \cdots J_1 \rVert \le K c^k$ for some $K$ and some $c<1$.
So $|x|=\sup_{k \ge 0} c^{-k} \max \lVert J_k \cdots J_1 x \rVert$ is a norm, and $|Jx| \le c |x|$. The smallest
such $c$ (an infimum) is the joint spectral radius. It is at least the $k$-th root of the radius of any product of
$k$.

*RNN.* $J_t=\mathrm{diag}(1-h_t^2) W_h'$. By the mean value theorem a difference of two states with the same inputs
is multiplied by a $D W_h'$, too, with entries of $D$ from 0 to 1. For each $x$, $(D W_h' x)' P (D W_h' x)$ is
convex in $D$, so it is largest at a corner, where entries are 0 or 1. Fractions decide $c^2 P-J'PJ>0$ by the signs
of pivots. For a diagonal $P$ the corner $D=I$ is enough: such $W_h$ are diagonally Schur stable (Yildiz, Jaeger and
Kiebel, 2012).""",
    draw=figures.draw_products,
)

CLAIM_4_3 = Claim(
    number="4-3",
    title="Forget gates below 1 cannot explode",
    statement=Statement(
        "The gradient through the cells of an LSTM, dc_k/dc_0, does not explode if all forget gates are below 1.",
        r"The gradient through the cells of an LSTM, $\partial c_k / \partial c_0$, does not explode if all forget "
        "gates are below 1.",
    ),
    source="folklore",
    corrected=Corrected(
        "For one unit with constant gates, c_0 = h_0 = 0 and g_t = tanh(w h_{t-1}), dc_k/dc_0 = f (f + i o w)^(k-1), "
        "which explodes if and only if |f + i o w| > 1. In general ‖dc_k/dc_0‖ is at most the corner of M^k (see the "
        "proof), which vanishes if v > 0 has M v < v.",
        r"For one unit with constant gates, $c_0=h_0=0$ and $g_t=\tanh(w h_{t-1})$, "
        r"$\partial c_k / \partial c_0=f (f+iow)^{k-1}$, which explodes if and only if $|f+iow|>1$. In general "
        r"$\lVert \partial c_k / \partial c_0 \rVert$ is at most the corner of $M^k$ (see the proof), which vanishes "
        "if $v>0$ has $M v<v$.",
        by=("one cell", "all weights"),
    ),
    propositions=(
        Proposition(
            "forget gate 1/2",
            "|dc_30/dc_0| <= 1 for one unit with f = 1/2, i = o = 1 and g_t = tanh(w h_{t-1}), from 0 (w = 0, 1, 2, 3)",
            checks.does_not_explode,
            domains.RECURRENT_WEIGHTS,
            false=True,
        ),
        Proposition(
            "one cell",
            "dc_k/dc_0 = f (f + i o w)^(k-1) by `mg.jacobian` (biases and w from -4 to 4, also gates of 1, k to 40)",
            checks.one_cell,
            domains.ONE_CELL,
            "corrected",
        ),
        Proposition(
            "all weights",
            "‖dc_k/dc_0‖ is at most the corner of M^k, and of c^k with a certificate M v <= c v (up to 4 units, "
            "small and large weights of all gates, k to 12)",
            checks.bounded_by_gates,
            domains.CELLS,
            "corrected",
        ),
    ),
    proof=r"""The next gates and candidate read $h_{t-1}=o_{t-1} \tanh c_{t-1}$, so a second path leads from
$c_{t-1}$ to $c_t$. In the example $c_t=f c_{t-1}+i \tanh(w h_{t-1})$ stays 0, where tanh has the slope 1. So
$\partial c_t / \partial c_{t-1}=f+iow$ for $t \ge 2$. For $t=1$ it is $f$, as $h_0$ is given.

*In general* let $I$, $F$ and $O$ bound the gates of a run, $C$ the entries of $|c_{t-1}|$, and let $W_i$, $W_f$,
$W_o$ and $W_g$ be the recurrent weights. Differentiate $c_t=f c_{t-1}+ig$ and $h_t=o \tanh c_t$ in the direction of
some $c_0$. Gates have slopes of at most $\frac14$, tanh of at most 1, and both $|g|$ and $|\tanh c_t|$ are below 1.
So

$$\lVert dc_t \rVert \le F \lVert dc_{t-1} \rVert+B \lVert dh_{t-1} \rVert, \quad
\lVert dh_t \rVert \le O \lVert dc_t \rVert+\tfrac14 \lVert W_o \rVert \lVert dh_{t-1} \rVert$$

with $B=I \lVert W_g \rVert+\frac14 (C \lVert W_f \rVert+\lVert W_i \rVert)$. Hence the two norms are at most those
before times $M$ of the rows $(F,B)$ and $(OF,OB+\frac14 \lVert W_o \rVert)$. As $dh_0=0$,
$\lVert \partial c_k / \partial c_0 \rVert \le (M^k)_{11}$. If $M v \le c v$ for a $v>0$, then $M^k v \le c^k v$, so
$(M^k)_{11} \le c^k$. If only $g$ has recurrent weights, $(M^k)_{11}=F (F+OI \lVert W_g \rVert)^{k-1}$, which the
example attains for $w \ge 0$. Without recurrent weights it is $F^k$, as the folklore says.""",
    draw=figures.draw_cells,
)

CLAIM_4_4 = Claim(
    number="4-4",
    title="A spectral radius above 1 explodes",
    statement=Statement(
        "The gradient dh_k/dh_0 of a tanh RNN explodes if the spectral radius of Wh is above 1.",
        r"The gradient $\partial h_k / \partial h_0$ of a tanh RNN explodes if the spectral radius of $W_h$ is above "
        "1.",
    ),
    source="folklore; Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013), "
    "only call it necessary",
    corrected=Corrected(
        "For one unit h_t = tanh(w h_{t-1} + x_t) without input and |w| > 1, dh_k/dh_0 explodes for h_0 = 0 and "
        "vanishes for every other h_0. For w > 1 let a = sqrt(1 - 1/w) and e_c = w a - artanh(a). If all |x_t| <= e "
        "< e_c, states of [a, 1] keep their sign for ever, and dh_k/dh_0 vanishes. If all x_t = -e < -e_c, they lose "
        "it.",
        r"For one unit $h_t=\tanh(w h_{t-1}+x_t)$ without input and $|w|>1$, $\partial h_k / \partial h_0$ explodes "
        r"for $h_0=0$ and vanishes for every other $h_0$. For $w>1$ let $a=\sqrt{1-1/w}$ and "
        r"$e_c=wa-\mathrm{artanh}\,a$. If all $|x_t| \le e<e_c$, states of $[a,1]$ keep their sign for ever, and "
        r"$\partial h_k / \partial h_0$ vanishes. If all $x_t=-e<-e_c$, they lose it.",
        by=("without input", "memory", "no memory"),
    ),
    propositions=(
        Proposition(
            "radius above 1",
            "|dh_50/dh_0| > 1 for h_t = tanh(w h_{t-1}) (w = 2 and 3, h_0 = 0 and 1)",
            checks.explodes,
            domains.LOUD,
            false=True,
        ),
        Proposition(
            "without input",
            "from 0, dh_k/dh_0 = w^k; from other states the last slope is below 1 and |dh_400/dh_0| < 1e-6 (|w| from "
            "1.1 to 10)",
            checks.only_0_explodes,
            domains.UNITS,
            "corrected",
        ),
        Proposition(
            "memory",
            "intervals certify that inputs up to 0, 0.5 or 0.99 of e_c lead from [a, 1] to [b, 1] with slopes c < 1, "
            "and minigrad's dh_k/dh_0 is at most c^k (w from 1.1 to 10, k to 50)",
            checks.remembers_and_vanishes,
            domains.LATCHES,
            "corrected",
        ),
        Proposition(
            "no memory",
            "constant inputs of -1.01 e_c lead from 1 below 0; those of -e_c keep a, with the derivative 1 (same w)",
            checks.forgets_above,
            domains.CRITICAL,
            "corrected",
        ),
        Proposition(
            "wrong intervals",
            "the check rejects inputs above e_c, other intervals, and slopes of 1 or more",
            checks.rejects_latches,
            domains.LATCHES,
            "general",
        ),
    ),
    proof=r"""*Without input.* For $w>1$ and $h_0>0$ the states converge to the only $h^\ast>0$ with
$h^\ast=\tanh(w h^\ast)$. There the slope is below 1: tanh is strictly concave on $[0,\infty)$, so it is below that
of the chord from 0 to $h^\ast$, which is 1. Hence $\partial h_k / \partial h_0=\prod_t w (1-h_t^2)$ vanishes. At
$h_0=0$ it is $w^k$. Signs do not matter: for $w<0$ the states $(-1)^t h_t$ belong to $|w|$.

*Memory* implies vanishing (in general: Bengio, Simard and Frasconi, *Learning long-term dependencies with gradient
descent is difficult*, 1994). On $[0,1)$, $wh-\mathrm{artanh}\,h$ is largest, $e_c$, at $h=a$, where $w (1-a^2)=1$.
Let $|x_t| \le e<e_c$ and $b=\tanh(wa-e)$. Then $wa-e>\mathrm{artanh}\,a$, so $b>a$. The next state of any $h \ge a$
is at least $b$, so all are. Each slope is $w (1-h_t^2) \le c=w (1-b^2)<w (1-a^2)=1$, and so
$0<\partial h_k / \partial h_0 \le c^k$. A certificate has rational $a$ and $b$, and a bound of exp.

*No memory.* If all $x_t=-e<-e_c$, $\tanh(wh-e)<h$ on $[0,1]$. By compactness the state falls by at least some $m>0$
at each step until it is negative. At $e=e_c$ the state $a$ is fixed, with the slope 1. This boundary alone has
memory without vanishing.""",
    draw=figures.draw_latch,
)

CLAIM_4_5 = Claim(
    number="4-5",
    title="Skip connections stop gradients from vanishing",
    statement=Statement(
        "The Jacobian of residual blocks x + f(x) does not vanish with their number, as each adds the identity.",
        "The Jacobian of residual blocks $x+f(x)$ does not vanish with their number, as each adds the identity.",
    ),
    source="folklore after He, Zhang, Ren and Sun, Identity mappings in deep residual networks (2016), who call a "
    "factor of 0 unlikely",
    corrected=Corrected(
        "If each f has the Lipschitz constant c < 1, all singular values of n blocks are from (1 - c)^n to (1 + "
        "c)^n, and both are attained. A lower bound for all n needs smaller c for more blocks.",
        "If each $f$ has the Lipschitz constant $c<1$, all singular values of $n$ blocks are from $(1-c)^n$ to "
        "$(1+c)^n$, and both are attained. A lower bound for all $n$ needs smaller $c$ for more blocks.",
        by=("between powers", "attained"),
    ),
    propositions=(
        Proposition(
            "skip connections",
            "the derivative of 20 blocks x + s x is above 1/1000 (f is `mg.nn.Linear` with the weight s = 0, 1 or -1)",
            checks.keeps,
            domains.FACTORS,
            false=True,
        ),
        Proposition(
            "between powers",
            "c I - J'J > 0, with c^2 for c, is certified in fractions for f = W2' tanh(W1' x + b); the singular "
            "values of minigrad's Jacobian are from (1 - c)^n to (1 + c)^n, and without skip connections at most c^n "
            "(up to 12 blocks of up to 3 numbers, c = 0.1, 0.4, 0.9)",
            checks.between_powers,
            domains.RESIDUAL,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "attained",
            "linear layers -c x and c x have (1 - c)^n and (1 + c)^n; for c = 1/n the first is near 1/e (n to 1,000)",
            checks.attained,
            domains.LINEAR,
            "corrected",
        ),
        Proposition(
            "wrong bounds",
            "the check rejects a c below the norm of W2' D W1' for any 0-1 matrix D",
            checks.rejects_bounds,
            domains.RESIDUAL,
            "general",
            share=0.5,
        ),
    ),
    proof=r"""For $f(x)=-x$ a block is 0, and so is its derivative. For $f(x)=-\frac12 x$ it is $2^{-n}$.

*Theorem* (Behrmann et al., *Invertible residual networks*, 2019, Lemma 2, has the same bounds for one block). Let
$J$ be the Jacobian of $f$, $\lVert J \rVert \le c<1$. For every $v$,

$$(1-c) \lVert v \rVert \le \lVert v \rVert-\lVert Jv \rVert \le \lVert v+Jv \rVert \le (1+c) \lVert v \rVert.$$

For $n$ blocks multiply these: singular values are the extremes of $\lVert Mv \rVert / \lVert v \rVert$ for the
whole Jacobian $M$. The layers $f(x)=\mp c x$ attain both ends. Blocks with bounds $c_1,c_2,\dots<1$ have the lower
bound $\prod_l (1-c_l)$, which stays above 0 if and only if $\sum_l c_l$ is finite. For $n$ blocks with $c=\alpha/n$
it tends to $e^{-\alpha}$. Without skip connections the norm is at most $c^n$, which is below $(1-c)^n$ for
$c<\frac12$: that much is true of the folklore.

*Certificate.* For $f(x)=W_2' \tanh(W_1' x+b)$, $J=W_2' D W_1'$ with $D$ diagonal and entries from 0 to 1. As in 4-2
the corners decide: $\lVert J \rVert<c$ everywhere if $c^2 I-J'J$ is positive definite for all $D$ with entries 0 or
1.""",
    draw=figures.draw_depth,
)
