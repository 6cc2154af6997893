"""Normalisations at the sizes that networks have, each against its formula in NumPy and float64: see runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.enumeration import levels
from tests.sweeps.runs import Array, Family, Results, numbers, run, wide

__all__ = ["FAMILIES"]

_ROWS = ((64, 768), (1, 1), (400, 512), (4096, 64), (32, 10, 300), (3, 1000), (8, 5, 5, 7), (128, 4097))
_IMAGES = ((128, 256), (8, 64, 28, 28), (32, 16, 8, 8), (2, 512, 2, 2), (4, 96, 14, 14), (16, 32, 57), (2, 8, 64, 64))


def _expected(
    x: Array, g: Array, w: Array, b: Array, axes: tuple[int, ...], others: tuple[int, ...], centred: bool = True
) -> tuple[list[Array], list[Array]]:
    """Result and gradients of x, w and b, which broadcast; and the sums of magnitudes. The eps is 1e-5."""
    (x, g, w, b) = wide(x, g, w, b)
    mean = x.mean(axes, keepdims=True) if centred else np.zeros(1)
    r = 1 / np.sqrt(np.square(x - mean).mean(axes, keepdims=True) + 1e-5)
    hat, v = (x - mean) * r, g * w
    sizes, va = (np.abs(x) + np.abs(mean)) * r, np.abs(v)  # of hat, and of v
    inner, total = (v * hat).mean(axes, keepdims=True), v.mean(axes, keepdims=True) * centred
    spread = (va * sizes).mean(axes, keepdims=True)
    exact = [hat * w + b, r * (v - total - hat * inner), (g * hat).sum(others), g.sum(others)]
    within = va + va.mean(axes, keepdims=True) + sizes * spread
    return exact, [sizes * np.abs(w) + np.abs(b), r * within, (np.abs(g) * sizes).sum(others), np.abs(g).sum(others)]


def _found(name: str, function: Callable[..., Any], arrays: list[Array], g: Array, expected: Any) -> Results:
    for mine, exact, sizes in zip(run(function, arrays, g), *expected, strict=False):
        yield name, mine, exact.reshape(mine.shape), sizes.reshape(mine.shape)


def layers(i: int) -> Results:
    """Over the last axis, or over the last two, with a mean that is small or large beside the spread."""
    case = levels(i, {"shape": _ROWS, "centred": (True, False), "axes": (1, 1, 2), "shift": (0, 1, 3, 100)})
    shape = case["shape"]
    last = tuple(range(-min(case["axes"], len(shape) - 1), 0))
    draw = numbers(i)
    x, g = draw(*shape) + np.float32(case["shift"]), draw(*shape)
    w, b = draw(*shape[last[0] :]), draw(*shape[last[0] :])
    others = tuple(range(len(shape) - len(last)))
    if case["centred"]:
        function = lambda x, w, b: mg.ops.layer_norm(x, w, b, last)  # noqa: E731
        yield from _found("layer_norm", function, [x, w, b], g, _expected(x, g, w, b, last, others))
    else:
        function = lambda x, w: mg.ops.rms_norm(x, w, last, 1e-5)  # noqa: E731
        expected = _expected(x, g, w, 0 * b, last, others, centred=False)
        yield from _found("rms_norm", function, [x, w], g, expected)


def channels(i: int) -> Results:
    """Of batches, by their statistics, and of groups."""
    case = levels(i, {"shape": _IMAGES, "groups": (None, 1, None, 4), "shift": (0, 1, 100, 3)})
    shape, groups = case["shape"], case["groups"]
    N, C, L = shape[0], shape[1], int(np.prod(shape[2:]))
    draw = numbers(i)
    x, g = draw(*shape) + np.float32(case["shift"]), draw(*shape)
    w, b = draw(C), draw(C)
    if groups is None:
        image = N, C, L
        expected = _expected(*(a.reshape(image) for a in (x, g)), w[:, None], b[:, None], (0, 2), (0, 2))
        yield from _found("batch_norm", lambda x, w, b: mg.ops.batch_norm(x, w, b), [x, w, b], g, expected)
    else:
        image, each = (N, groups, C // groups, L), (groups, C // groups, 1)
        arrays = (x.reshape(image), g.reshape(image), w.reshape(each), b.reshape(each))
        function = lambda x, w, b: mg.ops.group_norm(x, groups, w, b)  # noqa: E731
        yield from _found("group_norm", function, [x, w, b], g, _expected(*arrays, (2, 3), (0, 3)))


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {
    "normalised layers": (layers, 96, 32.0),
    "normalised channels": (channels, 84, 16.0),
}
