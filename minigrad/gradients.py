"""`Tensor.backward`: run a reverse pass and add the gradients to ``.grad`` of the leaves."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .backward import graph_of, refuse_boundaries, reverse_pass, seed_of
from .core import Leaf, Tensor, enable_grad, extend_tensor, plain, untracked
from .higher_order import builds_graph, differentiable_pass
from .writes import written

__all__ = ["GradientMethods"]

# Several threads may add to the same leaf, and NumPy releases the GIL while it adds large arrays.
_adding = threading.RLock()


class GradientMethods:
    """The methods of `Tensor` that fill ``.grad``, as a class for type checkers; `extend_tensor` adds them."""

    def backward(self, gradient: Any = None, retain_graph: bool = False, create_graph: bool | None = None) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf that it depends on.

        After an interrupt (Ctrl-C), some residuals are freed and some leaves may have their gradients already. Call
        `zero_grad` and run the forward pass again.

        Args:
            gradient: the cotangent of this tensor, of its shape; 1 by default if it is a single number.
            retain_graph: keep the residuals for another pass.
            create_graph: leave a graph, so that the gradients can be differentiated. ``.grad`` is then a tensor. By
                default a pass leaves a graph within transforms and within :func:`minigrad.create_graph` (see there).

        Raises:
            ValueError: if this tensor depends on nothing that requires a gradient, if the gradient has another shape,
                or if an earlier pass freed the residuals.

        >>> import minigrad as mg
        >>> x = mg.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        array(6., dtype=float32)
        """
        if builds_graph() if create_graph is None else create_graph:
            return _accumulate_tensors(self, gradient)  # type: ignore[arg-type]
        found = reverse_pass([seed_of(self, gradient)], retain_graph)  # type: ignore[arg-type]
        with _adding:
            for leaf, grad in found.items():
                if leaf.grad is None:
                    leaf.grad = grad
                elif isinstance(leaf.grad, Tensor) or not leaf.grad.flags.writeable:
                    leaf.grad = np.asarray(plain(leaf.grad) + grad, leaf.dtype)
                else:
                    written(leaf.grad)
                    leaf.grad += grad


GradientMethods.backward.__qualname__ = "Tensor.backward"
extend_tensor({"backward": GradientMethods.backward})


def _accumulate_tensors(output: Tensor, gradient: Any) -> None:
    """Do what `Tensor.backward` does, by a pass that leaves a graph."""
    node, index, g = seed_of(output, gradient)
    seed = gradient.astype(g.dtype) if isinstance(gradient, Tensor) else untracked(g.copy())
    leaves = [node for node in graph_of([node]).nodes if isinstance(node, Leaf)]
    refuse_boundaries(leaves)
    found = differentiable_pass([(node, index, seed)], leaves)
    with _adding, enable_grad():
        for leaf, grad in found.items():
            leaf.grad = grad if leaf.grad is None else grad + leaf.grad


def _after_fork() -> None:
    """Replace the lock in a child process, because another thread of the parent may have held it."""
    global _adding
    _adding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
