"""Files written whole or not at all, read by pieces, and what is no file."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "check_writable",
    "crc32_of",
    "flush_to_disk",
    "irregular",
    "pieces",
    "remove_temporaries",
    "replacing",
    "write_all",
]

_ABANDONED = 3600  # seconds
_LONGEST = 255  # bytes of a file's name
_PIECE = 2**20  # bytes read at once
_KEPT = 40  # characters of it that the name of its temporary file repeats


@contextmanager
def replacing(
    path: str | os.PathLike[str], durable: bool = False, verify: Callable[[Path], None] | None = None
) -> Iterator[Path]:
    """Give a temporary path beside `path`; after the block it is renamed to `path`, on an error removed.

    A reader sees the old file or the new one, never a part of it; of several that write the same file at once, in
    processes or threads, the last one wins. A symbolic link is followed, and an older file's permissions stay. Before
    the block it is seen whether a file can be made there: an OSError if not, such as a FileNotFoundError if there is no
    such folder, or where a folder, a pipe or a device is in its place. Errors of writing, such as that of a full disk,
    name `path` too. If it is to be `durable`, the file and then its new name are on the disk when this returns.
    `verify` may read the whole file before it is renamed: an error that it raises leaves the older file.

    A process that is killed leaves the temporary file, `.NAME.<16 hexadecimal digits>.tmp`. Whoever writes the same
    name later removes such files that nothing has been written to for an hour.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = _replaceable(path)
    temporary = target.with_name(f".{target.name[:_KEPT]}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.touch(exist_ok=False)
        _remove_abandoned(target, temporary.stat().st_mtime)
        yield temporary
        if durable:
            flush_to_disk(temporary)
        if verify is not None:
            verify(temporary)
        with suppress(FileNotFoundError):
            os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
        if durable:
            with suppress(OSError):  # the file is in place; not every system flushes folders
                flush_to_disk(target.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_about(error, temporary):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _replaceable(path: str | os.PathLike[str]) -> Path:
    """Where a file is to be written, links followed; an OSError if none can be there."""
    text = os.fspath(path)
    if not text or text.endswith((os.sep, os.altsep or os.sep)):
        raise IsADirectoryError(errno.EISDIR, "the path names no file", text)
    target = Path(os.path.realpath(text))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    found = irregular(text)  # not of the target: a link to an open pipe, as /dev/stdout may be, has no name behind it
    if found == _KINDS[stat.S_IFDIR]:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), text)
    if len(os.fsencode(target.name)) > _LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), text)
    if found:
        raise OSError(errno.EINVAL, f"{found}, not a regular file, which alone can be replaced", text)
    return target


def _remove_abandoned(target: Path, now: float) -> None:
    """Remove temporary files of one name that nothing has been written to for an hour, by the file system's clock.

    What cannot be removed stays.
    """
    pattern = re.compile(rf"\.{re.escape(target.name[:_KEPT])}\.[0-9a-f]{{16}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            with suppress(OSError):
                ours = pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
                if ours and now - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED:
                    os.unlink(entry.path)


def remove_temporaries(folder: str | os.PathLike[str]) -> None:
    """Remove all temporary files of `replacing` in a folder: for whoever knows that nobody else writes there now.

    What cannot be removed stays.
    """
    pattern = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if pattern.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)


def flush_to_disk(path: str | os.PathLike[str]) -> None:
    """Have the system write a file, or the names in a folder, to the disk, so that a power cut does not take it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise the OSError that `replacing` would raise before its block; for what is written after long work."""
    with suppress(_Enough), replacing(path):
        raise _Enough


class _Enough(Exception):  # noqa: N818 - no error: it ends a block
    """Ends the block of `replacing` without a file."""


def write_all(file: Any, content: Any, path: str | os.PathLike[str]) -> None:
    """Write all of a content (bytes or a buffer of them) to a file without a buffer, which takes as much as it can.

    An OSError, such as that of a full disk, names `path`.
    """
    rest = memoryview(content).cast("B")
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def pieces(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The content of a file, a MiB at a time."""
    with open(path, "rb") as file:
        while piece := file.read(_PIECE):
            yield piece


def crc32_of(path: str | os.PathLike[str]) -> int:
    """The CRC-32 of a file, which is read by pieces."""
    crc = 0
    for piece in pieces(path):
        crc = zlib.crc32(piece, crc)
    return crc


_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
          stat.S_IFDIR: "a folder"}  # fmt: skip


def irregular(path: str | os.PathLike[str]) -> str:
    """What is at a path in place of a regular file, in words; empty for a regular file, or if nothing is there.

    >>> irregular("/dev/null"), irregular("/"), irregular("/none")
    ('a device', 'a folder', '')
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return "a link that leads to itself" if error.errno == errno.ELOOP else ""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether an error is one of writing a file: it names the file, or nothing, as where a disk is full."""
    return error.filename == str(temporary) or (error.filename is None and error.errno in _NO_ROOM)
