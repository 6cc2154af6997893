"""ONNX's operators in primitives, one entry an operator.

>>> sorted(set(READERS) & {"Conv", "LSTM", "Softmax"})
['Conv', 'LSTM', 'Softmax']
"""

from . import elementwise, layers, products, recurrent, shaping  # noqa: F401 (importing them fills the table)
from .table import READERS

__all__ = ["READERS"]
