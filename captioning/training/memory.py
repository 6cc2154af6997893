"""Whether a captioner can be trained in the memory of this machine, known before anything is allocated.

A system that promises more memory than it has ends the process when the promise is called in, without a word.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from captioning.models.recurrent_cells import CELLS

__all__ = ["check_memory", "count_weights"]

_BYTES = 16  # of each weight in float32: itself, its gradient, Adam's two moments


def count_weights(words: int, model: Mapping[str, Any]) -> int:
    """How many weights a captioner of so many words has, by the `settings` of its kind.

    >>> count_weights(5, {"feature_size": 3, "wordvec_size": 4, "hidden_size": 6, "cell_type": "lstm"})
    343
    """
    sizes = {key: value for key, value in model.items() if isinstance(value, int)}
    W, H, cell = sizes["wordvec_size"], sizes["hidden_size"], CELLS[model["cell_type"]]
    own = words * W + (W + H + len(cell.biases)) * cell.gates * H
    if model.get("kind", "source") == "source":
        return own + (sizes["feature_size"] + 1) * H + (H + 1) * words
    (places, columns), P, A = model["places"], sizes["picture_size"], sizes["looking_size"]
    whole = sizes["feature_size"] - places * columns
    about, looking = (whole + 1) * P + (P + 1) * cell.vectors * H, (H + 1 + 2 * (columns + 1)) * A
    total: int = own + about + looking + (H + 1 + A + P) * W + words
    return total


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
