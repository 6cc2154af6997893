"""Atomic creation of folders, locks on folders, and contents of files."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from minigrad.runtime.extras import require
from minigrad.runtime.files import flush_to_disk

__all__ = ["FolderLock", "check_free", "crc32_of", "making", "remove_temporaries", "write_all"]

_MARK = "[0-9a-f]" * 16 + ".tmp"  # of temporary names, as `minigrad.runtime.files.replacing` makes them, too


def check_free(path: str | os.PathLike[str]) -> Path:
    """Return the real path at which a folder can be created.

    Raises:
        OSError: if it cannot be created; a FileExistsError if the path exists and is not an empty folder.
    """
    if not os.fspath(path):
        raise FileNotFoundError(errno.ENOENT, "the path does not name a folder", "")
    target = Path(os.path.realpath(path))
    if os.path.lexists(target) and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "is a file, not a folder", os.fspath(path))
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(errno.EEXIST, "already exists", os.fspath(path))
    if os.path.ismount(target):
        raise OSError(errno.EBUSY, "is the mount point of a file system: choose a folder in it", os.fspath(path))
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(above))
    return target


@contextmanager
def making(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path` to fill; rename it to `path` after the block, or remove it after an error.

    Missing parent folders are made too, and removed after an error. An empty folder is replaced; anything else raises a
    FileExistsError. A killed process leaves `.NAME.<16 hexadecimal digits>.tmp`, which a later writer of the same name
    removes. At the end the names of the folder and of its files are on the disk, and the contents of files written with
    `replacing(…, durable=True)`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as above:
    ...     with making(above + "/a/run") as folder:
    ...         _ = (folder / "a.txt").write_text("whole")
    ...         os.path.exists(above + "/a/run")
    ...     os.listdir(above + "/a/run")
    False
    ['a.txt']
    """
    target = check_free(path)
    new = [folder for folder in target.parents if not folder.exists()]  # innermost first
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        temporary.mkdir()
        with FolderLock(temporary, "filling it", OSError):
            yield temporary
        _flush(temporary)
        _rename(temporary, target)
        for folder in (target.parent, *(made.parent for made in new)):
            _flush(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in new:
            with suppress(OSError):  # another process has written there
                folder.rmdir()
        raise


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary folders of this name that killed processes left; those in use are locked."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{_MARK}"):
        with suppress(OSError), FolderLock(left, "filling it", OSError):
            shutil.rmtree(left, ignore_errors=True)


def _rename(temporary: Path, target: Path) -> None:
    """Rename a folder; raise a FileExistsError if another process has taken the name."""
    try:
        if os.name == "nt" and target.is_dir():  # pragma: no cover - another platform
            target.rmdir()
        os.rename(temporary, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise FileExistsError(errno.EEXIST, "already exists", os.fspath(target)) from error
        raise


def _flush(folder: Path) -> None:
    """Flush the names in a folder to the disk, if the system can."""
    with suppress(OSError):
        flush_to_disk(folder)


def remove_temporaries(folder: Path) -> None:
    """Remove all temporary files of `replacing` in a folder; no other process may write there."""
    for left in folder.glob(f".*.{_MARK}"):
        with suppress(OSError):
            left.unlink()


class FolderLock:
    """A lock on a folder that this process holds until `release`, the end of a `with` block, or its exit.

    It locks the file `.lock` in the folder, which holds the number of the process. The file of a killed process is not
    locked.

    Args:
        doing: what this process does in the folder, such as 'training'.
        refusal: the error to raise if another process holds the lock, or the folder is not writable.
    """

    def __init__(self, folder: Path, doing: str, refusal: type[Exception]) -> None:
        filelock = require("filelock", "caption")
        self._path = folder / ".lock"
        self._lock = filelock.FileLock(self._path, timeout=0)
        try:
            self._lock.acquire()
            self._path.write_text(f"{os.getpid()}\n")
        except filelock.Timeout as error:
            holder = self._path.read_text().strip()
            raise refusal(f"{folder}: process {holder} is {doing} in this folder; wait until it finishes") from error
        except OSError as error:
            self.release()
            raise refusal(f"{self._path}: cannot be written: {error.strerror or error}") from error

    def release(self) -> None:
        """Remove the file and release the lock; a second call does nothing."""
        if self._lock.is_locked:
            with suppress(OSError):  # the folder may no longer be writable; the file is unlocked anyway
                self._path.unlink()  # before the release, after which another process may lock it
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def write_all(file: Any, content: Any, path: str | os.PathLike[str]) -> None:
    """Write a whole buffer to an unbuffered file, which may write only a part at a time.

    An OSError, such as that of a full disk, names `path`.
    """
    rest = memoryview(content).cast("B")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def crc32_of(path: str | os.PathLike[str]) -> int:
    """Return a file's CRC-32; an OSError has `path` as its filename."""
    crc = 0
    try:
        with open(path, "rb") as file:
            while content := file.read(2**20):
                crc = zlib.crc32(content, crc)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error
    return crc
