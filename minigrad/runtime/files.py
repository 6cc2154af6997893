"""Write files atomically, and detect paths that are not regular files."""

from __future__ import annotations

import errno
import glob
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["cache_folder", "flush_to_disk", "irregular", "replacing"]

_ABANDONED = 3600  # seconds
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # errors of writing, which do not name the file


def cache_folder() -> Path:
    """Return the folder of measurements and compiled loops: ``MINIGRAD_CACHE``, or ``minigrad`` in the user's cache."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("MINIGRAD_CACHE") or Path(caches, "minigrad"))


@contextmanager
def replacing(path: str | os.PathLike[str], durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` after the block, or remove it after an error.

    A reader sees the old file or the new one, never a part of it. If several processes or threads write the same file
    at once, the last one wins. A symbolic link is followed, and the permissions of an older file are kept.

    A process that is killed leaves the temporary file, `.NAME.<16 hexadecimal digits>.tmp`. A later writer of the same
    name removes such files if they are older than an hour.

    Args:
        durable: flush the file, and then its new name, to the disk before returning.

    Raises:
        OSError: before the block, if no file can be created there, such as a FileNotFoundError if the folder does not
            exist. After the block, for errors of writing, such as a full disk. Both name `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = _replaceable(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        temporary.touch(exist_ok=False)
        _remove_abandoned(target, temporary.stat().st_mtime)
        yield temporary
        if durable:
            flush_to_disk(temporary)
        with suppress(FileNotFoundError):
            os.chmod(temporary, target.stat().st_mode & 0o7777)
        os.replace(temporary, target)
        if durable:
            with suppress(OSError):  # the file is in place; not every system flushes folders
                flush_to_disk(target.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and (
            error.filename == str(temporary) or (error.filename is None and error.errno in _FULL)
        ):
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _replaceable(path: str | os.PathLike[str]) -> Path:
    """Resolve the links in a path to write to; raise an OSError if no file can be created there."""
    text = os.fspath(path)
    if not text or text.endswith((os.sep, os.altsep or os.sep)):
        raise IsADirectoryError(errno.EISDIR, "the path does not name a file", text)
    if kind := irregular(text):
        number = errno.EISDIR if kind == "a folder" else errno.EINVAL
        raise OSError(number, f"{kind}, not a regular file; only regular files can be replaced", text)
    target = Path(os.path.realpath(text))
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder does not exist", str(target.parent))
    return target


def _remove_abandoned(target: Path, now: float) -> None:
    """Remove old temporary files of this name, by the file system's clock; ignore files that cannot be removed."""
    for left in glob.iglob(f"{glob.escape(str(target.with_name(f'.{target.name}')))}.{'[0-9a-f]' * 16}.tmp"):
        with suppress(OSError):
            if now - os.lstat(left).st_mtime > _ABANDONED:
                os.unlink(left)


def flush_to_disk(path: str | os.PathLike[str]) -> None:
    """Flush a file, or the names in a folder, to the disk, so that they survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_KINDS = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
          stat.S_IFDIR: "a folder"}  # fmt: skip


def irregular(path: str | os.PathLike[str]) -> str:
    """Describe what is at a path instead of a regular file; empty for a regular file, or if nothing is there.

    >>> irregular("/dev/null"), irregular("/"), irregular("/none")
    ('a device', 'a folder', '')
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        return "a link that leads to itself" if error.errno == errno.ELOOP else ""
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else")
