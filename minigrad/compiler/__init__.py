"""A small compiler: functions of arrays, written with NumPy, become loops in machine code."""

from .fused import FUSED, fused, worth_compiling

__all__ = ["FUSED", "fused", "worth_compiling"]
