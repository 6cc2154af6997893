"""All partial derivatives at once: the jacobian of a map from 100 numbers to 100, and the Hessian of a loss of 100.

PyTorch has three ways: `torch.autograd.functional`, row by row and vectorised, and `torch.func`, whose Hessian is the
jacobian forward of the one in reverse. Each counts as a variant, and the best of them is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.job import Aim, Case, Rival, Work

__all__ = ["cases"]

_N = 100
_LAYERS = 3
_CLASS = 3


def cases(quick: bool = False) -> list[Case]:
    """Each derivative of a map or a loss, of a network of three layers and entry by entry."""
    return [
        _case("jacobian, network", "jacobian", "network"),
        _case("jacobian, softmax", "jacobian", "softmax"),
        _case("jacobian, entry by entry", "jacobian", "entrywise"),
        _case("hessian, network", "hessian", "loss"),
    ][: 1 if quick else None]


def _case(name: str, derivative: str, function: str) -> Case:
    ways: dict[str, Callable[[Any, Any], Callable[..., Any]]] = {
        "row by row": partial(_functional, derivative, False),
        "vectorised": partial(_functional, derivative, True),
        "torch.func": partial(_transform, {"jacobian": "jacrev"}.get(derivative, derivative)),
    }
    rivals = [
        Rival("minigrad", "minigrad", partial(_minigrad, derivative, function)),
        *(Rival(way, "PyTorch", partial(_pytorch, make, function), ("torch",)) for way, make in ways.items()),
    ]
    return Case(name, rivals, [Aim("PyTorch", 1.0)], threads=(1,))


def _arrays() -> tuple[Any, list[tuple[Any, Any]]]:
    """x (100,), and for each layer W (100, 100) and b (100,)."""
    import numpy as np

    rng = np.random.default_rng(0)
    layers = [(rng.standard_normal((_N, _N)) / _N**0.5, rng.standard_normal(_N)) for _ in range(_LAYERS)]
    x = rng.standard_normal(_N).astype(np.float32)
    return x, [(W.astype(np.float32), b.astype(np.float32)) for W, b in layers]


def _functions(m: Any, log_softmax: Any, layers: Any) -> dict[str, Callable[[Any], Any]]:
    """The maps and the loss in the words that minigrad and PyTorch have in common."""

    def network(x: Any) -> Any:
        for W, b in layers:
            x = m.tanh(x @ W + b)
        return x

    return {
        "network": network,
        "softmax": lambda x: m.softmax(layers[0][0] @ m.tanh(x), -1),
        "entrywise": lambda x: m.sin(x) * m.exp(-x * x),
        "loss": lambda x: -log_softmax(network(x), -1)[_CLASS],
    }


def _minigrad(derivative: str, function: str) -> Work:
    import minigrad as mg

    x, layers = _arrays()
    x, layers = mg.tensor(x), [(mg.tensor(W), mg.tensor(b)) for W, b in layers]
    matrix = getattr(mg, derivative)(_functions(mg, mg.log_softmax, layers)[function])
    return Work(partial(matrix, x), lambda: {"matrix": matrix(x).numpy()})


def _pytorch(make: Callable[[Any, Any], Callable[..., Any]], function: str) -> Work:
    import torch

    x, layers = _arrays()
    x, layers = torch.tensor(x), [(torch.tensor(W), torch.tensor(b)) for W, b in layers]
    matrix = make(torch, _functions(torch, torch.log_softmax, layers)[function])
    return Work(partial(matrix, x), lambda: {"matrix": matrix(x).numpy()})


def _functional(derivative: str, vectorised: bool, torch: Any, f: Any) -> Callable[..., Any]:
    return partial(getattr(torch.autograd.functional, derivative), f, vectorize=vectorised)


def _transform(name: str, torch: Any, f: Any) -> Callable[..., Any]:
    matrix: Callable[..., Any] = getattr(torch.func, name)(f)
    return matrix
