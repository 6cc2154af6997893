"""Two helpers of the packages: others imported only where they are used, and files written whole."""

from __future__ import annotations

import contextlib
import errno
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def require(module: str, extra: str) -> Any:
    """Import and return `module`, or say which extra of minigrad installs it.

    Raises ModuleNotFoundError with the command to type when the package itself is missing; a package
    that is there but broken raises its own error.

    >>> require("json", "caption").dumps([1])
    '[1]'
    >>> require("no_such_package", "caption")
    Traceback (most recent call last):
    ModuleNotFoundError: this needs the package no_such_package: pip install 'minigrad[caption]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        message = f"this needs the package {package}: pip install 'minigrad[{extra}]'"
        raise ModuleNotFoundError(message, name=error.name) from error


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`; after the block it is renamed to `path`, on an error removed.

    A reader sees the old file or the new one, never a part of it. Before the block it is seen whether a file can be
    made there: an OSError if not, and a FileNotFoundError if there is no such folder. Errors of writing, such as that
    of a full disk, name `path` too.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(Path(folder, "a.txt")) as temporary:
    ...         _ = temporary.write_text("whole")
    ...     Path(folder, "a.txt").read_text()
    'whole'
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder to write into", str(target.parent))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.touch()
        yield temporary
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and _is_about(error, temporary):
            raise OSError(error.errno, error.strerror, str(target)) from None
        raise


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether an error is one of writing a file: it names the file, or nothing, as where a disk is full."""
    return error.filename == str(temporary) or (error.filename is None and error.errno in _NO_ROOM)
