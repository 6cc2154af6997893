"""What is raised when a data set cannot be downloaded."""

from __future__ import annotations

__all__ = ["DownloadError", "PassingError"]


class DownloadError(ValueError):
    """An archive that cannot be had or used; the message names the address or file, what is wrong and what to do."""


class PassingError(DownloadError):
    """What may pass by itself, such as a cut connection: worth another attempt."""
