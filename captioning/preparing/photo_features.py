"""Compute the features of photos, and those of their regions, a batch at a time.

A batch has the same photos in every run. A black image replaces a photo that cannot be read, so that the network
computes the same bits for the others. Tasks and answers are bytes, so that any `map` can share the batches among
processes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.photo_files import PhotoError
from captioning.vision.region_reduction import RegionReduction

__all__ = ["BATCH", "MapBatches", "compute_batch", "compute_batches", "compute_features",
           "photo_fingerprint", "read_batch"]  # fmt: skip

BATCH = 32  # photos at once: 19 MB of pixels for a network that sees 224 x 224

MapBatches = Callable[[Callable[[bytes], bytes], Iterable[bytes]], Iterable[bytes]]
Arrays = Mapping[str, NDArray[Any]]


def compute_batches(
    photos: Sequence[Path],
    extractor: FeatureExtractor,
    start: int = 0,
    strict: bool = False,
    reduction: RegionReduction | None = None,
    maps: bool = False,
    map_batches: MapBatches = map,
) -> Iterator[tuple[int, Arrays, dict[int, str]]]:
    """Yield for each batch of the photos from `start` on: the place of its first photo, arrays, and errors.

    The arrays are `maps`, or `features` and perhaps `regions`, with a row per photo; features of a photo that cannot be
    read are NaN. The errors map the place of a photo to the reason why it cannot be read.

    strict: a photo that cannot be read raises a DataError. reduction: computes regions too. maps: compute only maps.
    map_batches: calls `compute_batch` on each of many tasks, in order, as `map` does.

    Raises:
        DataError: if the network computes a number that is not finite for a photo that can be read.
    """
    places = range(start, len(photos), BATCH)
    options = {} if reduction is None else reduction.arrays()
    tasks = (_packed({"photos": list(map(str, photos[k : k + BATCH])), "maps": maps}, options) for k in places)
    for place, answer in zip(places, map_batches(partial(compute_batch, extractor=extractor), tasks), strict=True):
        lines, arrays = _unpacked(answer)
        errors = {place + k: error for k, error in lines}
        check_strict(errors, strict)
        for n, numbers in enumerate(arrays["maps" if maps else "features"], start=place):
            if n not in errors and not np.isfinite(numbers).all():
                raise DataError(f"{photos[n]}: {extractor.name} computes a feature that is not finite")
        yield place, arrays, errors


def check_strict(errors: Mapping[int, str], strict: bool) -> None:
    """If `strict`, raise a DataError for the first photo that cannot be read."""
    if errors and strict:
        raise DataError(f"{next(iter(errors.values()))}; without --strict it would be left out")


def compute_batch(task: bytes, extractor: FeatureExtractor) -> bytes:
    """Return the answer to a task of `compute_batches`."""
    wanted, options = _unpacked(task)
    batch, errors = read_batch(list(map(Path, wanted["photos"])), extractor)
    arrays: dict[str, NDArray[Any]] = {}
    if wanted["maps"]:
        arrays["maps"] = extractor.maps(batch)
    elif options:
        maps = extractor.maps(batch)
        arrays = {"features": maps.mean(axis=(1, 2)), "regions": RegionReduction.of(options).stored(maps)}
    else:
        arrays["features"] = extractor.features(batch)
    if not wanted["maps"]:
        arrays["features"][list(errors)] = np.nan
    return _packed(list(errors.items()), arrays)


def read_batch(photos: Sequence[Path], extractor: FeatureExtractor) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return the prepared photos of a batch, black where one cannot be read, and the reasons by place."""
    batch = np.zeros((len(photos), 3, extractor.side, extractor.side), np.float32)
    errors: dict[int, str] = {}
    for k, path in enumerate(photos):
        try:
            batch[k] = extractor.read(path)
        except PhotoError as error:
            errors[k] = str(error)
    return batch, errors


def _packed(values: Any, arrays: Arrays) -> bytes:
    """Return JSON values and arrays as bytes."""
    file = io.BytesIO()
    contents: dict[str, Any] = {"json": np.frombuffer(json.dumps(values).encode(), np.uint8), **arrays}
    np.savez(file, **contents)
    return file.getvalue()


def _unpacked(message: bytes) -> tuple[Any, dict[str, NDArray[Any]]]:
    with np.load(io.BytesIO(message), allow_pickle=False) as file:
        arrays = dict(file)
    return json.loads(arrays.pop("json").tobytes()), arrays


def photo_fingerprint(photos: Sequence[Path], extractor: FeatureExtractor) -> bytes:
    """Return 32 bytes that identify a network and a list of photos with their names, sizes and modification times."""
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
    map_batches: MapBatches = map,
) -> dict[int, str]:
    """Append the features of the photos to `rows`, starting with the first batch that is not complete there.

    Returns the reasons why photos cannot be read, by place; such a photo has a row of NaN. If no photo can be read, it
    raises a DataError. Other arguments and errors as in `compute_batches`.
    """
    rows.keep(len(rows) // BATCH * BATCH if len(rows) < len(photos) else len(photos))
    failed = _read_unreadable_again(rows, photos, extractor)
    check_strict(failed, strict)
    progress.begin(len(photos), start=len(rows))
    batches = compute_batches(photos, extractor, len(rows), strict, reduction, map_batches=map_batches)
    for _, arrays, errors in batches:
        rows.append(**arrays)
        failed |= errors
        for error in errors.values():
            progress.say(f"left out: {error}")
        progress.update(len(rows))
    progress.close()
    if len(failed) == len(photos):
        raise DataError(f"none of {len(photos)} photos can be read; {failed[0]}")
    return failed


def _read_unreadable_again(
    rows: UnfinishedFeatures, photos: Sequence[Path], extractor: FeatureExtractor
) -> dict[int, str]:
    """Return why photos that an earlier run left out cannot be read; if one now can, drop its batch and later ones."""
    failed: dict[int, str] = {}
    for start in range(0, len(rows), BATCH):
        features = rows.read(start, min(start + BATCH, len(rows)))["features"]
        for n in (start + np.flatnonzero(np.isnan(features[:, 0]))).tolist():
            _, errors = read_batch([photos[n]], extractor)
            if not errors:
                rows.keep(start)
                return failed
            failed[n] = errors[0]
    return failed
