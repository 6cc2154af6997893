"""How the places of a source's photos become regions, found from a sample of them before all are seen.

It is kept in a file, so that a job that was killed goes on with the very same numbers. The file counts only if it is of
this sample and whole, and if the photos that could not be read still cannot: else it is found anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.errors import DataError
from captioning.preparing.looking import check_strict, read_batch, views
from captioning.preparing.photo_features import photo_fingerprint
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.region_reduction import RegionReduction
from minigrad.parallel.communicators import ALONE

__all__ = ["SAMPLE", "find_reduction", "sample_of"]

SAMPLE = 512
"""Photos of the sample: their maps of 7x7 places of 1280 numbers take 128 MB."""

_KEYS = {"weight", "bias", "scale", "offset", "kept", "unread", "digest"}


def sample_of(photos: Sequence[Path]) -> list[Path]:
    """At most `SAMPLE` of the photos, evenly spread.

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
    comm: Any = ALONE,
) -> RegionReduction:
    """The reduction to at most `most` numbers a place by these photos; kept at `path`, where it may be already.

    comm: the ranks that look at the photos, of which this is rank 0, as of `views`.

    Raises:
        DataError: none of the photos can be read, or with `strict` one; the network gives a number that is not finite.
        OSError: the file cannot be written.
    """
    sample = photo_fingerprint(photos, extractor) + most.to_bytes(8, "little")
    found = _kept(path, sample, photos, extractor, strict)
    if found is None:
        maps, unread = _see(photos, extractor, progress, strict, comm)
        found = RegionReduction.find(maps, most)
        mg.save(path, found.arrays() | {"unread": np.array(unread, np.int64), "digest": _digest(sample, found, unread)})
    return found


def _see(
    photos: Sequence[Path], extractor: FeatureExtractor, progress: Progress, strict: bool, comm: Any
) -> tuple[NDArray[np.float32], list[int]]:
    """Maps of the photos that can be read, and the places of those that cannot."""
    maps = np.empty((len(photos), *extractor.grid, extractor.size), np.float32)
    unread: list[int] = []
    why = ""
    progress.say(f"finding regions by {len(photos):,} photos of the training split")
    progress.begin(len(photos))
    for start, view in views(photos, extractor, maps=True, comm=comm):
        view.check(strict)
        seen = view.seen["maps"]
        maps[start : start + len(seen)] = seen
        unread += [start + k for k in view.errors]
        why = why or next(iter(view.errors.values()), "")
        progress.update(start + len(seen))
    progress.close()
    if len(unread) == len(photos):
        raise DataError(f"none of {len(photos)} photos for training can be read; {why}")
    return (np.delete(maps, unread, axis=0) if unread else maps), unread


def _digest(sample: bytes, reduction: RegionReduction, unread: Sequence[int]) -> NDArray[np.uint8]:
    """What tells a file of another sample, and one that was damaged."""
    found = hashlib.sha256(sample + reduction.digest() + np.array(unread, np.int64).tobytes())
    return np.frombuffer(found.digest(), np.uint8)


def _kept(
    path: Path, sample: bytes, photos: Sequence[Path], extractor: FeatureExtractor, strict: bool
) -> RegionReduction | None:
    """What an earlier job left, or None if that is nothing that this one would find too."""
    try:
        arrays = mg.load(path)
        if arrays.keys() != _KEYS:
            return None
        found = RegionReduction.of(arrays)
        unread = arrays["unread"].tolist()
        if not np.array_equal(arrays["digest"], _digest(sample, found, unread)):
            return None
    except (FileNotFoundError, ValueError, TypeError):
        return None
    _, errors = read_batch([photos[n] for n in unread], extractor)
    check_strict(errors, strict)
    return found if len(errors) == len(unread) else None
