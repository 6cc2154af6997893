"""The captioner that comes with the package: a run folder without its history.

Its model card, `flickr8k/MODEL_CARD.md`, describes its training data, licence, scores and weaknesses.
"""

from __future__ import annotations

from captioning.training.run_folder import SHIPPED, Run

__all__ = ["SHIPPED", "shipped_run"]


def shipped_run() -> Run:
    """Return the run of the captioner that comes with the package."""
    return Run.open(SHIPPED)
