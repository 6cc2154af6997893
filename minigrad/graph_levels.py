"""Whether somebody may differentiate a derivative: who asked for it, and what calls then keep.

A VJP that runs on tensors leaves a graph (:mod:`minigrad.higher_order`). It needs the residuals as tensors, which are
inputs or outputs of the call and so have a node, unless a residual is something derived. For such a primitive the call
must keep its inputs as well, which costs memory: only where derivatives of derivatives were asked for.

The *level* of the current thread or task says how far: 0 outside; `PASSES` within the function of a transform, where
reverse passes (of transforms within it, of `Tensor.backward`) leave a graph; `CALLS` within `create_graph`, or within a
transform in a transform, where calls keep their inputs for such passes as well.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from .core import current_scope
from .recording import active
from .rules import Primitive
from .runtime.contexts import Context, until

__all__ = ["CALLS", "PASSES", "Kept", "create_graph", "differentiating", "is_recorded", "is_undeclared", "level",
           "needs_inputs"]  # fmt: skip

PASSES, CALLS = 1, 2
_level: ContextVar[int] = ContextVar("minigrad_level", default=0)
level = _level.get


class Kept(tuple[Any, ...]):
    """The residuals of a node, and the inputs of its call."""

    inputs: tuple[Any, ...]

    @classmethod
    def of(cls, residuals: tuple[Any, ...], inputs: tuple[Any, ...]) -> Kept:
        self = cls(residuals)
        self.inputs = inputs
        return self


def needs_inputs(primitive: Primitive, residuals: Any) -> bool:
    """Whether the VJP cannot run on tensors, since a residual is derived, so that the reference needs the inputs."""
    if primitive.vjp_on_tensors is not None:
        return False
    return "derived" in (primitive.residuals or ()) or is_undeclared(primitive, residuals)


def is_undeclared(primitive: Primitive, residuals: Any) -> bool:
    """Whether a residual of which nobody said what it is may depend on the inputs, as any float may."""
    return _may_depend(residuals[len(primitive.residuals or ()) :])


def is_recorded() -> bool:
    """Whether a reverse pass is to leave a graph."""
    return level() > 0 and current_scope() is not None


def _may_depend(value: Any) -> bool:
    """Whether a value is neither integers, booleans, words nor nested sequences of these."""
    if isinstance(value, (tuple, list)):
        return any(map(_may_depend, value))
    if isinstance(value, dict):
        return any(map(_may_depend, value.values()))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind not in "biuUSO"
    if isinstance(value, slice):
        return _may_depend((value.start, value.stop, value.step))
    return not (value is None or value is Ellipsis or isinstance(value, (bool, int, str, np.dtype, type)))


class differentiating(Context):  # noqa: N801  (used as a function)
    """Within this context the level is the given one."""

    __slots__ = ("level",)

    def __init__(self, level: int) -> None:
        self.close, self.level = None, level

    def again(self) -> differentiating:
        return differentiating(self.level)

    def begin(self) -> Callable[[], Any]:
        key = object()
        inactive = partial(active.discard, key)
        undo = until(inactive, partial(_level.set, level()))
        try:
            if self.level == CALLS:
                active.add(key)
            return until(inactive, partial(_level.reset, _level.set(self.level)))
        except BaseException:  # an interrupt
            undo()
            raise


class create_graph(differentiating):  # noqa: N801
    """Within this context derivatives can be differentiated: backward passes leave a graph, for which calls keep more.

    ``.grad`` is then a tensor, which depends on all that the gradient depends on: for penalties on gradients of
    parameters. Results of :func:`minigrad.grad` and its relatives depend on the leaves that their function met. All of
    the graph stays in memory as long as anything of it does; a leaf whose ``.grad`` depends on it makes a circle, which
    Python's collector breaks. It holds for the thread or task that enters it.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with mg.create_graph():
    ...     (x * x * x).sum().backward()
    ...     penalty = (x.grad * x.grad).sum()  # the sum of (3 x^2)^2
    >>> x.zero_grad()
    >>> penalty.backward()
    >>> x.grad  # 36 x^3
    array([ 36., 288.], dtype=float32)
    """

    __slots__ = ()

    def __init__(self, *function: Any) -> None:
        if function:
            raise TypeError(
                "create_graph takes no arguments: decorate a function with @mg.create_graph(), with brackets"
            )
        super().__init__(CALLS)

    def again(self) -> create_graph:
        return create_graph()
