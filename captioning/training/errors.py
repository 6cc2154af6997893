"""What is raised when a training cannot begin, or not go on."""

from __future__ import annotations

__all__ = ["RunError", "TrainingError"]


class RunError(ValueError):
    """A run folder that cannot be used, or does not fit; the message names the file and what is wrong."""


class TrainingError(ValueError):
    """A training that cannot go on: the message says at which iteration and what to change."""
