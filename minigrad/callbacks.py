"""Functions that somebody registered, to be called later, and the handles that end it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

from .spec import describe

__all__ = ["Callbacks", "Handle"]


class Handle:
    """What a registration returns. It keeps neither the hook nor the tensor or module alive."""

    __slots__ = ("_callbacks", "_key")

    def __init__(self, callbacks: Callbacks, key: object) -> None:
        self._callbacks, self._key = weakref.ref(callbacks), key

    def remove(self) -> None:
        """Let the hook not be called any more, from now on; again does nothing."""
        callbacks = self._callbacks()
        if callbacks is not None:
            callbacks.discard(self._key)


class Callbacks:
    """Functions in the order in which they were registered. Copies and pickles are empty.

    >>> hooks = Callbacks()
    >>> handle = hooks.add(print)
    >>> list(hooks)
    [<built-in function print>]
    >>> handle.remove()
    >>> list(hooks)
    []
    """

    __slots__ = ("__weakref__", "_functions")

    def __init__(self) -> None:
        self._functions: dict[object, Callable[..., Any]] = {}

    def add(self, function: Callable[..., Any]) -> Handle:
        if not callable(function):
            raise TypeError(f"a hook must be a function, not {describe(function)}")
        key = object()  # the same function may be registered twice
        self._functions[key] = function
        return Handle(self, key)

    def discard(self, key: object) -> None:
        self._functions.pop(key, None)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """Those that were there in the beginning, without those that are removed on the way."""
        for key, function in tuple(self._functions.items()):
            if key in self._functions:
                yield function

    def __len__(self) -> int:
        return len(self._functions)

    def __deepcopy__(self, memo: dict[int, Any]) -> Callbacks:
        return type(self)()

    def __reduce__(self) -> Any:
        return type(self), ()
