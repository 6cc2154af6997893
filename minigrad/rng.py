"""Random numbers: one seeded generator for the library, or one that the caller hands in."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from .runtime.contexts import Context, until

_generator = np.random.default_rng()
# The generators that were handed out within `noting`, and the state that each was in when it first was.
_noted: ContextVar[dict[int, tuple[np.random.Generator, Any]] | None] = ContextVar("minigrad_generators", default=None)


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
        rng = _generator
    if isinstance(rng, np.random.Generator):
        noted = _noted.get()
        if noted is not None:
            noted.setdefault(id(rng), (rng, rng.bit_generator.state))
        return rng
    return _seeded("rng must be a numpy.random.Generator, a seed (an integer of at least 0) or None", rng)


States = dict[int, tuple[np.random.Generator, Any]]
"""Generators, and a state of each."""


class noting(Context):  # noqa: N801  (used as a function)
    """Within this context the states of generators are noted, as they are when they are first handed out."""

    __slots__ = ("states",)

    def __init__(self, states: States) -> None:
        self.close, self.states = None, states

    def begin(self) -> Callable[[], Any]:
        before = _noted.get()
        try:
            return partial(_noted.reset, _noted.set(self.states))
        except BaseException:  # an interrupt
            _noted.set(before)
            raise


class replaying(noting):  # noqa: N801
    """Within this context generators go on from noted states; afterwards from where they were before it."""

    __slots__ = ()

    def begin(self) -> Callable[[], Any]:
        undo = until(
            *(partial(setattr, g.bit_generator, "state", g.bit_generator.state) for g, _ in self.states.values())
        )
        try:
            for g, state in self.states.values():
                g.bit_generator.state = state
            return undo
        except BaseException:  # an interrupt
            undo()
            raise


def _seeded(expected: str, seed: Any) -> np.random.Generator:
    """A generator from a seed of any kind that NumPy knows, or an error that says what was expected."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        given = type(seed).__name__ if isinstance(error, TypeError) else repr(seed)
        raise type(error)(f"{expected}, not {given}") from error
