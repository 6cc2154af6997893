"""A small compiler: functions of arrays, written with NumPy, become loops in machine code."""

from .fused import FUSED, fused

__all__ = ["FUSED", "fused"]
