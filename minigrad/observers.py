"""Watch calls of primitives and reverse passes.

The core and the primitives call the methods of every active :class:`Observer`. Hooks, :func:`minigrad.record`,
:func:`minigrad.profile`, :func:`minigrad.detect_anomaly`, certificates and checkpoints are observers. While there is no
observer, a call only tests whether a set is empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from copy import copy
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from .spec import Array

if TYPE_CHECKING:
    from .core import Node, Tensor
    from .primitives import Primitive

__all__ = ["Observer", "add_location", "current", "global_observers", "location", "location_text", "observing",
           "pass_observers", "setting"]  # fmt: skip

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
        if self._open is not None:  # perhaps in another thread
            raise RuntimeError("this context manager is already active: create another one")
        self._open = self._variable.set(self._change(self._variable.get()))

    def __exit__(self, *_: object) -> None:
        token, self._open = self._open, None
        self._variable.reset(cast("Token[T]", token))

    def _recreate_cm(self) -> setting[T]:
        twin = copy(self)
        twin._open = None
        return twin


class Observer:
    """The base class of observers: override the methods that you need.

    Attributes:
        stepwise: true if you override :meth:`step`. Sequence primitives then run their VJP one step at a time.
    """

    stepwise = False

    def around(
        self, primitive: Primitive, function: Callable[..., Any], node: Node | None = None
    ) -> Callable[..., Any]:
        """Return what to call instead of a primitive's forward (``node`` is None) or of its VJP at a node."""
        return function

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        """Called after a primitive was applied to arrays. The node is None if no input is tracked."""

    def number(self, tensor: Tensor, how: str) -> None:
        """Called when entries of a tensor become plain numbers by ``how``, such as "float()"."""

    def start(self, seeds: Mapping[Any, Array]) -> None:
        """Called when a reverse pass begins. ``seeds`` has its cotangents by node and index of the output."""

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        """Called when the cotangent of a node is complete. Return another one, or None to keep it.

        Args:
            g: an array, or a tensor in a pass that leaves a graph. For several outputs it is a tuple, with None for
                an output that nothing used.
            batched: whether ``g`` holds many cotangents along its first axis, such as the rows of a jacobian.
        """
        return g

    def after_vjp(self, node: Node, grads: Mapping[int, Array], batched: bool = False) -> None:
        """Called after the VJP of a node. ``grads`` has the cotangents of the inputs, by the input's number.

        The pass may add to these arrays, and to those of :meth:`cotangent`: copy what you keep.
        """

    def step(self, t: int, *cotangents: Array) -> None:
        """Called when a sequence primitive's VJP has the states' cotangents at step t, for t from T - 1 to 0."""

    def step_inputs(self, cotangent: Callable[[], Array]) -> None:
        """Called before a VJP sums the cotangents of table rows into the table's gradient.

        Args:
            cotangent: computes the cotangent (N, T, D) of the table rows used at each step.
        """


global_observers: dict[Observer, Callable[[], bool]] = {}
"""Observers of passes in all threads, each with a function that returns whether it is enabled now."""
active: set[object] = set()
"""A key for each open :class:`observing`, in all threads. While it is empty, calls skip all checks for observers."""
_current: ContextVar[tuple[Observer, ...]] = ContextVar("minigrad_observers", default=())


def current() -> tuple[Observer, ...]:
    """Return the observers of calls in this thread or task, the outermost first."""
    return _current.get() if active else ()


def pass_observers() -> tuple[Observer, ...]:
    """Return the observers of a reverse pass that begins now in this thread or task."""
    enabled = [observer for observer, is_enabled in global_observers.items() if is_enabled()]
    return (*reversed(enabled), *current())


class observing(setting[tuple[Observer, ...]]):  # noqa: N801
    """Let observers follow the calls and reverse passes of this thread or task within a ``with`` block.

    Args:
        alone: whether to suspend the observers of outer contexts in the meantime.

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


# --- where a node was created --------------------------------------------------------------------


def location(node: Node) -> str:
    """Describe where a node was created, to append to its name in a message; empty if unknown.

    >>> import minigrad as mg
    >>> with mg.record(), mg.scope("encoder"), mg.scope("layer 1"):
    ...     y = mg.tensor(1.0, requires_grad=True) * 2
    >>> location(y.node)
    ' (called at <doctest minigrad.observers.location[1]>:2, in scope encoder/layer 1)'
    """
    return location_text(getattr(getattr(node, "note", None), "line", ""), node.scope)


def location_text(line: str, scope: Sequence[str]) -> str:
    """Format a line of code and a path of scopes as :func:`location` does."""
    known = [f"called at {line}"] if line else []
    known += [f"in scope {'/'.join(scope)}"] if scope else []
    return f" ({', '.join(known)})" if known else ""


def add_location(error: BaseException, node: Node | None) -> None:
    """Add the line that created a node to the error of its reverse pass.

    Nothing changes if the message already has it.
    """
    if node is not None and (place := location(node)) not in str(error):
        error.add_note(f"backward: at {node.primitive.name if node.primitive else 'a leaf'}{place}")
