"""The recurrent cells of captioners: minigrad's layers with a common interface for training and decoding.

A state is a tuple of arrays (N, H): (h,) for an RNN or a GRU, (h, c) for an LSTM.
"""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np

from minigrad import Tensor, nn, ops

__all__ = ["CELLS", "CaptionGRU", "CaptionLSTM", "CaptionRNN", "State"]

State = tuple[Any, ...]
"""The state of N captions during decoding. Each entry has N rows, and an index selects some of them.

The first entries are the Tensors of the cell. A captioner may add entries of its own.
"""


class _Cell:
    """The methods that every cell adds to its layer."""

    gates: ClassVar[int] = 1  # blocks of H columns in Wx, Wh and the biases
    vectors: ClassVar[int] = 1  # arrays in a state
    Wx: Any
    b: Any

    def start(self, h0: Tensor) -> State:
        """Return the first state, from h0 (N, H)."""
        return (h0,)

    def states(self, x: Any, state: State, lengths: Any = None, indices: Any = None) -> Tensor:
        """Return all h (N, T, H) of sequences that start in a state; see `nn.RNN` for lengths and indices."""
        layer: Any = self
        return cast(Tensor, layer(x, state[0] if self.vectors == 1 else state, lengths, indices)[0])

    def projected(self, x: Any) -> Tensor:
        """Return what inputs x (N, W) add to the pre-activations, x Wx + b (N, gates H)."""
        return cast(Tensor, ops.affine(x, self.Wx, self.b))


class CaptionRNN(_Cell, nn.RNN):
    """The vanilla RNN, h' = tanh(x Wx + h Wh + b).

    >>> cell = CaptionRNN(3, 4)
    >>> state = cell.start(Tensor(np.zeros((2, 4), np.float32)))
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), state)]
    [(2, 4)]
    """

    def step(self, x: Any, state: State) -> State:
        """Return the state after inputs x (N, W)."""
        return (ops.rnn_step(x, *state, self.Wx, self.Wh, self.b),)

    def advance(self, p: Tensor, state: State) -> State:
        """Return the state after inputs whose `projected` is p (N, H)."""
        return (ops.tanh(p + state[0] @ self.Wh),)


class CaptionLSTM(_Cell, nn.LSTM):
    """The LSTM, whose state is (h, c)."""

    gates = 4
    vectors = 2

    def start(self, h0: Tensor) -> State:
        """Return the first state, from h0 (N, H) and c = 0."""
        return h0, Tensor(np.zeros_like(h0.data))

    def step(self, x: Any, state: State) -> State:
        """Return the state after inputs x (N, W)."""
        return tuple(ops.lstm_step(x, *state, self.Wx, self.Wh, self.b))

    def advance(self, p: Tensor, state: State) -> State:
        """Return the state after inputs whose `projected` is p (N, 4H)."""
        return tuple(ops.lstm_cell(p + state[0] @ self.Wh, state[1]))


class CaptionGRU(_Cell, nn.GRU):
    """The GRU."""

    gates = 3

    def step(self, x: Any, state: State) -> State:
        """Return the state after inputs x (N, W)."""
        return (ops.gru_step(x, *state, self.Wx, self.Wh, self.bx, self.bh),)

    def projected(self, x: Any) -> Tensor:
        """Return what inputs x (N, W) add to the pre-activations, x Wx + bx (N, 3H)."""
        return cast(Tensor, ops.affine(x, self.Wx, self.bx))

    def advance(self, p: Tensor, state: State) -> State:
        """Return the state after inputs whose `projected` is p (N, 3H), by the equations of `nn.GRU`."""
        (h,), H = state, self.hidden_size
        a = ops.affine(h, self.Wh, self.bh)
        r, z = (ops.sigmoid(p[:, block] + a[:, block]) for block in (slice(H), slice(H, 2 * H)))
        n = ops.tanh(p[:, 2 * H :] + r * a[:, 2 * H :])
        return (n + z * (h - n),)


CELLS: dict[str, type[CaptionRNN] | type[CaptionLSTM] | type[CaptionGRU]] = {
    "rnn": CaptionRNN, "lstm": CaptionLSTM, "gru": CaptionGRU,
}  # fmt: skip
"""The cell types by name."""
