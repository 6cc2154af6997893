"""Features of images, read by rows from HDF5.

Features of a split are read into memory once, when first asked for, if they take at most `cache_bytes` (256 MiB
unless told otherwise); larger ones stay in the file, and a batch reads its own rows. Random rows come cheaply
from a file without compression; a compressed file unpacks every chunk that a row touches, and
`repack_features` rewrites it once. Measured for batches of 25 random rows of 1,280 numbers out of 6,000:
1,800,000 rows a second in memory, 98,000 from an uncompressed file, 240 from a compressed one. docs/scale_data.md
compares chunks and compressions.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.hdf5 import checked_attribute
from captioning.data.hdf5_writing import new_hdf5
from captioning.data.stored_rows import CACHE_BYTES, StoredRows

__all__ = ["CACHE_BYTES", "FeatureRows", "repack_features"]


class FeatureRows(StoredRows):
    """The rows of a float matrix in an HDF5 file, indexed like an array along the first axis.

    path, key: the file and its data set (M,D) of floats. `rows[index]` takes what selects along the
    first axis of an array, an int, a slice, integers in any order with repeats, or booleans, and
    returns float32 (…,D). If all rows take at most `cache_bytes`, the first access reads them all and
    keeps them; otherwise each access reads the rows that it needs. A number that is not finite and
    anything wrong with the file is a DataError. `np.asarray(rows)` reads everything. `extractor` names the network
    that the features are of, the attribute of that name; None where the file does not say.

    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(folder + "/f.h5", "w") as file:
    ...         file["features"] = np.eye(3, dtype=np.float32)
    ...     with FeatureRows(folder + "/f.h5") as rows:
    ...         rows.shape, rows[[2, 0, 2]].tolist()
    ((3, 3), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """

    rank, kind, kept_dtype = 2, np.floating, np.dtype(np.float32)
    shape: tuple[int, int]

    def __init__(self, path: str | os.PathLike[str], key: str = "features", cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(path, key, cache_bytes)

    def _look_at(self, dataset: Any) -> None:
        self.extractor = checked_attribute(dataset, self.path, self.key, "extractor")

    @property
    def parts(self) -> list[StoredRows]:
        """What the rows are read from: these."""
        return [self]

    def _kept(self, block: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # what float32 cannot hold is reported below
            found: NDArray[np.float32] = block.astype(self.dtype, copy=False)
        if not (np.isfinite(found.min()) and np.isfinite(found.max())):  # needs no array of booleans
            bad = int(rows[~np.isfinite(found).all(axis=1)][0])
            raise DataError(f"{self.path}: {self.key}: row {bad} has a number that is not finite in float32")
        return found

    def _given(self, kept: NDArray[Any]) -> NDArray[np.float32]:
        return kept


def repack_features(source: str | os.PathLike[str], target: str | os.PathLike[str], key: str = "features") -> None:
    """Copy the features of `source` into a new file as one uncompressed block of float32 rows.

    Random rows then cost a short read each, instead of the unpacking of every chunk that they touch.
    The attribute `extractor` goes with them. Copies 64 MiB at a time; `target` appears when it is whole. Errors as in
    `FeatureRows` and `new_hdf5`.
    """
    with FeatureRows(source, key, cache_bytes=0) as rows, new_hdf5(Path(target)) as file:
        copy = file.create_dataset(key, rows.shape, rows.dtype)
        if rows.extractor is not None:
            copy.attrs["extractor"] = rows.extractor
        for block in rows.blocks():
            copy[block] = rows[block]
