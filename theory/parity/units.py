"""Parity by recurrence: the printed unit and the corrected one, and two threshold units.

Bits stand in arrays (T,) or (N, T), N sequences of T bits each; y_t is the parity of the first t of them. A
unit is a formula for the next state from the state h and the bit x. It is ordinary arithmetic, so it runs on
numbers, arrays and tensors alike.

Source: homework 3-1 and its alternative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Bits", "all_sequences", "as_bits", "check_length", "or_unit", "parity", "printed_linear_network",
    "printed_network", "run_unit", "sequences_up_to", "step", "step_rnn", "threshold_network", "threshold_weights",
    "xor_unit",
]  # fmt: skip

Bits = NDArray[np.int64]
Weights = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def as_bits(bits: ArrayLike, caller: str = "as_bits") -> Bits:
    """Bits as an integer array (T,) or (N, T); T = 0 is allowed.

    Raises:
        ValueError: for another number of axes, rows of unequal lengths, or an entry that is not 0 or 1; it names the
            first one.

    >>> as_bits([1, 0, True])
    array([1, 0, 1])
    >>> as_bits([0, 2])
    Traceback (most recent call last):
    ValueError: as_bits: bits must be 0 or 1; entry (1,) is 2
    """
    try:
        array = np.asarray(bits)
    except ValueError:
        raise ValueError(f"{caller}: bits must have shape (T,) or (N, T), but the rows differ in length") from None
    if array.ndim not in (1, 2):
        raise ValueError(f"{caller}: bits must have shape (T,) or (N, T), not {array.shape}")
    wrong = ~np.isin(array, (0, 1))
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        raise ValueError(f"{caller}: bits must be 0 or 1; entry {at} is {array[at]}")
    return array.astype(np.int64)


def check_length(caller: str, length: int, least: int = 1) -> None:
    """Raise ValueError unless a length is a whole number of at least `least`.

    >>> check_length("run", 2.5)
    Traceback (most recent call last):
    ValueError: run: the length must be a whole number of at least 1; got 2.5
    """
    if not isinstance(length, int | np.integer) or length < least:
        raise ValueError(f"{caller}: the length must be a whole number of at least {least}; got {length!r}")


def parity(bits: ArrayLike) -> Bits:
    """The truth: y_t = x_1 xor … xor x_t, of the shape of `bits`. Raises as `as_bits`.

    >>> parity([1, 1, 0, 1])
    array([1, 0, 0, 1])
    """
    return np.bitwise_xor.accumulate(as_bits(bits, "parity"), axis=-1)


def all_sequences(length: int) -> Bits:
    """All 2^T bit sequences of a length T in lexicographic order, (2^T, T). A T below 0 is a ValueError.

    >>> all_sequences(2)
    array([[0, 0], [0, 1], [1, 0], [1, 1]])
    """
    check_length("all_sequences", length, 0)
    return np.arange(2**length)[:, None] >> np.arange(length)[::-1] & 1


def sequences_up_to(length: int) -> Iterator[tuple[int, ...]]:
    """Every bit sequence of 1 to `length` bits, the shortest first, then lexicographic.

    >>> list(sequences_up_to(2))
    [(0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1)]
    """
    check_length("sequences_up_to", length, 0)
    for T in range(1, length + 1):
        yield from product((0, 1), repeat=T)


# One unit that multiplies ----------------------------------------------------------------------------


def or_unit(h: Any, x: Any) -> Any:
    """h + x - h x, printed as XOR; on bits it is OR.

    >>> [or_unit(h, x) for h in (0, 1) for x in (0, 1)]
    [0, 1, 1, 1]
    """
    return h + x - h * x


def xor_unit(h: Any, x: Any) -> Any:
    """h + x - 2 h x, which is XOR on bits. In the encoding 1 - 2h it is a product: 1 - 2h' = (1 - 2h)(1 - 2x).

    >>> [xor_unit(h, x) for h in (0, 1) for x in (0, 1)]
    [0, 1, 1, 0]
    """
    return h + x - 2 * h * x


def run_unit(unit: Callable[[Any, Any], Any], bits: Any) -> list[Any]:
    """The states h_1, …, h_T of a unit that starts from h_0 = 0.

    bits: x_1, …, x_T, each a number, an array or a tensor; all of one shape.

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
    """1 where a > 0, else 0; so step(0) = 0.

    >>> step([-0.5, 0, 0.5])
    array([0., 0., 1.])
    """
    return (np.asarray(a) > 0).astype(np.float64)


