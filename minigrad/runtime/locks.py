"""A file that one process holds at a time; whoever dies lets go, however it dies.

The lock is the kernel's (flock), not the file's being there: a file that a killed process left is not locked. It holds
the number of the process that took it, for people. Where there is no flock (Windows, some network file systems) nobody
can know who is alive: there everybody gets the lock, and `Lock.sure` is false.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

try:
    import fcntl
except ImportError:  # pragma: no cover - another platform
    fcntl = None  # type: ignore[assignment]

__all__ = ["Lock", "LockedError", "take_lock"]

_TAKEN = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class LockedError(OSError):
    """A lock that somebody else holds; `holder` is the number of the process, None if it is not known."""

    def __init__(self, path: Path, holder: int | None) -> None:
        super().__init__(errno.EWOULDBLOCK, "is locked by another process", os.fspath(path))
        self.holder = holder


class Lock:
    """A lock that this process holds, until `release`, the end of a `with` block or its own; made by `take_lock`.

    path: its file; whoever renames the folder around it changes it here too. sure: whether the system has locks at all.
    """

    def __init__(self, path: Path, handle: int, sure: bool) -> None:
        self.path, self.sure, self._handle = path, sure, handle

    def release(self) -> None:
        """Remove the file and let go; a second call does nothing."""
        handle, self._handle = self._handle, -1
        if handle < 0:
            return
        try:
            self.path.unlink(missing_ok=True)  # before letting go: nobody locks a file that is about to vanish
        except OSError:  # a folder that may no longer be written to: what stays is not locked
            pass
        finally:
            os.close(handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def take_lock(path: str | os.PathLike[str], create: bool = True) -> Lock:
    """Take the lock of a file, which is made unless `create` is false.

    Raises:
        LockedError: if another process, or this one by another call, holds it.
        OSError: if the file cannot be made, or is not there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     lock = take_lock(folder + "/.lock")
    ...     try:
    ...         take_lock(folder + "/.lock")
    ...     except LockedError as error:
    ...         print(error.holder == os.getpid())
    ...     lock.release()
    ...     os.listdir(folder)
    True
    []
    """
    path = Path(path)
    while True:
        handle = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o666)
        try:
            sure = _locked(handle, path)
            if not sure or _is_still(handle, path):
                _sign(handle, path)
                return Lock(path, handle, sure)
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # its holder removed it between our opening and our locking


def _sign(handle: int, path: Path) -> None:
    """Write the number of this process; an error of writing, such as that of a full disk, names the file."""
    try:
        os.ftruncate(handle, 0)
        os.write(handle, b"%d\n" % os.getpid())
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _locked(handle: int, path: Path) -> bool:
    """Lock an open file: True, or False where the system has no locks; a LockedError if another holds it."""
    if fcntl is None:  # pragma: no cover - another platform
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _TAKEN:
            return False
        written = os.read(handle, 20).strip()
        raise LockedError(path, int(written) if written.isdigit() else None) from error
    return True


def _is_still(handle: int, path: Path) -> bool:
    """Whether a path leads to the file that is open."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False
