"""The process that minigrad runs in: threads, BLAS, memory, files and optional packages, without tensors.

>>> import minigrad as mg
>>> "large products" in mg.runtime.backend()  # what computes matrix products, how, and why
True

``python -m minigrad.runtime show`` prints it, and ``python -m minigrad.runtime tune`` measures what is fastest here.
"""

from functools import cache as _cache

import numpy as _np

from .matmul_backend import backend, signature
from .settings import setting as _setting

__all__ = ["backend", "keep_memory", "signature"]


@_cache
def keep_memory() -> None:
    """Keep up to 64 MB of freed memory in the process, unless ``MINIGRAD_KEEP_MEMORY`` is 0.

    The first :class:`minigrad.nn.Parameter` calls this. Call it before a loop over large arrays that has no parameters.

    The C library of Linux takes large arrays from the kernel and returns them when they are freed, and the kernel
    clears each page again. The captioner spent a sixth of a training iteration on this. Once a large block has been
    freed, glibc keeps freed blocks of up to that size, at most twice that size in total (M_MMAP_THRESHOLD in
    mallopt(3)). So this function allocates and frees such a block, once. ``MALLOC_MMAP_THRESHOLD_`` and
    ``MALLOC_TRIM_THRESHOLD_`` in the environment take precedence. Other systems are not affected.

    Raises:
        ValueError: if ``MINIGRAD_KEEP_MEMORY`` is anything but 0, 1 or empty.

    >>> keep_memory()
    """
    if _setting("MINIGRAD_KEEP_MEMORY", "1", "0") == "1":
        _np.empty(2**25 - 2**14, _np.uint8)  # 32 MB, the largest that counts, less a header and rounding to pages
