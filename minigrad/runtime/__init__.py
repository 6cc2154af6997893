"""The process that minigrad runs in: threads, BLAS, memory, interrupts, files, packages. Knows nothing of tensors.

>>> import minigrad as mg
>>> "large products" in mg.runtime.backend()  # what computes products of matrices, how, and why
True

``python -m minigrad.runtime show`` says it on the command line, ``python -m minigrad.runtime tune`` measures what is
fastest on this machine.
"""

from .ways import backend, signature

__all__ = ["backend", "signature"]
