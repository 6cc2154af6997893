"""The claims 1-1 to 1-3 in words: convolutions and transposed convolutions are matrices, and how both are related."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from theory.certificates import Certificate, certificate
from theory.claims import Claim, Corrected, Statement
from theory.convolution import checks, domains
from theory.convolution.certificates import permutation_of
from theory.convolution.figures import draw_convolution, draw_permutation, draw_transposed
from theory.convolution.matrices import conv_matrix, conv_transpose_matrix
from theory.convolution.notation import NUMBERED, pictured, products, symbols, written
from theory.convolution.subpixel import shuffle_matrix
from theory.domains import Domain
from theory.propositions import Proposition

__all__ = ["CLAIM_1_1", "CLAIM_1_2", "CLAIM_1_3", "show_convolution", "show_permutation", "show_transposed"]


def _drawn(
    role: Any, name: str, check: Callable[[Any], None], domain: Domain, says: str, share: float = 1.0
) -> Proposition:
    return Proposition(name, says, check, domain, role, share, show=str)


# 1-1: a convolution is a matrix -------------------------------------------------------------------

PRINTED_1 = "\n".join(written(checks.source_printed(NUMBERED[0, 0]), symbols("W", 2, 2)))
"""The matrix of 8 columns."""

STATEMENT_1 = Statement(
    "Convolving a flattened picture is multiplying it by a matrix. With X 3x3 padded by 1, W 2x2 and stride 3 the "
    "matrix is 4x8 (one column is missing), and Y = [[W11 x00, W10 x02], [W01 x20, W00 x22]].",
    r"Convolving a flattened picture is multiplying it by a matrix, "
    r"$\mathrm{vec}(Y)=A \cdot \mathrm{vec}(X)$, where vec lists the entries row by row (row-major order). For a 3x3 "
    r"picture $X$, zero-padded by 1, a 2x2 kernel $W$ and stride 3, the homework prints $A$ with 8 columns, and "
    r"$Y_{00}=W_{11}x_{00}$, $Y_{01}=W_{10}x_{02}$, $Y_{10}=W_{01}x_{20}$, $Y_{11}=W_{00}x_{22}$.",
)

CORRECTED_1 = Corrected(
    "A is 4x9: W11 in row 0, column 0; W10 in row 1, column 2; W01 in row 2, column 6; W00 in row 3, column 8.",
    r"$A$ is 4x9; its only nonzero entries are $A_{0,0}=W_{11}$, $A_{1,2}=W_{10}$, $A_{2,6}=W_{01}$, $A_{3,8}=W_{00}$.",
    by=("4x9 matrix",),
)

ENTRIES = (
    "The checks of 1-1, 1-2 and 1-3 draw integers from -9 to 9. Results must agree to 1e-9 times the largest expected "
    "entry, or times 1 if that is larger."
)

PROOF_1 = rf"""With stride $s$, padding $p$ and dilation $d$,

$$y_{{fij}} = \sum_{{c,u,v}} w_{{fcuv}}x_{{\gamma,is+ud-p,js+vd-p}}$$

is linear in $x$, with $\gamma$ the $c$-th channel of $f$'s group and $x=0$ outside the picture. So $A$ has $w_{{fcuv}}$
in row $(f,i,j)$ and column $(\gamma,is+ud-p,js+vd-p)$ if that is a pixel, and 0 elsewhere. Two weights never share an
entry: the row of the entry gives $i$, and the column gives the pixel's row $a$, so $u=(a+p-is)/d$. The pullback of a
linear map is its transpose, $A'$.

Window $(i,j)$ of the example begins at pixel $(3i-1,3j-1)$, so it overlaps $X$ only in a corner. Its pixel 11, 10, 01
or 00 lies on $x_{{00}}$, $x_{{02}}$, $x_{{20}}$ or $x_{{22}}$, the entries 0, 2, 6 and 8 of $\mathrm{{vec}}(X)$. The
printed matrix has $W_{{00}}$ in column 7, which multiplies $x_{{21}}$ instead of $x_{{22}}$:

```
{PRINTED_1}
```

