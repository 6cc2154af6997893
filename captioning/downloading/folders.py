"""Room enough in the folder that a download fills."""

from __future__ import annotations

import shutil
from pathlib import Path

from captioning.downloading.errors import DownloadError
from minigrad.units import byte_text

__all__ = ["check_room"]


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise a DownloadError unless the disk of `folder` has room for `needed` bytes of `what`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{folder}: {what} needs {byte_text(needed)}, but the disk has {byte_text(free)} left; "
            "make room, or choose another folder with --out"
        )
