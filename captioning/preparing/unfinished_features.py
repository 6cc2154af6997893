"""A file of features that are being computed, from which a killed job resumes.

The file begins with a fingerprint of what is computed, followed by a record for each photo: its features, perhaps its
regions, and their CRC-32. A record that a kill, a full disk or a damaged disk left incomplete does not count. HDF5 is
unsuitable, because a file that is open while its process is killed may not open again.
"""

from __future__ import annotations

import os
import zlib
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.storage import write_all

__all__ = ["UnfinishedFeatures"]

_MAGIC = b"minigrad: features on their way\n"
_PIECE = 1024  # records at once


class UnfinishedFeatures:
    """A file of records with `features` (columns,) float32, and perhaps `regions` (R, K) bytes; `len` counts them.

    path: the file, resumed if it has the same fingerprint and widths, else overwritten. fingerprint: 32 bytes that
    identify what the records are computed from. regions: () for none. `dtype` is that of a record.

    Raises:
        OSError: if the file cannot be read or written, as on a full disk; names the file.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows")
    ...     with UnfinishedFeatures(path, b"1" * 32, columns=3) as rows:
    ...         rows.append(np.ones((2, 3)))
    ...     with UnfinishedFeatures(path, b"1" * 32, columns=3) as rows:
    ...         len(rows), rows.read(1, 2)["features"].tolist()
    (2, [[1.0, 1.0, 1.0]])
    """

    def __init__(self, path: Path, fingerprint: bytes, columns: int, regions: tuple[int, ...] = ()) -> None:
        self.path = path
        fields: list[Any] = [("features", "<f4", (columns,))]
        self.dtype = np.dtype([*fields, *([("regions", "u1", regions)] if regions else []), ("crc", "<u4")])
        self._head = _MAGIC + fingerprint + b"".join(n.to_bytes(8, "little") for n in (columns, *regions))
        # Without a buffer, which would keep what a full disk refused and write it again when the file is closed.
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 - closed by `close`
        if self._file.read(len(self._head)) != self._head:
            self._file.seek(0)
            self._file.truncate()
            write_all(self._file, self._head, path)
        self._number = 0
        while whole := _count_whole(self._records(self._number, self._number + _PIECE)):
            self._number += whole
        self.keep(self._number)

    def __len__(self) -> int:
        return self._number

    def append(self, features: NDArray[np.floating], regions: NDArray[np.uint8] | None = None) -> None:
        """Write features (N, columns), and regions (N, R, K) if there are any; they are written when this returns."""
        records = np.empty(len(features), self.dtype)
        records["features"] = features
        if regions is not None:
            records["regions"] = regions
        records["crc"] = [_crc(record) for record in records]
        write_all(self._file, records.tobytes(), self.path)
        self._number += len(features)

    def read(self, start: int, stop: int) -> NDArray[np.void]:
        """Return the records start to stop; raise a DataError if one of them has changed since it was written."""
        records = self._records(start, stop)
        if (whole := _count_whole(records)) < stop - start:
            raise DataError(f"{self.path}: row {start + whole} has changed since it was written; start again when no "
                            "other process writes there")  # fmt: skip
        return records

    def keep(self, number: int) -> None:
        """Drop all records but the first `number`."""
        self._number = min(number, self._number)
        self._file.truncate(len(self._head) + self._number * self.dtype.itemsize)
        self._file.seek(0, os.SEEK_END)

    def _records(self, start: int, stop: int) -> NDArray[np.void]:
        self._file.seek(len(self._head) + start * self.dtype.itemsize)
        content = self._file.read((stop - start) * self.dtype.itemsize)
        self._file.seek(0, os.SEEK_END)
        return np.frombuffer(content, self.dtype, len(content) // self.dtype.itemsize)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the file, and remove it if it has no records."""
        self._file.close()
        if not self._number:
            self.path.unlink(missing_ok=True)


def _crc(record: np.void) -> int:
    """Return the checksum of a record, the CRC-32 of the bytes before it."""
    return zlib.crc32(record.tobytes()[:-4])


def _count_whole(records: NDArray[np.void]) -> int:
    """Count the records before the first that is not whole."""
    return sum(1 for _ in takewhile(lambda record: _crc(record) == record["crc"], records))
