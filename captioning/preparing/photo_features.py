"""Photos become features, and regions if they are wanted, a batch at a time.

A job that was killed goes on with the first batch that is not whole, and comes to the same bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.errors import DataError
from captioning.preparing.looking import BATCH, check_strict, read_batch, views
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.region_reduction import RegionReduction
from minigrad.parallel.communicators import ALONE

__all__ = ["compute_features", "photo_fingerprint"]


def photo_fingerprint(photos: Sequence[Path], extractor: FeatureExtractor) -> bytes:
    """32 bytes for a list of photos and a network: other names, an order or contents by size and time give others."""
    found = hashlib.sha256(f"{extractor.name} {extractor.size} {BATCH}\n".encode())
    for path in photos:
        status = path.stat()
        found.update(f"{path.name!r} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return found.digest()


def compute_features(
    photos: Sequence[Path],
    extractor: FeatureExtractor,
    rows: UnfinishedFeatures,
    progress: Progress,
    strict: bool = False,
    reduction: RegionReduction | None = None,
    comm: Any = ALONE,
) -> dict[int, str]:
    """Append the features of the photos to `rows`, which may have some; by its place, why a photo could not be read.

    reduction: how regions are made of the same maps, which `rows` then have, too. comm: the ranks that look at the
    photos, of which this is rank 0, as of `views`.

    Such a photo has a row of NaN. With `strict` the first of them is a DataError, and one is if all are such.
    """
    rows.keep(len(rows) // BATCH * BATCH if len(rows) < len(photos) else len(photos))
    failed = _fail_again(rows, photos, extractor)
    check_strict(failed, strict)
    progress.begin(len(photos), start=len(rows))
    for start, view in views(photos, extractor, len(rows), reduction, comm=comm):
        view.check(strict)
        rows.append(**view.seen)
        for k, error in view.errors.items():
            failed[start + k] = error
            progress.say(f"left out: {error}")
        progress.update(len(rows))
    progress.close()
    if len(failed) == len(photos):
        raise DataError(f"none of {len(photos)} photos can be read; {failed[0]}")
    return failed


def _fail_again(rows: UnfinishedFeatures, photos: Sequence[Path], extractor: FeatureExtractor) -> dict[int, str]:
    """Of an earlier run's rows: why the photos that are NaN cannot be read, which has them read again."""
    failed: dict[int, str] = {}
    for start in range(0, len(rows), BATCH):
        lost = np.flatnonzero(np.isnan(rows.read(start, start + BATCH)[:, 0]))
        for n in (start + lost).tolist():
            _, errors = read_batch([photos[n]], extractor)
            if not errors:  # what is wrong now is right later: compute from here on as if the job had ended there
                rows.keep(start)
                return failed
            failed[n] = errors[0]
    return failed
