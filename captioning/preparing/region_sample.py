"""Find how to reduce the maps of photos to regions, from a sample of the photos.

The result is stored in a file, so that a killed job resumes with exactly the same numbers. The file counts only if it
is complete, belongs to this sample, and the photos that could not be read still cannot.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.errors import DataError
from captioning.preparing.photo_features import MapBatches, check_strict, compute_batches, photo_fingerprint, read_batch
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.region_reduction import RegionReduction
from captioning.vision.regions import RegionProjection

__all__ = ["SAMPLE", "find_reduction", "sample_of"]

SAMPLE = 512  # photos: their maps of 7x7 places of 1280 numbers take 128 MB


def sample_of(photos: Sequence[Path]) -> list[Path]:
    """Return at most `SAMPLE` of the photos, evenly spread.

    >>> sample_of([Path("a"), Path("b")]) == [Path("a"), Path("b")]
    True
    >>> len(sample_of([Path(str(n)) for n in range(1000)]))
    512
    """
    places = np.linspace(0, len(photos) - 1, min(SAMPLE, len(photos))).astype(int)
    return [photos[n] for n in places.tolist()]


def find_reduction(
    photos: Sequence[Path],
    extractor: FeatureExtractor,
    most: int,
    path: Path,
    progress: Progress,
    strict: bool = False,
    map_batches: MapBatches = map,
    projection: RegionProjection | None = None,
) -> RegionReduction:
    """Return the reduction to at most `most` numbers per region from these photos, and store it at `path`.

    projection: use this one instead of a PCA of the photos.

    Raises:
        DataError: if no photo can be read, and as in `compute_batches`.
        OSError: if the file cannot be written.
    """
    known = b"" if projection is None else projection.fingerprint().encode()
    sample = np.frombuffer(photo_fingerprint(photos, extractor) + most.to_bytes(8, "little") + known, np.uint8)
    found = _kept(path, sample, photos, extractor, strict)
    if found is None:
        what = "reduction to regions" if projection is None else "range of the region features"
        progress.say(f"finding the {what} from {len(photos):,} photos")
        progress.begin(len(photos))
        maps = np.empty((len(photos), *extractor.grid, extractor.size), np.float32)
        unread: dict[int, str] = {}
        for start, arrays, errors in compute_batches(
            photos, extractor, strict=strict, maps=True, map_batches=map_batches
        ):
            maps[start : start + len(arrays["maps"])] = arrays["maps"]
            unread |= errors
            progress.update(start + len(arrays["maps"]))
        progress.close()
        if len(unread) == len(photos):
            raise DataError(f"none of {len(photos)} photos can be read; {unread[0]}")
        found = RegionReduction.find(np.delete(maps, list(unread), axis=0) if unread else maps, most, projection)
        mg.save(path, found.arrays() | {"unread": np.array(list(unread), np.int64), "sample": sample})
    return found


def _kept(
    path: Path, sample: NDArray[Any], photos: Sequence[Path], extractor: FeatureExtractor, strict: bool
) -> RegionReduction | None:
    """Return the result that an earlier job stored, or None if this job would find another one."""
    try:
        arrays = mg.load(path)
        found, unread = RegionReduction.of(arrays), [photos[n] for n in arrays["unread"].tolist()]
        if not np.array_equal(arrays["sample"], sample):
            return None
    except (FileNotFoundError, LookupError, ValueError, TypeError):  # damaged, or of another sample
        return None
    _, errors = read_batch(unread, extractor)
    check_strict(errors, strict)
    return found if len(errors) == len(unread) else None
