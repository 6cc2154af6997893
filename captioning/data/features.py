"""Features of images, and of the regions of images, read by rows from HDF5.

Rows of a split are read into memory once, when first asked for, if they take at most `cache_bytes` (256 MiB by
default). Larger ones stay in the file, and each batch reads its own rows. Random rows are cheap to read from an
uncompressed file; a compressed file unpacks every chunk that a row touches, so `repack_features` rewrites it once.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.hdf5 import checked_attribute, checked_dataset, new_hdf5, open_hdf5, reading, text_attribute

__all__ = ["CACHE_BYTES", "FeatureRows", "FeaturesAndRegions", "ImageRows", "RegionRows", "StoredRows",
           "repack_features"]  # fmt: skip

CACHE_BYTES = 256 * 2**20

_BLOCK_BYTES = 64 * 2**20


class _Rows(ABC):
    """The array interface of rows in a file: shape, length, indexing, conversion."""

    shape: tuple[int, ...]
    dtype = np.dtype(np.float32)

    @abstractmethod
    def __getitem__(self, index: Any) -> NDArray[np.float32]: ...

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:].astype(dtype or self.dtype, copy=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @abstractmethod
    def close(self) -> None:
        """Close the files and forget the rows in memory."""


class StoredRows(_Rows):
    """Rows of the data set `key` of the HDF5 file `path`, indexed like an array along the first axis.

    An index is an int, a slice, integers in any order with repeats, or booleans; rows are float32 copies. If all rows
    take at most `cache_bytes`, the first access reads and keeps them. `chunked` says whether the file stores them in
    chunks, which may be compressed. Any problem with the file raises a DataError.
    """

    rank: ClassVar[int]
    kind: ClassVar[Any]
    kept_dtype: ClassVar[np.dtype[Any]]

    def __init__(self, path: str | os.PathLike[str], key: str, cache_bytes: int = CACHE_BYTES) -> None:
        self.path, self.key = Path(path), key
        self._stack = ExitStack()
        self._file = self._stack.enter_context(open_hdf5(self.path))
        try:
            self._dataset = checked_dataset(self._file, self.path, key, rank=self.rank, kind=self.kind)
            self.shape = self._dataset.shape
            if 0 in self.shape:
                raise DataError(f"{self.path}: {key}: is empty, shape {self.shape}")
            self._read_attributes()
        except BaseException:
            self._stack.close()
            raise
        self.chunked = self._dataset.chunks is not None
        self._file_bytes = self._current_file_bytes()
        self.cached = int(np.prod(self.shape)) * self.kept_dtype.itemsize <= cache_bytes
        self._memory: NDArray[Any] | None = None
        self._numbers = np.arange(len(self))  # indexing it resolves an index as NumPy would

    @abstractmethod
    def _read_attributes(self) -> None:
        """Read the attributes of `self._dataset`."""

    def _kept(self, block: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return the form in which memory keeps a block with these row numbers; raise a DataError if it is unusable."""
        return block

    def _given(self, kept: NDArray[Any]) -> NDArray[np.float32]:
        """Turn rows as `_kept` returns them into float32, without copying them again."""
        return kept

    @property
    def parts(self) -> list[StoredRows]:
        """The files that the rows are read from."""
        return [self]

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        if not self._file:
            raise DataError(f"{self.path}: {self.key}: the file is closed; read rows before you close it")
        rows = np.asarray(self._numbers[index])
        if not self.cached:
            return self._given(self._read(rows.ravel())).reshape(*rows.shape, *self.shape[1:])
        if self._memory is None:
            self._memory = self._read(self._numbers)
        return self._given(self._memory[rows])  # an array as index copies

    def blocks(self) -> Iterator[slice]:
        """Return slices of about 64 MiB that cover all rows in order, and end at chunk boundaries."""
        step = max(1, _BLOCK_BYTES // (int(np.prod(self.shape[1:])) * self.dtype.itemsize))
        chunk = self._dataset.chunks[0] if self.chunked else 1
        step = max(1, step // chunk) * chunk
        return (slice(start, min(start + step, len(self))) for start in range(0, len(self), step))

    def _read(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Read rows from the file: h5py wants them increasing and distinct, so sort, read, scatter back."""
        if not rows.size:
            return np.empty((0, *self.shape[1:]), self.kept_dtype)
        distinct, place = np.unique(rows, return_inverse=True)
        first, last = int(distinct[0]), int(distinct[-1])
        gapless = distinct.size == last - first + 1  # a slice is much faster than a list of rows
        with reading(self.path, self.key):
            block = self._dataset[first : last + 1] if gapless else self._dataset[distinct]
        if self._current_file_bytes() < self._file_bytes:  # HDF5 returns zeros beyond the end of the file
            raise DataError(f"{self.path}: {self.key}: the file was truncated while it was being read")
        rising = self._kept(block, distinct)
        return rising if np.array_equal(rows, distinct) else rising[place]

    def _current_file_bytes(self) -> int:
        """Return the size of the open file, even if another file has its name by now."""
        return os.fstat(self._file.id.get_vfd_handle()).st_size

    def close(self) -> None:
        self._memory = None
        self._stack.close()


class FeatureRows(StoredRows):
    """The rows of a float matrix (M,D), one for each image; a number that is not finite raises a DataError.

    `extractor` is the file's attribute of that name: the network that computed the features, or None if it is missing.

    >>> import tempfile, h5py
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(folder + "/f.h5", "w") as file:
    ...         file["features"] = np.eye(3, dtype=np.float32)
    ...     with FeatureRows(folder + "/f.h5") as rows:
    ...         rows.shape, rows[[2, 0, 2]].tolist()
    ((3, 3), [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """

    rank, kind, kept_dtype = 2, np.floating, np.dtype(np.float32)

    def __init__(self, path: str | os.PathLike[str], key: str = "features", cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(path, key, cache_bytes)

    def _read_attributes(self) -> None:
        self.extractor = text_attribute(self._dataset, self.path, self.key, "extractor")

    def _kept(self, block: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        with np.errstate(over="ignore"):  # a number too large for float32 is reported below
            found: NDArray[np.float32] = block.astype(self.dtype, copy=False)
        if not (np.isfinite(found.min()) and np.isfinite(found.max())):  # needs no array of booleans
            bad = int(rows[~np.isfinite(found).all(axis=1)][0])
            raise DataError(f"{self.path}: {self.key}: row {bad} has a number that is not finite in float32")
        return found


class RegionRows(StoredRows):
    """The features of the regions of images, float32 (M, R, K): R cells of a grid, row by row, K numbers each.

    The file stores each number as a byte: `regions`, uint8 (M, R, K), with attributes `scale` and `offset` (K,), means
    byte * scale + offset. Memory keeps the bytes. `projection` is the file's attribute of that name: the fingerprint of
    the `RegionProjection` that made the regions, or None if it is missing.
    """

    rank, kind, kept_dtype = 3, np.uint8, np.dtype(np.uint8)

    def __init__(self, path: str | os.PathLike[str], cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(path, "regions", cache_bytes)

    def _read_attributes(self) -> None:
        self.scale, self.offset = self._floats("scale"), self._floats("offset")
        self.projection = text_attribute(self._dataset, self.path, self.key, "projection")

    def _floats(self, name: str) -> NDArray[np.float32]:
        """Return an attribute that has one float for each column."""
        value = checked_attribute(
            self._dataset, self.path, self.key, name,
            lambda found: found.shape == self.shape[2:] and found.dtype.kind == "f", f"{self.shape[2]} floats",
        )  # fmt: skip
        with np.errstate(over="ignore"):
            values = np.asarray(np.nan if value is None else value).astype(np.float32)
            largest = values * 255
        if not np.isfinite(largest).all():
            problem = "is missing" if value is None else "has a number that is not finite, or too large"
            raise DataError(f"{self.path}: {self.key}: attribute {name}: {problem}")
        return values

    def _given(self, kept: NDArray[Any]) -> NDArray[np.float32]:
        return kept * self.scale + self.offset


class FeaturesAndRegions(_Rows):
    """Rows of whole images' features, each followed by those of its regions: float32 (M, D + R K).

    whole, places: the two; raises a DataError unless they have equally many rows. `close` closes both.
    """

    def __init__(self, whole: FeatureRows, places: RegionRows) -> None:
        if len(whole) != len(places):
            raise DataError(f"{places.path}: regions has {len(places)} rows, {whole.path.name} has {len(whole)}")
        self.whole, self.places, self.grid = whole, places, (places.shape[1], places.shape[2])
        self.shape = len(whole), whole.shape[1] + self.grid[0] * self.grid[1]
        self.path, self.extractor = whole.path, whole.extractor
        self.cached = whole.cached and places.cached
        self.parts: list[StoredRows] = [whole, places]

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        whole, places = self.whole[index], self.places[index]
        return np.concatenate([whole, places.reshape(*whole.shape[:-1], self.grid[0] * self.grid[1])], axis=-1)

    def close(self) -> None:
        try:
            self.whole.close()
        finally:
            self.places.close()


ImageRows = FeatureRows | FeaturesAndRegions


def repack_features(source: str | os.PathLike[str], target: str | os.PathLike[str], key: str = "features") -> None:
    """Copy the features of `source` into a new file as one uncompressed block of float32 rows.

    Each random row then takes one short read. The attribute `extractor` is copied too. It copies 64 MiB at a time;
    `target` appears only when it is complete. Errors as in `FeatureRows` and `new_hdf5`.
    """
    with FeatureRows(source, key, cache_bytes=0) as rows, new_hdf5(Path(target)) as file:
        copy = file.create_dataset(key, rows.shape, rows.dtype)
        if rows.extractor is not None:
            copy.attrs["extractor"] = rows.extractor
        for block in rows.blocks():
            copy[block] = rows[block]
