"""One training step of a small perceptron: 784-128-10, ReLU, cross-entropy, Adam, a batch of 64."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.compiling import compiled

__all__ = ["cases"]

_BATCH, _SIZES = 64, (784, 128, 10)
_BATCHES = 20


def cases(quick: bool = False) -> list[Case]:
    """The one network."""
    ways = {
        "eager": partial(_pytorch),
        "fused Adam": partial(_pytorch, fused=True),
        "compiled": partial(_pytorch, fused=True, compile=True),
    }
    rivals = [
        Rival("minigrad", "minigrad", _minigrad),
        *(Rival(name, "PyTorch", way, ("torch",)) for name, way in ways.items()),
    ]
    a, b, c = _SIZES
    # Forward a b + b c products per row, as many for the weights' gradients, and b c for the hidden layer's.
    flop = 2.0 * _BATCH * (2 * (a * b + b * c) + b * c)
    return [Case(f"{a}-{b}-{c}, batch {_BATCH}", rivals, [Aim("PyTorch", 0.8)], flop=flop)]


def _data() -> tuple[list[Any], list[Any], list[Any]]:
    """Weights and biases, inputs (64, 784) and classes (64,), of several batches."""
    import numpy as np

    rng = np.random.default_rng(0)
    weights = []
    for rows, columns in pairwise(_SIZES):
        bound = rows**-0.5
        weights += [rng.uniform(-bound, bound, shape).astype(np.float32) for shape in ((rows, columns), (columns,))]
    inputs = [rng.random((_BATCH, _SIZES[0]), np.float32) for _ in range(_BATCHES)]
    return weights, inputs, [rng.integers(_SIZES[-1], size=_BATCH) for _ in range(_BATCHES)]


def _minigrad() -> Work:
    import minigrad as mg

    weights, inputs, classes = _data()
    net = mg.nn.Sequential(mg.nn.Linear(*_SIZES[:2]), mg.nn.ReLU(), mg.nn.Linear(*_SIZES[1:]))
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


def _pytorch(fused: bool = False, compile: bool = False) -> Work:
    import torch

    weights, inputs, classes = _data()
    net = torch.nn.Sequential(torch.nn.Linear(*_SIZES[:2]), torch.nn.ReLU(), torch.nn.Linear(*_SIZES[1:]))
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
