"""The networks that claims 5-3 and 5-6 train: one with a batch norm, and one with twin units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from minigrad import nn, optim

__all__ = ["ACTIVATIONS", "OPTIMISERS", "XOR", "batches", "hidden_network", "losses", "normalised_network", "units"]

ACTIVATIONS: dict[str, type[nn.Module]] = {"tanh": nn.Tanh, "ReLU": nn.ReLU, "sigmoid": nn.Sigmoid, "GELU": nn.GELU}

OPTIMISERS: dict[str, partial[Any]] = {
    "SGD": partial(optim.SGD, lr=0.1),
    "SGD with momentum": partial(optim.SGD, lr=0.1, momentum=0.9),
    "SGD with Nesterov's momentum": partial(optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "Adagrad": partial(optim.Adagrad, lr=0.05),
    "Adam": partial(optim.Adam, lr=0.05),
    "AdamW": partial(optim.AdamW, lr=0.05),
    "LBFGS": partial(optim.LBFGS, lr=0.1, max_iter=2),
    "Lion": partial(optim.Lion, lr=0.05),
    "RMSprop": partial(optim.RMSprop, lr=0.02, momentum=0.5),
}
"""Every optimiser of `mg.optim`, and SGD with several options."""

XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])
"""Inputs (4, 2) and targets (4, 1)."""


def batches(seed: int, count: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return `count` batches of 8 normally distributed inputs (8, 3) and targets (8, 2).

    >>> [x.shape for x, _ in batches(0, 2)]
    [(8, 3), (8, 3)]
    """
    rng = np.random.default_rng(seed)
    return [(rng.normal(size=(8, 3)), rng.normal(size=(8, 2))) for _ in range(count)]


def normalised_network(seed: int, eps: float) -> nn.Sequential:
    """Return a float64 network of 3 inputs, 4 tanh units after a batch norm, and 2 outputs, with random weights.

    >>> normalised_network(0, 0.0)(np.eye(3)).shape
    (3, 2)
    """
    rng = np.random.default_rng(seed)
    first, last = (nn.Linear(*shape, dtype="float64", rng=rng) for shape in ((3, 4), (4, 2)))
    net = nn.Sequential(first, nn.BatchNorm1d(4, eps=eps, dtype="float64"), nn.Tanh(), last)
    net[1].weight.data[...] = rng.normal(size=4)
    return net


def hidden_network(
    incoming: ArrayLike, bias: ArrayLike, outgoing: ArrayLike, activation: str = "tanh"
) -> nn.Sequential:
    """Return a network of one hidden layer; incoming: (D, H). bias: (H,). outgoing: (H, E).

    >>> hidden_network([[1.0]], [0.0], [[2.0]], "ReLU")([[3.0]]).numpy()
    array([[6.]])
    """
    weights = np.array(incoming, dtype=np.float64), np.array(outgoing, dtype=np.float64)
    first, last = (nn.Linear(*W.shape, dtype="float64", initial=W.reshape) for W in weights)
    net = nn.Sequential(first, ACTIVATIONS[activation](), last)
    net[0].bias.data[...] = bias
    return net


def losses(net: nn.Sequential, optimiser: str, data: Sequence[tuple[ArrayLike, ArrayLike]]) -> list[float]:
    """Train with one step on each batch; return the mean squared error before each.

    >>> losses(hidden_network([[0.0]], [0.0], [[0.0]]), "SGD", [([[1.0]], [[1.0]])] * 2)
    [1.0, 0.64]
    """
    optimizer = OPTIMISERS[optimiser](net.parameters())

    def closure(x: ArrayLike, y: ArrayLike) -> Any:
        optimizer.zero_grad()
        loss: Any = mg.mse_loss(net(x), y)
        loss.backward()
        return loss

    return [float(optimizer.step(partial(closure, *batch)).numpy()) for batch in data]


def units(net: nn.Sequential) -> NDArray[np.float64]:
    """Return the incoming weights, the bias and the outgoing weights of each hidden unit, (H, D + 1 + E).

    >>> units(hidden_network([[1.0, 2.0]], [3.0, 4.0], [[5.0], [6.0]]))
    array([[1., 3., 5.],
           [2., 4., 6.]])
    """
    return np.concatenate([net[0].weight.data.T, net[0].bias.data[:, None], net[2].weight.data], axis=1)
