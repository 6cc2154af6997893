"""The recurrent cells of a captioner: minigrad's layers, with what a captioner asks of each in the same words.

A state is a tuple, (h,) of an RNN and a GRU and (h, c) of an LSTM, each (N, H). Whatever tells them apart is here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops

__all__ = ["CELLS", "CaptionCell", "CaptionGRU", "CaptionLSTM", "CaptionRNN", "State", "check_cell"]

State = tuple[Any, ...]
"""What is known of N captions that are being said: each entry has N rows, and an index takes some of them.

The first entries are the cell's, Tensors; a captioner may add what else it goes by.
"""


class CaptionRNN(nn.RNN):
    """The vanilla RNN, h' = tanh(x Wx + h Wh + b). It has no gates: forget_bias is not used.

    >>> cell = CaptionRNN(3, 4)
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), cell.start(Tensor(np.zeros((2, 4), np.float32))))]
    [(2, 4)]
    """

    gates = 1  # blocks of H columns that Wx, Wh and the biases have
    vectors = 1  # that a state has

    def __init__(self, wordvec_size: int, hidden_size: int, forget_bias: float = 0.0, **options: Any) -> None:
        super().__init__(wordvec_size, hidden_size, **options)

    def start(self, h0: Tensor) -> State:
        """The state that begins with h0 (N, H)."""
        return (h0,)

    def states(self, x: Any, state: State, lengths: Any = None, indices: Any = None) -> Tensor:
        """All h (N, T, H) of sequences that begin in a state; see `nn.RNN` for lengths and indices."""
        h: Tensor = self(x, *state, lengths, indices)[0]
        return h

    def step(self, x: Any, state: State) -> State:
        """The state after x (N, W)."""
        return (ops.rnn_step(x, *state, self.Wx, self.Wh, self.b),)

    def projected(self, x: Any) -> Tensor:
        """What inputs x (N, W) add to the pre-activations, x Wx + b (N, H)."""
        p: Tensor = ops.affine(x, self.Wx, self.b)
        return p

    def advance(self, p: Tensor, state: State) -> State:
        """The state after inputs of which `projected` is p (N, H)."""
        return (ops.tanh(p + state[0] @ self.Wh),)


class CaptionLSTM(nn.LSTM):
    """The LSTM.

    >>> cell = CaptionLSTM(3, 4)
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), cell.start(Tensor(np.zeros((2, 4), np.float32))))]
    [(2, 4), (2, 4)]
    """

    gates = 4
    vectors = 2

    def start(self, h0: Tensor) -> State:
        """The state that begins with h0 (N, H); its c is 0."""
        return h0, Tensor(np.zeros_like(h0.data))

    def states(self, x: Any, state: State, lengths: Any = None, indices: Any = None) -> Tensor:
        """All h (N, T, H) of sequences that begin in a state; see `nn.RNN` for lengths and indices."""
        h: Tensor = self(x, state, lengths, indices)[0]
        return h

    def step(self, x: Any, state: State) -> State:
        """The state after x (N, W)."""
        h, c = ops.lstm_step(x, *state, self.Wx, self.Wh, self.b)
        return h, c

    def projected(self, x: Any) -> Tensor:
        """What inputs x (N, W) add to the pre-activations, x Wx + b (N, 4H)."""
        p: Tensor = ops.affine(x, self.Wx, self.b)
        return p

    def advance(self, p: Tensor, state: State) -> State:
        """The state after inputs of which `projected` is p (N, 4H)."""
        h, c = ops.lstm_cell(p + state[0] @ self.Wh, state[1])
        return h, c


class CaptionGRU(nn.GRU):
    """The GRU. It has no forget gate: forget_bias is not used.

    >>> cell = CaptionGRU(3, 4)
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), cell.start(Tensor(np.zeros((2, 4), np.float32))))]
    [(2, 4)]
    """

    gates = 3
    vectors = 1

    def __init__(self, wordvec_size: int, hidden_size: int, forget_bias: float = 0.0, **options: Any) -> None:
        super().__init__(wordvec_size, hidden_size, **options)

    def start(self, h0: Tensor) -> State:
        """The state that begins with h0 (N, H)."""
        return (h0,)

    def states(self, x: Any, state: State, lengths: Any = None, indices: Any = None) -> Tensor:
        """All h (N, T, H) of sequences that begin in a state; see `nn.RNN` for lengths and indices."""
        h: Tensor = self(x, *state, lengths, indices)[0]
        return h

    def step(self, x: Any, state: State) -> State:
        """The state after x (N, W)."""
        return (ops.gru_step(x, *state, self.Wx, self.Wh, self.bx, self.bh),)

    def projected(self, x: Any) -> Tensor:
        """What inputs x (N, W) add to the pre-activations, x Wx + bx (N, 3H)."""
        p: Tensor = ops.affine(x, self.Wx, self.bx)
        return p

    def advance(self, p: Tensor, state: State) -> State:
        """The state after inputs of which `projected` is p (N, 3H): the equations of `nn.GRU`."""
        (h,), H = state, self.hidden_size
        a = ops.affine(h, self.Wh, self.bh)
        r, z = (ops.sigmoid(p[:, block] + a[:, block]) for block in (slice(H), slice(H, 2 * H)))
        n = ops.tanh(p[:, 2 * H :] + r * a[:, 2 * H :])
        return (n + z * (h - n),)


CaptionCell = CaptionRNN | CaptionLSTM | CaptionGRU

CELLS: dict[str, type[CaptionRNN] | type[CaptionLSTM] | type[CaptionGRU]] = {
    "rnn": CaptionRNN, "lstm": CaptionLSTM, "gru": CaptionGRU,
}  # fmt: skip
"""The cell types by name."""


def check_cell(cell_type: str, among: Sequence[str] = tuple(CELLS)) -> None:
    """Raise a ValueError unless there is such a cell."""
    if cell_type not in among:
        raise ValueError(f"cell_type must be one of {', '.join(map(repr, among))}; got {cell_type!r}")
