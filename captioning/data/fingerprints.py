"""What a training read, in a few numbers: a run goes on exactly where it stopped only with the very same data.

Of every array there is its shape, its dtype and the CRC-32 of its content, little-endian and in C order; not of the
bytes of its file, so that features which were repacked are the same features. Features that are too large to be kept
in memory are read in part: `SAMPLED` rows spread over all of them. Of the raw captions, which decide which epoch is
the best, there is the CRC-32 of their files.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.dataset import CaptionData
from captioning.data.folder import RAW_CAPTIONS_FILE, SPLITS
from captioning.data.stored_rows import StoredRows
from captioning.storage import crc32_of

__all__ = ["changed", "fingerprint"]

SAMPLED = 256
"""Rows of features that stay in their file; from a compressed file they take about a second."""


def fingerprint(data: CaptionData) -> dict[str, str]:
    """By what was read, such as 'coco2014_captions.h5: train_captions': its shape, dtype and checksum.

    The vocabulary is not there: a run folder keeps it whole.
    """
    found = {}
    for name in SPLITS:
        split = data[name]
        captions, image_idxs = split.stored
        found[f"{split.captions_path.name}: {name}_captions"] = _of_array(captions)
        found[f"{split.captions_path.name}: {name}_image_idxs"] = _of_array(image_idxs)
        found |= {rows.path.name: _of_rows(rows) for rows in split.features.parts}
    return found | _of_raw_captions(data)


def changed(was: dict[str, str], now: dict[str, str]) -> list[str]:
    """What is not as it was, each with what it was and is; what is there now but was not, too.

    >>> changed({"a.h5": "3 int32 0000002a"}, {"a.h5": "4 int32 00000010", "b.csv": "00000001"})
    ['a.h5 (was 3 int32 0000002a, is 4 int32 00000010)', 'b.csv (was not there, is 00000001)']
    """
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return [f"{n} (was {was.get(n, 'not there')}, is {now.get(n, 'not there')})" for n in names]


def _of_array(array: NDArray[Any]) -> str:
    return f"{_shape(array)} {array.dtype.name} {_crc(array):08x}"


def _of_rows(rows: StoredRows) -> str:
    """Of all rows, which are then in memory for the training; or of a part of them."""
    if rows.cached:
        crc = 0
        for block in rows.blocks():
            crc = _crc(rows[block], crc)
        return f"{_shape(rows)} {rows.dtype.name} {crc:08x}"
    part = np.unique(np.linspace(0, len(rows) - 1, SAMPLED).astype(np.int64))
    return f"{_shape(rows)} {rows.dtype.name} {_crc(rows[part]):08x} of {len(part)} rows"


def _of_raw_captions(data: CaptionData) -> dict[str, str]:
    """Of the files that references are read from; of none where the stored captions are the references."""
    table = data.folder / RAW_CAPTIONS_FILE
    lists = [path for path in (data[name].image_names_path for name in SPLITS) if path.is_file()]
    return {path.name: _of_file(path) for path in (table, *lists)} if table.is_file() and lists else {}


def _of_file(path: Path) -> str:
    return f"{path.stat().st_size} bytes {crc32_of(path):08x}"


def _crc(array: NDArray[Any], crc: int = 0) -> int:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return zlib.crc32(np.ascontiguousarray(little).data, crc)


def _shape(array: NDArray[Any] | StoredRows) -> str:
    return "x".join(map(str, array.shape))
