"""Whether a captioner can be trained in the memory of this machine, known before anything is allocated.

A system that promises more memory than it has ends the process when the promise is called in, without a word.
"""

from __future__ import annotations

import os

from captioning.models.recurrent_cells import CELLS

__all__ = ["check_memory", "count_weights"]

_BYTES = 16  # of each weight in float32: itself, its gradient, Adam's two moments


def count_weights(words: int, feature_size: int, wordvec_size: int, hidden_size: int, cell: str) -> int:
    """How many numbers the network of `captioning.models.network` has.

    >>> count_weights(words=5, feature_size=3, wordvec_size=4, hidden_size=6, cell="lstm")
    343
    """
    gates = CELLS[cell].gates * hidden_size
    project, embed = (feature_size + 1) * hidden_size, words * wordvec_size
    return project + embed + (wordvec_size + hidden_size + 1) * gates + (hidden_size + 1) * words


def check_memory(weights: int, bytes_each: int = _BYTES) -> None:
    """Raise a MemoryError if so many weights, by default to be trained, need more memory than the machine has."""
    there = _memory()
    if there is not None and weights * bytes_each > there:
        needed, has = weights * bytes_each / 2**30, there / 2**30
        raise MemoryError(f"{weights:,} weights need at least {needed:,.0f} GiB, of {has:,.0f} GiB here")


def _memory() -> int | None:
    """The machine's memory in bytes; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
