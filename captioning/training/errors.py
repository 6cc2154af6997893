"""Errors of trainings and run folders."""

from __future__ import annotations

__all__ = ["RunError", "TrainingError"]


class RunError(ValueError):
    """A run folder that cannot be used or does not fit; the message names the file and the problem."""


class TrainingError(ValueError):
    """A training that cannot go on; the message names the iteration and what to change."""
