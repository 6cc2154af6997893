"""Text that people wrote, read from a file in one piece."""

from __future__ import annotations

from pathlib import Path

from captioning.data.errors import DataError

__all__ = ["read_text"]


def read_text(path: Path) -> str:
    """The text of a file of UTF-8, without a mark of the byte order; a DataError names the file and what is wrong."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 at byte {error.start}: save it as UTF-8") from error
