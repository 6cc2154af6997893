"""Watch calls of primitives and reverse passes.

The core tells every :class:`Observer` in force what happens. Hooks, :func:`minigrad.record`, :func:`minigrad.profile`,
:func:`minigrad.detect_anomaly`, certificates and checkpoints are observers. While nobody observes, a call costs one
test of a flag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .spec import Array

if TYPE_CHECKING:
    from .core import Node
    from .primitives import Primitive

__all__ = ["Observer", "add_location", "current", "everywhere", "location", "location_text", "observing",
           "of_passes", "setting"]  # fmt: skip

T = TypeVar("T")


class setting(ContextDecorator, Generic[T]):  # noqa: N801  (used as a function)
    """Change a context variable within a ``with`` block, or within each call of a decorated function.

    >>> depth = ContextVar("depth", default=0)
    >>> with setting(depth, lambda before: before + 1):
    ...     print(depth.get())
    1
    """

    def __init__(self, variable: ContextVar[T], change: Callable[[T], T]) -> None:
        self._variable, self._change = variable, change
        self._open: Token[T] | None = None

    def __enter__(self) -> None:
        if self._open is not None:  # perhaps by another thread
            raise RuntimeError("this context is open already: make another one")
        self._open = self._variable.set(self._change(self._variable.get()))

    def __exit__(self, *_: object) -> None:
        token, self._open = self._open, None
        self._variable.reset(cast("Token[T]", token))

    def _recreate_cm(self) -> setting[T]:
        twin = copy(self)
        twin._open = None
        return twin


class Observer:
    """The base of observers: override what you want to hear of.

    Attributes:
        stepwise: whether :meth:`step` is wanted. Sequence primitives then run their VJP one step at a time.
    """

    stepwise = False

    def around(
        self, primitive: Primitive, function: Callable[..., Any], node: Node | None = None
    ) -> Callable[..., Any]:
        """What to call in place of a primitive's forward, or of its VJP at a node. The default is the function."""
        return function

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        """A primitive was applied to arrays. The node is None if no input is tracked."""

    def start(self, seeds: Mapping[Any, Array]) -> None:
        """A reverse pass begins with these cotangents, by node and index of the output."""

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        """The cotangent of a node is complete; return the one that goes on.

        Args:
            g: an array, or a tensor in a pass that leaves a graph. For several outputs it is a tuple, with None for
                an output that nobody used.
            batched: whether ``g`` holds many cotangents along a first axis, as the rows of a jacobian.
        """
        return g

    def pulled(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        """The VJP of a node returned the cotangents of these inputs, by the input's number."""

    def step(self, t: int, *cotangents: Array) -> None:
        """The VJP of a sequence primitive has the cotangents of the states at step t; t runs from T - 1 to 0."""


everywhere: dict[Observer, Callable[[], bool]] = {}
"""Observers of passes in all threads, each with a function that says whether it is enabled now."""
active: set[object] = set()
"""A key for each open :class:`observing`, in all threads. Calls look at this alone while it is empty."""
_current: ContextVar[tuple[Observer, ...]] = ContextVar("minigrad_observers", default=())


def current() -> tuple[Observer, ...]:
    """The observers of this thread or task that hear of calls, the outermost first."""
    return _current.get() if active else ()


def of_passes() -> tuple[Observer, ...]:
    """All observers that hear of a reverse pass that begins now."""
    watching = current()
    for observer, awake in everywhere.items():
        if awake():
            watching = (observer, *watching)
    return watching


class observing(setting[tuple[Observer, ...]]):  # noqa: N801
    """Tell observers every call and reverse pass of this thread or task within a ``with`` block.

    Args:
        alone: whether the observers of outer contexts hear nothing meanwhile.

    >>> import minigrad as mg
    >>> class Names(Observer):
    ...     def call(self, primitive, params, inputs, outputs, node):
    ...         print(primitive.name)
    >>> with observing(Names()):
    ...     y = mg.tanh(mg.tensor(1.0)) * 2
    tanh
    multiply
    """

    def __init__(self, *observers: Observer, alone: bool = False) -> None:
        super().__init__(_current, lambda outer: observers if alone else outer + observers)

    def __enter__(self) -> None:
        super().__enter__()
        active.add(self)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        active.discard(self)


# --- where something happened -----------------------------------------------------------------------


def location(node: Node) -> str:
    """Where a node was made, to follow its name in a message; empty if nothing is known.

    >>> import minigrad as mg
    >>> with mg.record(), mg.scope("encoder"), mg.scope("layer 1"):
    ...     y = mg.tensor(1.0, requires_grad=True) * 2
    >>> location(y.node)
    ' (called at <doctest minigrad.observers.location[1]>:2, in scope encoder/layer 1)'
    """
    return location_text(getattr(getattr(node, "note", None), "line", ""), node.scope)


def location_text(line: str, scope: Sequence[str]) -> str:
    """A line of code and a path of scopes, as :func:`location` shows them."""
    known = [f"called at {line}"] if line else []
    known += [f"in scope {'/'.join(scope)}"] if scope else []
    return f" ({', '.join(known)})" if known else ""


def add_location(error: BaseException, node: Node | None) -> None:
    """Note on an error of a reverse pass where the forward made the node, unless the message says so."""
    if node is not None and (place := location(node)) not in str(error):
        error.add_note(f"backward: at {node.primitive.name if node.primitive else 'a leaf'}{place}")
