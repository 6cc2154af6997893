"""Opening HDF5 files and finding data sets in them; whatever is wrong is a `DataError` that names file and key.

**A file is not trusted.** Its links and layouts may lead to other files, its header may claim a shape that no memory
holds, and damage in its metadata makes h5py raise nearly anything. What is read lies in the file itself, whole and
written, or it is refused before a number of it is read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.errors import DataError
from minigrad.runtime.extras import require
from minigrad.runtime.files import irregular

__all__ = ["checked_attribute", "checked_dataset", "open_hdf5", "reading"]

_SMALLEST = 1032
"""Deflate, the usual filter, makes nothing smaller than by this factor (zlib, "Technical details": 1032:1)."""

_LONGEST = 200  # characters of an attribute
_NAMED = 10  # keys that a message lists


def open_hdf5(path: Path) -> Any:
    """An h5py.File opened for reading, or a DataError."""
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    h5py = require("h5py", "caption")
    try:
        return h5py.File(path, "r")
    except Exception as error:  # see `reading`
        raise DataError(f"{path}: not a whole HDF5 file (truncated, damaged or foreign): {_told(error)}") from error


def checked_dataset(file: Any, path: Path, key: str, rank: int, kind: Any) -> Any:
    """The h5py data set at `key`, not yet read, with its place, rank, dtype and size checked."""
    dataset_class = require("h5py", "caption").Dataset
    with reading(path, key):
        dataset = _find(file, path, key)
        if not isinstance(dataset, dataset_class):
            raise DataError(f"{path}: {key}: must be a data set; got a {type(dataset).__name__}")
        if dataset.is_virtual or dataset.external:
            raise DataError(f"{path}: {key}: is stored in other files; the numbers must be in this one")
        if dataset.shape is None or dataset.ndim != rank:
            raise DataError(f"{path}: {key}: must have {rank} dimensions; got shape {dataset.shape}")
        if not np.issubdtype(dataset.dtype, kind):
            raise DataError(f"{path}: {key}: must hold {kind.__name__} numbers; got dtype {dataset.dtype}")
        _check_written(dataset, path, key)
    return dataset


def checked_attribute(item: Any, path: Path, key: str, name: str) -> str | None:
    """The text of an attribute of an h5py file or data set, None where it has none; another value is a DataError.

    key: what a message calls the item, such as 'features'; '/' is the file's root.
    """
    with reading(path, f"{key}: attribute {name}"):
        if name not in item.attrs:
            return None
        identifier = item.attrs.get_id(name)
        # not any dtype of objects: a flipped bit makes a text a sequence of bytes, whose reading crashes h5py 3.16
        if identifier.shape != () or require("h5py", "caption").check_string_dtype(identifier.dtype) is None:
            raise DataError(
                f"{path}: {key}: attribute {name}: must be one text; got {identifier.dtype} of shape {identifier.shape}"
            )
        value = item.attrs[name]
        text = value.decode("utf-8") if isinstance(value, bytes) else value
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= _LONGEST:
        raise DataError(f"{path}: {key}: attribute {name}: must be a printable text of 1 to {_LONGEST} characters")
    return str(text)


@contextmanager
def reading(path: Path, key: str) -> Iterator[None]:
    """Turn what h5py raises on damaged content into a DataError.

    That may be any exception, such as a ValueError of NumPy's for a dtype that makes no sense, or a MemoryError for an
    absurd size: therefore nothing but calls of h5py and DataErrors belongs in the block.
    """
    try:
        yield
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: {key}: cannot be read, the file is damaged: {_told(error)}") from error


def _find(file: Any, path: Path, key: str) -> Any:
    """What stands at a key, reached by hard links alone: other links may lead out of the file."""
    h5py = require("h5py", "caption")
    place = file
    for name in filter(None, key.split("/")):
        link = place.get(name, getlink=True) if isinstance(place, h5py.Group) else None
        if link is None:
            raise DataError(f"{path}: the key {key} is missing; the file has {_keys(file)}")
        if not isinstance(link, h5py.HardLink):
            raise DataError(f"{path}: {key}: is a link to {link.path!r}; the numbers must stand at the key itself")
        place = place[name]
    return place


def _keys(file: Any) -> str:
    names = sorted(map(str, file))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{names[:_NAMED] or 'no keys'}{more}"


def _check_written(dataset: Any, path: Path, key: str) -> None:
    """Refuse a shape that the file cannot hold, and a part that was never written, which would read as zeros."""
    claimed, there = dataset.size * dataset.dtype.itemsize, path.stat().st_size
    if claimed > there * _SMALLEST:
        raise DataError(f"{path}: {key}: cannot have shape {dataset.shape}: the whole file has {there} bytes")
    if dataset.chunks is None:
        stored, whole, unit = dataset.id.get_storage_size(), claimed, "bytes"
    else:
        counts = (-(-n // size) for n, size in zip(dataset.shape, dataset.chunks, strict=True))
        stored, whole, unit = dataset.id.get_num_chunks(), math.prod(counts), "chunks"
    if stored < whole:
        raise DataError(f"{path}: {key}: only {stored} of its {whole} {unit} were ever written")


def _told(error: Any) -> str:
    """An exception in one line."""
    error = error.args[0] if isinstance(error, KeyError) and error.args else error  # the text of a KeyError is quoted
    return " ".join(str(error).split()) or type(error).__name__
