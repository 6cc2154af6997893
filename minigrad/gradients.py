"""What ``.grad`` holds: `Tensor.backward` adds to it what a reverse pass finds."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from .backward import graph_of, reverse_pass, seed_of
from .core import Leaf, Tensor, recording, untracked
from .higher_order import leaves_graph, recorded_pass
from .writes import written

__all__ = ["accumulate"]

# Passes of several threads may add to the same leaf, and NumPy's sum of large arrays lets other threads run.
_adding = threading.RLock()


def accumulate(output: Tensor, gradient: Any, retain_graph: bool, create_graph: bool | None) -> None:
    """Do what :meth:`Tensor.backward <minigrad.Tensor.backward>` says."""
    if leaves_graph() if create_graph is None else create_graph:
        return _accumulate_tensors(output, gradient)
    found = reverse_pass([seed_of(output, gradient)], retain_graph)
    with _adding:
        for leaf, grad in found.items():
            if leaf.grad is None:
                leaf.grad = grad
            elif isinstance(leaf.grad, Tensor):
                leaf.grad = np.asarray(leaf.grad.data + grad, leaf.dtype)
            elif leaf.grad.flags.writeable:
                written(leaf.grad)
                leaf.grad += grad
            else:  # somebody set it to an array of theirs
                leaf.grad = np.asarray(leaf.grad + grad)


def _accumulate_tensors(output: Tensor, gradient: Any) -> None:
    """The same by a pass that leaves a graph."""
    node, index, g = seed_of(output, gradient)
    seed = gradient if isinstance(gradient, Tensor) and gradient.dtype == g.dtype else untracked(g)
    leaves = [node for node in graph_of([node]).nodes if isinstance(node, Leaf)]
    found = recorded_pass([(node, index, seed)], leaves)
    with _adding, recording():
        for leaf, grad in found.items():
            leaf.grad = grad if leaf.grad is None else grad + leaf.grad


def _after_fork() -> None:
    """A child process may have been made while another thread of its parent held the lock."""
    global _adding
    _adding = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
