"""Contexts that end whatever interrupts them.

Ctrl-C raises KeyboardInterrupt between two bytecodes of the main thread: after a call, at a jump backwards, and when a
function written in Python begins. So an ``__exit__`` written in Python, as that of `contextlib.contextmanager` is, may
be interrupted before its first line, and what it should have undone stays. Nothing interrupts a function written in
C, nor is there an occasion to between the end of a ``with`` block and the call of its ``__exit__``.

`io.IOBase` has an ``__exit__`` written in C that does no more than call ``close``. A `Context` keeps in its ``close`` a
function written in C, which undoes what its ``__enter__`` did without a bytecode of Python in between. A function has
the same of a ``finally:`` that begins with such a call.
"""

from __future__ import annotations

import functools
import io
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from operator import call, not_
from typing import Any, TypeVar

from numpy import errstate

__all__ = ["Context", "errstate", "until"]

F = TypeVar("F", bound=Callable[..., Any])


def until(*steps: Callable[[], Any]) -> Callable[[], Any]:
    """A function that calls each step, until one returns something true: in C, if the steps are. It can be called once.

    What it returns is false, so that a `Context` can end by it.

    >>> done = []
    >>> until(functools.partial(done.append, 1), done.__len__, functools.partial(done.append, 2))()
    deque([], maxlen=0)
    >>> done
    [1]
    """
    return functools.partial(deque, takewhile(not_, map(call, steps)), 0)


class Context(io.IOBase):
    """The base of contexts for ``with``, which also decorate functions. An object can be entered once.

    A subclass defines `begin`, and `__init__` and `again` if it has arguments.
    """

    __slots__ = ("close",)
    closed = True  # IOBase's finaliser has nothing to close
    close: Callable[[], Any] | None  # type: ignore[assignment]  # what ends it, once it has been entered

    def __init__(self) -> None:
        self.close = None

    def begin(self) -> Callable[[], Any]:
        """Do what is to be done and return what undoes it; if interrupted, undo it.

        What undoes it is a function written in C, and what it returns is false: anything else would swallow an error.
        """
        raise NotImplementedError

    def again(self) -> Context:
        """Another context like this one, that has not been entered."""
        return type(self)()

    def __enter__(self) -> None:  # type: ignore[override]
        if self.close is not None:
            raise RuntimeError(f"this {type(self).__name__} has been entered before: make another one")
        self.close = self.begin()

    def __call__(self, function: F) -> F:
        """The function, run within such a context at each call."""

        @functools.wraps(function)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self.again():
                return function(*args, **kwargs)

        return within  # type: ignore[return-value]
