"""New HDF5 files that are there whole or not at all, also where the disk is full.

The HDF5 library does not bear an error while it writes: it keeps what it could not write, and the process may crash
when it tries again. So it writes to a stand-in that takes everything, and the first error is raised once the library
is done with the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from captioning.storage import write_all
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["new_hdf5"]


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """An h5py.File to write into; `path` appears when the block ends, and not after an error in it.

    Raises:
        OSError: the file cannot be made or written, as on a full disk; names `path`.

    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_hdf5(Path(folder, "a.h5")) as file:
    ...         file["numbers"] = [1, 2]
    ...     with h5py.File(Path(folder, "a.h5")) as file:
    ...         file["numbers"][()].tolist()
    [1, 2]
    """
    h5py = require("h5py", "caption")
    with replacing(path) as temporary, open(temporary, "r+b", buffering=0) as raw:
        stand_in = _StandIn(raw, path)
        try:
            with h5py.File(stand_in, "w") as file:
                yield file
        finally:
            if stand_in.error is not None:
                raise OSError(stand_in.error.errno, stand_in.error.strerror, str(path)) from stand_in.error


class _StandIn(io.RawIOBase):
    """A file that takes everything: after its first error, which it keeps, nothing is written any more."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path, self.error = file, path, None

    error: OSError | None

    def write(self, content: Any) -> int:
        try:
            if self.error is None:
                write_all(self._file, content, self._path)
        except OSError as error:
            self.error = error
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        try:
            if self.error is None:
                self._file.truncate(size)
        except OSError as error:
            self.error = error
        return size or 0

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)  # type: ignore[attr-defined, no-any-return]

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
