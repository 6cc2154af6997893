"""Primitives: functions on tensors with hand-written vector-Jacobian products, one family a file."""

from .elementwise import add, multiply
from .recurrent import lstm, lstm_step, rnn, rnn_step

__all__ = [
    # elementwise
    "add", "multiply",
    # recurrent
    "lstm", "lstm_step", "rnn", "rnn_step",
]  # fmt: skip
