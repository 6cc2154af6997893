"""Claim 3-2 in words: gradients through a linear recurrence vanish or explode by the spectral radius.

Source: homework 3-2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.eigenvalues import checks, domains
from theory.eigenvalues.defective import chain
from theory.eigenvalues.diagonalisation import eigenform, power_jacobian, printed_eigenform
from theory.eigenvalues.figures import draw
from theory.eigenvalues.gradient_flow import cell_jacobians
from theory.eigenvalues.powers import jordan_block, jordan_power, power_norms
from theory.propositions import Proposition

__all__ = ["CLAIM_3_2", "show"]

STATEMENT = Statement(
    "For h_t = W' h_{t-1} with W = P D P^-1, which every square matrix has, dh_k/dh_0 = (P')^-1 D^k P^-1; it "
    "vanishes for large k if the spectral radius of W is below 1 and explodes if it is above.",
    r"For $h_t=W' h_{t-1}$ ($W'$ is the transpose of $W$) with $W=P D P^{-1}$, which every square matrix has, "
    r"$\partial h_k / \partial h_0=(P')^{-1} D^k P^{-1}$. It vanishes for large $k$ if the spectral radius of $W$, the "
    r"largest modulus of an eigenvalue, is below 1, and explodes if it is above.",
)

CORRECTED = Corrected(
    "dh_k/dh_0 = (W')^k, which is (P')^-1 D^k P' if W has an eigendecomposition; not every W has one. For every W "
    "the k-th root of its norm tends to the spectral radius. So its norm tends to 0 below 1, perhaps after growing "
    "for a while, and to infinity above; at 1 it is at least 1.",
    r"$\partial h_k / \partial h_0=(W')^k$, which is $(P')^{-1} D^k P'$ if $W$ has an eigendecomposition; "
    r"not every $W$ has one. For every $W$, $\lVert (W')^k \rVert^{1/k}$ tends to the spectral radius $\rho(W)$. So "
    r"its norm tends to 0 for $\rho(W)<1$ (perhaps after growing for a while) and to infinity for $\rho(W)>1$; for "
    r"$\rho(W)=1$ it is at least 1.",
    by=(
        "power",
        "corrected form",
        "corrected form, floats",
        "corrected form, rotation",
        "decided exactly",
        "diagonalisable",
        "Gelfand",
        "radius 0",
        "hump",
        "radius 1",
    ),
)

PROOF = r"""With $W=P D P^{-1}$, $W'=(P')^{-1} D P'$. In $(W')^k$ the inner factors $P' (P')^{-1}$ cancel:
$(W')^k=(P')^{-1} D^k P'$. The printed last factor $P^{-1}$ is right if and only if $D^k (P'P-I)=0$. For an invertible
$W$ this means $P'P=I$, as for a symmetric $W$ with orthonormal real eigenvectors.

$P$ may be complex, and $P'$ is the transpose without conjugation. Let a real normal $W$ have an eigenvalue that is not
real, such as the rotation with the rows $(0,-1)$ and $(1,0)$. Its eigenvector $v$ and the conjugate of $v$ are
orthogonal, so $v'v=0$. Then $P'P$ has a 0 on its diagonal, and the printed form is wrong for every choice of $P$.

