"""What only moves entries, up to a million: where each has gone is where NumPy moves its number.

The same expression is evaluated with minigrad's functions on numbers, and with NumPy's on the numbers' places, counted
from 1; 0 is a place that holds no entry. The gradient of an entry is then the sum over all places that it has gone to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad as mg
from tests.sweeps.runs import Array, Family, Results, numbers, run

__all__ = ["FAMILIES"]

_ORDER = np.random.default_rng(0).integers(0, 1000, (500, 1000))
_SHAPE = (1000, 20, 50)


class _NumPy:
    """NumPy, and by the names of minigrad what it has under no name."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def put(x: Array, index: Any, value: Array) -> Array:
        changed = x.copy()
        changed[index] = value
        return changed

    @staticmethod
    def getitem(x: Array, index: Any) -> Array:
        return x[index]

    @staticmethod
    def pixel_shuffle(x: Array, factor: int) -> Array:
        n, channels, height, width = x.shape
        blocks = x.reshape(n, channels // factor**2, factor, factor, height, width)
        return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, height * factor, width * factor)

    @staticmethod
    def pixel_unshuffle(x: Array, factor: int) -> Array:
        n, channels, height, width = x.shape
        blocks = x.reshape(n, channels, height // factor, factor, width // factor, factor)
        return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, height // factor, width // factor)

    @staticmethod
    def upsample(x: Array, factor: int) -> Array:
        return x.repeat(factor, 2).repeat(factor, 3)

    @staticmethod
    def linear_map(x: Array, apply: Callable[[Array], Array], transpose: Any) -> Array:
        return apply(x)


# lib is minigrad's operations or NumPy's, x an array (1000, 20, 50) or its places.
MOVES: dict[str, Callable[[Any, Any], Any]] = {
    "broadcast_to": lambda lib, x: lib.broadcast_to(x[:1], _SHAPE),
    "concatenate": lambda lib, x: lib.concatenate([x[:, 5:], x[:, :9]], 1),
    "diagonal": lambda lib, x: lib.diagonal(x, 3, 0, 2),
    "expand_dims": lambda lib, x: lib.expand_dims(x, 1),
    "flip": lambda lib, x: lib.flip(x, 1),
    "getitem": lambda lib, x: lib.getitem(x, (_ORDER[0], slice(None, None, -1))),
    "linear_map": lambda lib, x: lib.linear_map(x, lambda a: np.roll(a, 7, 0), lambda u: np.roll(u, -7, 0)),
    "moveaxis": lambda lib, x: lib.moveaxis(x, 0, 1),
    "pad": lambda lib, x: lib.pad(x, ((1, 2), (3, 4), (0, 5))),
    "pad, edge": lambda lib, x: lib.pad(x, ((1, 2), (3, 4), (0, 5)), "edge"),
    "pad, reflect": lambda lib, x: lib.pad(x, ((1, 2), (30, 4), (0, 5)), "reflect"),
    "pad, symmetric": lambda lib, x: lib.pad(x, ((1, 2), (30, 4), (0, 5)), "symmetric"),
    "pad, wrap": lambda lib, x: lib.pad(x, ((1, 2), (30, 4), (0, 5)), "wrap"),
    "pixel_shuffle": lambda lib, x: lib.pixel_shuffle(x.reshape(10, 16, 125, 50), 4),
    "pixel_unshuffle": lambda lib, x: lib.pixel_unshuffle(x.reshape(20, 10, 50, 100), 5),
    "put": lambda lib, x: lib.put(x, slice(None, None, 2), x[500:]),
    "ravel": lambda lib, x: lib.ravel(x),
    "repeat": lambda lib, x: lib.repeat(x[:300], 3, 1),
    "reshape": lambda lib, x: lib.reshape(x, (50, 20000)),
    "roll": lambda lib, x: lib.roll(x, 123, 0),
    "split": lambda lib, x: lib.split(x, [100, 900])[1],
    "squeeze": lambda lib, x: lib.squeeze(x.reshape(1, 1000, 1, 1000), 0),
    "stack": lambda lib, x: lib.stack([x[:500], x[400:900]], 1),
    "swapaxes": lambda lib, x: lib.swapaxes(x, 0, 2),
    "take_along_axis": lambda lib, x: lib.take_along_axis(x.reshape(1000, 1000), _ORDER, 0),
    "tile": lambda lib, x: lib.tile(x[:300], (3, 1, 1)),
    "transpose": lambda lib, x: lib.transpose(x, (2, 0, 1)),
    "tril": lambda lib, x: lib.tril(x.reshape(1000, 1000), 2),
    "triu": lambda lib, x: lib.triu(x.reshape(1000, 1000), -2),
    "upsample": lambda lib, x: lib.upsample(x.reshape(10, 20, 50, 100)[:, :5], 2),
}


def moves(i: int) -> Results:
    name = list(MOVES)[i]
    x = numbers(i)(*_SHAPE)
    places = np.asarray(MOVES[name](_NumPy(), np.arange(1, x.size + 1).reshape(_SHAPE)))
    g = numbers(i + 1)(*places.shape)
    y, dx = run(lambda x: MOVES[name](mg.ops, x), [x], g)
    exact, magnitudes = (np.bincount(places.ravel(), a.ravel(), x.size + 1)[1:] for a in (g, np.abs(g)))
    primitive = name.partition(",")[0]
    yield primitive, y, np.append(np.float32(0), x)[places].astype(float), 0 * y
    yield primitive, dx, exact.reshape(_SHAPE), magnitudes.reshape(_SHAPE)


# The function, how many cases, and the bound in units of rounding.
FAMILIES: dict[str, tuple[Family, int, float]] = {"moves": (moves, len(MOVES), 8.0)}
