"""Random numbers: one seeded generator for the library, or one that the caller hands in."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

import numpy as np

from .observers import setting

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


def rng_state() -> dict[str, Any]:
    """Where the library's random numbers stand, as strings and integers in dicts, ready for JSON.

    What is drawn while a network is trained, by dropout for one, comes from there: with it, and the states of the
    modules, the optimiser, the schedule and the batches, a training goes on to the bit where it stopped. A generator
    that was handed in, ``rng=…``, has a state of its own, its ``bit_generator.state``. (With the same release of
    NumPy: another one may draw other numbers from the same state.)

    >>> import json, minigrad as mg
    >>> text = json.dumps(mg.rng_state())
    >>> first = mg.nn.init.normal((3,)).numpy()
    >>> mg.set_rng_state(json.loads(text))
    >>> bool((first == mg.nn.init.normal((3,)).numpy()).all())
    True
    """
    return dict(_generator.bit_generator.state)


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Let the library's random numbers go on from where :func:`rng_state` was asked for them.

    Raises:
        TypeError: if the state is no mapping.
        ValueError: if it is not what :func:`rng_state` gave; nothing has been changed.
    """
    expected = "set_rng_state: the state must be what mg.rng_state() gave"
    if not isinstance(state, Mapping):
        raise TypeError(f"{expected}, not {type(state).__name__}")
    restored = np.random.default_rng(0)
    try:
        restored.bit_generator.state = dict(state)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{expected}: {error!r}") from error
    global _generator
    _generator = restored


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """The generator to draw from: the one given, one seeded with the number given, or the library's.

    Raises:
        TypeError: if it is neither a generator, an integer nor None.
        ValueError: if it is a negative integer.

    >>> bool(generator(3).integers(10) == generator(3).integers(10))
    True
    """
    draws = _draws.get()
    if rng is None:
        return _generator if draws is None else draws.copy_of("library", _generator)
    if isinstance(rng, np.random.Generator):
        return rng if draws is None else draws.copy_of(id(rng), rng)
    return _seeded("rng must be a numpy.random.Generator, a seed (an integer of at least 0) or None", rng)


class Draws:
    """Random numbers that can be drawn again: what asks for a generator gets a copy of it, and again a copy from there.

    So nobody else's generator is rewound, and what others draw meanwhile changes nothing.
    """

    def __init__(self, begun: dict[Any, tuple[np.random.Generator, Any]] | None = None) -> None:
        self.begun = {} if begun is None else begun  # each generator, and its state when it was first asked for
        self.copies: dict[Any, np.random.Generator] = {}

    def copy_of(self, key: Any, original: np.random.Generator) -> np.random.Generator:
        if key not in self.copies:
            _, state = self.begun.setdefault(key, (original, original.bit_generator.state))
            twin = deepcopy(original)
            twin.bit_generator.state = state
            self.copies[key] = twin
        return self.copies[key]

    def pass_on(self) -> None:
        """Let the generators go on behind what was drawn, but for those that somebody else has drawn from meanwhile."""
        for key, twin in self.copies.items():
            original, state = self.begun[key]
            if repr(original.bit_generator.state) == repr(state):
                original.bit_generator.state = twin.bit_generator.state


_draws: ContextVar[Draws | None] = ContextVar("minigrad_draws", default=None)


def drawing(draws: Draws) -> setting[Draws | None]:
    """Take random numbers from some draws within this context."""
    return setting(_draws, lambda _: draws)


def _seeded(expected: str, seed: Any) -> np.random.Generator:
    """A generator from a seed of any kind that NumPy knows, or an error that says what was expected."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        given = type(seed).__name__ if isinstance(error, TypeError) else repr(seed)
        raise type(error)(f"{expected}, not {given}") from error
