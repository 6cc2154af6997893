"""The programs in JAX: those without a loop are minigrad's, compiled; imported only by JAX's rival."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.gradbench import programs
from benchmarks.jobs.captioner_in_jax import keep_to_threads

__all__ = ["compiled"]


def compiled(program: str, inputs: tuple[Any, ...]) -> Callable[[], tuple[Any, ...]]:
    """Return a function that runs a program on inputs and waits for its results."""
    keep_to_threads()
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")
    jax.config.update("jax_enable_x64", True)
    names = {name: getattr(jnp, name) for name in dir(jnp)}
    names |= {"grad": jax.grad, "value_and_grad": jax.value_and_grad, "vjp": jax.vjp, "jacobian": jax.jacfwd}
    names |= {"logsumexp": jax.scipy.special.logsumexp, "sigmoid": jax.nn.sigmoid, "lax": jax.lax, "jvp": jax.jvp}
    run: Any = _WITH_LOOPS.get(program, programs.PROGRAMS[program])
    floats = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]

    def call(*arrays: Any) -> Any:  # indices and sizes are constants
        given = dict(zip(floats, arrays, strict=True))
        return run(SimpleNamespace(**names), *(given.get(i, x) for i, x in enumerate(inputs)))

    compiled_call = jax.jit(call)
    arrays = [jnp.asarray(inputs[i]) for i in floats]

    def run_compiled() -> tuple[Any, ...]:
        results: tuple[Any, ...] = jax.block_until_ready(compiled_call(*arrays))
        return results

    return run_compiled


def _lstm(jax: Any, gates: Any, ends: Any, states: Any, text: Any) -> Any:
    def loss(gates: Any, ends: Any) -> Any:
        layers = programs.layers_of(gates)
        state = [(h, c) for h, c in states]
        _, predicted = jax.lax.scan(lambda s, x: programs.predict(jax, layers, ends, s, x), state, text[:-1])
        return programs.loss_of_predictions(jax, predicted, text[1:])

    value, gradients = jax.value_and_grad(loss, (0, 1))(gates, ends)
    return value, *gradients


def _ode(jax: Any, x: Any, steps: int) -> Any:
    def last(x: Any) -> Any:
        step = lambda i, y: programs.runge_kutta(jax, x, y, 2.0 / steps)  # noqa: E731
        return jax.lax.fori_loop(0, steps, step, jax.zeros_like(x))[-1]

    return (jax.grad(last)(x),)


def _particle(jax: Any, w: Any, newton: int, dt: float) -> Any:
    """Differentiate the loop in forward mode, because its length depends on w."""

    def miss(w: Any) -> Any:
        force = programs.force_of_charges(jax, w)
        start = jax.array([0.0, 8.0]), jax.array([0.75, 0.0]) + 0.0 * w
        x, v = jax.lax.while_loop(
            lambda s: s[0][1] + dt * s[1][1] > 0.0, lambda s: (s[0] + dt * s[1], s[1] + dt * force(s[0])), start
        )
        return (x[0] - x[1] / v[1] * v[0]) ** 2

    for _ in range(newton):
        slope, curvature = jax.jvp(jax.jacobian(miss), (w,), (jax.ones_like(w),))
        w = w - slope / curvature
    return (w,)


def _saddle(jax: Any, start: Any, rate: float) -> Any:
    """Differentiate the inner loop in forward mode, because its length depends on x."""

    def descend(value_and_grad: Callable[..., Any], start: Any) -> Any:
        def body(s: Any) -> Any:
            x, value, slope, rate, successes = s
            ahead = x - rate * slope
            value_ahead, slope_ahead = value_and_grad(ahead)
            down = value_ahead < value
            successes = jax.where(down, successes + 1, 0)
            rate = jax.where(down, jax.where(successes == 10, 2 * rate, rate), rate / 2)
            x, value, slope = (
                jax.where(down, a, b) for a, b in ((ahead, x), (value_ahead, value), (slope_ahead, slope))
            )
            return x, value, slope, rate, successes % 10

        going = lambda s: ~programs.is_short(jax.linalg.norm(s[2]), s[3])  # noqa: E731
        return jax.lax.while_loop(going, body, (start, *value_and_grad(start), rate, 0))[0]

    def f(x: Any, y: Any) -> Any:
        return jax.sum(x * x) - jax.sum(y * y)

    def highest(x: Any) -> Any:
        return descend(jax.value_and_grad(lambda y: -f(x, y)), start)

    def outer(x: Any) -> Any:
        return f(x, highest(x))

    x = descend(lambda x: (outer(x), jax.jacobian(outer)(x)), start)
    return x, highest(x)


_WITH_LOOPS: dict[str, Callable[..., Any]] = {"lstm": _lstm, "ode": _ode, "particle": _particle, "saddle": _saddle}
