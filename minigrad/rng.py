"""Random numbers: one seeded generator for the library, or a generator that the caller passes."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from copy import deepcopy
from typing import Any

import numpy as np

from .observers import setting

_generator: np.random.Generator | None = None


def manual_seed(seed: int) -> None:
    """Seed the library's random numbers, so that a computation can be repeated.

    Raises:
        TypeError: if the seed is not an integer or a sequence of integers.
        ValueError: if it is negative.
        RuntimeError: in a function that :func:`minigrad.checkpoint` runs.

    >>> import minigrad as mg
    >>> mg.manual_seed(0)
    >>> first = mg.nn.init.normal((3,)).numpy()
    >>> mg.manual_seed(0)
    >>> bool((first == mg.nn.init.normal((3,)).numpy()).all())
    True
    """
    _replace("manual_seed", _seeded("manual_seed: the seed must be an integer of at least 0", seed))


def rng_state() -> dict[str, Any]:
    """Return the state of the library's generator as nested dicts of strings and integers, for JSON.

    Layers such as dropout use this generator. To resume training bit for bit, also save the states of the modules, the
    optimiser, the schedule and the batches. A generator that you pass as ``rng=…`` has its own
    ``bit_generator.state``. (All of this requires the same NumPy release; another release may draw different numbers
    from the same state.)

    >>> import json, minigrad as mg
    >>> text = json.dumps(mg.rng_state())
    >>> first = mg.nn.init.normal((3,)).numpy()
    >>> mg.set_rng_state(json.loads(text))
    >>> bool((first == mg.nn.init.normal((3,)).numpy()).all())
    True
    """
    return dict(_library().bit_generator.state)


def set_rng_state(state: Mapping[str, Any]) -> None:
    """Restore the state of the library's generator that :func:`rng_state` returned, which has an example.

    Raises:
        TypeError: if the state is not a mapping.
        ValueError: if :func:`rng_state` did not return it; nothing is changed.
        RuntimeError: in a function that :func:`minigrad.checkpoint` runs.
    """
    expected = "set_rng_state: the state must be a result of mg.rng_state()"
    if not isinstance(state, Mapping):
        raise TypeError(f"{expected}, not {type(state).__name__}")
    restored = np.random.default_rng(0)
    try:
        restored.bit_generator.state = dict(state)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{expected}: {error!r}") from error
    _replace("set_rng_state", restored)


def _library() -> np.random.Generator:
    """Return the library's generator, made at its first use: importing numpy.random takes a fifth of a second."""
    global _generator
    _generator = _generator or np.random.default_rng()
    return _generator


def _replace(caller: str, generator: np.random.Generator) -> None:
    global _generator
    if _replay.get() is not None:
        raise RuntimeError(f"{caller}: a function in mg.checkpoint must not seed, since its random numbers repeat")
    _generator = generator


def generator(rng: np.random.Generator | int | None = None) -> np.random.Generator:
    """Return the generator to use: the given one, a new one with the given seed, or the library's.

    Raises:
        TypeError: if it is neither a generator, an integer nor None.
        ValueError: if it is a negative integer.

    >>> bool(generator(3).integers(10) == generator(3).integers(10))
    True
    """
    if rng is not None and not isinstance(rng, np.random.Generator):
        return _seeded("rng must be a numpy.random.Generator, a seed (an integer of at least 0) or None", rng)
    original, replay = _library() if rng is None else rng, _replay.get()
    return original if replay is None else replay.copy_of("library" if rng is None else id(rng), original)


class Replay:
    """Record the state of each generator at its first use, so that a second run draws the same numbers.

    Both runs use copies. So the originals are never rewound, and numbers drawn elsewhere have no effect. Within an
    outer replay the originals are the copies of that replay.
    """

    def __init__(self, begun: dict[Any, tuple[np.random.Generator, Any]] | None = None) -> None:
        self.begun = {} if begun is None else begun  # each generator, and its state at the first use
        self.copies: dict[Any, np.random.Generator] = {}
        self.outer = _replay.get()

    def copy_of(self, key: Any, original: np.random.Generator) -> np.random.Generator:
        if key not in self.copies:
            if self.outer is not None:
                original = self.outer.copy_of(key, original)
            _, state = self.begun.setdefault(key, (original, original.bit_generator.state))
            twin = deepcopy(original)
            twin.bit_generator.state = state
            self.copies[key] = twin
        return self.copies[key]

    def pass_on(self) -> None:
        """Advance the original generators past the drawn numbers, unless other code has used them meanwhile."""
        for key, twin in self.copies.items():
            original, state = self.begun[key]
            if repr(original.bit_generator.state) == repr(state):
                original.bit_generator.state = twin.bit_generator.state


_replay: ContextVar[Replay | None] = ContextVar("minigrad_replay", default=None)


def replaying(replay: Replay) -> setting[Replay | None]:
    """Draw the random numbers of a `Replay` within this context."""
    return setting(_replay, lambda _: replay)


def _seeded(expected: str, seed: Any) -> np.random.Generator:
    """Return a generator from any seed that NumPy accepts; raise an error that says what is expected."""
    try:
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        given = type(seed).__name__ if isinstance(error, TypeError) else repr(seed)
        raise type(error)(f"{expected}, not {given}") from error
