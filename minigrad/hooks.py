"""Hooks: your functions, called when a tensor's cotangent is complete in a reverse pass, or a module has been called.

What is asked of a tensor lies at its node, in a slot that no other node sets, and goes with it: a hook works after the
Python object that it was registered through is gone, and keeps nothing alive. While there is no hook at all, as
:func:`present` says once a pass, no reverse pass looks for one. Where there is one, leaves are visited as soon as their
gradients are complete, not after all else, so that these can be on their way (`minigrad.parallel`) meanwhile. A pass of
any kind, on arrays or on tensors, calls :func:`fire` where it has summed up the cotangents of a node, and
:func:`retained` after it.

Hooks belong to the very tensor or module that they were registered with: its copies and pickles have none.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from .callbacks import Callbacks, Handle
from .core import Leaf, Node, Tensor, untracked
from .recording import Recorder, place_of
from .spec import DType, Spec, as_array, describe, holds_numpy, refuse_masked

__all__ = ["OutputHooks", "attend", "fire", "fire_rows", "present", "retained"]

Hook = Callable[[Any], Any]
G = TypeVar("G")

_registering = threading.RLock()  # for the first hook of a node


class OutputHooks(Callbacks):
    """What is asked of one output of a node: hooks, and with `retain_grad` its gradient, as a leaf has one.

    ``dtype`` and ``grad`` are as a leaf's; `retains` says whether ``grad`` is wanted.
    """

    __slots__ = ("dtype", "grad", "retains")
    grad: Any  # an array, a tensor if a pass left a graph, or None

    def __init__(self, dtype: DType | None = None) -> None:
        super().__init__()
        self.dtype, self.grad, self.retains = dtype, None, False

    def add(self, function: Hook) -> Handle:
        handle = super().add(function)
        _asking.add(self)
        return handle

    def discard(self, key: object) -> None:
        super().discard(key)
        if not len(self) and not self.retains:
            _asking.discard(self)


_asking: weakref.WeakSet[OutputHooks] = weakref.WeakSet()


def present() -> bool:
    """Whether any node that lives has a hook or retains its gradient."""
    return len(_asking) > 0


def fire(node: Node, cotangent: G) -> G:
    """Call the hooks of a node with its complete cotangent; what goes on in its place.

    Args:
        cotangent: an array, or a tensor in a pass that is recorded itself; for a node with several outputs a tuple,
            with None for one that nobody used.

    Raises:
        ValueError: if a hook returns another shape or dtype, and what a hook raises.
    """
    asked = getattr(node, "hooks", None)
    if asked is None:
        return cotangent
    gs: list[Any] = list(cotangent) if isinstance(cotangent, tuple) else [cotangent]
    for index, hooks in sorted(asked.items()):
        for hook in hooks:
            if gs[index] is not None:
                gs[index] = _called(hook, node, index, gs[index])
    return cast(G, tuple(gs) if isinstance(cotangent, tuple) else gs[0])


def fire_rows(node: Node, cotangents: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same for many passes at once, whose cotangents are the rows of arrays: hooks are called for each row."""
    if not hasattr(node, "hooks"):
        return cotangents
    size = next(len(g) for g in cotangents if g is not None)
    rows: list[Any] = [fire(node, tuple(None if g is None else g[i] for g in cotangents)) for i in range(size)]
    return tuple(None if g is None else np.stack([row[k] for row in rows]) for k, g in enumerate(cotangents))


def attend(node: Node, g: Any, observer: Recorder | None, cotangents: dict[Any, Any], ends: list[Any]) -> Any:
    """Call the hooks on a node, keep its gradient if that is asked for, tell the recorder; the cotangent that goes on.

    What is to have a ``grad`` joins the leaves among the ends of the pass. What a hook returned is a copy, so that a
    leaf's stays as much the pass's own as it was.
    """
    if hasattr(node, "hooks"):
        g = fire(node, g)
        for holder, kept in retained(node, g):
            cotangents[holder] = kept
            ends.append(holder)
    if observer is not None:
        observer.cotangent(node, g)
    return g


def retained(node: Node, cotangent: Any) -> list[tuple[OutputHooks, Any]]:
    """Of each output of a node with `retain_grad`: what holds its ``grad``, and the cotangent to add to that."""
    gs = cotangent if type(cotangent) is tuple else (cotangent,)
    asked = sorted(getattr(node, "hooks", {}).items())
    return [(hooks, gs[index]) for index, hooks in asked if hooks.retains and gs[index] is not None]


def _called(hook: Hook, node: Node, index: int, g: Any) -> Any:
    """The cotangent that goes on after one hook."""
    spec = node.outputs[index]
    if isinstance(g, Tensor):
        result = hook(g)
        if result is None or isinstance(result, Tensor):
            return g if result is None else _fitting(result, result, node, index, spec)
        return untracked(_fitting(result, _array(result, node, index, spec), node, index, spec))
    shown = np.array(g, spec[1])  # the pass may add to g later
    shown.flags.writeable = False
    result = hook(shown)
    return g if result is None else _fitting(result, _array(result, node, index, spec), node, index, spec)


