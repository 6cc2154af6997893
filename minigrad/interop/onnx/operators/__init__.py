"""Convert primitives to ONNX's operators, and operators to primitives.

>>> sorted(set(WRITERS) & {"conv2d", "lstm", "softmax"}), sorted(set(READERS) & {"Conv", "LSTM", "Softmax"})
(['conv2d', 'lstm', 'softmax'], ['Conv', 'LSTM', 'Softmax'])
"""

from . import arithmetic, layers, recurrent, shaping  # noqa: F401 (importing them fills the tables)
from .registry import READERS, WRITERS, keywords_of, write_calls

__all__ = ["READERS", "WRITERS", "keywords_of", "write_calls"]
