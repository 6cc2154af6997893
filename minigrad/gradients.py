"""What stands in ``.grad``: `Tensor.backward` adds to it what a reverse pass finds."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .backward import reverse_pass, seed_of
from .core import Tensor
from .overwrites import written

__all__: list[str] = []

# Passes of several threads may add to the same leaf, and NumPy's sum of large arrays lets other threads run.
_adding = threading.RLock()


def _backward(self: Tensor, gradient: Any = None, retain_graph: bool = False) -> None:
    """Sum the gradient of this tensor into ``.grad`` of every leaf behind it.

    If it is interrupted (Ctrl-C), residuals of a part of the graph are gone, and some leaves may have their gradients
    and some not: call `zero_grad` and run the forward again.

    Args:
        gradient: the cotangent of this tensor, of its shape; 1 by default if it is a single number.
        retain_graph: keep the residuals, so that another pass can follow.

    Raises:
        ValueError: if nothing behind it requires a gradient, the gradient's shape is another, or an
            earlier pass freed the residuals.

    >>> import minigrad as mg
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> (x * x).backward()
    >>> x.grad
    array(6., dtype=float32)
    """
    found = reverse_pass([seed_of(self, gradient)], retain_graph)
    with _adding:
        for leaf, grad in found.items():
            if leaf.grad is None:
                leaf.grad = grad
            elif leaf.grad.flags.writeable:
                written(leaf.grad)
                leaf.grad += grad
            else:  # somebody set it to an array of theirs
                leaf.grad = np.asarray(leaf.grad + grad)


def _after_fork() -> None:
    """A child process may have been made while another thread of its parent held the lock."""
    global _adding
    _adding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
_backward.__name__, _backward.__qualname__ = "backward", "Tensor.backward"
Tensor.backward = _backward  # type: ignore[method-assign]
