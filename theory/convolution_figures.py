"""Pictures of the claims 1-1 to 1-3: matrices as coloured squares, one colour for each weight of the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minigrad.extras import require
from theory.convolution_matrices import Array, conv_matrix, conv_transpose_matrix
from theory.convolution_texts import NUMBERED, symbols
from theory.subpixel import permutation_of, shuffle_matrix

__all__ = ["draw_convolution", "draw_permutation", "draw_transposed"]

ZERO, LINES, INK = "#ffffff", "#c9c9c9", "#222222"
COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7"]
"""Of W00, W01, W10, W11: told apart by the colour-blind (Okabe and Ito's palette), light enough for black letters."""


def _figure(width: float, height: float, title: str) -> Any:
    figure = require("matplotlib.figure", "theory").Figure(figsize=(width, height))
    figure.suptitle(title, fontsize=15, color=INK, y=0.975)
    return figure


def _matrix(axes: Any, matrix: Array, title: str, names: Sequence[str] = (), colours: Sequence[str] = COLOURS,
            size: float = 9) -> None:  # fmt: skip
    """A matrix of the numbers of weights (0: none) as squares; `names` are written into them."""
    colors = require("matplotlib.colors", "theory")
    rows, columns = matrix.shape
    axes.imshow(matrix, cmap=colors.ListedColormap([ZERO, *colours]), vmin=0, vmax=len(colours))
    for k in range(1, rows):
        axes.axhline(k - 0.5, color=LINES, linewidth=0.6)
    for k in range(1, columns):
        axes.axvline(k - 0.5, color=LINES, linewidth=0.6)
    if names:
        for (i, j), entry in _nonzero(matrix):
            axes.text(j, i, names[entry - 1], ha="center", va="center", fontsize=size, color="black")
    axes.set_title(title, fontsize=12, color=INK, pad=8)
    axes.tick_params(length=0, labelsize=8, colors=INK)
    for spine in axes.spines.values():
        spine.set_color(INK)


def _nonzero(matrix: Array) -> list[tuple[tuple[int, int], int]]:
    return [((i, j), int(matrix[i, j])) for i, j in zip(*matrix.nonzero(), strict=True)]


def _weights() -> list[str]:
    return [f"$W_{{{name[1:]}}}$" for name in symbols("W", 2, 2)]


def _kernel(axes: Any, size: float = 13) -> None:
    _matrix(axes, NUMBERED[0, 0], "kernel $W$", _weights(), size=size)
    axes.set_xticks([])
    axes.set_yticks([])


def _label(axes: Any, rows: str, columns: str) -> None:
    """Say what rows and columns stand for, and number the first, the last and a few between."""
    axes.set_ylabel(rows, fontsize=10, color=INK)
    axes.set_xlabel(columns, fontsize=10, color=INK)


def _ticks(axes: Any, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)


def draw_convolution() -> Any:
    """Claim 1-1: the 4x9 matrix, the kernel, and a matrix of 16x25 in which windows overlap."""
    figure = _figure(12, 5.6, "A convolution is a matrix: each row is a window, each column a pixel")
    grid = figure.add_gridspec(2, 3, width_ratios=[2.6, 9, 11], height_ratios=[1, 1], left=0.03, right=0.98, top=0.84,
                               bottom=0.12, wspace=0.22, hspace=0.4)  # fmt: skip
    _kernel(figure.add_subplot(grid[:, 0]))
    source = conv_matrix(NUMBERED, (1, 3, 3), stride=3, padding=1).dense()
    axes = figure.add_subplot(grid[:, 1])
    _matrix(axes, source, "$X$ 3x3 padded by 1, stride 3: $A$ is 4x9", _weights(), size=12)
    _ticks(axes, symbols("y", 2, 2), symbols("x", 3, 3))
    _label(axes, "entries of vec($Y$)", "entries of vec($X$)")
    axes = figure.add_subplot(grid[:, 2])
    dense = conv_matrix(NUMBERED, (1, 5, 5)).dense()
    _matrix(axes, dense, "$X$ 5x5, stride 1: $A$ is 16x25")
    _ticks(axes, [name if k % 4 == 0 else "" for k, name in enumerate(symbols("y", 4, 4))],
           [name if k % 5 == 0 else "" for k, name in enumerate(symbols("x", 5, 5))])  # fmt: skip
    _label(axes, "entries of vec($Y$)", "entries of vec($X$)")
    return figure


def draw_transposed() -> Any:
    """Claim 1-2: the 16x4 matrix, the kernel, and the convolution's matrix, its transpose."""
    figure = _figure(12, 6.4, "The matrix of a transposed convolution is the transpose of a convolution's")
    grid = figure.add_gridspec(1, 3, width_ratios=[2.4, 4, 13], left=0.03, right=0.98, top=0.84, bottom=0.1,
                               wspace=0.2)  # fmt: skip
    _kernel(figure.add_subplot(grid[0, 0]))
    axes = figure.add_subplot(grid[0, 1])
    _matrix(axes, conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense(), "transposed: $A$ is 16x4", _weights())
    _ticks(axes, symbols("y", 4, 4), symbols("x", 2, 2))
    _label(axes, "vec($Y$), $Y$ 4x4", "vec($X$), $X$ 2x2")
    axes = figure.add_subplot(grid[0, 2])
    _matrix(axes, conv_matrix(NUMBERED, (1, 4, 4), stride=2).dense(), "convolution, the way back: 4x16", _weights())
    _ticks(axes, symbols("x", 2, 2), symbols("y", 4, 4))
    _label(axes, "2x2", "4x4")
    return figure


def draw_permutation() -> Any:
    """Claim 1-3: A_C and A_T with a line from each row to the place where P puts it, and P."""
    p = shuffle_matrix((4, 2, 2), 2).dense()
    a_c = conv_matrix(NUMBERED.reshape(4, 1, 1, 1), (1, 2, 2)).dense()
    a_t = conv_transpose_matrix(NUMBERED, (1, 2, 2), stride=2).dense()
    figure = _figure(12, 6.6, "$A_T = P A_C$: a transposed convolution is a convolution, its rows in another order")
    grid = figure.add_gridspec(1, 4, width_ratios=[4, 5, 4, 16], left=0.06, right=0.98, top=0.83, bottom=0.08,
                               wspace=0.12)  # fmt: skip
    left, lines, right, square = (figure.add_subplot(grid[0, k]) for k in range(4))
    _matrix(left, a_c, "$A_C$: kernel (4,1,1,1)", _weights())
    _ticks(left, [f"{c}: {i}{j}" for c in range(4) for i in range(2) for j in range(2)], symbols("x", 2, 2))
    _label(left, "channel: pixel", "")
    _matrix(right, a_t, "$A_T$: kernel (1,1,2,2)", _weights())
    _ticks(right, symbols("", 4, 4), symbols("x", 2, 2))
    order = permutation_of(p)
    for row, origin in enumerate(order):
        lines.plot([0, 1], [origin, row], color=COLOURS[origin // 4], linewidth=2)
    lines.set(xlim=(0, 1), ylim=(15.5, -0.5))
    lines.axis("off")
    channel = p * [k // 4 + 1 for k in range(16)]
    _matrix(square, channel, "$P$: pixel_shuffle by 2")
    return figure
