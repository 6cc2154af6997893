"""Features on their way into a data set, in a file from which a killed job goes on.

The file begins with a fingerprint of what is computed; behind it stands a record a photo, its features, perhaps its
regions, and their CRC-32. What a kill or a full disk leaves of a record, or a disk has lost, is not taken for one. HDF5
is no format for this: a file that is open while its process is killed may not open again.
"""

from __future__ import annotations

import os
import zlib
from itertools import takewhile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.storage import write_all

__all__ = ["UnfinishedFeatures"]

_MAGIC = b"minigrad: features on their way\n"
_PIECE = 1024  # records at once


class UnfinishedFeatures:
    """Rows of `columns` float32 numbers, and of `regions` (R, K) bytes, appended; `len` is how many are whole.

    path: the file, made if it is not there or is of another fingerprint or width, else gone on with. fingerprint: 32
    bytes that stand for what the rows are of. regions: () where there are none. `began_with` is how many rows
    were there.

    Raises:
        OSError: a file that cannot be read or written, such as of a full disk; it names the file.
        DataError: rows that are read and have changed since, by a damaged disk or another process.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows")
    ...     with UnfinishedFeatures(path, b"1" * 32, columns=3) as rows:
    ...         rows.append(np.ones((2, 3)))
    ...     with UnfinishedFeatures(path, b"1" * 32, columns=3) as rows:
    ...         len(rows), rows.read(1, 2).tolist()
    (2, [[1.0, 1.0, 1.0]])
    """

    def __init__(self, path: Path, fingerprint: bytes, columns: int, regions: tuple[int, ...] = ()) -> None:
        self.path = path
        fields: list[Any] = [("row", "<f4", (columns,))]
        fields += [("regions", "u1", regions)] if regions else []
        self._record = np.dtype([*fields, ("crc", "<u4")])
        self._head = _MAGIC + fingerprint + b"".join(n.to_bytes(8, "little") for n in (columns, *regions))
        # Without a buffer: what a full disk refused would stay in one, and be tried again when the file is closed.
        self._file = open(path, "r+b" if path.exists() else "w+b", buffering=0)  # noqa: SIM115 - closed by `close`
        try:
            if self._file.read(len(self._head)) != self._head:
                self._begin()
            self._number = self._whole_records()
            self.keep(self._number)
        except BaseException:
            self._file.close()
            raise
        self.began_with = self._number

    def __len__(self) -> int:
        return self._number

    def append(self, features: NDArray[np.floating], regions: NDArray[np.uint8] | None = None) -> None:
        """Write rows of features (N, columns), and regions (N, R, K) if there are any, behind the others.

        They are with the system when this returns.
        """
        records = np.empty(len(features), self._record)
        records["row"] = features
        if regions is not None:
            records["regions"] = regions
        records["crc"] = [_crc(record) for record in records]
        write_all(self._file, records.tobytes(), self.path)
        self._number += len(features)

    def read(self, start: int, stop: int) -> NDArray[np.float32]:
        """Rows start to stop: (stop - start, columns); a DataError if one of them is not what was written."""
        rows: NDArray[np.float32] = self._written(start, stop)["row"].astype(np.float32)
        return rows

    def read_regions(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The regions of rows start to stop: (stop - start, R, K); a DataError as of `read`."""
        regions: NDArray[np.uint8] = self._written(start, stop)["regions"]
        return regions

    def _written(self, start: int, stop: int) -> NDArray[np.void]:
        """The records start to stop, or a DataError."""
        stop = min(stop, self._number)
        records = self._records(start, stop)
        whole = sum(1 for _ in takewhile(_is_whole, records))
        if whole < stop - start:
            raise DataError(f"{self.path}: row {start + whole} is not what was written; start again when no other "
                            "process writes there")  # fmt: skip
        return records

    def keep(self, number: int) -> None:
        """Forget all rows but the first `number`."""
        self._number = min(number, self._number)
        self._file.truncate(len(self._head) + self._number * self._record.itemsize)
        self._file.seek(0, os.SEEK_END)

    def close(self) -> None:
        """Close the file, which stays if it has rows."""
        self._file.close()
        if not self._number:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        write_all(self._file, self._head, self.path)

    def _records(self, start: int, stop: int) -> NDArray[np.void]:
        self._file.seek(len(self._head) + start * self._record.itemsize)
        content = self._file.read((stop - start) * self._record.itemsize) or b""
        self._file.seek(0, os.SEEK_END)
        return np.frombuffer(content, self._record, len(content) // self._record.itemsize)

    def _whole_records(self) -> int:
        """How many records there are before the first that is not whole."""
        number = 0
        while len(records := self._records(number, number + _PIECE)):
            whole = sum(1 for _ in takewhile(_is_whole, records))
            number += whole
            if whole < len(records):
                break
        return number


def _crc(record: np.void) -> int:
    """The CRC-32 of what stands in a record before it."""
    return zlib.crc32(record.tobytes()[: -record.dtype["crc"].itemsize])


def _is_whole(record: np.void) -> bool:
    return bool(_crc(record) == record["crc"])
