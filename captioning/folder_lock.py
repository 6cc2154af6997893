"""One process at a time fills a folder, and another is told which one does."""

from __future__ import annotations

from pathlib import Path

from minigrad.runtime.folders import LOCK
from minigrad.runtime.locks import Lock, LockedError, take_lock

__all__ = ["take_folder"]


def take_folder(folder: Path, doing: str, refusal: type[Exception]) -> Lock:
    """Take the lock of a folder that is there, for as long as its `with` block lasts.

    doing: what is done in it, such as 'training'. If another process has it, or it cannot be written into, `refusal`
    is raised with one line.
    """
    try:
        return take_lock(folder / LOCK)
    except LockedError as error:
        holder = "another process" if error.holder is None else f"process {error.holder}"
        raise refusal(f"{folder}: {holder} is {doing} in this folder: wait until it ends") from error
    except OSError as error:
        raise refusal(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error
