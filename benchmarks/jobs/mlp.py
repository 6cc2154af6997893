"""One training step of a perceptron with ReLU, cross-entropy and Adam on a batch of 64: 784-128-10."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.compiling import compiled

__all__ = ["cases", "minigrad_step", "pytorch_step"]

_BATCH, _SIZES = 64, (784, 128, 10)
_BATCHES = 20


def cases(quick: bool = False) -> list[Case]:
    """The one network."""
    ways = {
        "eager": partial(pytorch_step, _SIZES),
        "fused Adam": partial(pytorch_step, _SIZES, fused=True),
        "compiled": partial(pytorch_step, _SIZES, fused=True, compile=True),
    }
    rivals = [
        Rival("minigrad", "minigrad", partial(minigrad_step, _SIZES)),
        *(Rival(name, "PyTorch", way, ("torch",)) for name, way in ways.items()),
    ]
    a, b, c = _SIZES
    # Forward a b + b c products per row, as many for the weights' gradients, and b c for the hidden layer's.
    flop = 2.0 * _BATCH * (2 * (a * b + b * c) + b * c)
    return [Case(f"{a}-{b}-{c}, batch {_BATCH}", rivals, [Aim("PyTorch", 0.8)], flop=flop)]


def _data(sizes: Sequence[int]) -> tuple[list[Any], list[Any], list[Any]]:
    """Weights and biases, inputs (64, first size) and classes (64,), of several batches."""
    import numpy as np

    rng = np.random.default_rng(0)
    weights = []
    for rows, columns in pairwise(sizes):
        bound = rows**-0.5
        weights += [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in ((rows, columns), (columns,))]
    inputs = [rng.random((_BATCH, sizes[0]), np.float32) for _ in range(_BATCHES)]
    return weights, inputs, [rng.integers(sizes[-1], size=_BATCH) for _ in range(_BATCHES)]


def _layers(nn: Any, sizes: Sequence[int]) -> Any:
    """The network, whose classes minigrad and PyTorch call alike."""
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def minigrad_step(sizes: Sequence[int]) -> Work:
    """Return a training step of a network with layers of these sizes."""
    import minigrad as mg

    weights, inputs, classes = _data(sizes)
    net = _layers(mg.nn, sizes)
    for parameter, array in zip(net.parameters(), weights, strict=True):
        parameter.data = array
    adam = mg.optim.Adam(net.parameters(), lr=1e-3)

    def outputs() -> dict[str, Any]:
        loss = mg.cross_entropy(net(inputs[0]), classes[0])
        loss.backward()
        return {"loss": loss.data, **{f"gradient {i}": p.grad for i, p in enumerate(net.parameters())}}

    def run() -> None:
        for x, y in zip(inputs, classes, strict=True):
            adam.zero_grad()
            mg.cross_entropy(net(x), y).backward()
            adam.step()

    return Work(run, outputs, _BATCHES)


def pytorch_step(sizes: Sequence[int], fused: bool = False, compile: bool = False) -> Work:
    """Return the same step in PyTorch; ``fused`` makes Adam one kernel, ``compile`` compiles the loss."""
    import torch

    weights, inputs, classes = _data(sizes)
    net = _layers(torch.nn, sizes)
    with torch.no_grad():
        for parameter, array in zip(net.parameters(), weights, strict=True):
            parameter.copy_(torch.tensor(array.T))
    adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=fused)
    batches = [(torch.tensor(x), torch.tensor(y)) for x, y in zip(inputs, classes, strict=True)]

    def loss_of(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(net(x), y)

    loss_of = compiled(loss_of) if compile else loss_of

    def outputs() -> dict[str, Any]:
        loss = loss_of(*batches[0])
        loss.backward()
        gradients = {f"gradient {i}": p.grad.numpy().T for i, p in enumerate(net.parameters()) if p.grad is not None}
        return {"loss": loss.detach().numpy(), **gradients}

    def run() -> None:
        for x, y in batches:
            adam.zero_grad()
            loss_of(x, y).backward()
            adam.step()

    return Work(run, outputs, _BATCHES)
