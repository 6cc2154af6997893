"""What the graph costs: forward and backward of a chain of small adds, beside the same adds of bare NumPy.

The unit is one add. torch.compile is not among PyTorch's ways: it would remove the graph that is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]

_ADDS = 1000


def cases(quick: bool = False) -> list[Case]:
    """Scalars and 8 x 8 matrices, with a constant and with two tracked operands."""
    shapes = {"scalars": (), "8x8": (8, 8)}
    return [
        _case(f"{name}, {'x + w' if tracked else 'x + constant'}", shape, tracked)
        for name, shape in shapes.items() for tracked in (False, True)
    ][: 1 if quick else None]  # fmt: skip


def _case(name: str, shape: tuple[int, ...], tracked: bool) -> Case:
    rivals = [
        Rival("minigrad", "minigrad", partial(_minigrad, shape, tracked)),
        Rival("np.add", "np.add", partial(_numpy, shape, tracked)),
        Rival("PyTorch", "PyTorch", partial(_pytorch, shape, tracked), ("torch",)),
    ]
    return Case(name, rivals, [Aim("np.add", 7.0 if tracked else 5.0), Aim("PyTorch", 1.0)], threads=(1,))


def _chain(x: Any, w: Any) -> Any:
    """x + w + … + w."""
    for _ in range(_ADDS):
        x = x + w
    return x


def _arrays(shape: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """x, w and the cotangent of the sum."""
    import numpy as np

    return np.full(shape, 1.0, np.float32), np.full(shape, 0.5, np.float32), np.full(shape, 2.0, np.float32)


def _work(forward: Callable[[], tuple[Any, ...]], data: Callable[[Any], Any]) -> Work:
    """Of a pass that returns the sum and the leaves that have gradients."""

    def outputs() -> dict[str, Any]:
        y, *leaves = forward()
        return {"sum": data(y), **{f"gradient {i}": leaf.grad for i, leaf in enumerate(leaves)}}

    return Work(forward, outputs, _ADDS)


def _minigrad(shape: tuple[int, ...], tracked: bool) -> Work:
    import minigrad as mg

    a, b, g = _arrays(shape)

    def run() -> tuple[Any, ...]:
        x, w = mg.tensor(a, requires_grad=True), mg.tensor(b, requires_grad=True) if tracked else b
        y = _chain(x, w)
        y.backward(g)
        return (y, x, w) if tracked else (y, x)

    return _work(run, lambda y: y.data)


def _pytorch(shape: tuple[int, ...], tracked: bool) -> Work:
    import torch

    a, b, g = map(torch.tensor, _arrays(shape))

    def run() -> tuple[Any, ...]:
        x, w = a.clone().requires_grad_(), b.clone().requires_grad_(tracked)
        y = _chain(x, w)
        y.backward(g)
        return (y, x, w) if tracked else (y, x)

    return _work(run, lambda y: y.detach())


def _numpy(shape: tuple[int, ...], tracked: bool) -> Work:
    """The bare adds; the gradients, which are the cotangent once and 1,000 times, only for the comparison."""
    import numpy as np

    a, b, g = _arrays(shape)

    def run() -> Any:
        x = a
        for _ in range(_ADDS):
            x = np.add(x, b)
        return x

    def outputs() -> dict[str, Any]:
        return {"sum": run(), "gradient 0": g, **({"gradient 1": g * np.float32(_ADDS)} if tracked else {})}

    return Work(run, outputs, _ADDS)
