"""Whole programs on small arrays, in the names that minigrad, PyTorch and JAX have in common.

`Program.loss` computes a loss. `make` also computes its gradient, or a Hessian-vector product.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from benchmarks.job import Work
from benchmarks.jobs.pulling import repeated

__all__ = ["PROGRAMS", "make"]

_UNITS = 10  # runs of a program in one call
_BATCH, _INPUT, _HIDDEN, _STEPS = 8, 16, 16, 5

Function = Callable[..., Any]


@dataclass(frozen=True)
class Program:
    """A loss(m, grad, parameters, *data), shapes, and whether the result is a Hessian-vector product.

    transforms: use `mg.value_and_grad` instead of `backward`, because the loss has an inner derivative.
    """

    loss: Function
    parameters: tuple[tuple[int, ...], ...]
    data: tuple[tuple[int, ...], ...]
    transforms: bool = False
    hvp: bool = False


def _rnn(m: Any, grad: Any, parameters: Any, xs: Any, h: Any, target: Any) -> Any:
    W, U, b = parameters
    for x in xs:
        h = m.tanh(x @ W + h @ U + b)
    return ((h - target) ** 2).mean()


def _gru(m: Any, grad: Any, parameters: Any, xs: Any, h: Any, target: Any) -> Any:
    Wz, Uz, bz, Wr, Ur, br, Wn, Un, bn = parameters
    for x in xs:
        z = m.sigmoid(x @ Wz + h @ Uz + bz)
        r = m.sigmoid(x @ Wr + h @ Ur + br)
        n = m.tanh(x @ Wn + r * (h @ Un) + bn)
        h = (1 - z) * n + z * h
    return ((h - target) ** 2).mean()


def _layer_norm(m: Any, grad: Any, parameters: Any, x: Any, target: Any) -> Any:
    W, weight, bias = parameters
    x = x @ W
    uncorrected = {"correction": 0} if m.__name__ == "torch" else {"ddof": 0}
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True, **uncorrected)
    y = (x - mean) / m.sqrt(variance + 1e-5) * weight + bias
    return ((y - target) ** 2).mean()


def _network(m: Any, parameters: Any, x: Any) -> Any:
    W1, b1, W2, b2, W3, b3 = parameters
    return m.tanh(m.tanh(x @ W1 + b1) @ W2 + b2) @ W3 + b3


def _fit(m: Any, grad: Any, parameters: Any, x: Any, y: Any) -> Any:
    return ((_network(m, parameters, x) - y) ** 2).mean()


def _maml(m: Any, grad: Any, parameters: Any, x: Any, y: Any, new_x: Any, new_y: Any) -> Any:
    """The loss on new data after a gradient step on other data (Finn et al., 2017)."""
    gradients = grad(partial(_fit, m, grad))(parameters, x, y)
    adapted = [p - 0.1 * g for p, g in zip(parameters, gradients, strict=True)]
    return _fit(m, grad, adapted, new_x, new_y)


def _pinn(m: Any, grad: Any, parameters: Any, x: Any, source: Any, ends: Any) -> Any:
    """The residual of u'' = source and of u = 0 at both ends (Raissi et al., 2019)."""
    slope = grad(lambda x: _network(m, parameters, x).sum())
    curvature = grad(lambda x: slope(x).sum())(x)
    return ((curvature - source) ** 2).mean() + (_network(m, parameters, ends) ** 2).mean()


def _layers(*sizes: int) -> tuple[tuple[int, ...], ...]:
    return tuple(shape for a, b in pairwise(sizes) for shape in ((a, b), (b,)))


_SEQUENCE = ((_STEPS, _BATCH, _INPUT), (_BATCH, _HIDDEN), (_BATCH, _HIDDEN))
_CELL = ((_INPUT, _HIDDEN), (_HIDDEN, _HIDDEN), (_HIDDEN,))
_POINTS = ((10, 1),) * 4
PROGRAMS = {
    "RNN cell, 5 steps": Program(_rnn, _CELL, _SEQUENCE),
    "GRU cell, 5 steps": Program(_gru, _CELL * 3, _SEQUENCE),
    "layer norm of mean and var": Program(_layer_norm, ((16, 16), (16,), (16,)), ((8, 16), (8, 16))),
    "MAML step": Program(_maml, _layers(1, 16, 16, 1), _POINTS, transforms=True),
    "PINN": Program(_pinn, _layers(1, 16, 16, 1), ((32, 1), (32, 1), (2, 1)), transforms=True),
    "hvp of a network": Program(_fit, _layers(2, 16, 16, 1), ((32, 2), (32, 1)), hvp=True),
}


def _draw(program: Program) -> tuple[list[Any], list[Any], list[Any]]:
    """Return parameters, vectors of the same shapes, and data."""
    import numpy as np

    rng = np.random.default_rng(0)

    def draw(shapes: Any, scaled: bool = False) -> list[Any]:
        return [rng.standard_normal(s, np.float32) / np.float32(math.sqrt(s[0]) if scaled else 1) for s in shapes]

    return draw(program.parameters, scaled=True), draw(program.parameters), draw(program.data)


def make(library: str, name: str) -> Work:
    """Return the loss of a program and its gradient, or its Hessian-vector product."""
    program = PROGRAMS[name]
    run = {"minigrad": _minigrad, "torch": _pytorch, "jax": _jax}[library](program, *_draw(program))

    def outputs() -> dict[str, Any]:
        loss, arrays = run()
        found = {f"gradient {i}": array for i, array in enumerate(arrays)}
        return found if program.hvp else {"loss": loss, **found}

    return Work(partial(repeated, run, _UNITS), outputs, _UNITS)


def _minigrad(program: Program, arrays: list[Any], vectors: list[Any], data: list[Any]) -> Function:
    import minigrad as mg

    parameters = [mg.tensor(a, requires_grad=not (program.transforms or program.hvp)) for a in arrays]
    loss = partial(program.loss, mg, mg.grad)

    def backward() -> tuple[Any, list[Any]]:
        for p in parameters:
            p.grad = None
        value = loss(parameters, *data)
        value.backward()
        return value.detach(), [p.grad for p in parameters]

    if program.hvp:
        return lambda: (None, mg.hvp(lambda p: loss(p, *data), [parameters], [vectors])[0])
    return partial(mg.value_and_grad(loss), parameters, *data) if program.transforms else backward


def _pytorch(program: Program, arrays: list[Any], vectors: list[Any], data: list[Any]) -> Function:
    import torch

    parameters = [torch.tensor(a).requires_grad_() for a in arrays]
    vectors, data = [torch.tensor(a) for a in vectors], [torch.tensor(a) for a in data]
    if program.loss is _pinn:
        data[0].requires_grad_()

    def grad(f: Function) -> Function:
        def gradient(x: Any, *others: Any) -> Any:
            found = torch.autograd.grad(f(x, *others), x, create_graph=True)
            return found if isinstance(x, list) else found[0]

        return gradient

    def backward() -> tuple[Any, list[Any]]:
        for p in parameters:
            p.grad = None
        value = program.loss(torch, grad, parameters, *data)
        value.backward(inputs=parameters)  # not with respect to a PINN's points
        return value.detach(), [p.grad for p in parameters]

    def product() -> tuple[Any, Any]:
        value = program.loss(torch, grad, parameters, *data)
        gradients = torch.autograd.grad(value, parameters, create_graph=True)
        return None, torch.autograd.grad(gradients, parameters, vectors)

    return product if program.hvp else backward


def _jax(program: Program, arrays: list[Any], vectors: list[Any], data: list[Any]) -> Function:
    """The whole program, compiled; it waits for the results."""
    from benchmarks.jobs.captioner_in_jax import keep_to_threads

    keep_to_threads()
    jax: Any = importlib.import_module("jax")
    m = SimpleNamespace(**vars(jax.numpy), sigmoid=jax.nn.sigmoid)
    loss = partial(program.loss, m, jax.grad)

    def product(parameters: Any, vectors: Any, *data: Any) -> tuple[Any, Any]:
        return None, jax.jvp(jax.grad(lambda p: loss(p, *data)), (parameters,), (vectors,))[1]

    run = jax.jit(product) if program.hvp else jax.jit(jax.value_and_grad(loss))
    given = jax.device_put([arrays, *([vectors] if program.hvp else []), *data])
    return lambda: jax.block_until_ready(run(*given))
