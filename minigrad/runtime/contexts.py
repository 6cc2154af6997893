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
import gc
import io
from collections import deque
from collections.abc import Callable
from itertools import takewhile
from operator import call, not_
from typing import Any, TypeVar

import numpy as np

try:  # the context variable in which NumPy keeps what to do about errors; it has no public name
    from numpy._core.umath import _extobj_contextvar as _errors
    from numpy._core.umath import _make_extobj
except ImportError:  # another NumPy than those known
    _errors = None  # type: ignore[assignment, misc]

__all__ = ["Context", "collector_paused", "errstate", "until"]

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


class collector_paused(Context):  # noqa: N801
    """Within this context Python's cyclic garbage collector is off, if it was on: in the whole process.

    For work that makes many objects and no garbage: the collector would go through all of them again and again.
    """

    __slots__ = ()

    def begin(self) -> Callable[[], Any]:
        if not gc.isenabled():
            return until()
        try:
            gc.disable()
            return gc.enable
        except BaseException:  # an interrupt
            gc.enable()
            raise


class errstate(Context):  # noqa: N801
    """As `numpy.errstate`, whose ``__exit__`` is written in Python.

    >>> with errstate(divide="ignore"):
    ...     np.log(np.zeros(1))
    array([-inf])
    """

    __slots__ = ("settings",)

    def __init__(self, **settings: Any) -> None:
        self.close, self.settings = None, settings

    def again(self) -> errstate:
        return errstate(**self.settings)

    def begin(self) -> Callable[[], Any]:
        if _errors is None:
            numpys = np.errstate(**self.settings)
            numpys.__enter__()
            return functools.partial(numpys.__exit__, None, None, None)
        before = _errors.get()
        try:
            return functools.partial(_errors.reset, _errors.set(_make_extobj(**self.settings)))
        except BaseException:  # an interrupt
            _errors.set(before)
            raise
