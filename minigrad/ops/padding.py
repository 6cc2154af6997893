"""Borders around arrays: of a constant, or of the array's own entries, repeated.

Along one axis the entries … -2 -1 | 0 1 2 | 3 4 … of a b c are in each mode

    edge       … a a | a b c | c c …
    wrap       … b c | a b c | a b …
    reflect    … c b | a b c | b a …
    symmetric  … b a | a b c | c b …

and so on, however far. An array is padded along one axis after the other, the corners with what the axes before them
have put into the border. The VJP goes through the axes in the opposite order, and adds to each entry the cotangents of
the places that repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..primitives import ForwardResult, primitive
from ..spec import Array
from .kernels.numerics import single
from .linear import mapped

__all__ = ["pad"]

Widths = tuple[tuple[int, int], ...]  # before and after each axis

# Which of n entries stands at place i, which may lie far outside of 0 … n-1.
_SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "wrap": lambda i, n: i % n,
    "reflect": lambda i, n: (n - 1) - abs(i % (2 * n - 2) - (n - 1)),
    "symmetric": lambda i, n: np.minimum(i % (2 * n), 2 * n - 1 - i % (2 * n)),
}
_MODES = ("constant", "edge", *_SOURCES)


@primitive(residuals=())
def pad(x: Array, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> ForwardResult:
    """x, of any shape, with a border of a constant or of its own entries, as ``numpy.pad``.

    Args:
        pad_width: how many entries before and after, ``(before, after)`` for each axis; a single pair
            serves all axes, a single number all sides. They may be more than x has.
        mode: "constant"; "edge" repeats the entry at the edge; "reflect" goes back from the edge, which is not
            repeated, "symmetric" is the same with the edge repeated; "wrap" goes on at the other end.
        constant_values: the number to pad with in the mode "constant", a constant.

    Raises:
        ValueError: if the widths are negative or do not fit x's axes, for another mode, for constants in a mode that
            has none, or if there is no entry to repeat along an axis.
        TypeError: if the widths are not integers.

    >>> pad([1, 2], (1, 2)), pad([1, 2, 3], 2, mode="reflect")
    (tensor([0, 1, 2, 0, 0]), tensor([3, 2, 1, 2, 3, 2, 1]))
    """
    if mode not in _MODES:
        raise ValueError(f"mode {mode!r} is none of {', '.join(map(repr, _MODES))}")
    if mode != "constant" and constant_values != 0:
        raise ValueError(f"constant_values are for the mode 'constant', not {mode!r}")
    widths = _widths(pad_width, x.ndim)
    y = _padded(x, mode, widths, constant_values)
    return y, (mode, widths, x.shape)


def _widths(pad_width: Any, ndim: int) -> Widths:
    """The widths of so many axes, checked."""
    widths = np.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad_width must be of integers, not {pad_width!r}")
    try:
        widths = np.broadcast_to(widths, (ndim, 2))
    except ValueError:
        raise ValueError(
            f"pad_width {pad_width!r} must be a number, a pair (before, after), or a pair for each of {ndim} axes"
        ) from None
    if (widths < 0).any():
        raise ValueError(f"pad_width must not be negative: {pad_width!r}")
    return tuple((before, after) for before, after in widths.tolist())


def _inside(widths: Widths, shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where an array of a shape lies within the padded one."""
    return tuple(slice(before, before + n) for (before, _), n in zip(widths, shape, strict=True))


def _padded(x: Array, mode: str, widths: Widths, value: float = 0) -> Array:
    shape = [n + before + after for (before, after), n in zip(widths, x.shape, strict=True)]
    y = np.full(shape, value, x.dtype) if mode == "constant" else np.empty(shape, x.dtype)
    y[_inside(widths, x.shape)] = x
    if mode != "constant":
        for places, sources in _borders(mode, widths, x.shape):
            y[places] = y[sources]
    return y


def _borders(mode: str, widths: Widths, shape: tuple[int, ...]) -> Iterator[tuple[Any, Any]]:
    """Indices into the padded array, in order: places in the border, and the sources that they repeat.

    A pair names no source twice, unless it is a single one.
    """
    inside = _inside(widths, shape)
    for axis, ((before, after), n) in enumerate(zip(widths, shape, strict=True)):
        if not before + after:
            continue
        if not n:
            raise ValueError(f"mode {mode!r} has no entry to repeat along axis {axis}, which has none")
        whole = (slice(None),) * axis  # axes that are padded already
        for places, sources in _borders_of_axis(mode, before, n, after):
            yield (*whole, places, *inside[axis + 1 :]), (*whole, sources, *inside[axis + 1 :])


def _borders_of_axis(mode: str, before: int, n: int, after: int) -> Iterator[tuple[slice, slice]]:
    """Along one axis, from the edges outwards: pieces of the border, and their sources, in the padded array."""
    if mode == "edge" or n == 1:
        pieces = [(-before, 0, np.array([0])), (n, n + after, np.array([n - 1]))]
    else:
        most = n - 1 if mode == "reflect" else n  # so many sources differ
        cuts = [(max(-before, end - most), end) for end in range(0, -before, -most)]
        cuts += [(start, min(n + after, start + most)) for start in range(n, n + after, most)]
        pieces = [(start, end, _SOURCES[mode](np.arange(start, end), n)) for start, end in cuts]
    for start, end, sources in pieces:
        if start < end:
            yield slice(before + start, before + end), _as_slice(before + sources)


def _as_slice(places: Array) -> slice:
    """Places that ascend or descend one by one."""
    step = -1 if len(places) > 1 and places[1] < places[0] else 1
    end = int(places[-1]) + step
    return slice(int(places[0]), end if end >= 0 else None, step)


@pad.vjp
def _(g: Any, needs: Any, mode: str, widths: Widths, shape: tuple[int, ...]) -> Any:
    if mode == "constant":
        return (g[_inside(widths, shape)],)
    return (mapped(g, lambda g: _folded(g, mode, widths, shape), lambda u: _padded(u, mode, widths)),)


def _folded(g: Array, mode: str, widths: Widths, shape: tuple[int, ...]) -> Array:
    """The transpose of padding: what came to a border is added to where it was taken from."""
    d = np.array(single(g))
    for places, sources in reversed(list(_borders(mode, widths, shape))):
        into, part = d[sources], d[places]  # views
        for axis, (one, several) in enumerate(zip(into.shape, part.shape, strict=True)):
            part = part.sum(axis, keepdims=True) if one < several else part
        into += part
    return d[_inside(widths, shape)]


@pad.batched_vjp
def _(g: Array, needs: Any, mode: str, widths: Widths, shape: tuple[int, ...]) -> Any:
    return pad.primitive.vjp(g, needs, mode, ((0, 0), *widths), (len(g), *shape))
