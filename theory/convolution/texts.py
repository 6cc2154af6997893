"""What `theory show` prints for the claims 1-1 to 1-3: the source's matrices with symbols, a dot for each zero."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.convolution.arguments import Array
from theory.convolution.matrices import SparseMatrix, conv_matrix, conv_transpose_matrix
from theory.convolution.subpixel import shuffle_matrix

__all__ = ["NUMBERED", "products", "show_convolution", "show_permutation", "show_transposed", "symbols", "written"]

NUMBERED = np.arange(1, 5).reshape(1, 1, 2, 2)
"""A kernel whose entries are their own numbers: 1 for W00, 2 for W01, 3 for W10, 4 for W11."""


def symbols(letter: str, height: int, width: int) -> list[str]:
    """Names of the entries of a matrix, row by row.

    >>> symbols("x", 2, 2)
    ['x00', 'x01', 'x10', 'x11']
    """
    return [f"{letter}{i}{j}" for i in range(height) for j in range(width)]


def written(matrix: Array, names: Sequence[str]) -> list[str]:
    """The lines of a matrix of numbers, where k > 0 stands for the k-th name and 0 is a dot.

    >>> print(*written(np.array([[0, 2], [1, 0]]), ["a", "bc"]), sep="\\n")
    [.  bc]
    [a  . ]
    """
    width = max(map(len, names))
    cells = [[f"{('.', *names)[entry]:^{width}}" for entry in row] for row in matrix]
    return [f"[{' '.join(row)}]" for row in cells]


def products(matrix: SparseMatrix, weights: Sequence[str], inputs: Sequence[str]) -> list[str]:
    """What each row of A vec(x) is, in symbols: a sum of weights times inputs.

    >>> products(conv_matrix(NUMBERED, (1, 2, 2)), symbols("W", 2, 2), symbols("x", 2, 2))
    ['W00 x00 + W01 x01 + W10 x10 + W11 x11']
    """
    rows: list[list[str]] = [[] for _ in range(matrix.shape[0])]
    for row, column, entry in matrix.triplets():
        rows[row].append(f"{weights[entry - 1]} {inputs[column]}")
    return [" + ".join(row) or "0" for row in rows]


def _picture(name: str, entries: Sequence[str], width: int) -> list[str]:
    rows = [f"[{', '.join(entries[k : k + width])}]" for k in range(0, len(entries), width)]
    starts = [f"{name} = [", *[" " * (len(name) + 4)] * (len(rows) - 1)]
    return [f"{start}{row}{end}" for start, row, end in zip(starts, rows, [","] * (len(rows) - 1) + ["]"], strict=True)]


def show_convolution() -> str:
    """Claim 1-1."""
    a, weights = conv_matrix(NUMBERED, (1, 3, 3), stride=3, padding=1), symbols("W", 2, 2)
    return "\n".join([
        "X is 3x3, zero-padded by 1; W is 2x2; stride 3. vec(Y) = A vec(X) with A of 4x9:",
        "",
        *written(a.dense(), weights),
        "",
        *_picture("Y", products(a, weights, symbols("x", 3, 3)), 2),
        "",
        "As printed, A has 8 columns, one too few: vec(X) has 9 entries.",
    ])  # fmt: skip


def show_transposed() -> str:
    """Claim 1-2."""
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
        *_picture("Y", products(a, weights, symbols("x", 2, 2)), 4),
    ])  # fmt: skip


def show_permutation() -> str:
    """Claim 1-3: A_T = P A_C, side by side."""
    weights = symbols("W", 2, 2)
    a_t = written(conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense(), weights)
    a_c = written(conv_matrix(NUMBERED.reshape(4, 1, 1, 1), (1, 2, 2)).dense(), weights)
    p = written(shuffle_matrix((4, 2, 2), 2).dense(), ["1"])
    equals = [" = " if k == len(p) // 2 else "   " for k in range(len(p))]
    rows = [f"{t}{sign}{q} {c}" for t, sign, q, c in zip(a_t, equals, p, a_c, strict=True)]
    head = f"{'A_T':^{len(a_t[0])}}{'':3}{'P':^{len(p[0])}} {'A_C':^{len(a_c[0])}}".rstrip()
    return "\n".join([
        "X is 2x2. A_T: transposed convolution, kernel (1,1,2,2), stride 2, from 2x2 to 4x4.",
        "A_C: convolution, kernel (4,1,1,1), stride 1, from 2x2 to four channels of 2x2.",
        "P: the pixel shuffle by 2. Four same weights, row by row: W00 W01 W10 W11.",
        "",
        head,
        *rows,
    ])  # fmt: skip