def threshold_weights() -> Weights:
    """Wx (1, 2), Wh (2, 2), b (2,) of the parity network: an OR and an AND of the parity so far and the bit.

    The parity so far is h1 - h2, so both units have the recurrent weights 1 from h1 and -1 from h2 (a column
    of Wh each, in the convention h @ Wh).

    >>> threshold_weights()[1]
    array([[ 1.,  1.], [-1., -1.]])
    """
    return np.array([[1.0, 1.0]]), np.array([[1.0, 1.0], [-1.0, -1.0]]), np.array([-0.5, -1.5])


def step_rnn(x: ArrayLike, h0: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """The twin of `mg.ops.rnn` with `step` for tanh: h_t = step(x_t Wx + h_{t-1} Wh + b).

    Args:
        x: (N, T, D). h0: (N, H). Wx: (D, H). Wh: (H, H). b: (H,).

    Returns:
        all states (N, T, H); exact if all weights are dyadic rationals, such as halves.

    Raises:
        ValueError: if the shapes do not fit; it names the argument.

    >>> Wx, Wh, b = threshold_weights()
    >>> step_rnn([[[1], [1]]], [[0, 0]], Wx, Wh, b)  # the bits 1 1
    array([[[1., 0.], [1., 1.]]])
    """
    x, h, Wx, Wh, b = (np.asarray(a, np.float64) for a in (x, h0, Wx, Wh, b))
    if x.ndim != 3:
        raise ValueError(f"step_rnn: x must have 3 axes (N, T, D), not shape {x.shape}")
    N, T, D = x.shape
    H = h.shape[-1] if h.ndim else 0
    wanted = {"h0": (h, (N, H)), "Wx": (Wx, (D, H)), "Wh": (Wh, (H, H)), "b": (b, (H,))}
    for name, (array, shape) in wanted.items():
        if array.shape != shape:
            raise ValueError(f"step_rnn: {name} must have shape {shape}, not {array.shape}")
    states = np.empty((N, T, H))
    driven = x @ Wx + b
    for t in range(T):
        h = step(driven[:, t] + h @ Wh)
        states[:, t] = h
    return states


def threshold_network(bits: ArrayLike) -> tuple[Bits, NDArray[np.float64]]:
    """The corrected two-unit network on bits (T,) or (N, T): y of that shape, and the states (…, T, 2).

    Raises as `as_bits`.

    >>> y, h = threshold_network([1, 1, 1])
    >>> y
    array([1, 0, 1])
    >>> h
    array([[1., 0.], [1., 1.], [1., 0.]])
    """
    bits = as_bits(bits, "threshold_network")
    x = np.atleast_2d(bits)[..., None]
    states = step_rnn(x, np.zeros((len(x), 2)), *threshold_weights()).reshape(*bits.shape, 2)
    return (states[..., 0] - states[..., 1]).astype(np.int64), states


def printed_network(bits: ArrayLike) -> tuple[Bits, NDArray[np.float64]]:
    """The network as printed, each unit fed by its own past, with `step` for the function that is not written.

    h1 = step(h1 + x - 1/2), h2 = step(h2 + x - 3/2), y = [h1 - h2 - 1/2 > 0]: y of the shape of `bits`, and
    the states (…, T, 2). It is the same recurrence with Wh = [[1, 0], [0, 1]]. Raises as `as_bits`.

    >>> printed_network([1, 1])[0]
    array([1, 1])
    """
    bits = as_bits(bits, "printed_network")
    x = np.atleast_2d(bits)[..., None]
    Wx, _, b = threshold_weights()
    states = step_rnn(x, np.zeros((len(x), 2)), Wx, np.eye(2), b).reshape(*bits.shape, 2)
    return step(states[..., 0] - states[..., 1] - 0.5).astype(np.int64), states


def printed_linear_network(bits: ArrayLike) -> tuple[Bits, NDArray[np.float64]]:
    """The network as printed, taken at its word: without a function between a unit's input and its state.

    h1 = h1 + x - 1/2, h2 = h2 + x - 3/2, so h1 - h2 = t after t bits, whatever they are. As `printed_network`.

    >>> printed_linear_network([0, 0])[0]
    array([1, 1])
    """
    bits = as_bits(bits, "printed_linear_network")
    states = np.cumsum(bits[..., None] - np.array([0.5, 1.5]), axis=-2)
    return step(states[..., 0] - states[..., 1] - 0.5).astype(np.int64), states
