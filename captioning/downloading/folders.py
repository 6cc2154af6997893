"""The folder that a download fills: its own for as long as that takes, and room enough in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from captioning.downloading.errors import DownloadError
from minigrad.units import byte_text

try:
    import fcntl
except ModuleNotFoundError:  # not on Windows, where two downloads into one folder are not told from each other
    fcntl = None  # type: ignore[assignment]

__all__ = ["check_room", "exclusive"]


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Make the folder, and have it alone until the block ends; a DownloadError if another download has it.

    The system frees it when a process ends, in whatever way. Where a file system has no locks, nobody is kept out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DownloadError(f"{folder}: another download is at work in this folder") from error
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def check_room(folder: Path, needed: int, what: str) -> None:
    """Raise a DownloadError unless the disk of `folder` has room for `needed` bytes of `what`."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DownloadError(
            f"{folder}: {what} needs {byte_text(needed)}, but the disk has {byte_text(free)} left; "
            "make room, or choose another folder with --out"
        )
