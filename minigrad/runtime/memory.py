"""Memory that one iteration gives back stays with the process for the next.

The C library of Linux takes large arrays from the kernel and gives them back when they are freed, and the kernel
clears every page anew: 3,500 pages in an iteration of the captioner, a sixth of its time. The library stops when
it has seen a large block freed: it takes blocks of up to that size from memory that it keeps, twice as much at most
(mallopt(3), M_MMAP_THRESHOLD, "dynamic"). So one is asked for and freed, untouched, when minigrad is imported. Whoever
has set MALLOC_MMAP_THRESHOLD_ or MALLOC_TRIM_THRESHOLD_ is not overruled; other systems do as before.

It is the whole process whose memory is kept, and for good. ``MINIGRAD_KEEP_MEMORY=0`` in the environment leaves the C
library as it is.
"""

from __future__ import annotations

import os

import numpy as np

__all__ = ["keep_memory", "wanted"]

VARIABLE = "MINIGRAD_KEEP_MEMORY"

_LARGEST = 2**25  # bytes: the library learns from no larger block, so it keeps 64 MB at most


def wanted() -> bool:
    """Whether the environment lets memory be kept: unless ``MINIGRAD_KEEP_MEMORY`` is 0.

    Raises:
        ValueError: if it is anything but 0, 1 or empty.
    """
    value = os.environ.get(VARIABLE, "").strip()
    if value not in ("", "0", "1"):
        raise ValueError(
            f"{VARIABLE} must be 0 (do not keep freed memory) or 1 (keep it, as if not set), not {value!r}"
        )
    return value != "0"


def keep_memory() -> None:
    """Make the C library keep up to 64 MB of freed memory."""
    np.empty(_LARGEST - 2**14, np.uint8)  # somewhat less: the library adds a header and rounds up to pages
