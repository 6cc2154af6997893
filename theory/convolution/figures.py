"""Pictures of the claims 1-1 to 1-3: matrices as coloured squares, one colour for each weight of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad.runtime.extras import require
from theory.convolution.certificates import permutation_of
from theory.convolution.matrices import Array, conv_matrix, conv_transpose_matrix
from theory.convolution.notation import NUMBERED, symbols
from theory.convolution.subpixel import shuffle_matrix
from theory.figures import FAINT, GREEN, INK, ORANGE, PURPLE, SKY, new_figure

__all__ = ["draw_convolution", "draw_permutation", "draw_transposed"]

COLOURS = [SKY, ORANGE, GREEN, PURPLE]
"""Of W00, W01, W10, W11."""

WEIGHTS = [f"$W_{{{name[1:]}}}$" for name in symbols("W", 2, 2)]
INPUTS, OUTPUTS = "entries of vec($X$)", "entries of vec($Y$)"


def _matrix(axes: Any, matrix: Array, title: str, rows: Sequence[str] | None = None,
            columns: Sequence[str] | None = None, labels: tuple[str, str] = ("", ""), names: Sequence[str] = WEIGHTS,
            size: float = 9) -> None:  # fmt: skip
    """Draw a matrix of the numbers of weights (0: none). rows, columns: tick labels; labels: of the two axes."""
    colors = require("matplotlib.colors", "theory")
    axes.imshow(matrix, cmap=colors.ListedColormap(["none", *COLOURS]), vmin=0, vmax=len(COLOURS))
    for k in range(1, matrix.shape[0]):
        axes.axhline(k - 0.5, color=FAINT, linewidth=0.6)
    for k in range(1, matrix.shape[1]):
        axes.axvline(k - 0.5, color=FAINT, linewidth=0.6)
    for i, j in zip(*matrix.nonzero(), strict=True) if names else ():
        axes.text(j, i, names[matrix[i, j] - 1], ha="center", va="center", fontsize=size, color="black")
    axes.set_title(title, fontsize=13, color=INK, pad=8)
    axes.tick_params(length=0, labelsize=10, colors=INK)
    axes.spines[:].set_color(INK)
    if rows is not None and columns is not None:
        axes.set_yticks(range(len(rows)), rows)
        axes.set_xticks(range(len(columns)), columns)
    axes.set_ylabel(labels[0], fontsize=11, color=INK)
    axes.set_xlabel(labels[1], fontsize=11, color=INK)


def draw_convolution() -> Any:
    """Draw claim 1-1: the 4x9 matrix, the kernel, and a matrix of 16x25 in which windows overlap."""
    figure = new_figure(13, 4.9, "A convolution is a matrix with a row for each window and a column for each pixel")
    grid = figure.add_gridspec(1, 3, width_ratios=[2.4, 9, 11], left=0.02, right=0.985, top=0.8, bottom=0.13,
                               wspace=0.2)  # fmt: skip
    kernel, small, large = (figure.add_subplot(grid[0, k]) for k in range(3))
    _matrix(kernel, NUMBERED[0, 0], "kernel $W$", ["", ""], ["", ""], size=13)
    source = conv_matrix(NUMBERED, (1, 3, 3), stride=3, padding=1).dense()
    _matrix(small, source, "$X$ 3x3 padded by 1, stride 3: $A$ is 4x9, not 4x8", symbols("y", 2, 2),
            symbols("x", 3, 3), (OUTPUTS, INPUTS), size=13)  # fmt: skip
    rows = [name if k % 4 == 0 else "" for k, name in enumerate(symbols("y", 4, 4))]
    columns = [name if k % 5 == 0 else "" for k, name in enumerate(symbols("x", 5, 5))]
    _matrix(large, conv_matrix(NUMBERED, (1, 5, 5)).dense(), "$X$ 5x5, stride 1: $A$ is 16x25", rows, columns,
            (OUTPUTS, INPUTS), names=())  # fmt: skip
    return figure


def draw_transposed() -> Any:
    """Draw claim 1-2: the 16x4 matrix, the kernel, and the convolution's matrix, its transpose."""
    figure = new_figure(12.5, 7.2, "The matrix of a transposed convolution is the transpose of a convolution's")
    grid = figure.add_gridspec(2, 2, width_ratios=[4, 14], height_ratios=[1, 1.6], left=0.05, right=0.985, top=0.83,
                               bottom=0.09, wspace=0.13, hspace=0.25)  # fmt: skip
    _matrix(figure.add_subplot(grid[0, 1]), NUMBERED[0, 0], "kernel $W$", ["", ""], ["", ""], size=15)
    outputs, inputs = symbols("y", 4, 4), symbols("x", 2, 2)
    _matrix(figure.add_subplot(grid[:, 0]), conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense(),
            "transposed convolution,\n2x2 to 4x4: $A$ is 16x4", outputs, inputs, (OUTPUTS, INPUTS),
            size=10)  # fmt: skip
    _matrix(figure.add_subplot(grid[1, 1]), conv_matrix(NUMBERED, (1, 4, 4), stride=2).dense(),
            "convolution, 4x4 to 2x2: its matrix is $A^T$, 4x16", inputs, outputs, (INPUTS, OUTPUTS),
            size=11)  # fmt: skip
    return figure


def draw_permutation() -> Any:
    """Draw claim 1-3: A_C and A_T, a line from each row of A_C to its row in A_T, and P."""
    p = shuffle_matrix((4, 2, 2), 2).dense()
    title = "$A_T = P A_C$: a transposed convolution is a convolution with its rows in another order"
    figure = new_figure(13, 7, title)
    grid = figure.add_gridspec(1, 4, width_ratios=[4, 6, 4, 18], left=0.085, right=0.985, top=0.83, bottom=0.09,
                               wspace=0)  # fmt: skip
    left, lines, right, square = (figure.add_subplot(grid[0, k]) for k in range(4))
    for axes, anchor in ((left, "E"), (right, "W"), (square, "E")):  # the lines begin and end at the matrices
        axes.set_anchor(anchor)
    a_t = conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense()
    a_c = conv_matrix(NUMBERED.reshape(4, 1, 1, 1), (1, 2, 2)).dense()
    rows = [f"channel {c}, {name}" for c in range(4) for name in symbols("", 2, 2)]
    _matrix(left, a_c, "kernel (4,1,1,1),\nstride 1: $A_C$", rows, symbols("x", 2, 2), size=10)
    _matrix(right, a_t, "transposed, kernel (1,1,2,2),\nstride 2: $A_T$", symbols("y", 4, 4), symbols("x", 2, 2),
            size=10)  # fmt: skip
    right.yaxis.tick_right()
    for row, origin in enumerate(permutation_of(p)):
        lines.plot([0, 1], [origin, row], color=COLOURS[origin // 4], linewidth=2.2)
    lines.set(xlim=(0, 1), ylim=(15.5, -0.5))
    lines.axis("off")
    _matrix(square, p * (np.arange(16) // 4 + 1), "$P$: the pixel shuffle by 2,\none 1 in each row and column",
            labels=("row of $A_T$", "row of $A_C$"), names=["1"] * 4, size=10)  # fmt: skip
    return figure
