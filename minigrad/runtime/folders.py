"""Folders that appear when they are whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from minigrad.runtime.files import flush_to_disk
from minigrad.runtime.locks import LockedError, take_lock

__all__ = ["LOCK", "check_free", "making"]

LOCK = ".lock"
"""The file in a folder whose holder has the folder alone."""

_ABANDONED = 3600  # seconds
_KEPT = 40  # characters of a folder's name that its temporary name repeats
_MARK = re.compile(r"[0-9a-f]{16}\.tmp")


def check_free(path: str | os.PathLike[str]) -> None:
    """Raise what `making` would raise before its block: a FileExistsError, or another OSError if none can be made."""
    _free_target(path)


def _free_target(path: str | os.PathLike[str]) -> Path:
    """Where a folder is to be, links followed, if one can be made there."""
    target = _target(path)
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(above))
    return target


@contextmanager
def making(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside `path` to fill; after the block it is renamed to `path`, on an error removed.

    Folders above it are made too, and removed again if it comes to nothing. An empty folder that is there is replaced;
    anything else is a FileExistsError. While it is filled it is locked. So a folder that a killed process left,
    `.NAME.<16 hexadecimal digits>.tmp`, is known from one that somebody else fills at the moment, and whoever makes the
    same name later removes it. When this returns, the folder's name and the names in it are on the disk; so is what
    `replacing(…, durable=True)` wrote into it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     with making(above + "/a/run") as folder:
    ...         _ = (folder / "a.txt").write_text("whole")
    ...         os.path.exists(above + "/a/run")
    ...     os.listdir(above + "/a/run")
    False
    ['a.txt']
    """
    target = _free_target(path)
    new = [folder for folder in target.parents if not folder.exists()]  # innermost first
    temporary = target.with_name(f".{target.name[:_KEPT]}.{secrets.token_hex(8)}.tmp")
    lock = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        temporary.mkdir()
        lock = take_lock(temporary / LOCK)
        yield temporary
        _flush_names([temporary])
        _rename(temporary, target)
        _flush_names([target.parent, *(folder.parent for folder in new)])
        lock.path = target / LOCK
        lock.release()
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if lock is not None:
            lock.release()
        for folder in new:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def _target(path: str | os.PathLike[str]) -> Path:
    """What a path leads to; a FileExistsError unless nothing or an empty folder is there."""
    if not os.fspath(path):
        raise FileNotFoundError(errno.ENOENT, "the path names no folder", "")
    target = Path(os.path.realpath(path))
    if os.path.lexists(target) and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "is a file, not a folder", os.fspath(path))
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(errno.EEXIST, "exists already", os.fspath(path))
    if os.path.ismount(target):
        raise OSError(errno.EBUSY, "is where a file system is mounted: name a folder within it", os.fspath(path))
    return target


def _rename(temporary: Path, target: Path) -> None:
    """Give a folder its name; a FileExistsError if somebody else has filled the place meanwhile."""
    try:
        if os.name == "nt" and target.is_dir():  # pragma: no cover - another platform
            target.rmdir()
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, "exists already", os.fspath(target)) from error
        raise


def _flush_names(folders: Iterable[Path]) -> None:
    """Have the names in folders written to the disk, where the system flushes folders."""
    for folder in folders:
        with suppress(OSError):
            flush_to_disk(folder)


def _remove_abandoned(target: Path) -> None:
    """Remove what killed processes left of a folder by this name: temporary folders that nobody holds.

    One without a lock may be a moment old: it is removed if it is empty and an hour old.
    """
    start = f".{target.name[:_KEPT]}."
    for entry in sorted(target.parent.glob(".*.tmp")):
        if not entry.name.startswith(start) or not _MARK.fullmatch(entry.name[len(start) :]) or entry.is_symlink():
            continue
        with suppress(LockedError, OSError):
            try:
                lock = take_lock(entry / LOCK, create=False)
            except FileNotFoundError:
                if time.time() - entry.stat().st_mtime > _ABANDONED:
                    entry.rmdir()
                continue
            if lock.sure:
                shutil.rmtree(entry, ignore_errors=True)
            lock.release()
