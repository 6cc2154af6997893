"""Memory that one iteration gives back stays with the process for the next.

The C library of Linux takes large arrays from the kernel and gives them back when they are freed, and the kernel
clears every page anew: 3,500 pages in an iteration of the captioner, a sixth of its time. The library stops when
it has seen a large block freed: it takes blocks of up to that size from memory that it keeps, twice as much at most
(mallopt(3), M_MMAP_THRESHOLD, "dynamic"). So one is asked for and freed, untouched, when minigrad is imported. Whoever
has set MALLOC_MMAP_THRESHOLD_ or MALLOC_TRIM_THRESHOLD_ is not overruled; other systems do as before.
"""

from __future__ import annotations

import numpy as np

__all__ = ["keep_memory"]

_LARGEST = 2**25  # bytes: the library learns from no larger block, so it keeps 64 MB at most


def keep_memory() -> None:
    """Make the C library keep up to 64 MB of freed memory."""
    np.empty(_LARGEST - 2**14, np.uint8)  # somewhat less: the library adds a header and rounds up to pages
