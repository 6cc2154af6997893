"""Hooks: your functions, called when a tensor's cotangent is complete in a reverse pass, or a module has been called.

A tensor's hooks lie at its node and go with it: a hook works after the Python object that it was registered through is
gone, and keeps nothing alive. Hooks belong to the very tensor or module that they were registered with: its copies and
pickles have none.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from .core import Leaf, Node, Tensor, extend_tensor, untracked
from .observers import Observer, everywhere, location
from .spec import Spec, as_array, describe, holds_numpy, refuse_masked

__all__ = ["Callbacks", "Handle", "HookMethods"]

G = TypeVar("G")

_registering = threading.RLock()  # for the first hook of a node


class Handle:
    """What a registration returns. It keeps neither the hook nor the tensor or module alive."""

    __slots__ = ("_callbacks", "_key")

    def __init__(self, callbacks: Callbacks, key: object) -> None:
        self._callbacks, self._key = weakref.ref(callbacks), key

    def remove(self) -> None:
        """Stop calling the hook; a second call does nothing."""
        if (callbacks := self._callbacks()) is not None:
            callbacks.functions.pop(self._key, None)


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

    __slots__ = ("__weakref__", "functions")

    def __init__(self) -> None:
        self.functions: dict[object, Callable[..., Any]] = {}

    def add(self, function: Callable[..., Any]) -> Handle:
        if not callable(function):
            raise TypeError(f"a hook must be a function, not {describe(function)}")
        key = object()  # the same function may be registered twice
        self.functions[key] = function
        return Handle(self, key)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """The functions that were there at the start, without those that are removed on the way."""
        for key, function in tuple(self.functions.items()):
            if key in self.functions:
                yield function

    def __reduce__(self) -> Any:
        return type(self), ()


_of_tensors: weakref.WeakSet[Callbacks] = weakref.WeakSet()
"""The hooks of all tensors that live."""


class _Hooks(Observer):
    """Calls the hooks of nodes."""

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        asked: dict[int, Callbacks] | None = getattr(node, "hooks", None)
        if asked is None:
            return g
        gs = list(g) if isinstance(g, tuple) else [g]
        for index, hooks in sorted(asked.items()):
            if gs[index] is not None:
                rows = gs[index] if batched else [gs[index]]  # a hook expects the tensor's shape
                fired = [_fired(hooks, node, index, row) for row in rows]
                gs[index] = np.stack(fired) if batched else fired[0]
        return tuple(gs) if isinstance(g, tuple) else gs[0]


def present() -> bool:
    """Whether any tensor that lives has a hook."""
    return len(_of_tensors) > 0 and any(hooks.functions for hooks in tuple(_of_tensors))


everywhere[_Hooks()] = present


def _fired(hooks: Callbacks, node: Node, index: int, g: Any) -> Any:
    """Call the hooks of one output with its cotangent; the one that goes on."""
    spec = node.outputs[index]
    for hook in hooks:
        shown = g
        if not isinstance(g, Tensor):
            shown = np.array(g, spec[1])  # the pass may add to g later
            shown.flags.writeable = False
        result = hook(shown)
        if result is not None:
            tracked = isinstance(g, Tensor) and isinstance(result, Tensor)
            value = result if tracked else _array(result, node, index, spec)
            if (value.shape, value.dtype) != spec:
                raise ValueError(
                    f"a hook on {_name(node, index)} returned {describe(value)}: a cotangent has the tensor's shape "
                    f"and dtype, {spec[1]} {spec[0]}"
                )
            g = untracked(value) if isinstance(g, Tensor) and not tracked else value
    return g


def _array(result: Any, node: Node, index: int, spec: Spec) -> np.ndarray[Any, Any]:
    """A copy of what a hook returned, which the hook may go on to write into; Python's numbers take the dtype."""
    try:
        if isinstance(result, Tensor):
            return np.array(result.data)
        refuse_masked(result)
        return np.array(as_array(result, rounded=False), None if holds_numpy(result) else spec[1])
    except (TypeError, ValueError) as error:
        raise type(error)(f"a hook on {_name(node, index)} must return a cotangent or None: {error}") from None


def _name(node: Node, index: int) -> str:
    """A tensor in words: the parameter Linear.weight, output 1 of split (called at …)."""
    if isinstance(node, Leaf):
        return f"the parameter {'.'.join(filter(None, (node.owner, node.name)))}" if node.name else repr(node)
    assert node.primitive is not None
    which = f"output {index}" if node.later_outputs else "the output"
    return f"{which} of {node.primitive.name}{location(node)}"


class HookMethods:
    """The methods of `Tensor` that register hooks."""

    node: Node | None
    index: int

    def register_hook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call a function with this tensor's gradient, once in each backward pass that brings it one.

        The call comes when the sum over all uses of the tensor is complete: for an inner tensor before the VJP that
        made it, for a leaf before the sum is added to ``.grad``. Several hooks run in the order of their registration,
        each with the result of the one before.

        A hook belongs to this tensor. Copies (`copy.deepcopy`, pickles) have none, nor has a leaf whose
        ``requires_grad`` was set to false and to true again. In a function given to :func:`minigrad.grad` and its like
        the arguments are leaves of their own; tensors that are made in it may have hooks.

        Args:
            hook: takes the gradient, a read-only array of the tensor's shape and dtype that it may keep (a tensor, in a
                pass that is differentiated itself). Its result replaces the gradient; None leaves it.

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
        node = self.node
        if node is None:
            raise ValueError("register_hook: this tensor requires no gradient, so that no pass brings it one")
        with _registering:
            if not hasattr(node, "hooks"):
                node.hooks = {}
            hooks = node.hooks.setdefault(self.index, Callbacks())
            _of_tensors.add(hooks)
        return hooks.add(hook)  # type: ignore[no-any-return]


HookMethods.register_hook.__qualname__ = "Tensor.register_hook"
extend_tensor({"register_hook": HookMethods.register_hook})
