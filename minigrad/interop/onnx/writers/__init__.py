"""Primitives in ONNX's operators, one entry a primitive; those without one are written as their references.

>>> sorted(set(WRITERS) & {"conv2d", "lstm", "softmax"})
['conv2d', 'lstm', 'softmax']
"""

from . import attention, elementwise, layers, products, recurrent, shaping  # noqa: F401 (importing them fills the table)
from .table import WRITERS

__all__ = ["WRITERS"]