{ENTRIES}"""

PROPOSITIONS_1 = (
    Proposition(
        "the matrix has 8 columns",
        "The printed 4x8 matrix can multiply vec(X) of a 3x3 picture X",
        checks.check_printed_shape,
        domains.PRINTED_SHAPE,
        "matrix",
        show=lambda shape: f"A of {shape[0]}x{shape[1]}",
        latex=r"The printed 4x8 matrix can multiply $\mathrm{vec}(X)$ of a 3x3 picture $X$.",
        false=True,
    ),
    _drawn("printed", "output", checks.check_printed_output, domains.SOURCE_CONVOLUTION,
           "conv2d gives Y = [[W11 x00, W10 x02], [W01 x20, W00 x22]] (random X and W)"),
    _drawn("corrected", "4x9 matrix", checks.check_source_convolution, domains.SOURCE_CONVOLUTION,
           "The 4x9 matrix follows from the definition and gives Y (random X and W)"),
    _drawn("general", "product", checks.check_product, domains.CONVOLUTIONS,
           "A vec(x) = vec(conv2d(x)) (kernels up to 3x3, strides to 4, paddings to 2, dilations to 3, up to 3 groups "
           "of up to 2 channels)"),
    _drawn("general", "pullback", checks.check_vjp, domains.CONVOLUTIONS,
           "A' g is conv2d's VJP, A' the transpose of A (same convolutions)"),
    _drawn("general", "adjoint", checks.check_adjoint, domains.CONVOLUTIONS,
           "⟨conv2d(x), y⟩ = ⟨x, A' y⟩, which follows from both", share=0.2),
)  # fmt: skip


def show_convolution() -> str:
    """Write claim 1-1 in symbols."""
    a, weights = conv_matrix(NUMBERED, (1, 3, 3), stride=3, padding=1), symbols("W", 2, 2)
    return "\n".join([
        "X is 3x3, zero-padded by 1; W is 2x2; stride 3. vec(Y) = A vec(X) with A of 4x9:",
        "",
        *written(a.dense(), weights),
        "",
        *pictured("Y", products(a, weights, symbols("x", 3, 3)), 2),
        "",
        "As printed, A has 8 columns, one too few: vec(X) has 9 entries. W00 is in column 7, which multiplies x21:",
        "",
        PRINTED_1,
    ])  # fmt: skip


CLAIM_1_1 = Claim(
    number="1-1",
    title="A convolution is a matrix",
    statement=STATEMENT_1,
    source="homework 1-1",
    propositions=PROPOSITIONS_1,
    corrected=CORRECTED_1,
    proof=PROOF_1,
    draw=draw_convolution,
    interactive="convolution",
    display=show_convolution,
)

# 1-2: a transposed convolution is a matrix --------------------------------------------------------

STATEMENT_2 = Statement(
    "A transposed convolution of a flattened picture is multiplication by a matrix. With X 2x2, W 2x2 and stride 2 it "
    "is 16x4 and places copies of W, scaled by the entries of X, side by side on the 4x4 output Y.",
    r"A transposed convolution of a flattened picture is multiplication by a matrix, "
    r"$\mathrm{vec}(Y)=A \cdot \mathrm{vec}(X)$. For a 2x2 picture $X$, a 2x2 kernel $W$ and stride 2, $A$ is 16x4. "
    r"It places copies of $W$, scaled by the entries of $X$, side by side on the 4x4 output $Y$.",
)

PROOF_2 = r"""Pixel $(c,i,j)$ of $x$ adds $w_{cfuv}x_{cij}$ to pixel $(\varphi,is+ud-p,js+vd-p)$ of $y$, with $\varphi$
the $f$-th channel of $c$'s group, so $A$ has $w_{cfuv}$ in the row of the latter and the column of the former. The
convolution of $y$ with the same filters has it in the transposed place, if both have the same pixels $(i,j)$. The
convolution of a picture of height $L=(H-1)s-2p+e+o$, with $e=d(K-1)+1$ and the output padding $o$, has height

$$\left\lfloor \frac{L + 2p - e}{s} \right\rfloor + 1 = H + \left\lfloor \frac{o}{s} \right\rfloor,$$

which is $H$ if and only if $0 \le o<s$. Then $\langle A'y,x\rangle=\langle y,Ax\rangle$: the pair is adjoint."""

PROPOSITIONS_2 = (
    _drawn("printed", "16x4 matrix", checks.check_source_transposed, domains.SOURCE_TRANSPOSED,
           "The 16x4 matrix follows from the definition and gives the same result as conv_transpose2d"),
    _drawn("general", "product", checks.check_product, domains.TRANSPOSED,
           "A vec(x) = vec(conv_transpose2d(x)) (kernels up to 5x5, strides to 3, paddings and dilations to 2, output "
           "paddings below the stride, up to 2 groups of up to 2 channels)"),
    _drawn("general", "transpose", checks.check_transpose, domains.TRANSPOSED,
           "A is the transpose of the matrix of the convolution from the larger picture to the smaller; output "
           "paddings as large as the stride are refused"),
    _drawn("general", "pullback", checks.check_vjp, domains.TRANSPOSED,
           "A' g is conv_transpose2d's VJP"),
    _drawn("general", "adjoint", checks.check_pair, domains.TRANSPOSED,
           "⟨conv2d(y), x⟩ = ⟨y, conv_transpose2d(x)⟩"),
)  # fmt: skip