The source also cancels $P^{-1} (P')^{-1}$ in $(P')^{-1} D P^{-1} (P')^{-1} D P^{-1}$. For $P$ with the rows $(1,1)$ and
$(0,1)$ and $D=\mathrm{diag}(1,2)$ the square has the rows $(2,-4)$ and $(-4,10)$, but $(P')^{-1} D^2 P^{-1}$ has the
rows $(1,-1)$ and $(-1,5)$.

*Not every matrix* has an eigendecomposition: let $W$ have the rows $(0,1)$ and $(0,0)$. Then $W \neq 0=W^2$, but
$W=P D P^{-1}$ would give $D^2=0$, so $D=0$ and $W=0$.

*For every matrix* the spectral radius $\rho$ decides. $W^k$ and $(W')^k$ have the same norm, which is the largest
singular value. An eigenvector for $\rho$ gives $\lVert W^k \rVert \ge \rho^k$. Schur's form is $W=U (D+N) U^{-1}$,
with $U$ unitary, $D$ diagonal and $N$ strictly upper triangular. In $(D+N)^k$, products with $n$ or more factors $N$
are zero, so $\lVert W^k \rVert \le \sum_{j<n} \binom{k}{j} \rho^{k-j} \lVert N \rVert^j$. For $\rho>0$ this is a
polynomial in $k$ times $\rho^k$; for $\rho=0$, $W^k=0$ from $k=n$ on. Hence $\lVert W^k \rVert^{1/k} \to \rho$
(Gelfand). For $\rho=1$ the norm is constant if $W$ is orthogonal, and grows like $k^{n-1}$ for a Jordan block.

*Only the norm explodes.* A particular gradient may vanish, such as that of a loss of the second entry of $h_k$ for
$W=\mathrm{diag}(2,\frac12)$. A singular value above 1 does not suffice: $W$ with the rows $(0,2)$ and $(0,0)$ has the
norm 2, but $W^2=0$.

*A hump before the decay:* for $\rho \le 1<|z|$ the norm of $(z I-W)^{-1}=\sum_k W^k z^{-k-1}$ is at most
$\sup_k \lVert W^k \rVert / (|z| - 1)$ (the easy half of Kreiss's theorem). Let $W$ have the rows $(r,c)$ and $(0,r)$
with $|r|<1$ and $c \ge 0$. For $|z|=2-|r|$, with the sign of $r$, the corner of $(z I-W)^{-1}$ is
$c / (z-r)^2=c / (4 (1-|r|)^2)$. So some power has at least the norm $c / (4 (1-|r|))$, and if this is above 1, $W^k$
grows before it vanishes.

*Networks:* in a tanh RNN $\partial h_t / \partial h_{t-1}=\mathrm{diag}(1-h_t^2) W_h'$, and the norm of a product is at
most the product of the norms. An LSTM without recurrent weights has $c_t=f_t c_{t-1}+i_t g_t$ with gates independent of
the state, so $\partial c_k / \partial c_0=\mathrm{diag}(f_1 \cdots f_k)$."""

DRAWN = "W to 4x4 of all five kinds"
DIAGONALISABLE = "random, symmetric, orthogonal W to 4x4"

PRINTED = (
    Proposition(
        "the last factor P^-1",
        "with W = P D P^-1, dh_k/dh_0 = (P')^-1 D^k P^-1",
        checks.printed_form,
        domains.SMALL_DECOMPOSITIONS,
        "formula",
        show=str,
        latex=r"With $W=PDP^{-1}$, $\partial h_k/\partial h_0=(P')^{-1}D^kP^{-1}$.",
        false=True,
    ),
    Proposition(
        "the cancelled factors",
        "the k-th power of (P')^-1 D P^-1 is (P')^-1 D^k P^-1, by cancelling P^-1 (P')^-1",
        checks.printed_power,
        domains.SMALL_DECOMPOSITIONS,
        "proof",
        show=str,
        latex=r"The $k$-th power of $(P')^{-1}DP^{-1}$ is $(P')^{-1}D^kP^{-1}$, by cancelling $P^{-1}(P')^{-1}$.",
        false=True,
    ),
    Proposition(
        "every matrix has an eigendecomposition",
        "every square matrix has an eigendecomposition P D P^-1",
        checks.has_eigendecomposition,
        domains.SMALL_MATRICES,
        "proof",
        latex=r"Every square matrix has an eigendecomposition $PDP^{-1}$.",
        false=True,
    ),
    Proposition(
        "vanishes or explodes",
        "‖dh_k/dh_0‖ < 1/1000 after a computed number of steps if the radius is below 1, and > 1000 after log(1000) "
        f"/ log(radius) steps if it is above ({DRAWN})",
        checks.vanishes_or_explodes,
        domains.NOT_AT_1,
        show=str,
    ),
)

CORRECTIONS = (
    Proposition(
        "power",
        "h_t = W' h_{t-1} gives dh_k/dh_0 = (W')^k, by `mg.jacobian` through the engine",
        checks.jacobian_is_power,
        domains.JORDAN,
        "corrected",
    ),
    Proposition(
        "corrected form",
        "with W = P D P^-1, dh_k/dh_0 = (P')^-1 D^k P', in integers",
        checks.corrected_form,
        domains.DIAGONAL,
        "corrected",
        show=str,
    ),
    Proposition(
        "corrected form, floats",
        f"the same in floating point, to round-off times cond(P)^2 ({DIAGONALISABLE})",
        checks.corrected_form_in_floats,
        domains.DIAGONALISABLE,
        "corrected",
        show=str,
    ),
    Proposition(
        "corrected form, rotation",
        "for the rotation [[0, -1], [1, 0]], which is normal, it is right, and the printed form is wrong for every "
        "choice of eigenvectors: v'v = 0",
        checks.rotation,
        domains.ROTATION,
        "corrected",
    ),
    Proposition(
        "decided exactly",
        "W has no eigendecomposition if and only if a vector proves it; such a vector exists for every Jordan block "
        "of size 2 or more; ranks over the rationals agree (two or three blocks of sizes 1 to 3)",
        checks.decided_exactly,
        domains.JORDAN,
        "corrected",
    ),
    Proposition(
        "diagonalisable",
        f"for W = P D P^-1, radius^k <= ‖dh_k/dh_0‖ <= cond(P) radius^k: it vanishes or explodes ({DIAGONALISABLE})",
        checks.between_radius_and_condition,
        domains.DIAGONALISABLE,
        "corrected",
        show=str,
    ),
    Proposition(
        "Gelfand",
        "radius^k <= ‖W^k‖ <= sum_{j<n} binom(k, j) radius^(k-j) ‖N‖^j, N of Schur's form; both k-th roots tend to "
        f"the radius ({DRAWN})",
        checks.gelfand_limit,
        domains.MATRICES,
        "corrected",
        show=str,
    ),
    Proposition(
        "radius 0",
        "a Jordan block with the eigenvalue 0 has ‖J^k‖ = 1 below its size n, and J^k = 0 from n on (n to 5)",
        checks.radius_0,
        domains.NILPOTENT,
        "corrected",
    ),
    Proposition(
        "hump",
        "[[r, c], [0, r]] with |r| < 1 and c >= 0 has a power of norm c / (4 (1 - |r|)) or more before it vanishes "
        "(r to 0.95 and c to 100; the grid is accurate to 1 %)",
        checks.hump,
        domains.HUMPS,
        "corrected",
    ),
    Proposition(
        "radius 1",
        f"with radius 1, ‖W^k‖ >= 1 for all k; = 1 if W is orthogonal ({DRAWN})",
        checks.never_vanishes,
        domains.AT_1,
        "corrected",
        show=str,
    ),
)

GENERAL = (
    Proposition(
        "the last factor P^-1, symmetric W",
        "the printed form is right for a symmetric W with orthonormal P (sizes up to 4x4, radii below, at and above 1)",
        checks.printed_form_symmetric,
        domains.SYMMETRIC,
        "general",
        share=0.5,
        show=str,
    ),
    Proposition(
        "Kreiss",
        f"sup_k ‖W^k‖ >= (|z| - 1) ‖(z I - W)^-1‖ for |z| > 1, on a grid: a non-normal W may grow first ({DRAWN})",
        checks.transient_growth,
        domains.BELOW_1,
        "general",
        show=str,
    ),
    Proposition(
        "ill-conditioned P",
        "[[1, c], [0, 2]] has the corrected form and its bounds, with tolerances of at most 1e-4 (c = 1, 10, 100, 300)",
        checks.ill_conditioned,
        domains.ILL_CONDITIONED,
        "general",
    ),
    Proposition(
        "departure from normality",
        "‖N‖ is a spectral norm: 4 for W = [[1/2, 3, 0], [0, 1/2, 4], [0, 0, 1/2]], where the Frobenius norm is 5",
        checks.departure,
        domains.DEPARTURE,
        "general",
    ),
    Proposition(
        "corrupted matrices",
        "the check rejects a drawn matrix with another radius, and a changed entry where its kind excludes it "
        f"({DRAWN})",
        checks.spoilt_kind_is_refused,
        domains.MATRICES,
        "general",
        show=str,
    ),
    Proposition(
        "corrupted Schur forms",
        "the check rejects a Schur form with an entry below the diagonal, a U that is not unitary, or the Schur form "
        "of another matrix",
        checks.spoilt_schur_is_refused,
        domains.MATRICES,
        "general",
        show=str,
    ),
    Proposition(
        "Jordan block",
        "with eigenvalue 1 or -1 and size n, J^k is binomials, and its norm from k = 2n on is between binom(k, n-1) "
        "and n binom(k, n-1)",
        checks.grows_polynomially,
        domains.BLOCKS,
        "general",
    ),
    Proposition(
        "tanh RNN",
        "‖dh_k/dh_0‖ <= the product of sigma_max(Wh) max(1 - h_t^2) over the steps, equal for one unit",
        checks.tanh_network,
        domains.RNNS,
        "general",
    ),
    Proposition(
        "LSTM",
        "without recurrent weights dc_k/dc_0 = diag(f_1 ⋯ f_k): it vanishes at the gates' geometric mean",
        checks.cell_path,
        domains.LSTMS,
        "general",
    ),
    Proposition(
        "forget bias",
        "without recurrent weights and input the rate is sigmoid(bias): 0.5, 0.731, 0.993 for 0, 1, 5",
        checks.cell_rate,
        domains.BIASES,
        "general",
    ),
)

# What `theory show` prints: two forms on one matrix, a Jordan block's powers, forget gates --------

P, EIGENVALUES, STEPS = np.array([[1, 1], [0, 1]]), np.array([1, 2]), 3


def show() -> str:
    """Write the claim's matrices."""
    W = P @ np.diag(EIGENVALUES) @ np.rint(np.linalg.inv(P)).astype(int)
    block = jordan_block(1, 2)
    norms = power_norms(block, 100)
    parts = [
        "W = P D P^-1, and the Jacobian of h_t = W' h_{t-1} after 3 steps, by mg.jacobian:",
        _beside({"W =": W, "P =": P, "D =": np.diag(EIGENVALUES), "dh_3/dh_0 =": power_jacobian(W, STEPS)}),
        "The square of (P')^-1 D P^-1 is not the form that is printed for it; P^-1 (P')^-1 does not cancel:",
        _beside({
            "((P')^-1 D P^-1)^2 =": np.linalg.matrix_power(printed_eigenform(P, EIGENVALUES, 1), 2),
            "(P')^-1 D^2 P^-1 =": printed_eigenform(P, EIGENVALUES, 2),
        }),
        "The printed form is different from the Jacobian; the last factor must be P':",
        _beside({
            "(P')^-1 D^3 P^-1 =": printed_eigenform(P, EIGENVALUES, STEPS),
            "(P')^-1 D^3 P' =": eigenform(P, EIGENVALUES, STEPS),
        }),
        "J has no eigendecomposition: its eigenvalue 1 counts twice and has one eigenvector. With radius 1 it grows:",
        _beside({"J =": block, **{f"J^{k} =": jordan_power(1, 2, k) for k in (2, 3, 10, 100)}}),
        "norms: " + ", ".join(f"‖J^{k}‖ = {norms[k]:.2f}" for k in (1, 10, 100)),
        "",
        "An LSTM's cell path without recurrent weights and input: dc_k/dc_0 = f^k, by mg.jacobian:",
        *_forget_gates(),
    ]  # fmt: skip
    return "\n".join(parts)


def _forget_gates() -> list[str]:
    lines = ["  forget bias   forget gate   half is left after   dc_100/dc_0"]
    for bias in (0, 1, 5):
        b = np.array([0.0, bias, 0.0, 0.0])
        path = cell_jacobians(np.zeros((100, 1)), [0.0], [0.0], np.zeros((1, 4)), np.zeros((1, 4)), b).ravel()
        half = math.log(0.5) / math.log(path[0])
        lines.append(f"  {bias:>11}   {path[0]:>11.3f}   {half:>12.1f} steps   {path[-1]:>11.2g}")
    return lines


def _beside(named: Mapping[str, ArrayLike]) -> str:
    """Return matrices of whole numbers side by side, each after its name."""
    columns = [_block(name, np.asarray(matrix)) for name, matrix in named.items()]
    return "\n".join("  " + "    ".join(row).rstrip() for row in zip(*columns, strict=True)) + "\n"


def _block(name: str, matrix: Any) -> list[str]:
    entries = [[str(round(float(x))) for x in row] for row in matrix]
    width = max(len(x) for row in entries for x in row)
    lines = ["[" + " ".join(x.rjust(width) for x in row) + "]" for row in entries]
    return [(name if i == 0 else " " * len(name)) + " " + line for i, line in enumerate(lines)]


def certify() -> Iterator[Certificate]:
    """Certify an eigendecomposition and a Jordan form, and for each small matrix without one that it has none."""
    for example in (
        domains.Whole(blocks=((1, 1), (2, 1)), shears=((0, 1, 1),)),
        domains.Whole(blocks=((2, 2), (-1, 1)), shears=((1, 0, 1), (2, 1, -1))),
    ):
        parts = {"matrix": example.matrix, "vectors": example.vectors, "inverse": example.inverse}
        yield certificate("jordan_form", **parts, blocks=example.blocks)
    for W, eigenvalue in product(domains.SMALL_MATRICES, (-1, 0, 1)):
        v = chain(W, eigenvalue)
        if v is not None:
            yield certificate("defective", matrix=W, eigenvalue=eigenvalue, vector=v)


CLAIM_3_2 = Claim(
    number="3-2",
    title="The spectral radius decides whether gradients of a linear recurrence vanish or explode",
    statement=STATEMENT,
    source="homework 3-2",
    propositions=(*PRINTED, *CORRECTIONS, *GENERAL),
    corrected=CORRECTED,
    proof=PROOF,
    draw=draw,
    interactive="eigenvalues",
    display=show,
    certify=certify,
)
