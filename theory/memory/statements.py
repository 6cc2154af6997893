"""Claims 4-1 to 4-5 in words: what makes gradients vanish or explode, and what does not.

The statements are folklore of courses and papers. The proofs cite the sources of what is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.domains import enumerated, every
from theory.memory import checks, domains, figures
from theory.memory.certificates import exact
from theory.memory.contraction import positive_vector, shrinking_diagonal
from theory.propositions import Proposition

__all__ = ["CLAIM_4_1", "CLAIM_4_2", "CLAIM_4_3", "CLAIM_4_4", "CLAIM_4_5"]


def certify_absolute_values() -> Iterator[Certificate]:
    """Certify that RNNs of 2, 3 and 4 units forget, by v > 0 with |Wh| v <= c v, c < 1."""
    for H in (2, 3, 4):
        A = np.abs(domains.Network("signed", H, 0.9, 0.0, seed=H).Wh)
        v, rate = positive_vector(A)
        yield certificate("vector_bound", matrix=exact(A), vector=v, rate=rate)


CLAIM_4_1 = Claim(
    number="4-1",
    title="A spectral radius below 1 makes an RNN forget",
    statement=Statement(
        "A tanh RNN, h_t = tanh(x_t + b + h_{t-1} Wh), forgets its initial state if the spectral radius of Wh is "
        "below 1.",
        r"A tanh RNN, $h_t=\tanh(x_t+b+h_{t-1}W_h)$, forgets its initial state if the spectral radius of $W_h$ is "
        "below 1.",
    ),
    source="folklore about echo state networks",
    corrected=Corrected(
        "If the spectral radius of |Wh|, the matrix of absolute values, is below 1, the RNN forgets: the distance "
        "between any two states with the same inputs tends to 0. If Wh >= 0 has a spectral radius above 1, b = 0 and "
        "all inputs are 0, the RNN does not forget.",
        "If the spectral radius of $|W_h|$, the matrix of absolute values, is below 1, the RNN forgets: the "
        r"distance between any two states with the same inputs tends to 0. If $W_h\ge0$ has a spectral radius above "
        "1, $b=0$ and all inputs are 0, the RNN does not forget.",
        by=("absolute values", "positive weights"),
    ),
    propositions=(
        Proposition(
            "spectral radius below 1",
            "states from (1, 1) and (-1, 1) meet if the spectral radius is below 1 (entries 0 and ±3/2, b = (3/2, 30), "
            "inputs 0)",
            checks.forgets,
            domains.FLIPS,
            latex=r"States from $(1,1)$ and $(-1,1)$ meet if the spectral radius is below 1 (entries 0 and "
            r"$\pm\frac32$, $b=(\frac32,30)$, inputs 0).",
            false=True,
        ),
        Proposition(
            "absolute values",
            "v > 0 with |Wh| v <= c v, c < 1, is certified in fractions; t steps shrink distances and Jacobians by c^t "
            "in the 1-norm with weights v (up to 4 units, radii 0.5 to 0.98, t = 1, 2, 12)",
            checks.shrinks_by_absolute_values,
            domains.SIGNED,
            "corrected",
        ),
        Proposition(
            "positive weights",
            "states from a small positive eigenvector do not fall below it in 60 steps, and 0 stays 0 (radii 1.1 to 5)",
            checks.never_forgets,
            domains.POSITIVE,
            "corrected",
        ),
        Proposition(
            "growth",
            "for the counterexample at (0, 1), ‖dh_k/dh_0‖ = √2 1.5^k to 9 digits, 4,703 for k = 20 (k to 40)",
            checks.grows,
            enumerated(range(1, 41), 40),
            "general",
        ),
        Proposition(
            "wrong vectors",
            "the check rejects wrong v, matrices and rates",
            checks.rejects_vectors,
            domains.SIGNED,
            "general",
        ),
    ),
    proof=r"""For the counterexample $W_h^2=0$, but $b$ keeps the second unit within $10^{-23}$ of 1. So each
