"""Settings from the environment. Each is read when it is first needed, never by an import."""

import os
from functools import cache

import numpy as np


def environment_setting(name: str, *allowed: str) -> str:
    """Return the value of an environment variable, in lower case; if it is unset, the first of the allowed values.

    Raises:
        ValueError: if the value is not allowed.

    >>> environment_setting("MINIGRAD_NO_SUCH_SETTING", "slow", "fast")
    'slow'
    """
    value = os.environ.get(name, "").strip().lower() or allowed[0]
    if value not in allowed:
        raise ValueError(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {value!r}")
    return value


@cache
def keep_memory() -> None:
    """Keep up to 64 MB of freed memory in the process, unless ``MINIGRAD_KEEP_MEMORY`` is 0.

    The first :class:`minigrad.nn.Parameter`, convolution, attention, recurrent sequence, optimiser step or large matrix
    product calls this. Call it before a loop over other large arrays.

    The C library of Linux takes large arrays from the kernel and returns them when they are freed, and the kernel
    clears each page again. The captioner spent a sixth of a training iteration on this. Once a large block has been
    freed, glibc keeps freed blocks of up to that size, at most twice that size in total (M_MMAP_THRESHOLD in
    mallopt(3)). So this function allocates and frees such a block, once. ``MALLOC_MMAP_THRESHOLD_`` and
    ``MALLOC_TRIM_THRESHOLD_`` in the environment take precedence. Other systems are not affected.

    Raises:
        ValueError: if ``MINIGRAD_KEEP_MEMORY`` is anything but 0, 1 or empty.

    >>> keep_memory()
    """
    if environment_setting("MINIGRAD_KEEP_MEMORY", "1", "0") == "1":
        np.empty(2**25 - 2**14, np.uint8)  # 32 MB, the largest that counts, less a header and rounding to pages
