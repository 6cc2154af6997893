"""Matrices of a kernel's weights in symbols: a dot for each zero, W01 for the weight in row 0 and column 1."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from theory.convolution.matrices import Array, SparseMatrix

__all__ = ["NUMBERED", "pictured", "products", "symbols", "written"]

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
    """Return each row of A vec(x) in symbols: a sum of weights times inputs.

    >>> from theory.convolution.matrices import conv_matrix
    >>> products(conv_matrix(NUMBERED, (1, 2, 2)), symbols("W", 2, 2), symbols("x", 2, 2))
    ['W00 x00 + W01 x01 + W10 x10 + W11 x11']
    """
    rows: list[list[str]] = [[] for _ in range(matrix.shape[0])]
    for row, column, entry in matrix.triplets():
        rows[row].append(f"{weights[entry - 1]} {inputs[column]}")
    return [" + ".join(row) or "0" for row in rows]


def pictured(name: str, entries: Sequence[str], width: int) -> list[str]:
    """Return the lines of a named picture, given its entries row by row.

    >>> print(*pictured("X", symbols("x", 2, 2), 2), sep="\\n")
    X = [[x00, x01],
         [x10, x11]]
    """
    rows = [f"[{', '.join(entries[k : k + width])}]" for k in range(0, len(entries), width)]
    starts = [f"{name} = [", *[" " * (len(name) + 4)] * (len(rows) - 1)]
    return [f"{start}{row}{end}" for start, row, end in zip(starts, rows, [","] * (len(rows) - 1) + ["]"], strict=True)]