step of the first one is $h\mapsto\tanh(\frac32h)$ up to $10^{-22}$, with stable states near $\pm0.8586$. It
remembers one bit for ever.

*Absolute values.* Let $A=|W_h|$ have a spectral radius below 1. Then $v=(I-A)^{-1}\mathbf{1}=\sum_kA^k\mathbf{1}\ge1$
and $Av=v-\mathbf{1}\le cv$ with $c=\max_i(1-1/v_i)<1$. As tanh has slopes of at most 1, two states with the same
inputs have $|h_t-\tilde h_t|\le|h_{t-1}-\tilde h_{t-1}|A$, entry by entry. Hence each step multiplies
$\sum_jv_j|h_{tj}-\tilde h_{tj}|$ by at most $c$, and the same holds for each column of $\partial h_t/\partial h_0$.

*Positive weights.* Let $W_h\ge0$ have the spectral radius $\rho>1$. By Perron and Frobenius $uW_h=\rho u$ for some
$u\ge0$, $u\neq0$. As $\tanh y\ge y-y^3/3$, $\tanh y\ge y/\rho$ for $0\le y\le\sqrt{3(1-1/\rho)}$. Scale $u$ so that
$\rho u$ lies there. Then $h_{t-1}\ge u$ gives $h_t\ge\tanh(\rho u)\ge u$, while 0 stays 0.

Yildiz, Jaeger and Kiebel (2012) give other counterexamples.""",
    draw=figures.draw_forgetting,
    certify=certify_absolute_values,
)


def certify_ellipsoids() -> Iterator[Certificate]:
    """Certify rates of the counterexample, just above its joint spectral radius, and of RNNs of 2 and 3 units."""
    eye = np.eye(2, dtype=int)
    yield certificate("contraction", P=eye, A=eye, B=[[0, 2], [2, 0]], rate=2 + Fraction(1, 2**40))
    for H in (2, 3):
        Wh = domains.Network("scaled", H, 0.9, 0.0, seed=H).Wh
        p, rate = shrinking_diagonal(Wh)
        yield certificate("contraction", P=np.diag(exact(p)), A=np.eye(H, dtype=int), B=exact(Wh.T), rate=rate)


CLAIM_4_2 = Claim(
    number="4-2",
    title="Steps with spectral radii below 1 make gradients vanish",
    statement=Statement(
        "If the Jacobians J_t of all steps have spectral radii below 1, J_k ... J_1 tends to 0.",
        r"If the Jacobians $J_t$ of all steps have spectral radii below 1, $J_k\cdots J_1$ tends to 0.",
    ),
    source="folklore",
    corrected=Corrected(
        "All infinite products of matrices J from a compact set tend to 0 if and only if, in some norm, |Jx| <= c|x| "
        "for some c < 1. A tanh RNN forgets for all inputs if J'PJ < c^2 P for all J = D Wh', for some P > 0 and c < "
        "1. Here D stands for the 2^H diagonal matrices with entries 0 and 1.",
        "All infinite products of matrices $J$ from a compact set tend to 0 if and only if, in some norm, "
        r"$|Jx|\le c|x|$ for some $c<1$. A tanh RNN forgets for all inputs if $J'PJ<c^2P$ for all $J=DW_h'$, for some "
        "$P>0$ and $c<1$. Here $D$ stands for the $2^H$ diagonal matrices with entries 0 and 1.",
        by=("ellipsoid",),
    ),
    propositions=(
        Proposition(
            "radius of each step",
            "‖dh_20/dh_0‖ < 1 if all steps have spectral radii below 1 (Wh with entries 0 and 2; inputs saturate one "
            "unit)",
            checks.vanishes,
            domains.TWOS,
            latex=r"$\lVert\partial h_{20}/\partial h_0\rVert<1$ if all steps have spectral radii below 1 ($W_h$ with "
            r"entries 0 and 2; inputs saturate one unit).",
            false=True,
        ),
        Proposition(
            "ellipsoid",
            "for Wh = c S Q S^-1 (S diagonal, Q orthogonal) a diagonal P is certified in fractions; t steps shrink "
            "distances and Jacobians by c^t in its norm (c = 0.5 to 0.98, rounded up, t = 1, 2, 12)",
            checks.shrinks_ellipsoid,
            domains.SCALED,
            "corrected",
        ),
        Proposition(
            "joint spectral radius",
            "for the counterexample P = I certifies c = 2 + 2^-40, but not 2; a product of two has the spectral "
            "radius 4",
            checks.joint_radius,
            every(([[0, 2], [2, 0]], 2)),
            "general",
        ),
        Proposition(
            "wrong ellipsoids",
            "the check rejects lower c, wrong P, and P that suits Wh' but not all D Wh'",
            checks.rejects_ellipsoids,
            domains.SCALED,
            "general",
        ),
    ),
    proof=r"""In the counterexample $J_t$ has, up to $10^{-20}$, the rows $(0,2)$, $(0,0)$ or $(0,0)$, $(2,0)$, in
