"""Batches of photos as a network sees them: by one process, or by ranks that look at a batch each at the same time.

Rank 0 makes the data set as one process does, and of that only the looking is shared (`captioning.ranks`). It
sends the names of the photos of the next batches, one for each rank, and gets what was seen; meanwhile it looks at a
batch itself. No more batches than ranks are in memory at once, and all errors are rank 0's to raise, at their place in
the order of photos.

A batch is the same photos in every run, on any number of ranks, and one that cannot be read is black in it, so that
what a network computes for the others is the same to the bit.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from captioning import ranks
from captioning.data.errors import DataError
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.photo_files import PhotoError
from captioning.vision.region_reduction import RegionReduction
from minigrad.parallel.communicators import ALONE

__all__ = ["BATCH", "View", "assist", "check_strict", "read_batch", "views"]

BATCH = 32
"""Photos at once: 19 MB of pixels as a network of 224 x 224 gets them."""

Arrays = Mapping[str, NDArray[Any]]


class View(NamedTuple):
    """What was seen in a batch of photos.

    seen: arrays (N, …): the `maps`; or the `features`, NaN where a photo could not be read, and the `regions` if there
    are to be any. errors: by its place in the batch, why a photo could not be read. fault: why this is nothing to go on
    with; empty if it is.
    """

    seen: Arrays
    errors: dict[int, str]
    fault: str = ""

    def check(self, strict: bool) -> None:
        """Raise a DataError if there is a fault, or with `strict` of the first photo that could not be read.

        >>> View({}, {3: "3.png: not a photo"}).check(strict=True)
        Traceback (most recent call last):
        captioning.data.errors.DataError: 3.png: not a photo; without --strict it would be left out
        """
        check_strict(self.errors, strict)
        if self.fault:
            raise DataError(self.fault)


def check_strict(errors: Mapping[int, str], strict: bool) -> None:
    """With `strict` raise a DataError of the first photo that cannot be read, if there is one."""
    if errors and strict:
        raise DataError(f"{next(iter(errors.values()))}; without --strict it would be left out")


def views(
    photos: Sequence[Path],
    extractor: FeatureExtractor,
    start: int = 0,
    reduction: RegionReduction | None = None,
    maps: bool = False,
    comm: Any = ALONE,
) -> Iterator[tuple[int, View]]:
    """Of each batch of the photos from `start` on, in their order: the place of its first photo, and what was seen.

    reduction: how regions are made. maps: whether these are what is wanted. comm: the ranks that look at the batches,
    of which this is rank 0, and the others `assist`.
    """
    for first in range(start, len(photos), BATCH * comm.size):
        near = photos[first : first + BATCH * comm.size]
        batches = [near[k : k + BATCH] for k in range(0, len(near), BATCH)]
        if comm.size > 1:
            ranks.send_order(_order(batches, reduction, maps), comm)
        for k, view in enumerate(_shared(batches, extractor, reduction, maps, comm)):
            yield first + k * BATCH, view


def assist(extractor: FeatureExtractor | None, comm: Any) -> bool:
    """Look at batches for rank 0, which is `captioning.ranks.leading`, until it has ended; whether it had no
    error.

    extractor: the one that rank 0 has.
    """

    def look(order: bytes) -> None:
        assert extractor is not None
        batches, reduction, maps = _ordered(order)
        _shared(batches, extractor, reduction, maps, comm)

    return ranks.follow(look, comm)


def _shared(
    batches: Sequence[Sequence[Path]],
    extractor: FeatureExtractor,
    reduction: RegionReduction | None,
    maps: bool,
    comm: Any,
) -> list[View]:
    """What each rank saw in its batch, in their order, on rank 0; nothing on others."""
    look = partial(_look, extractor=extractor, reduction=reduction, maps=maps)
    return ranks.map_batches(batches, look, _packed_view, _unpacked_view, comm)


def _look(photos: Sequence[Path], extractor: FeatureExtractor, reduction: RegionReduction | None, maps: bool) -> View:
    """A batch as the network sees it."""
    batch, errors = read_batch(photos, extractor)
    if batch is None:
        return View(_nothing(len(photos), extractor, reduction, maps), errors)
    seen: dict[str, NDArray[Any]] = {}
    if maps or reduction is not None:
        seen["maps"] = extractor.maps(batch)
    if reduction is not None:
        seen = {"features": seen["maps"].mean(axis=(1, 2)), "regions": reduction.stored(seen["maps"])}
    elif not maps:
        seen["features"] = extractor.features(batch)
    fault = _not_finite(next(iter(seen.values())), photos, extractor, errors)
    if not maps:
        seen["features"][list(errors)] = np.nan
    return View(seen, errors, fault)


def _nothing(number: int, extractor: FeatureExtractor, reduction: RegionReduction | None, maps: bool) -> Arrays:
    """What is seen in so many photos of which none can be read."""
    if maps:
        return {"maps": np.zeros((number, *extractor.grid, extractor.size), np.float32)}
    seen: dict[str, NDArray[Any]] = {"features": np.full((number, extractor.size), np.nan, np.float32)}
    if reduction is not None:
        seen["regions"] = np.zeros((number, *reduction.shape(extractor.grid)), np.uint8)
    return seen


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


def _not_finite(
    seen: NDArray[np.float32], photos: Sequence[Path], extractor: FeatureExtractor, errors: Mapping[int, str]
) -> str:
    """What is wrong with the first photo, not among those of `errors`, of which a number is not finite, if one is."""
    for k, (path, numbers) in enumerate(zip(photos, seen, strict=True)):
        if k not in errors and not np.isfinite(numbers).all():
            return f"{path}: {extractor.name} gives a feature that is not finite"
    return ""


def _order(batches: Sequence[Sequence[Path]], reduction: RegionReduction | None, maps: bool) -> bytes:
    """What rank 0 sends: which photos are in which batch, and what is wanted of them."""
    told = {"batches": [list(map(str, batch)) for batch in batches], "maps": maps}
    return _packed(told, {} if reduction is None else reduction.arrays())


def _ordered(order: bytes) -> tuple[list[list[Path]], RegionReduction | None, bool]:
    told, arrays = _unpacked(order)
    batches = [list(map(Path, batch)) for batch in told["batches"]]
    return batches, RegionReduction.of(arrays) if arrays else None, told["maps"]


def _packed_view(view: View) -> bytes:
    return _packed({"errors": list(view.errors.items()), "fault": view.fault}, view.seen)


def _unpacked_view(answer: bytes) -> View:
    told, seen = _unpacked(answer)
    return View(seen, dict(told["errors"]), told["fault"])


def _packed(told: Any, arrays: Arrays) -> bytes:
    """Words, as JSON has them, and arrays as a message."""
    file = io.BytesIO()
    contents: dict[str, Any] = {"told": np.frombuffer(json.dumps(told).encode(), np.uint8), **arrays}
    np.savez(file, **contents)
    return file.getvalue()


def _unpacked(message: bytes) -> tuple[Any, dict[str, NDArray[Any]]]:
    with np.load(io.BytesIO(message), allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return json.loads(arrays.pop("told").tobytes()), arrays
