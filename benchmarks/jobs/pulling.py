"""Forward, or forward and backward, of one function of leaves: by minigrad, and by PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from benchmarks.job import Work
from benchmarks.jobs.compiling import compiled

__all__ = ["pulled_by_minigrad", "pulled_by_pytorch", "repeated"]

Function = Callable[..., Any]


def repeated(run: Callable[[], object], times: int) -> None:
    """Run something that takes microseconds several times."""
    for _ in range(times):
        run()


def _work(leaves: list[Any], names: Sequence[str], function: Function, cotangent: Any, backward: bool = True) -> Work:
    if not backward:
        forward = partial(function, *leaves)
        return Work(forward, lambda: {"y": forward().detach()})

    def run() -> Any:
        for leaf in leaves:
            leaf.grad = None
        y = function(*leaves)
        y.backward(cotangent)
        return y

    def outputs() -> dict[str, Any]:
        y = run()
        return {"y": y.detach(), **{f"d{name}": leaf.grad for name, leaf in zip(names, leaves, strict=True)}}

    return Work(run, outputs)


def pulled_by_minigrad(function: Function, inputs: dict[str, Any], cotangent: Any, backward: bool = True) -> Work:
    """Return the work for the arrays ``inputs``; outputs include their gradients, named with the prefix d.

    Args:
        cotangent: of the result's shape, or None for a single number.
        backward: without it, the work is the forward alone.
    """
    import minigrad as mg

    leaves = [mg.tensor(a, requires_grad=True) for a in inputs.values()]
    return _work(leaves, list(inputs), function, cotangent, backward)


def pulled_by_pytorch(
    function: Function, inputs: dict[str, Any], cotangent: Any, compile: bool = False, backward: bool = True
) -> Work:
    """Return the same work in PyTorch; ``compile`` compiles the function first."""
    import torch

    leaves = [torch.tensor(a).requires_grad_() for a in inputs.values()]
    g = None if cotangent is None else torch.tensor(cotangent)
    return _work(leaves, list(inputs), compiled(function) if compile else function, g, backward)
