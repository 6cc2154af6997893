"""The process that minigrad runs in: threads, BLAS, memory, files and optional packages, without tensors.

>>> import minigrad as mg
>>> "large products" in mg.runtime.backend()  # what computes matrix products, how, and why
True

``python -m minigrad.runtime show`` prints it, and ``python -m minigrad.runtime tune`` measures what is fastest here.
"""

from .matmul_backend import backend, signature
from .settings import keep_memory

__all__ = ["backend", "keep_memory", "signature"]
