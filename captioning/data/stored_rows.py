"""The rows of an array in an HDF5 file, indexed like an array along the first axis, in memory or from the file.

They are read into memory once, when first asked for, if they take at most `cache_bytes` (256 MiB unless told
otherwise); larger ones stay in the file, and a batch reads its own rows.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.hdf5 import checked_dataset, open_hdf5, reading

__all__ = ["CACHE_BYTES", "StoredRows"]

CACHE_BYTES = 256 * 2**20

_BLOCK_BYTES = 64 * 2**20


class StoredRows(ABC):
    """Rows of a data set `key` of the file `path`; what is wrong with the file is a DataError.

    A subclass says which rank and kind of numbers it takes, what of a block is kept in memory (`_kept`, of the dtype
    `kept_dtype`), and what of that is given (`_given`, float32). `chunked` says whether the file has them in chunks,
    which may be compressed, and not in one block.
    """

    rank: ClassVar[int]
    kind: ClassVar[Any]
    kept_dtype: ClassVar[np.dtype[Any]]
    dtype = np.dtype(np.float32)

    def __init__(self, path: str | os.PathLike[str], key: str, cache_bytes: int = CACHE_BYTES) -> None:
        self.path, self.key = Path(path), key
        self._file = open_hdf5(self.path)
        try:
            self._dataset = checked_dataset(self._file, self.path, key, rank=self.rank, kind=self.kind)
            self.shape: tuple[int, ...] = self._dataset.shape
            if 0 in self.shape:
                raise DataError(f"{self.path}: {key}: is empty, shape {self.shape}")
            self._look_at(self._dataset)
            self.chunked = self._dataset.chunks is not None
            self._rows_of_chunk: int = (self._dataset.chunks or (1,))[0]
            self._bytes = self._bytes_there()
        except BaseException:
            self._file.close()
            raise
        self.cached = self.nbytes <= cache_bytes
        self._memory: NDArray[Any] | None = None
        self._numbers = np.arange(len(self))  # indexing it resolves an index as NumPy would

    @abstractmethod
    def _look_at(self, dataset: Any) -> None:
        """Read what else the data set says, its attributes."""

    @abstractmethod
    def _kept(self, block: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """What is kept of a block of the file, whose rows these are; a DataError if it cannot be used."""

    @abstractmethod
    def _given(self, kept: NDArray[Any]) -> NDArray[np.float32]:
        """What is given of rows that were kept, which may be copied no more."""

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """The bytes of all rows as they are kept in memory."""
        return int(np.prod(self.shape)) * self.kept_dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __repr__(self) -> str:
        where = "in memory once read" if self.cached else "in the file"
        return f"<{type(self).__name__} {self.shape} {self.dtype} of {self.path}, {where}>"

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        if not self._file:
            raise DataError(f"{self.path}: {self.key}: the file is closed; read rows before you close it")
        rows = np.asarray(self._numbers[index])
        if self.cached:
            return self._given(self._remembered()[rows])  # an array as index copies
        return self._given(self._read(rows.ravel())).reshape(*rows.shape, *self.shape[1:])

    def blocks(self) -> Iterator[slice]:
        """Slices that cover all rows once, in order, of about 64 MiB each as they are given.

        They end where chunks do, so that a compressed file is unpacked once.
        """
        step = max(1, _BLOCK_BYTES // (int(np.prod(self.shape[1:])) * self.dtype.itemsize))
        step = max(1, step // self._rows_of_chunk) * self._rows_of_chunk
        return (slice(start, min(start + step, len(self))) for start in range(0, len(self), step))

    def _remembered(self) -> NDArray[Any]:
        if self._memory is None:
            self._memory = self._read(self._numbers)
        return self._memory

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(f"{type(self).__name__}: an array of them is always a copy; got copy=False")
        rows: NDArray[Any] = self[:].astype(dtype or self.dtype, copy=False)
        return rows

    def _read(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Read rows from the file: h5py wants them rising and distinct, so sort, read, scatter back."""
        if not rows.size:
            return np.empty((0, *self.shape[1:]), self.kept_dtype)
        distinct, place = np.unique(rows, return_inverse=True)
        first, last = int(distinct[0]), int(distinct[-1])
        gapless = distinct.size == last - first + 1  # a slice is much faster than a list of rows
        try:
            with reading(self.path, self.key):
                block = self._dataset[first : last + 1] if gapless else self._dataset[distinct]
        except DataError:
            self._find_unreadable(distinct)
            raise
        self._check_whole()
        rising = self._kept(block, distinct)
        return rising if np.array_equal(rows, distinct) else rising[place]

    def _bytes_there(self) -> int:
        """The size of the open file, also if another one has its name by now."""
        return os.fstat(self._file.id.get_vfd_handle()).st_size

    def _check_whole(self) -> None:
        """Raise a DataError if the file is shorter than it was: HDF5 gives zeros for what is behind the end."""
        if (there := self._bytes_there()) < self._bytes:
            raise DataError(f"{self.path}: {self.key}: the file has become shorter while it was read, {there:,} bytes "
                            f"instead of {self._bytes:,}")  # fmt: skip

    def _find_unreadable(self, rows: NDArray[np.integer[Any]]) -> None:
        """Raise the DataError that names the first of rising rows which cannot be read; it is found by halving them."""
        while len(rows) > 1:
            half = rows[: len(rows) // 2]
            rows = rows[len(half) :] if self._is_readable(half) else half
        with reading(self.path, f"{self.key}: row {rows[0]}"):
            self._dataset[rows]

    def _is_readable(self, rows: NDArray[np.integer[Any]]) -> bool:
        try:
            with reading(self.path, self.key):
                self._dataset[rows]
        except DataError:
            return False
        return True

    def close(self) -> None:
        """Close the file and forget the rows in memory."""
        self._file.close()
        self._memory = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
