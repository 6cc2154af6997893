"""Hooks: call your functions when a tensor's gradient is complete in a reverse pass, or after a module's call.

:meth:`Tensor.retain_grad <HookMethods.retain_grad>` is the last hook of a tensor.

The node of a tensor holds its hooks. So a hook works even if the Python tensor is gone, and it keeps nothing alive.
Copies and pickles of a tensor or module have no hooks.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from .core import Leaf, Node, Tensor, extend_tensor, plain, untracked
from .observers import Observer, global_observers, location
from .spec import Spec, as_array, describe, holds_numpy, refuse_masked

__all__ = ["Callbacks", "Handle", "HookMethods"]

G = TypeVar("G")

_locked = threading.RLock()


class Handle:
    """Removes a hook. It keeps neither the hook nor the tensor or module alive."""

    __slots__ = ("_callbacks", "_key")

    def __init__(self, callbacks: Callbacks, key: object) -> None:
        self._callbacks, self._key = weakref.ref(callbacks), key

    def remove(self) -> None:
        """Stop calling the hook; a second call does nothing."""
        if (callbacks := self._callbacks()) is not None:
            callbacks.functions.pop(self._key, None)


class Callbacks:
    """Functions in the order of their registration. Copies and pickles are empty.

    Attributes:
        retains: whether ``grad``, the ``.grad`` of an inner tensor, gets the sum of its gradients.

    >>> hooks = Callbacks()
    >>> handle = hooks.add(print)
    >>> list(hooks)
    [<built-in function print>]
    >>> handle.remove()
    >>> list(hooks)
    []
    """

    __slots__ = ("__weakref__", "functions", "grad", "retains")

    def __init__(self) -> None:
        self.functions: dict[object, Callable[..., Any]] = {}
        self.grad: Any = None
        self.retains = False

    def add(self, function: Callable[..., Any]) -> Handle:
        if not callable(function):
            raise TypeError(f"a hook must be a function, not {describe(function)}")
        key = object()  # the same function may be registered twice
        self.functions[key] = function
        return Handle(self, key)

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """Iterate over the functions present at the start, without those removed in the meantime."""
        for key, function in tuple(self.functions.items()):
            if key in self.functions:
                yield function

    def __reduce__(self) -> Any:
        return type(self), ()


_of_tensors: weakref.WeakValueDictionary[int, Callbacks] = weakref.WeakValueDictionary()
"""The hooks of all tensors that exist, by their ids. Other threads may register hooks at any time."""


class _Hooks(Observer):
    """Calls the hooks of nodes."""

    def cotangent(self, node: Node, g: Any, batched: bool = False) -> Any:
        by_index: dict[int, Callbacks] | None = getattr(node, "hooks", None)
        if by_index is None:
            return g
        gs = list(g) if isinstance(g, tuple) else [g]
        for index, hooks in sorted(by_index.items()):
            if gs[index] is not None:
                rows = gs[index] if batched else [gs[index]]  # a hook takes the tensor's shape
                results = [_run_hooks(hooks, node, index, row) for row in rows]
                gs[index] = np.stack(results) if batched else results[0]
        return tuple(gs) if isinstance(g, tuple) else gs[0]


def present() -> bool:
    """Return whether any tensor that exists has a hook."""
    return len(_of_tensors) > 0 and any(
        hooks.functions or hooks.retains for reference in _of_tensors.valuerefs() if (hooks := reference()) is not None
    )


global_observers[_Hooks()] = present


def _run_hooks(hooks: Callbacks, node: Node, index: int, g: Any) -> Any:
    """Call the hooks of an output with its cotangent and return the final cotangent."""
    spec = node.outputs[index]
    for hook in hooks:
        shown = g
        if not isinstance(g, Tensor):
            shown = np.array(g, spec[1])  # the pass may add to g later
            shown.flags.writeable = False
        result = hook(shown)
        if result is not None:
            tracked = isinstance(g, Tensor) and isinstance(result, Tensor)
            if isinstance(g, Tensor) and g.node is not None and not tracked:
                raise TypeError(
                    f"a hook on {_name(node, index)} returned {describe(result)} for a tensor, which would cut the "
                    "derivative of this gradient. Compute with the tensor instead, for example by NumPy's functions."
                )
            value = result if tracked else _array(result, node, index, spec)
            if (value.shape, value.dtype) != spec:
                raise ValueError(
                    f"a hook on {_name(node, index)} returned {describe(value)}: a cotangent has the tensor's shape "
                    f"and dtype, {spec[1]} {spec[0]}"
                )
            g = untracked(value) if isinstance(g, Tensor) and not tracked else value
    if hooks.retains:
        with _locked:  # passes of several threads may add at once
            before = hooks.grad if isinstance(g, Tensor) else plain(hooks.grad)
            own = g if isinstance(g, Tensor) else np.array(g, spec[1])
            if before is not None:
                own += before
            hooks.grad = own
    return g


def _array(result: Any, node: Node, index: int, spec: Spec) -> np.ndarray[Any, Any]:
    """Copy what a hook returned, since the hook may write into it later; Python numbers take the tensor's dtype."""
    try:
        if isinstance(result, Tensor):
            return np.array(result.data)
        refuse_masked(result)
        return np.array(as_array(result, rounded=False), None if holds_numpy(result) else spec[1])
    except (TypeError, ValueError) as error:
        raise type(error)(f"a hook on {_name(node, index)} must return a cotangent or None: {error}") from None


