"""Parity by recurrence: the printed unit, the corrected one, and two threshold units.

Bits are arrays (T,) or (N, T), N sequences of T bits each; y_t is the parity of the first t of them. A unit is a
formula for the next state from the state h and the bit x. It runs on numbers, arrays and tensors.

Source: homework 3-1 and its alternative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Bits", "all_sequences", "as_bits", "or_unit", "parity", "printed_linear_network",
    "printed_network", "run_unit", "sequences_up_to", "step", "step_rnn", "threshold_network", "threshold_weights",
    "xor_unit",
]  # fmt: skip

Bits = NDArray[np.int64]
Weights = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def as_bits(bits: ArrayLike) -> Bits:
    """Return bits as an integer array (T,) or (N, T); ValueError for anything else.

    >>> as_bits([1, 0, True])
    array([1, 0, 1])
    """
    array = np.asarray(bits)
    if array.ndim not in (1, 2):
        raise ValueError(f"bits must have the shape (T,) or (N, T), not {array.shape}")
    wrong = array[~np.isin(array, (0, 1))]
    if wrong.size:
        raise ValueError(f"bits must be 0 or 1, not {wrong[0]}")
    return array.astype(np.int64)


def parity(bits: ArrayLike) -> Bits:
    """Return y_t = x_1 xor … xor x_t, of the shape of `bits`.

    >>> parity([1, 1, 0, 1])
    array([1, 0, 0, 1])
    """
    return np.bitwise_xor.accumulate(as_bits(bits), axis=-1)


def all_sequences(length: int) -> Bits:
    """Return all 2^T bit sequences of a length T in lexicographic order, (2^T, T).

    >>> all_sequences(2)
    array([[0, 0], [0, 1], [1, 0], [1, 1]])
    """
    return np.arange(2**length)[:, None] >> np.arange(length)[::-1] & 1


def sequences_up_to(length: int) -> Iterator[tuple[int, ...]]:
    """Yield every bit sequence of 1 to `length` bits, the shortest first, then in lexicographic order.

    >>> list(sequences_up_to(2))
    [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)]
    """
    for T in range(1, length + 1):
        yield from product((0, 1), repeat=T)


# One unit that multiplies ----------------------------------------------------------------------------


def or_unit(h: Any, x: Any) -> Any:
    """Return h + x - h x, which the source prints as XOR; on bits it is OR.

    >>> [or_unit(h, x) for h in (0, 1) for x in (0, 1)]
    [0, 1, 1, 1]
    """
    return h + x - h * x


def xor_unit(h: Any, x: Any) -> Any:
    """Return h + x - 2 h x, which is XOR on bits. For the signs 1 - 2h and 1 - 2x it is a product.

    >>> [xor_unit(h, x) for h in (0, 1) for x in (0, 1)]
    [0, 1, 1, 0]
    """
    return h + x - 2 * h * x


def run_unit(unit: Callable[[Any, Any], Any], bits: Any) -> list[Any]:
    """Return the states h_1, …, h_T of a unit that starts from h_0 = 0.

    bits: x_1, …, x_T, numbers, arrays or tensors of one shape.

    >>> run_unit(xor_unit, [1, 1, 0, 1])
    [1, 0, 0, 1]
    """
    states, h = [], 0
    for x in bits:
        h = unit(h, x)
        states.append(h)
    return states


# Two threshold units ---------------------------------------------------------------------------------


def step(a: ArrayLike) -> NDArray[np.float64]:
    """Return 1 where a > 0, else 0; so step(0) = 0.

    >>> step([-0.5, 0, 0.5])
    array([0., 0., 1.])
    """
    return (np.asarray(a) > 0).astype(np.float64)


def threshold_weights() -> Weights:
    """Return Wx (1, 2), Wh (2, 2), b (2,) of the parity network: an OR and an AND of the parity so far and the bit.

    The parity so far is h1 - h2, so both units have the recurrent weights 1 from h1 and -1 from h2 (with h @ Wh, a
    column of Wh each).

    >>> threshold_weights()[1]
    array([[ 1.,  1.], [-1., -1.]])
    """
    return np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([-0.5, -1.5])


def step_rnn(x: ArrayLike, h0: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Run `mg.ops.rnn` with `step` for tanh: h_t = step(x_t Wx + h_{t-1} Wh + b); all states (N, T, H).

    x: (N, T, D). h0: (N, H). Wx: (D, H). Wh: (H, H). b: (H,). It is exact for dyadic weights, such as halves.

    >>> Wx, Wh, b = threshold_weights()
    >>> step_rnn([[[1], [1]]], [[0, 0]], Wx, Wh, b)  # the bits 1 1
    array([[[1., 0.], [1., 1.]]])
    """
    x, h, Wx, Wh, b = (np.asarray(a, np.float64) for a in (x, h0, Wx, Wh, b))
    N, T, _ = x.shape
    states = np.empty((N, T, len(b)))
    driven = x @ Wx + b
    for t in range(T):
        h = step(driven[:, t] + h @ Wh)
        states[:, t] = h
    return states


def threshold_network(bits: ArrayLike) -> tuple[Bits, NDArray[np.float64]]:
    """Run the corrected two-unit network on bits (T,) or (N, T): y of that shape, and the states (…, T, 2).

    >>> y, h = threshold_network([1, 1, 1])
    >>> y
    array([1, 0, 1])
    >>> h
    array([[1., 0.], [1., 1.], [1., 0.]])
    """
    bits = as_bits(bits)
    x = np.atleast_2d(bits)[..., None]
    states = step_rnn(x, np.zeros((len(x), 2)), *threshold_weights()).reshape(*bits.shape, 2)
    return (states[..., 0] - states[..., 1]).astype(np.int64), states


def printed_network(bits: ArrayLike, product: bool = True) -> tuple[Bits, NDArray[np.float64]]:
    """Run the network as printed, each unit fed by its own past, with `step` for the unwritten function.

    h1_t = step(h1_{t-1} + x_t - 1/2), h2_t = step(h2_{t-1} + h1_t x_t - 3/2), y_t = [h1_t - h2_t - 1/2 > 0].

    Args:
        bits: (T,) or (N, T).
        product: whether the second unit reads h1_t x_t; otherwise it reads x_t, the other reading of the source.

    Returns:
        y of the shape of `bits`, and the states (…, T, 2).

    >>> printed_network([1, 1])[0]
    array([1, 1])
    """
    return _run_printed(bits, product, step)


def printed_linear_network(bits: ArrayLike, product: bool = True) -> tuple[Bits, NDArray[np.float64]]:
    """Run the network literally as printed, with no function between a unit's input and its state.

    If the second unit reads x_t, not h1_t x_t, h1 - h2 = t after any t bits.

    >>> printed_linear_network([0, 0])[0]
    array([1, 1])
    """
    return _run_printed(bits, product, np.asarray)


def _run_printed(bits: ArrayLike, product: bool, activation: Any) -> tuple[Bits, NDArray[np.float64]]:
    bits = as_bits(bits)
    states = np.zeros((*bits.shape, 2))
    h1 = h2 = np.zeros(bits.shape[:-1])
    for t in range(bits.shape[-1]):
        x = bits[..., t]
        h1 = activation(h1 + x - 0.5)
        h2 = activation(h2 + (h1 * x if product else x) - 1.5)
        states[..., t, 0], states[..., t, 1] = h1, h2
    return step(states[..., 0] - states[..., 1] - 0.5).astype(np.int64), states
