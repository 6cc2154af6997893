"""Features of the places of pictures, and rows of these beside those of the whole picture.

A place is a cell of a grid over the picture. The file keeps K numbers of each in a byte each: a number is
byte * scale + offset, with K scales and offsets.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.hdf5 import checked_attribute, reading
from captioning.data.stored_rows import CACHE_BYTES, StoredRows

__all__ = ["FeaturesAndRegions", "RegionRows"]


class RegionRows(StoredRows):
    """The places of pictures, float32 (M, R, K), R places of K features each, row by row of the grid.

    path: a file with `regions`, uint8 (M, R, K), which has attributes `scale` and `offset` (K,). Missing or impossible
    ones are a DataError. In memory they are bytes.

    `projection` is the fingerprint of the `RegionProjection` by which they were made, the attribute of that name; None
    where it is not known.
    """

    rank, kind, kept_dtype = 3, np.uint8, np.dtype(np.uint8)
    shape: tuple[int, int, int]

    def __init__(self, path: str | os.PathLike[str], cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(path, "regions", cache_bytes)

    def _look_at(self, dataset: Any) -> None:
        self.scale, self.offset = (self._checked(dataset, name) for name in ("scale", "offset"))
        self.projection = checked_attribute(dataset, self.path, self.key, "projection")

    def _checked(self, dataset: Any, name: str) -> NDArray[np.float32]:
        where = f"{self.path}: {self.key}: attribute {name}"
        with reading(self.path, f"{self.key}: attribute {name}"):
            if name not in dataset.attrs:
                raise DataError(f"{where}: is missing")
            identifier = dataset.attrs.get_id(name)
            if identifier.shape != self.shape[2:] or identifier.dtype.kind != "f":
                raise DataError(f"{where}: must be {self.shape[2]} floats; got {identifier.dtype} {identifier.shape}")
            with np.errstate(over="ignore"):
                values = np.asarray(dataset.attrs[name]).astype(np.float32)
                largest = values * 255
        if not np.isfinite(largest).all():
            raise DataError(f"{where}: has a number that is not finite, or too large")
        return values

    def _kept(self, block: NDArray[Any], rows: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
        return block

    def _given(self, kept: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = kept * self.scale
        found += self.offset
        return found


class FeaturesAndRegions:
    """Rows of the features of whole pictures with those of their places behind them: float32 (M, D + R K).

    It is used as `FeatureRows` is. whole, places: the two, of as many pictures, or it is a DataError. Closing closes
    both.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, whole: FeatureRows, places: RegionRows) -> None:
        if len(whole) != len(places):
            raise DataError(f"{places.path}: regions has {len(places)} rows, {whole.path.name} has {len(whole)}")
        self.whole, self.places = whole, places
        self.grid = places.shape[1:]

    @property
    def shape(self) -> tuple[int, int]:
        count, columns = self.grid
        return len(self.whole), self.whole.shape[1] + count * columns

    @property
    def path(self) -> Path:
        """The file of the whole pictures' features."""
        return self.whole.path

    @property
    def extractor(self) -> str | None:
        """The network that the features are of, None where it is not known."""
        return self.whole.extractor

    @property
    def cached(self) -> bool:
        """Whether all are in memory, once read."""
        return self.whole.cached and self.places.cached

    @property
    def parts(self) -> list[StoredRows]:
        """What the rows are read from."""
        return [self.whole, self.places]

    def __len__(self) -> int:
        return len(self.whole)

    def __repr__(self) -> str:
        return f"<FeaturesAndRegions {self.shape} of {self.whole!r} and {self.places!r}>"

    def __getitem__(self, index: Any) -> NDArray[np.float32]:
        whole, places = self.whole[index], self.places[index]
        count, columns = self.grid
        return np.concatenate([whole, places.reshape(*whole.shape[:-1], count * columns)], axis=-1)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("FeaturesAndRegions: an array of them is always a copy; got copy=False")
        rows: NDArray[Any] = self[:].astype(dtype or self.dtype, copy=False)
        return rows

    def blocks(self) -> Iterator[slice]:
        """As of `StoredRows`, of a size that suits the places."""
        return self.places.blocks()

    def close(self) -> None:
        """Close both files."""
        self.whole.close()
        self.places.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