def _array(result: Any, node: Node, index: int, spec: Spec) -> np.ndarray[Any, Any]:
    """A copy of what a hook returned, which the hook may go on to write into; Python's numbers take the dtype."""
    try:
        if isinstance(result, Tensor):
            return np.array(result.data)
        refuse_masked(result)
        return np.array(as_array(result, rounded=False), None if holds_numpy(result) else spec[1])
    except (TypeError, ValueError) as error:
        raise type(error)(f"a hook on {_name(node, index)} must return a cotangent or None: {error}") from None


def _fitting(result: Any, value: G, node: Node, index: int, spec: Spec) -> G:
    if (value.shape, value.dtype) != spec:  # type: ignore[attr-defined]
        raise ValueError(
            f"a hook on {_name(node, index)} returned {describe(value)}: a cotangent has the tensor's shape and dtype, "
            f"{spec[1]} {spec[0]}"
        )
    return value


def _name(node: Node, index: int) -> str:
    """A tensor in words: the parameter Linear.weight, output 1 of split (called at …)."""
    if isinstance(node, Leaf):
        return f"the parameter {'.'.join(filter(None, (node.owner, node.name)))}" if node.name else repr(node)
    assert node.primitive is not None
    which = f"output {index}" if node.later_outputs else "the output"
    return f"{which} of {node.primitive.name}{place_of(node)}"


def _hooks_of(tensor: Tensor, name: str) -> OutputHooks:
    """What is asked of a tensor, made if nothing was yet."""
    node = tensor.node
    if node is None:
        raise ValueError(f"{name}: this tensor requires no gradient, so that no pass brings it one")
    with _registering:
        if not hasattr(node, "hooks"):
            node.hooks = {}
        return node.hooks.setdefault(tensor.index, OutputHooks(node.outputs[tensor.index][1]))


def _register_hook(self: Tensor, hook: Callable[[Any], Any]) -> Handle:
    """Let a function be called with this tensor's gradient, once in each backward pass that brings it one.

    It is called when the sum over all uses of the tensor is complete: of an inner tensor before the VJP that made it is
    called, of a leaf before the sum is added to ``.grad``. Several hooks are called in the order in which they were
    registered, each with what the one before left.

    A hook belongs to this tensor: copies (`copy.deepcopy`, pickles) have none, nor has a leaf whose ``requires_grad``
    was set to false and to true again. Of a function given to :func:`minigrad.grad` and its like the arguments are
    leaves of their own; tensors that are made in it may have hooks.

    Args:
        hook: takes the gradient, a read-only array of the tensor's shape and dtype that it may keep (a tensor, in a
            pass that is differentiated itself). What it returns takes the gradient's place; None leaves it.

    Returns:
        a handle, whose ``remove()`` ends it.

    Raises:
        ValueError: if this tensor requires no gradient; in a pass, if the hook returns another shape or dtype.
        TypeError: if the hook is no function; in a pass, if it returns no real numbers.
        An error of the hook leaves the pass as that of a VJP does: ``.grad`` stays as it was.

    >>> import minigrad as mg
    >>> x = mg.tensor([3.0, -4.0], requires_grad=True)
    >>> handle = x.register_hook(lambda g: g.clip(-5, 5))
    >>> (x * x).sum().backward()
    >>> x.grad
    array([ 5., -5.], dtype=float32)
    >>> handle.remove()
    """
    return _hooks_of(self, "register_hook").add(hook)


def _retain_grad(self: Tensor) -> None:
    """Let ``.grad`` of an inner tensor hold its gradient after a backward pass, summed over passes as a leaf's.

    It is the gradient that hooks have left. Of a leaf, which has it anyway, this does nothing.

    Raises:
        ValueError: if this tensor requires no gradient.

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> y = x * x
    >>> y.retain_grad()
    >>> (y * 5).backward()
    >>> y.grad, x.grad
    (array(5., dtype=float32), array(30., dtype=float32))
    """
    if not isinstance(self.node, Leaf):
        hooks = _hooks_of(self, "retain_grad")
        hooks.retains = True
        _asking.add(hooks)


def _after_fork() -> None:
    """A child process may have been made while another thread of its parent held the lock."""
    global _registering
    _registering = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
_register_hook.__name__, _register_hook.__qualname__ = "register_hook", "Tensor.register_hook"
_retain_grad.__name__, _retain_grad.__qualname__ = "retain_grad", "Tensor.retain_grad"
Tensor.register_hook = _register_hook  # type: ignore[method-assign]
Tensor.retain_grad = _retain_grad  # type: ignore[method-assign]