def show_transposed() -> str:
    """Write claim 1-2 in symbols."""
    a, weights = conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2), symbols("W", 2, 2)
    return "\n".join([
        "X is 2x2; W is 2x2; stride 2; Y is 4x4. vec(Y) = A vec(X) with A of 16x4:",
        "",
        *written(a.dense(), weights),
        "",
        "Its transpose is the matrix of the convolution from 4x4 to 2x2 with the same W and stride:",
        "",
        *written(conv_matrix(NUMBERED, (1, 4, 4), stride=2).dense(), weights),
        "",
        *pictured("Y", products(a, weights, symbols("x", 2, 2)), 4),
    ])  # fmt: skip


CLAIM_1_2 = Claim(
    number="1-2",
    title="A transposed convolution is a matrix",
    statement=STATEMENT_2,
    source="homework 1-2",
    propositions=PROPOSITIONS_2,
    proof=PROOF_2,
    draw=draw_transposed,
    exercise=(
        "The convolution with the same kernel, stride and padding maps $Y$ back to a picture of the size of $X$.",
        "With an output padding as large as the stride, the convolution returns one row and one column more.",
    ),
    display=show_transposed,
)

# 1-3: a transposed convolution is a convolution in another order ----------------------------------

STATEMENT_3 = Statement(
    "A convolution with kernel (4,1,1,1), stride 1, is a transposed convolution with kernel (1,1,2,2), stride 2, of "
    "the same four weights, up to the order of the flattened output: A_T = P A_C.",
    r"A convolution with kernel (4,1,1,1) and stride 1 is a transposed convolution with kernel (1,1,2,2) and "
    r"stride 2 of the same four weights, up to the order of the flattened output: $A_T=P A_C$ with a "
    r"permutation matrix $P$.",
)

PROOF_3 = r"""Along one axis let the kernel have $kr$ entries. Entry $ar+m$, $0 \le m<r$, carries pixel $t-a$ to place
$tr+m$:

$$y_{tr+m} = \sum_{a=0}^{k-1} w_{ar+m} x_{t-a} = \sum_{b=0}^{k-1} w_{(k-1-b)r+m}x_{t+b-(k-1)}.$$

So the places with remainder $m$ are a convolution with stride 1 and padding $k-1$ of the reversed sub-kernel
$w_m,w_{r+m},\dots$ The plane has $r^2$ of them. $P$ maps channel $mr+n$, pixel $(t,q)$, to pixel $(tr+m,qr+n)$, which
is the pixel shuffle. Division with remainder is one to one, so $P$ is a permutation matrix. With $k=1$ the convolutions
are 1x1. The homework has $r=2$ and one channel, so $A_C=w \otimes I$: each weight times the 4x4 identity, one above the
other. $A_T$ is the matrix of 1-2.

*Any kernel:* let the kernel have size $K$, the dilation be $d$, the output padding $e$ and the padding $p$. Put $d-1$
zeros between entries, which gives $D=d(K-1)+1$, and zeros at the end up to $kr$ entries with $k=\lceil (D+e)/r\rceil$.
From $H$ pixels this kernel makes $(H-1)r+kr$. The first $(H-1)r+D$ are those of the kernel before it was filled, and
all others are 0. The transposed convolution keeps the pixels $p,\dots,p+L-1$ with $L=(H-1)r-2p+D+e$. All of them exist,
as $p+L \le (H-1)r+D+e \le (H-1)r+kr$. So $p$ pixels are cropped at the beginning and $kr-D-e+p$ at the end."""

