"""The captioner in JAX, as its users would write it: a scan over the steps, compiled; imported only by JAX's rival."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

__all__ = ["keep_to_threads", "training"]


def keep_to_threads() -> None:
    """Bind the process to OMP_NUM_THREADS processors. JAX has no other setting for its number of threads."""
    number = int(os.environ.get("OMP_NUM_THREADS", "0"))
    if number and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:number])


def training(
    weights: dict[str, Any], features: Any, rate: float = 1e-3
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Functions of word ids (N, 17): the loss with the gradients by our names, and one iteration with Adam."""
    keep_to_threads()
    jax: Any = importlib.import_module("jax")
    jnp: Any = importlib.import_module("jax.numpy")

    H = weights["Wh"].shape[0]
    is_lstm = weights["Wh"].shape[1] > H

    def cell(state: tuple[Any, Any], a: Any) -> tuple[tuple[Any, Any], Any]:
        h, c = state
        if not is_lstm:
            h = jnp.tanh(a)
            return (h, c), h
        i, f, o = (jax.nn.sigmoid(a[:, k * H : (k + 1) * H]) for k in range(3))
        c = f * c + i * jnp.tanh(a[:, 3 * H :])
        h = o * jnp.tanh(c)
        return (h, c), h

    def loss_of(p: dict[str, Any], captions: Any) -> Any:
        words_in, words_out = captions[:, :-1].T, captions[:, 1:].T
        h0 = features @ p["W_proj"] + p["b_proj"]
        rows = p["W_embed"][words_in] @ p["Wx"] + p["b"]
        _, h = jax.lax.scan(lambda s, row: cell(s, row + s[0] @ p["Wh"]), (h0, jnp.zeros_like(h0)), rows)
        scores = jax.nn.log_softmax(h @ p["W_vocab"] + p["b_vocab"])
        told = jnp.take_along_axis(scores, words_out[..., None], axis=2)[..., 0]
        return -jnp.where(words_out != 0, told, 0).sum() / captions.shape[0]

    gradients = jax.jit(jax.value_and_grad(loss_of))

    def update(p: Any, m: Any, v: Any, t: Any, captions: Any) -> Any:
        _, g = jax.value_and_grad(loss_of)(p, captions)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        root = jnp.sqrt(1 - 0.999**t)
        size = rate * root / (1 - 0.9**t)
        return jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) + 1e-8 * root), p, m, v), m, v, t + 1

    iteration = jax.jit(update, donate_argnums=(0, 1, 2))
    p = {name: jnp.array(weight) for name, weight in weights.items()}
    features = jnp.array(features)
    state = [
        {name: jnp.array(w) for name, w in weights.items()},
        *({n: jnp.zeros_like(w) for n, w in p.items()} for _ in "mv"),
        1.0,
    ]

    def once(captions: Any) -> None:
        state[:] = iteration(*state, captions)
        jax.block_until_ready(state[0])

    return lambda captions: gradients(p, captions), once