def _name(node: Node, index: int) -> str:
    """Describe a tensor: "the parameter Linear.weight", "output 1 of split (called at …)"."""
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
        """Call a function with this tensor's gradient, once in each backward pass that computes it.

        The pass calls the hook when the sum over all uses of the tensor is complete. This is before the VJP of the node
        that made it or, for a leaf, before the pass adds the sum to ``.grad``. Hooks run in the order of their
        registration, each with the result of the previous one.

        A hook belongs to this tensor. Copies (`copy.deepcopy`, pickles) have none. A leaf loses its hooks when
        ``requires_grad`` is set to false. A function given to a transform, such as :func:`minigrad.grad`, gets fresh
        leaves without hooks as its arguments; tensors made in the function may have hooks.

        Args:
            hook: takes the gradient, a read-only array of the tensor's shape and dtype that it may keep. In a pass that
                leaves a graph, the gradient is a tensor. The hook's result replaces the gradient; None keeps it.

        Returns:
            a handle, whose ``remove()`` removes the hook.

        Raises:
            ValueError: if this tensor requires no gradient; in a pass, if the hook returns another shape or dtype.
            TypeError: if the hook is not a function; in a pass, if it does not return real numbers.
            If the hook raises an error, the pass raises it, and ``.grad`` stays as it was.

        >>> import minigrad as mg
        >>> x = mg.tensor([3.0, -4.0], requires_grad=True)
        >>> handle = x.register_hook(lambda g: g.clip(-5, 5))
        >>> (x * x).sum().backward()
        >>> x.grad
        array([ 5., -5.], dtype=float32)
        >>> handle.remove()
        """
        return _hooks_of(self.node, self.index, "register_hook").add(hook)

    def retain_grad(self) -> None:
        """Make backward passes add the gradient of an inner tensor to its ``.grad``, as they do for leaves.

        The gradient is the one after hooks. Passes of transforms add theirs, too. For a leaf this does nothing.

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
            _hooks_of(self.node, self.index, "retain_grad").retains = True


def _hooks_of(node: Node | None, index: int, caller: str) -> Callbacks:
    """Return the hooks of an output, which it may not have had before."""
    if node is None:
        raise ValueError(f"{caller}: this tensor requires no gradient, so no pass computes one for it")
    with _locked:
        if not hasattr(node, "hooks"):
            node.hooks = {}
        hooks: Callbacks = node.hooks.setdefault(index, Callbacks())
        _of_tensors[id(hooks)] = hooks
    return hooks


for method in (HookMethods.register_hook, HookMethods.retain_grad):
    method.__qualname__ = f"Tensor.{method.__name__}"
    extend_tensor({method.__name__: method})
