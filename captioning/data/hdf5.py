"""Read HDF5 files that may be damaged, and write HDF5 files that appear whole or not at all.

Reading trusts nothing: links and layouts may lead to other files, a header may claim a shape that no memory holds, and
damaged metadata can make h5py raise almost any exception. Every problem becomes a `DataError` that names the file and
the key.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.errors import DataError
from captioning.storage import write_all
from minigrad.runtime.extras import require
from minigrad.runtime.files import irregular, replacing

__all__ = ["checked_attribute", "checked_dataset", "new_hdf5", "open_hdf5", "reading", "text_attribute"]

_BEST_COMPRESSION = 1032  # deflate shrinks nothing by a larger factor (zlib, "Technical details")


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """Open an HDF5 file for reading; raise a DataError if it cannot be opened or closed."""
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    h5py = require("h5py", "caption")
    try:
        file = h5py.File(path, "r")
    except Exception as error:  # see `reading`
        raise DataError(f"{path}: not an HDF5 file, or truncated or damaged: {_one_line(error)}") from error
    try:
        yield file
    finally:
        try:
            file.close()
        except Exception as error:  # h5py raises a RuntimeError, not an OSError
            raise DataError(f"{path}: cannot be closed: {_one_line(error)}") from error


def checked_dataset(file: Any, path: Path, key: str, rank: int, kind: Any) -> Any:
    """Return the h5py data set at `key`, unread, after checking its place, rank, dtype and size."""
    h5py = require("h5py", "caption")
    with reading(path, key):
        link = file.get(key, getlink=True)
        if link is None:
            raise DataError(f"{path}: the key {key} is missing; the file has {sorted(map(str, file))[:10]}")
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: {key}: is a link to {link.path!r}; the numbers must be stored at the key itself")
        dataset = file[key]
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{path}: {key}: must be a data set; got a {type(dataset).__name__}")
        if dataset.is_virtual or dataset.external:
            raise DataError(f"{path}: {key}: is stored in other files; store the numbers in this one")
        if dataset.shape is None or dataset.ndim != rank:
            raise DataError(f"{path}: {key}: must have {rank} dimensions; got shape {dataset.shape}")
        if not np.issubdtype(dataset.dtype, kind):
            raise DataError(f"{path}: {key}: must hold {kind.__name__} numbers; got dtype {dataset.dtype}")
        _check_written(dataset, path, key)
    return dataset


def checked_attribute(item: Any, path: Path, key: str, name: str, fits: Callable[[Any], bool], expected: str) -> Any:
    """Return the value of an attribute of an h5py item, or None; raise a DataError if it does not fit.

    key: the item's name in messages; '/' is the file's root. fits: takes the attribute's h5py identifier, which has
    `shape` and `dtype`, and returns whether the value is `expected`. It is called before the value is read: a flipped
    bit can turn a text into a sequence of bytes, and h5py 3.16 crashes when it reads one.
    """
    with reading(path, f"{key}: attribute {name}"):
        if name not in item.attrs:
            return None
        found = item.attrs.get_id(name)
        if not fits(found):
            raise DataError(
                f"{path}: {key}: attribute {name}: must be {expected}; got {found.dtype} of shape {found.shape}"
            )
        return item.attrs[name]


def text_attribute(item: Any, path: Path, key: str, name: str) -> str | None:
    """Return a printable text, as `checked_attribute` does."""
    is_text = require("h5py", "caption").check_string_dtype
    value = checked_attribute(
        item, path, key, name, lambda found: found.shape == () and is_text(found.dtype) is not None, "one text"
    )
    if value is None:
        return None
    text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)
    if not text.isprintable() or not 0 < len(text) <= 200:
        raise DataError(f"{path}: {key}: attribute {name}: must be a printable text of 1 to 200 characters")
    return text


@contextmanager
def reading(path: Path, key: str) -> Iterator[None]:
    """Turn any exception that h5py raises on damaged content into a DataError.

    The exception may be of any class, so the block holds only calls of h5py and checks that raise DataErrors.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: {key}: cannot be read, the file is damaged: {_one_line(error)}") from error


def _check_written(dataset: Any, path: Path, key: str) -> None:
    """Refuse a shape that the file cannot hold, and parts that were never written, which would read as zeros."""
    claimed, there = dataset.size * dataset.dtype.itemsize, path.stat().st_size
    if claimed > there * _BEST_COMPRESSION:
        raise DataError(f"{path}: {key}: cannot have shape {dataset.shape}: the whole file has {there} bytes")
    if dataset.chunks is None:
        stored, whole, unit = dataset.id.get_storage_size(), claimed, "bytes"
    else:
        counts = (-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
        stored, whole, unit = dataset.id.get_num_chunks(), math.prod(counts), "chunks"
    if stored < whole:
        raise DataError(f"{path}: {key}: only {stored} of its {whole} {unit} were ever written")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def new_hdf5(path: Path) -> Iterator[Any]:
    """Yield an h5py.File to write into; `path` appears when the block ends without an error.

    Raises:
        OSError: if the file cannot be created or written, as on a full disk; names `path`.

    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_hdf5(Path(folder, "a.h5")) as file:
    ...         file["numbers"] = [1, 2]
    ...     with h5py.File(Path(folder, "a.h5")) as file:
    ...         file["numbers"][()].tolist()
    [1, 2]
    """
    h5py = require("h5py", "caption")
    with replacing(path) as temporary, _FileForHdf5(str(temporary), "r+") as raw:
        try:
            with h5py.File(raw, "w") as file:
                yield file
        finally:
            if raw.error is not None:
                raise OSError(raw.error.errno, raw.error.strerror, str(path)) from raw.error


class _FileForHdf5(FileIO):
    """A file that keeps its first write error in `error` and pretends that all later writes succeed.

    The HDF5 library may crash after a write error, because it tries to write the same bytes again.
    """

    error: OSError | None = None

    def write(self, content: Any) -> int:
        self._attempt(lambda: write_all(super(_FileForHdf5, self), content, ""))
        return memoryview(content).nbytes

    def truncate(self, size: int | None = None) -> int:
        self._attempt(lambda: super(_FileForHdf5, self).truncate(size))
        return size or 0

    def _attempt(self, action: Callable[[], Any]) -> None:
        try:
            if self.error is None:
                action()
        except OSError as error:
            self.error = error
