"""Folders that appear whole or not at all, folders that one process fills at a time, and contents of files."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import shutil
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from minigrad.runtime.files import flush_to_disk

try:
    import fcntl
except ImportError:  # pragma: no cover - another platform
    fcntl = None  # type: ignore[assignment]

__all__ = ["FolderLock", "check_free", "crc32_of", "making", "remove_temporaries", "write_all"]

_LOCK = ".lock"
_MARK = "[0-9a-f]" * 16 + ".tmp"  # of temporary names, as `minigrad.runtime.files.replacing` makes them, too
_ABANDONED = 3600  # seconds


# --- whole folders ------------------------------------------------------------------------------------


def check_free(path: str | os.PathLike[str]) -> Path:
    """Return where a folder can be made, with links followed.

    Raises:
        OSError: if it cannot; a FileExistsError if anything but an empty folder is there.
    """
    if not os.fspath(path):
        raise FileNotFoundError(errno.ENOENT, "the path names no folder", "")
    target = Path(os.path.realpath(path))
    if os.path.lexists(target) and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "is a file, not a folder", os.fspath(path))
    if target.is_dir() and any(target.iterdir()):
        raise FileExistsError(errno.EEXIST, "exists already", os.fspath(path))
    if os.path.ismount(target):
        raise OSError(errno.EBUSY, "is where a file system is mounted: name a folder within it", os.fspath(path))
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(above))
    if not os.access(above, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), os.fspath(above))
    return target


@contextmanager
def making(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary folder beside `path` to fill; rename it to `path` after the block, or remove it after an error.

    Folders above it are made too, and removed again after an error. An empty folder that is there is replaced; anything
    else is a FileExistsError. A killed process leaves `.NAME.<16 hexadecimal digits>.tmp`, which a later writer of the
    same name removes; those that are being filled are locked. When this returns, the folder's name and the names in it
    are on the disk, and so is what `replacing(…, durable=True)` wrote into it.

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
        with FolderLock(temporary, "filling it", OSError) as lock:
            yield temporary
            _flush_names([temporary])
            _rename(temporary, target)
            lock.folder = target
            _flush_names([target.parent, *(folder.parent for folder in new)])
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in new:
            with suppress(OSError):  # somebody else has put something there
                folder.rmdir()
        raise


def _rename(temporary: Path, target: Path) -> None:
    """Give a folder its name; raise a FileExistsError if another process has filled the place meanwhile."""
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
    """Remove temporary folders of this name that killed processes left; what cannot be removed stays."""
    for left in target.parent.glob(f".{glob.escape(target.name)}.{_MARK}"):
        with suppress(OSError):  # locked
            if (left / _LOCK).exists():
                with FolderLock(left, "filling it", OSError):
                    shutil.rmtree(left, ignore_errors=True)
            elif time.time() - left.lstat().st_mtime > _ABANDONED:  # or it may be just before or after its locking
                left.rmdir()


def remove_temporaries(folder: Path) -> None:
    """Remove all temporary files of `replacing` in a folder. Call this when nobody else writes there.

    What cannot be removed stays.
    """
    for left in folder.glob(f".*.{_MARK}"):
        with suppress(OSError):
            left.unlink()


# --- one process at a time ----------------------------------------------------------------------------


class FolderLock:
    """The lock of a folder that this process holds until `release`, or the end of a `with` block, or its own end.

    The kernel locks the file `.lock` in the folder (flock), so a file that a killed process left is not locked. The
    file holds the number of the process, for the message to others. Where there is no flock (Windows, some network file
    systems), everybody gets the lock.

    Args:
        doing: what this process does in the folder, such as 'training'.
        refusal: the class of the error, of one line, if another process holds the lock or the folder is not writable.
    """

    def __init__(self, folder: Path, doing: str, refusal: type[Exception]) -> None:
        self.folder = folder  # whoever renames it changes it here, too
        try:
            while not self._take():
                os.close(self._handle)
        except BlockingIOError as error:
            holder = os.read(self._handle, 20).strip().decode(errors="replace")
            os.close(self._handle)
            holder = f"process {holder}" if holder.isdecimal() else "another process"
            raise refusal(f"{folder}: {holder} is {doing} in this folder: wait until it ends") from error
        except OSError as error:
            path = error.filename or folder / _LOCK
            raise refusal(f"{path}: cannot be written: {error.strerror or error}") from error

    def _take(self) -> bool:
        """Take the lock; return False if its holder removed the file between our opening and our locking."""
        path = self.folder / _LOCK
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # a file system without locks
            pass
        try:
            if os.path.samestat(os.fstat(self._handle), os.stat(path)):
                os.ftruncate(self._handle, 0)
                os.write(self._handle, b"%d\n" % os.getpid())
                return True
        except FileNotFoundError:
            pass
        except OSError:  # a full disk
            os.close(self._handle)
            raise
        return False

    def release(self) -> None:
        """Remove the file and release the lock; a second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            with suppress(OSError):  # a folder that may no longer be written to; a file that stays is not locked
                (self.folder / _LOCK).unlink()  # before releasing: nobody locks a file that is about to vanish
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


# --- contents of files --------------------------------------------------------------------------------


def write_all(file: Any, content: Any, path: str | os.PathLike[str]) -> None:
    """Write all of a content (bytes or a buffer) to an unbuffered file, which takes as much as it can at once.

    An OSError, such as that of a full disk, names `path`.
    """
    rest = memoryview(content).cast("B")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def crc32_of(path: str | os.PathLike[str]) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with open(path, "rb") as file:
        while content := file.read(2**20):
            crc = zlib.crc32(content, crc)
    return crc
