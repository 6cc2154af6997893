"""Photos become features, and regions if they are wanted, a batch at a time.

A job that was killed goes on with the first batch that is not whole.

A batch is the same photos in every run, and one that cannot be read is black in it, so that what a network computes
for the others is the same to the bit whether or not a run was interrupted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.photo_files import PhotoError
from captioning.vision.region_reduction import RegionReduction

__all__ = ["BATCH", "check_finite", "check_strict", "compute_features", "photo_fingerprint", "read_batch"]

BATCH = 32
"""Photos at once: 19 MB of pixels as a network of 224 x 224 gets them."""


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
) -> dict[int, str]:
    """Append the features of the photos to `rows`, which may have some; by its place, why a photo could not be read.

    reduction: how regions are made of the same maps, which `rows` then have, too.

    Such a photo has a row of NaN. With `strict` the first of them is a DataError, and one is if all are such.
    """
    rows.keep(len(rows) // BATCH * BATCH if len(rows) < len(photos) else len(photos))
    failed = _fail_again(rows, photos, extractor)
    check_strict(failed, strict)
    progress.begin(len(photos), start=len(rows))
    for start in range(len(rows), len(photos), BATCH):
        part = photos[start : start + BATCH]
        batch, errors = read_batch(part, extractor)
        check_strict(errors, strict)
        rows.append(*_seen(batch, extractor, part, errors, reduction))
        for k, error in errors.items():
            failed[start + k] = error
            progress.say(f"left out: {error}")
        progress.update(len(rows))
    progress.close()
    if len(failed) == len(photos):
        raise DataError(f"none of {len(photos)} photos can be read; {failed[0]}")
    return failed


def check_strict(errors: dict[int, str], strict: bool) -> None:
    """With `strict` raise a DataError of the first photo that cannot be read, if there is one."""
    if errors and strict:
        raise DataError(f"{next(iter(errors.values()))}; without --strict it would be left out")


def read_batch(
    photos: Sequence[Path], extractor: FeatureExtractor
) -> tuple[NDArray[np.float32] | None, dict[int, str]]:
    """The photos of a batch, None if none can be read, and by its place why one cannot."""
    prepared: list[NDArray[np.float32] | None] = []
    errors: dict[int, str] = {}
    for k, path in enumerate(photos):
        try:
            prepared.append(extractor.read(path))
        except PhotoError as error:
            prepared.append(None)
            errors[k] = str(error)
    whole = next((photo for photo in prepared if photo is not None), None)
    if whole is None:
        return None, errors
    black = np.zeros_like(whole)
    return np.stack([black if photo is None else photo for photo in prepared]), errors


def _seen(
    batch: NDArray[np.float32] | None,
    extractor: FeatureExtractor,
    photos: Sequence[Path],
    errors: dict[int, str],
    reduction: RegionReduction | None,
) -> tuple[NDArray[np.float32], NDArray[np.uint8] | None]:
    """The features of a batch, NaN for photos that could not be read; and its regions, if there is a reduction."""
    if batch is None:
        features = np.full((len(photos), extractor.size), np.nan, np.float32)
        return features, None if reduction is None else np.zeros((len(photos), *reduction.shape(extractor.grid)), "u1")
    if reduction is None:
        features, regions = extractor.features(batch), None
    else:
        maps = extractor.maps(batch)
        features, regions = maps.mean(axis=(1, 2)), reduction.stored(maps)
    check_finite(features, photos, extractor, errors)
    features[list(errors)] = np.nan
    return features, regions


def check_finite(
    seen: NDArray[np.float32], photos: Sequence[Path], extractor: FeatureExtractor, errors: dict[int, str]
) -> None:
    """Raise a DataError of the first photo, not among those of `errors`, of which a number is not finite."""
    for k, (path, numbers) in enumerate(zip(photos, seen, strict=True)):
        if k not in errors and not np.isfinite(numbers).all():
            raise DataError(f"{path}: {extractor.name} gives a feature that is not finite")


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