turns. Both square to 0; their products are $\mathrm{diag}(4,0)$ and $\mathrm{diag}(0,4)$.

*A norm* (Rota and Strang, 1960) with $|Jx|\le c|x|$ bounds products of $k$ matrices by $c^k$. Conversely, let all
infinite products tend to 0. Each sequence has an $n$ with $\lVert J_n\cdots J_1\rVert<\frac12$, by compactness one
below some $N$. Cutting products into such pieces gives $\lVert J_k\cdots J_1\rVert\le Kc^k$ for some $K$ and $c<1$.
So $|x|=\sup_{k\ge0}c^{-k}\max\lVert J_k\cdots J_1x\rVert$ is a norm, and $|Jx|\le c|x|$. The infimum of such $c$, the
joint spectral radius, is at least the $k$-th root of the spectral radius of any product of $k$ matrices.

*RNN* (for diagonal $P$: Yildiz, Jaeger and Kiebel, 2012). $J_t=\mathrm{diag}(1-h_t^2)W_h'$. By the mean value
theorem some $DW_h'$, $0\le D\le1$, maps a difference of two states with the same inputs to the next.
$(DW_h'x)'P(DW_h'x)$ is convex in $D$, so it is largest at entries 0 and 1. Positive pivots prove $c^2P-J'PJ>0$.""",
    draw=figures.draw_products,
    certify=certify_ellipsoids,
)

CLAIM_4_3 = Claim(
    number="4-3",
    title="Gradients cannot explode if all forget gates are below 1",
    statement=Statement(
        "The gradient dc_k/dc_0 through the cells of an LSTM does not explode if all forget gates are below 1.",
        r"The gradient $\partial c_k/\partial c_0$ through the cells of an LSTM does not explode if all forget gates "
        "are below 1.",
    ),
    source="folklore",
    corrected=Corrected(
        "The gradient of one unit is f (f + i o w)^(k-1) if the gates are constant, c_0 = h_0 = 0 and g_t = tanh(w "
        "h_{t-1}). It explodes if and only if |f + i o w| > 1. In general its norm is at most the first entry of "
        "M^k, with the matrix M of the proof. This entry vanishes for large k if M v < v for some v > 0.",
        r"The gradient of one unit is $f(f+iow)^{k-1}$ if the gates are constant, $c_0=h_0=0$ and "
        r"$g_t=\tanh(wh_{t-1})$. "
        "It explodes if and only if $|f+iow|>1$. In general its norm is at most the first entry of $M^k$, with "
        "the matrix $M$ of the proof. This entry vanishes for large $k$ if $Mv<v$ for some $v>0$.",
        by=("one cell", "all weights"),
    ),
    propositions=(
        Proposition(
            "forget gate 1/2",
            "|dc_30/dc_0| <= 1 for the correction's unit with f = 1/2 and i = o = 1 (w = 0, 1, 2, 3)",
            checks.does_not_explode,
            every(0, 1, 2, 3),
            show=lambda w: f"w = {w}",
            latex=r"$|\partial c_{30}/\partial c_0|\le1$ for the correction's unit with $f=\frac12$ and $i=o=1$ "
            r"($w=0,1,2,3$).",
            false=True,
        ),
        Proposition(
            "one cell",
            "dc_k/dc_0 = f (f + i o w)^(k-1) (w and gates' biases from -4 to 4, k to 40; also f = 1/2, i = o = 1, w "
            "= 2, k = 30: 1.7e11)",
            checks.one_cell,
            domains.ONE_CELL,
            "corrected",
        ),
        Proposition(
            "all weights",
            "‖dc_k/dc_0‖ is at most the first entry of M^k, and this at most c^k if M v <= c v, c < 1, is certified "
            "(up to 4 units, k to 6)",
            checks.bounded_by_gates,
            domains.CELLS,
            "corrected",
        ),
    ),
    proof=r"""The gates and $g_t$ also depend on $c_{t-1}$ through $h_{t-1}=o_{t-1}\tanh c_{t-1}$. This is a second path
for the gradient. For one unit $c_t=fc_{t-1}+i\tanh(wh_{t-1})$ stays 0, where tanh has the slope 1. So
$\partial c_t/\partial c_{t-1}=f+iow$ for $t\ge2$, and $f$ for $t=1$, because $h_0$ is given.

*In general* let $I$, $F$ and $O$ bound the gates at all steps of a run, $C$ the entries of all $|c_t|$, and let
$W_i$, $W_f$, $W_o$, $W_g$ be the recurrent weights. Differentiate $c_t=f_tc_{t-1}+i_tg_t$ and $h_t=o_t\tanh c_t$
along a change of $c_0$. Gates have slopes of at most $\frac14$, tanh of at most 1, and $|g_t|$ and $|\tanh c_t|$
are at most 1. With $B=I\lVert W_g\rVert+\frac14(C\lVert W_f\rVert+\lVert W_i\rVert)$,

$$\lVert dc_t\rVert\le F\lVert dc_{t-1}\rVert+B\lVert dh_{t-1}\rVert,\quad
\lVert dh_t\rVert\le O\lVert dc_t\rVert+\tfrac14\lVert W_o\rVert\lVert dh_{t-1}\rVert.$$

So $M$ with the rows $(F,B)$ and $(OF,OB+\frac14\lVert W_o\rVert)$ bounds the two norms at step $t$ by those at step
$t-1$. Since $dh_0=0$, $\lVert\partial c_k/\partial c_0\rVert\le(M^k)_{11}$. If $v>0$ and $Mv\le cv$, $M^kv\le c^kv$,
and so $(M^k)_{11}\le c^k$. If only $g$ has recurrent weights, $(M^k)_{11}=F(F+OI\lVert W_g\rVert)^{k-1}$, which one
unit with $w\ge0$ attains. Without recurrent weights the bound is $F^k$, and the folklore is right.""",
    draw=figures.draw_cells,
)

CLAIM_4_4 = Claim(
    number="4-4",
    title="A spectral radius above 1 makes gradients explode",
    statement=Statement(
        "The gradient dh_k/dh_0 of a tanh RNN explodes if the spectral radius of Wh is above 1.",
        r"The gradient $\partial h_k/\partial h_0$ of a tanh RNN explodes if the spectral radius of $W_h$ is above 1.",
    ),
    source="folklore",
    corrected=Corrected(
        "For one unit h_t = tanh(w h_{t-1} + x_t), |w| > 1, without input the gradient explodes from h_0 = 0 and "
        "vanishes from all other h_0. For w > 1 let a = sqrt(1 - 1/w), e_c = w a - artanh(a) and h_0 >= a. If all "
        "|x_t| <= e < e_c, states keep their sign, and dh_k/dh_0 vanishes. If all x_t = -e < -e_c, the sign is lost.",
        r"For one unit $h_t=\tanh(wh_{t-1}+x_t)$, $|w|>1$, without input the gradient explodes from $h_0=0$ and "
        r"vanishes from all other $h_0$. For $w>1$ let $a=\sqrt{1-1/w}$, $e_c=wa-\mathrm{artanh}\,a$ and $h_0\ge a$. "
        r"If all $|x_t|\le e<e_c$, states keep their sign, and $\partial h_k/\partial h_0$ vanishes. If all "
        "$x_t=-e<-e_c$, the sign is lost.",
        by=("without input", "memory", "no memory"),
    ),
    propositions=(
        Proposition(
            "radius above 1",
            "|dh_50/dh_0| > 1 for h_t = tanh(w h_{t-1}) (w = 2, 3; h_0 = 0, 1)",
            checks.explodes,
            every((2, 0), (2, 1), (3, 0), (3, 1)),
            latex=r"$|\partial h_{50}/\partial h_0|>1$ for $h_t=\tanh(wh_{t-1})$ ($w=2,3$; $h_0=0,1$).",
            false=True,
        ),
        Proposition(
            "without input",
            "dh_9/dh_0 = w^9 from 0; |dh_400/dh_0| < 1e-6 from h_0 >= 0.01, with a last slope below 1 (|w| from 1.1 to "
            "10)",
            checks.only_0_explodes,
            domains.UNITS,
            "corrected",
        ),
        Proposition(
            "memory",
            "inputs up to 0, 0.5 or 0.99 e_c are certified to lead from [a, 1] to [b, 1] with slopes of at most c < "
            "1, and dh_k/dh_0 <= c^k (k = 1, 2, 50)",
            checks.remembers_and_vanishes,
            domains.LATCHES,
            "corrected",
        ),
        Proposition(
            "no memory",
            "inputs of -1.05 e_c lead from 1 below 0; those of -e_c keep a, with the derivative 1",
            checks.forgets_above,
            domains.CRITICAL,
            "corrected",
        ),
        Proposition(
            "wrong intervals",
            "the check rejects inputs above e_c, wrong intervals, and slopes of 1 or more",
            checks.rejects_latches,
            domains.LATCHES,
            "general",
        ),
    ),
    proof=r"""*Without input.* Let $w>1$ and $h_0>0$. States tend to the only $h^\ast>0$ with
$h^\ast=\tanh(wh^\ast)$. As tanh is strictly concave on $[0,\infty)$, the slope there is below that of the chord
from 0, which is 1. So $\partial h_k/\partial h_0=\prod_tw(1-h_t^2)$ vanishes. From $h_0=0$ it is $w^k$. Signs do
not matter: $-h_t$ belongs to $-h_0$, and $(-1)^th_t$ to $-w$.

*Memory* (for more units: Bengio, Simard and Frasconi, 1994). On $[0,1)$, $wh-\mathrm{artanh}\,h$ is largest, $e_c$,
at $h=a$, where $w(1-a^2)=1$. Let $|x_t|\le e<e_c$ and $b=\tanh(wa-e)$. As $wa-e>\mathrm{artanh}\,a$, $b>a$. Each
$h\ge a$ leads to at least $b$. So slopes $w(1-h_t^2)$ are at most $c=w(1-b^2)<w(1-a^2)=1$, and
$0<\partial h_k/\partial h_0\le c^k$. Certificates have rational $a$ and $b$.

*No memory.* If all $x_t=-e<-e_c$, $\tanh(wh-e)<h$ on $[0,1]$. By compactness the state falls by at least some $m>0$
each step until it is negative. If all $x_t=-e_c$, $a$ is fixed, with the slope 1.""",
    draw=figures.draw_latch,
)


def certify_blocks() -> Iterator[Certificate]:
    """Certify ‖W2' D W1'‖ < c, c = 0.4 + 10^-9, for all D and three residual blocks of two numbers."""
    functions, _ = domains.residual_functions((2, 3, 0.4, 3, 0))
    for f in functions:
        A, B = (exact(f[k].weight.data.T) for k in (2, 0))
        rate = Fraction(2, 5) + Fraction(1, 10**9)
        yield certificate("contraction", P=np.eye(2, dtype=int), A=A, B=B, rate=rate)


CLAIM_4_5 = Claim(
    number="4-5",
    title="Skip connections stop gradients from vanishing",
    statement=Statement(
        "The Jacobian of residual blocks x + f(x) does not vanish with their number, as each adds the identity.",
        "The Jacobian of residual blocks $x+f(x)$ does not vanish with their number, as each adds the identity.",
    ),
    source="folklore",
    corrected=Corrected(
        "If all f are differentiable with Lipschitz constants of at most c < 1, the singular values of the Jacobian "
        "of n blocks are at least (1 - c)^n and at most (1 + c)^n. Some f attain each bound.",
        "If all $f$ are differentiable with Lipschitz constants of at most $c<1$, the singular values of the Jacobian "
        "of $n$ blocks are at least $(1-c)^n$ and at most $(1+c)^n$. Some $f$ attain each bound.",
        by=("between powers", "attained"),
    ),
    propositions=(
        Proposition(
            "skip connections",
            "the derivative of 20 blocks x + s x has a modulus above 1/1000 (`mg.nn.Linear` with the weight s = 0, 1 "
            "or -1)",
            checks.keeps,
            every(0, 1, -1),
            latex=r"The derivative of 20 blocks $x+sx$ has a modulus above 1/1000 (`mg.nn.Linear` with the weight "
            r"$s=0$, 1 or $-1$).",
            false=True,
        ),
        Proposition(
            "between powers",
            "for f = W2' tanh(W1' x + b1) + b2 the constant c is certified in fractions; singular values are from (1 "
            "- c)^n to (1 + c)^n, and at most c^n without skip connections (n to 12, x of up to 3 entries, c = 0.1, "
            "0.4, 0.9, each plus 1e-9)",
            checks.between_powers,
            domains.RESIDUAL,
            "corrected",
            share=0.5,
        ),
        Proposition(
            "attained",
            "linear layers -c x and c x have the derivatives (1 - c)^n and (1 + c)^n (n to 1,000)",
            checks.attained,
            every((0.5, 10), (0.9, 20), (0.01, 100), (0.001, 1000)),
            "corrected",
        ),
        Proposition(
            "wrong bounds",
            "the check rejects c below the norm of W2' D W1' for each 0-1 matrix D",
            checks.rejects_bounds,
            domains.RESIDUAL,
            "general",
            share=0.5,
        ),
    ),
    proof=r"""For $f(x)=-x$ each block is 0. He, Zhang, Ren and Sun (2016), *Identity mappings in deep residual
networks*, say only that a factor of 0 is unlikely.

*Theorem* (for one block: Behrmann et al., 2019, *Invertible residual networks*, Lemma 2). The Jacobian $J$ of $f$
has $\lVert J\rVert\le c<1$. For every $v$,

$$(1-c)\lVert v\rVert\le\lVert v\rVert-\lVert Jv\rVert\le\lVert v+Jv\rVert\le(1+c)\lVert v\rVert.$$

Multiply these over the blocks: the singular values of the whole Jacobian $M$ are between the extremes of
$\lVert Mv\rVert/\lVert v\rVert$. The layers $f(x)=-cx$ and $f(x)=cx$ attain the bounds.

So depth alone does not decide. With bounds $c_l<1$ the lower bound $\prod_l(1-c_l)$ stays above 0 if and only if
$\sum_lc_l$ is finite, and $c=\alpha/n$ gives $(1-\alpha/n)^n\to e^{-\alpha}$. Without skip connections the norm is
at most $c^n$, which is below $(1-c)^n$ for $c<\frac12$: to this extent the folklore is right.

*Certificate.* For $f(x)=W_2'\tanh(W_1'x+b_1)+b_2$, $J=W_2'DW_1'$ with a diagonal $D$, $0\le D\le1$. As in 4-2,
$\lVert J\rVert<c$ for all $D$ if $c^2I-J'J$ is positive definite for those with entries 0 and 1.""",
    draw=figures.draw_depth,
    certify=certify_blocks,
)
