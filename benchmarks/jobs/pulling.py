"""Forward and backward of one function, with the gradients of its inputs: by minigrad, and by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.job import Work
from benchmarks.jobs.compiling import compiled

__all__ = ["pulled_by_minigrad", "pulled_by_pytorch"]

Function = Callable[..., Any]


def _work(leaves: list[Any], names: Sequence[str], forget: Function, function: Function, cotangent: Any) -> Work:
    def run() -> Any:
        for leaf in leaves:
            forget(leaf)
        y = function(*leaves)
        y.backward(cotangent)
        return y

    def outputs() -> dict[str, Any]:
        y = run()
        return {"y": y.detach(), **{f"d{name}": leaf.grad for name, leaf in zip(names, leaves, strict=True)}}

    return Work(run, outputs)


def pulled_by_minigrad(function: Function, inputs: dict[str, Any], cotangent: Any) -> Work:
    """Return the work for the arrays ``inputs``; outputs include their gradients, named with the prefix d."""
    import minigrad as mg

    leaves = [mg.tensor(a, requires_grad=True) for a in inputs.values()]
    return _work(leaves, list(inputs), lambda leaf: leaf.zero_grad(), function, cotangent)


def pulled_by_pytorch(function: Function, inputs: dict[str, Any], cotangent: Any, compile: bool = False) -> Work:
    """Return the same work in PyTorch; ``compile`` compiles the function first."""
    import torch

    *leaves, g = (torch.tensor(a) for a in (*inputs.values(), cotangent))
    for leaf in leaves:
        leaf.requires_grad_()

    def forget(leaf: Any) -> None:
        leaf.grad = None

    return _work(leaves, list(inputs), forget, compiled(function) if compile else function, g)