PROPOSITIONS_3 = (
    _drawn("printed", "same rows", checks.check_source_permutation, domains.SOURCE_TRANSPOSED,
           "A_T = P A_C for four random weights w, with P certified as a permutation matrix, and A_C = w ⊗ I"),
    Proposition(
        "pixel shuffle",
        "P is pixel_shuffle and a permutation matrix (all factors, channels, rows and columns up to 3; up to 4 with "
        "--examples 500)",
        checks.check_shuffle,
        domains.SHUFFLES,
        role="general",
        show=lambda e: f"C = {e[0]}, H = {e[1]}, W = {e[2]}, r = {e[3]}",
    ),
    _drawn("general", "corrupted permutations", checks.check_spoilt_permutations, domains.PERMUTATIONS,
           "A corrupted permutation matrix is not certified: a duplicated row or column, a zero row, entries of one "
           "half, 2 or -1, an extra or a missing row (permutations of up to 6)"),
    _drawn("general", "kernel = stride", checks.check_kernel_of_stride, domains.TRANSPOSED_BY_STRIDE,
           "With kernel r x r and stride r up to 3: a 1x1 convolution to r² times the channels, then pixel_shuffle(r); "
           "with rh x rw, P"),
    _drawn("general", "kernel = k strides", checks.check_kernel_of_multiple, domains.TRANSPOSED_BY_MULTIPLES,
           "With kernel kr x kr and stride r, both up to 3: a k x k convolution with padding k - 1 and the flipped "
           "sub-kernels w[a r + m], m = 0 … r - 1, then pixel_shuffle(r)"),
    _drawn("general", "any kernel", checks.check_every_kernel, domains.TRANSPOSED,
           "With any kernel size K, dilation d and output padding e: zero-pad the end of the dilated kernel to "
           "r ceil((d (K - 1) + 1 + e) / r) and crop the surplus rows and columns (with all options of 1-2)"),
    Proposition(
        "filled size",
        "That is the smallest multiple of r that gives every pixel of the output, from one pixel without padding (K to "
        "5, r and d to 3, e below r)",
        checks.check_filled_size,
        domains.FILLED,
        role="general",
        show=lambda e: f"K = {e[0]}, r = {e[1]}, d = {e[2]}, e = {e[3]}",
    ),
)  # fmt: skip


def show_permutation() -> str:
    """Write A_T = P A_C side by side."""
    weights = symbols("W", 2, 2)
    a_t = written(conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense(), weights)
    a_c = written(conv_matrix(NUMBERED.reshape(4, 1, 1, 1), (1, 2, 2)).dense(), weights)
    p = written(shuffle_matrix((4, 2, 2), 2).dense(), ["1"])
    equals = [" = " if k == len(p) // 2 else "   " for k in range(len(p))]
    rows = [f"{t}{sign}{q} {c}" for t, sign, q, c in zip(a_t, equals, p, a_c, strict=True)]
    head = f"{'A_T':^{len(a_t[0])}}{'':3}{'P':^{len(p[0])}} {'A_C':^{len(a_c[0])}}".rstrip()
    return "\n".join([
        "X is 2x2. A_T: transposed convolution, kernel (1,1,2,2), stride 2, from 2x2 to 4x4.",
        "A_C: convolution, kernel (4,1,1,1), stride 1, from 2x2 to four channels of 2x2. It is w ⊗ I, I of 4x4.",
        "P: the pixel shuffle by 2. The same four weights, row by row: W00 W01 W10 W11.",
        "",
        head,
        *rows,
    ])  # fmt: skip


def certify() -> Iterator[Certificate]:
    """Certify A_T = P A_C for all weights, as in the homework and with a kernel of 3x3 and stride 3; W00 is a name."""
    for r in (2, 3):
        names, numbered = np.array(["0", *symbols("W", r, r)]), np.arange(1, r * r + 1)
        a_t = conv_transpose_matrix(numbered.reshape(1, 1, r, r), (1, 2, 2), stride=r).dense()
        a_c = conv_matrix(numbered.reshape(r * r, 1, 1, 1), (1, 2, 2)).dense()
        columns = permutation_of(shuffle_matrix((r * r, 2, 2), r).dense())
        yield certificate("permutation", left=names[a_t], right=names[a_c], columns=columns)


CLAIM_1_3 = Claim(
    number="1-3",
    title="A transposed convolution is a convolution in another order",
    statement=STATEMENT_3,
    source="homework 1-3",
    propositions=PROPOSITIONS_3,
    proof=PROOF_3,
    draw=draw_permutation,
    exercise=(
        r"It is enough to fill the kernel with zeros to $r\lceil K/r\rceil$ entries, for all dilations $d$ and output "
        "paddings $e$.",
        "$K=2$, $r=2$, $e=1$ needs 4 entries, and $K=3$, $d=2$, $r=2$ needs 6.",
    ),
    display=show_permutation,
    certify=certify,
)
