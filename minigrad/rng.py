"""Random numbers: one seeded generator for the library, or one that the caller hands in."""

from __future__ import annotations

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Start the library's random numbers anew, so that what follows can be repeated.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> first = mg.nn.init.normal((3,)).numpy()
    >>> mg.manual_seed(0)
    >>> bool((first == mg.nn.init.normal((3,)).numpy()).all())
    True
    """
    global _generator
    _generator = np.random.default_rng(seed)


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """The generator to draw from: the one given, one seeded with the number given, or the library's.

    >>> bool(generator(3).integers(10) == generator(3).integers(10))
    True
    """
    if rng is None:
        return _generator
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng)
