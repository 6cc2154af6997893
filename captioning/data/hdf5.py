"""Opening HDF5 files and finding data sets in them; whatever is wrong is a `DataError` that names file and key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.errors import DataError
from minigrad.runtime.extras import require
from minigrad.runtime.files import irregular

__all__ = ["checked_dataset", "open_hdf5", "reading"]


def open_hdf5(path: Path) -> Any:
    """An h5py.File opened for reading, or a DataError."""
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        return require("h5py", "caption").File(path, "r")
    except OSError as error:
        raise DataError(f"{path}: not a whole HDF5 file (truncated, damaged or foreign): {error}") from error


def checked_dataset(file: Any, path: Path, key: str, rank: int, kind: Any) -> Any:
    """The h5py data set at `key`, not yet read, with its rank and dtype checked."""
    try:
        dataset = file.get(key)
    except (OSError, RuntimeError, KeyError) as error:
        raise DataError(f"{path}: {key}: cannot be read: {error}") from error
    if dataset is None:
        raise DataError(f"{path}: the key {key} is missing; the file has {sorted(file) or 'no keys'}")
    if not isinstance(dataset, require("h5py", "caption").Dataset):
        raise DataError(f"{path}: {key}: must be a data set; got a {type(dataset).__name__}")
    if dataset.ndim != rank:
        raise DataError(f"{path}: {key}: must have {rank} dimensions; got shape {dataset.shape}")
    if not np.issubdtype(dataset.dtype, kind):
        raise DataError(f"{path}: {key}: must hold {kind.__name__} numbers; got dtype {dataset.dtype}")
    return dataset


@contextmanager
def reading(path: Path, key: str) -> Iterator[None]:
    """Turn what h5py raises on damaged content into a DataError."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise DataError(f"{path}: {key}: cannot be read, the file is damaged: {error}") from error
