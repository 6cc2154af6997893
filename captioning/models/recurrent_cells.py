"""The recurrent cells of a captioner: minigrad's layers, with what a captioner asks of either in the same words.

A state is a tuple, (h,) of an RNN and (h, c) of an LSTM, each (N, H). Whatever tells the two apart is here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad import Tensor, nn, ops

__all__ = ["CELLS", "CaptionLSTM", "CaptionRNN", "State", "check_cell"]

State = tuple[Tensor, ...]


class CaptionRNN(nn.RNN):
    """The vanilla RNN, h' = tanh(x Wx + h Wh + b). It has no gates: forget_bias is not used.

    >>> cell = CaptionRNN(3, 4)
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), cell.start(Tensor(np.zeros((2, 4), np.float32))))]
    [(2, 4)]
    """

    gates = 1  # blocks of H columns that Wx, Wh and b have

    def __init__(self, wordvec_size: int, hidden_size: int, forget_bias: float = 0.0, **options: Any) -> None:
        super().__init__(wordvec_size, hidden_size, **options)

    def start(self, h0: Tensor) -> State:
        """The state that begins with h0 (N, H)."""
        return (h0,)

    def states(self, x: Any, h0: Tensor, lengths: Any = None, indices: Any = None) -> Tensor:
        """All h (N, T, H) of sequences that begin with h0; see `nn.RNN` for lengths and indices."""
        h: Tensor = self(x, h0, lengths, indices)[0]
        return h

    def step(self, x: Any, state: State) -> State:
        """The state after x (N, W)."""
        return (ops.rnn_step(x, *state, self.Wx, self.Wh, self.b),)

    def advance(self, a: Tensor, state: State) -> State:
        """The state after pre-activations a (N, H)."""
        return (ops.tanh(a),)


class CaptionLSTM(nn.LSTM):
    """The LSTM; its c begins with 0.

    >>> cell = CaptionLSTM(3, 4)
    >>> [s.shape for s in cell.step(np.ones((2, 3), np.float32), cell.start(Tensor(np.zeros((2, 4), np.float32))))]
    [(2, 4), (2, 4)]
    """

    gates = 4

    def start(self, h0: Tensor) -> State:
        """The state that begins with h0 (N, H)."""
        return h0, Tensor(np.zeros_like(h0.data))

    def states(self, x: Any, h0: Tensor, lengths: Any = None, indices: Any = None) -> Tensor:
        """All h (N, T, H) of sequences that begin with h0; see `nn.RNN` for lengths and indices."""
        h: Tensor = self(x, (h0, None), lengths, indices)[0]
        return h

    def step(self, x: Any, state: State) -> State:
        """The state after x (N, W)."""
        h, c = ops.lstm_step(x, *state, self.Wx, self.Wh, self.b)
        return h, c

    def advance(self, a: Tensor, state: State) -> State:
        """The state after pre-activations a (N, 4H)."""
        h, c = ops.lstm_cell(a, state[1])
        return h, c


CELLS: dict[str, type[CaptionRNN] | type[CaptionLSTM]] = {"rnn": CaptionRNN, "lstm": CaptionLSTM}
"""The cell types by name."""


def check_cell(cell_type: str) -> None:
    """Raise a ValueError unless there is such a cell."""
    if cell_type not in CELLS:
        raise ValueError(f"cell_type must be one of {', '.join(map(repr, CELLS))}; got {cell_type!r}")
