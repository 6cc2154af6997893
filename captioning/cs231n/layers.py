"""The layers of the exercises: forward and backward passes, and numerical gradients to check them.

A forward pass calls a primitive of `minigrad.ops`. Its `cache` is the pullback, which the backward pass calls; you can
use it repeatedly. All arrays are NumPy arrays. Their sizes are N batch, T steps, D input, H hidden, M output, V words;
the gates are i f o g. If shapes do not fit, the primitive raises a ValueError. Source: homework, the captioning
exercises (CS231n).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from minigrad import Tensor, ops

__all__ = [
    "affine_backward", "affine_forward", "eval_numerical_gradient", "eval_numerical_gradient_array", "lstm_backward",
    "lstm_forward", "lstm_step_backward", "lstm_step_forward", "rel_error", "rnn_backward", "rnn_forward",
    "rnn_step_backward", "rnn_step_forward", "sigmoid", "temporal_affine_backward", "temporal_affine_forward",
    "temporal_softmax_loss", "word_embedding_backward", "word_embedding_forward",
]  # fmt: skip

Array = NDArray[Any]
Cache = Callable[..., tuple[Tensor, ...]]


def _forward(layer: Callable[..., Tensor], *inputs: Array) -> tuple[Array, Cache]:
    out, cache = mg.vjp(layer, *inputs)
    return out.data, cache


def _arrays(tensors: Any) -> tuple[Array, ...]:
    return tuple(t.data for t in tensors)


def affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Flatten x (N, d_1, …, d_k) to (N,D), and multiply by w (D,M) and add b (M,). Returns out (N,M), cache.

    >>> out, cache = affine_forward(np.ones((2, 3, 4)), np.ones((12, 5)), np.zeros(5))
    >>> out.shape, [gradient.shape for gradient in affine_backward(np.ones((2, 5)), cache)]
    ((2, 5), [(2, 3, 4), (12, 5), (5,)])
    """
    rows = (*np.shape(x)[:1], math.prod(np.shape(x)[1:]))
    return _forward(lambda x, w, b: ops.affine(ops.reshape(x, rows), w, b), x, w, b)


def affine_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx of x's shape, dw, db."""
    return _arrays(cache(dout))


def sigmoid(x: ArrayLike) -> Array:
    """Return 1 / (1 + exp(-x)) for each entry, without overflow.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return ops.sigmoid(x).data  # type: ignore[no-any-return]


def rnn_step_forward(x: Array, prev_h: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """Run one step of a vanilla RNN: x (N,D), prev_h (N,H), Wx (D,H), Wh (H,H), b (H,). Returns next_h (N,H), cache."""
    return _forward(ops.rnn_step, x, prev_h, Wx, Wh, b)


def rnn_step_backward(dnext_h: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx, dprev_h, dWx, dWh, db of the shapes of the inputs."""
    return _arrays(cache(dnext_h))


def rnn_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """Run a vanilla RNN over x (N,T,D) from h0 (N,H). Returns h (N,T,H), cache."""
    return _forward(ops.rnn, x, h0, Wx, Wh, b)


def rnn_backward(dh: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx, dh0, dWx, dWh, db. dh (N,T,H) has the gradient of the loss at each step alone."""
    return _arrays(cache(dh))


def lstm_step_forward(
    x: Array, prev_h: Array, prev_c: Array, Wx: Array, Wh: Array, b: Array
) -> tuple[Array, Array, Cache]:
    """Run one step of an LSTM: Wx (D,4H), Wh (H,4H), b (4H,). Returns next_h, next_c (N,H), cache."""
    (h, c), cache = mg.vjp(ops.lstm_step, x, prev_h, prev_c, Wx, Wh, b)
    return h.data, c.data, cache


def lstm_step_backward(dnext_h: Array, dnext_c: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx, dprev_h, dprev_c, dWx, dWh, db."""
    return _arrays(cache(dnext_h, dnext_c))


def lstm_forward(x: Array, h0: Array, Wx: Array, Wh: Array, b: Array) -> tuple[Array, Cache]:
    """Run an LSTM over x (N,T,D) from h0 (N,H) and a cell state of 0. Returns h (N,T,H), cache."""
    return _forward(lambda *args: ops.lstm(*args)[0], x, h0, Wx, Wh, b)


def lstm_backward(dh: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx, dh0, dWx, dWh, db, from dh (N,T,H)."""
    return _arrays(cache(dh))


def word_embedding_forward(x: Array, W: Array) -> tuple[Array, Cache]:
    """Look up the word vectors W (V,D) of word ids x (N,T). Returns out (N,T,D), cache."""
    return _forward(lambda weight: ops.embedding(np.asarray(x), weight), W)


def word_embedding_backward(dout: Array, cache: Cache) -> Array:
    """Return dW (V,D)."""
    return _arrays(cache(dout))[0]


def temporal_affine_forward(x: Array, w: Array, b: Array) -> tuple[Array, Cache]:
    """Compute x (N,T,D) w (D,M) + b (M,) at every step. Returns out (N,T,M), cache."""
    return _forward(ops.temporal_affine, x, w, b)


def temporal_affine_backward(dout: Array, cache: Cache) -> tuple[Array, ...]:
    """Return dx, dw, db."""
    return _arrays(cache(dout))


def temporal_softmax_loss(x: Array, y: Array, mask: Array, verbose: bool = False) -> tuple[float, Array]:
    """Sum the cross-entropy of scores x (N,T,V) for words y (N,T) over the steps where mask (N,T), and divide by N.

    Returns the loss and dx (N,T,V); `verbose` prints the shape of dx.
    """
    loss, dx = mg.value_and_grad(lambda scores: ops.temporal_softmax_loss(scores, np.asarray(y), np.asarray(mask)))(x)
    if verbose:
        print("dx: ", dx.shape)
    return float(loss.item()), dx.data


# ---------------------------------------------------------------------- numerical gradients
# For each entry f'(x) is about (f(x + h) - f(x - h)) / 2h. The error falls with h^2, but round-off grows with 1/h. In
# float64 the best h is near 1e-5.


def eval_numerical_gradient(f: Callable[[Array], float], x: Array, verbose: bool = True, h: float = 1e-5) -> Array:
    """Return the numerical gradient of the scalar function f at x.

    x is changed in place and restored, so f may read x itself, such as `model.params[…]`, instead of its argument.
    `verbose` prints each entry.
    """
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = difference
        if verbose:
            print(index, gradient[index])
    return gradient


def eval_numerical_gradient_array(f: Callable[[Array], Array], x: Array, df: Array, h: float = 1e-5) -> Array:
    """Return the numerical gradient of <df, f(x)>, where f returns an array of df's shape."""
    gradient = np.zeros_like(x)
    for index, difference in _differences(f, x, h):
        gradient[index] = np.sum(difference * df)
    return gradient


def _differences(f: Callable[[Array], Any], x: Array, h: float) -> Any:
    """Yield the index of each entry of x, and (f(x + h) - f(x - h)) / 2h."""
    for index in np.ndindex(x.shape):
        kept = x[index]
        x[index] = kept + h
        above = np.array(f(x))
        x[index] = kept - h
        below = np.array(f(x))
        x[index] = kept
        yield index, (above - below) / (2 * h)


def rel_error(x: ArrayLike, y: ArrayLike) -> float:
    """Return the largest |x - y| / max(1e-8, |x| + |y|) of all entries."""
    a, b = np.asarray(x), np.asarray(y)
    return float(np.max(np.abs(a - b) / np.maximum(1e-8, np.abs(a) + np.abs(b))))
