"""The captioner that comes with the package: a run folder without its history, and how it was made.

Its model card, `flickr8k/MODEL_CARD.md`, says what it learnt from, under which terms, how good it is, and at what it is
bad.
"""

from __future__ import annotations

from pathlib import Path

from captioning.training.run_folder import Run

__all__ = ["SHIPPED", "shipped_run"]

SHIPPED = Path(__file__).parent / "flickr8k"


def shipped_run() -> Run:
    """The run of the captioner that comes with the package."""
    return Run.open(SHIPPED)
