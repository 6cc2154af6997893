"""Random numbers: one seeded generator for the library, or one that the caller hands in."""

from __future__ import annotations

from typing import Any

import numpy as np

_generator = np.random.default_rng()


def manual_seed(seed: int) -> None:
    """Start the library's random numbers anew, so that what follows can be repeated.

    Raises:
        TypeError: if the seed is no integer (or sequence of such).
        ValueError: if it is negative.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> first = mg.nn.init.normal((3,)).numpy()
    >>> mg.manual_seed(0)
    >>> bool((first == mg.nn.init.normal((3,)).numpy()).all())
    True
    """
    global _generator
    _generator = _seeded("manual_seed: the seed must be an integer of at least 0", seed)


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """The generator to draw from: the one given, one seeded with the number given, or the library's.

    Raises:
        TypeError: if it is neither a generator, an integer nor None.
        ValueError: if it is a negative integer.

    >>> bool(generator(3).integers(10) == generator(3).integers(10))
    True
    """
    if rng is None:
        return _generator
    if isinstance(rng, np.random.Generator):
        return rng
    return _seeded("rng must be a numpy.random.Generator, a seed (an integer of at least 0) or None", rng)


def _seeded(expected: str, seed: Any) -> np.random.Generator:
    """A generator from a seed of any kind that NumPy knows, or an error that says what was expected."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        given = type(seed).__name__ if isinstance(error, TypeError) else repr(seed)
        raise type(error)(f"{expected}, not {given}") from error
