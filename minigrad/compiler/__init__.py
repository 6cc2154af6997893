"""A small compiler that turns functions of NumPy arrays into loops in machine code."""

from .fused import FUSED, fused, worth_compiling

__all__ = ["FUSED", "fused", "worth_compiling"]
