"""Gradients through time in networks: a tanh RNN, and an LSTM's cell path.

- tanh RNN, h_t = tanh(x_t Wx + h_{t-1} Wh + b): dh_t/dh_{t-1} = diag(1 - h_t^2) Wh', so the norm of dh_k/dh_0 is
  at most the product over the steps of sigma_max(Wh) max(1 - h_t^2).
- LSTM, c_t = f_t c_{t-1} + i_t g_t: without recurrent weights the gates do not depend on the state, so
  dc_k/dc_0 = diag(f_1 … f_k), and its k-th root is the geometric mean of the forget gates.

`mg.jacobian` computes the derivatives, through `mg.ops.rnn` and `mg.ops.lstm` or their single steps, of one sequence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from theory.eigenvalues.powers import as_square, spectral_norm

__all__ = ["cell_jacobians", "forget_gates", "rnn_bounds", "rnn_jacobians", "rnn_states"]


def rnn_states(x: ArrayLike, h0: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return h_1, …, h_T of a tanh RNN, (T, H). x: (T, D). h0: (H,). Wx: (D, H). Wh: (H, H). b: (H,).

    >>> rnn_states([[0.0]], [1.0], [[1.0]], [[1.0]], [0.0]).round(2)
    array([[0.76]])
    """
    return np.array(mg.ops.rnn(np.asarray(x)[None], np.asarray(h0)[None], Wx, Wh, b).numpy()[0])


def rnn_jacobians(
    x: ArrayLike, h0: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, stepwise: bool = False
) -> NDArray[np.float64]:
    """Return dh_1/dh_0, …, dh_T/dh_0 of a tanh RNN, (T, H, H); arguments as in `rnn_states`.

    stepwise: through `mg.ops.rnn_step` T times rather than `mg.ops.rnn` once.

    >>> rnn_jacobians([[0.0], [0.0]], [0.0], [[1.0]], [[0.5]], [0.0]).ravel()
    array([0.5 , 0.25])
    """
    x, Wx, Wh, b = (np.asarray(a, dtype=np.float64) for a in (x, Wx, Wh, b))

    def run(h: Any) -> Any:
        h = mg.reshape(h, (1, -1))
        if not stepwise:
            return mg.ops.rnn(x[None], h, Wx, Wh, b)[0]
        states = []
        for t in range(len(x)):
            h = mg.ops.rnn_step(x[t : t + 1], h, Wx, Wh, b)
            states.append(h)
        return mg.concatenate(states, axis=0)

    return np.array(mg.jacobian(run)(mg.tensor(np.asarray(h0, dtype=np.float64))).numpy())


def rnn_bounds(states: ArrayLike, Wh: ArrayLike) -> NDArray[np.float64]:
    """Return prod_{s<=t} sigma_max(Wh) max(1 - h_s^2) for t = 1, …, T: upper bounds of ||dh_t/dh_0||; (T,).

    states: h_1, …, h_T, (T, H). Wh: (H, H).

    >>> rnn_bounds([[0.0, 0.0], [0.5, 0.5]], [[2.0, 0.0], [0.0, 1.0]])
    array([2., 3.])
    """
    Wh, h = as_square(Wh, "rnn_bounds", "Wh"), np.asarray(states, dtype=np.float64)
    return np.cumprod(spectral_norm(Wh) * (1.0 - h**2).max(axis=1))


def cell_jacobians(
    x: ArrayLike, h0: ArrayLike, c0: ArrayLike, Wx: ArrayLike, Wh: ArrayLike, b: ArrayLike, stepwise: bool = False
) -> NDArray[np.float64]:
    """Return dc_1/dc_0, …, dc_T/dc_0 of an LSTM, (T, H, H).

    x: (T, D). h0, c0: (H,). Wx: (D, 4H). Wh: (H, 4H). b: (4H,). Gates in the order i, f, o, g.
    stepwise: through `mg.ops.lstm_step` T times rather than `mg.ops.lstm` once.

    >>> cell_jacobians([[0.0], [0.0]], [0.0], [0.0], np.zeros((1, 4)), np.zeros((1, 4)), np.zeros(4)).ravel()
    array([0.5 , 0.25])
    """
    x, h0, Wx, Wh, b = (np.asarray(a, dtype=np.float64) for a in (x, h0, Wx, Wh, b))

    def run(c: Any) -> Any:
        c = mg.reshape(c, (1, -1))
        h = mg.tensor(h0[None])
        if not stepwise:
            return mg.ops.lstm(x[None], h, Wx, Wh, b, c)[1][0]
        cells = []
        for t in range(len(x)):
            h, c = mg.ops.lstm_step(x[t : t + 1], h, c, Wx, Wh, b)
            cells.append(c)
        return mg.concatenate(cells, axis=0)

    return np.array(mg.jacobian(run)(mg.tensor(np.asarray(c0, dtype=np.float64))).numpy())


def forget_gates(x: ArrayLike, Wx: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Return f_1, …, f_T of an LSTM without recurrent weights, the second of four blocks; (T, H).

    x: (T, D). Wx: (D, 4H). b: (4H,).

    >>> forget_gates([[0.0]], np.zeros((1, 4)), [0, 1, 0, 0]).round(3)
    array([[0.731]])
    """
    x, Wx, b = (np.asarray(a, dtype=np.float64) for a in (x, Wx, b))
    H = b.size // 4
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * (x @ Wx + b)[:, H : 2 * H])))  # the sigmoid, without overflow
