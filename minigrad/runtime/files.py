"""Files written whole or not at all, and what is no file."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

__all__ = ["check_writable", "irregular", "replacing"]


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; after the block it is renamed to `path`, on an error removed.

    A reader sees the old file or the new one, never a part of it. A symbolic link is followed. Before the block it is
    seen whether a file can be made there: an OSError if not, such as a FileNotFoundError if there is no such folder,
    or where a folder, a pipe or a device is in its place. Errors of writing, such as that of a full disk, name `path`
    too. A process that is killed leaves the temporary file, `.NAME.NUMBER.part` with the number of the process, which
    may be removed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if found := irregular(target):
        raise OSError(errno.EINVAL, f"{found}, not a regular file, which alone can be replaced", os.fspath(path))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        yield temporary
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_about(error, temporary):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `replacing` would raise before its block; for what is written after long work."""
    with contextlib.suppress(_Enough), replacing(path):
        raise _Enough


class _Enough(Exception):  # noqa: N818 - no error: it ends a block
    """Ends the block of `replacing` without a file."""


_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
          stat.S_IFDIR: "a folder"}  # fmt: skip


def irregular(path: str | os.PathLike[str]) -> str:
    """What is at a path in place of a regular file, in words; empty for a regular file, or if nothing is there.

    >>> irregular("/dev/null"), irregular("/"), irregular("/none")
    ('a device', 'a folder', '')
    """
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return ""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether an error is one of writing a file: it names the file, or nothing, as where a disk is full."""
    return error.filename == str(temporary) or (error.filename is None and error.errno in _NO_ROOM)
