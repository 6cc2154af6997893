"""Recover the projection of a data set's regions from its regions and the photos that it has.

A captioner that attends to regions needs the projection for your own photos, so a run keeps it
(`captioning regions RUN`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.folder import PHOTOS_FOLDER, check_split, find_folder, lines_path, read_text, regions_path
from captioning.data.hdf5 import checked_dataset, open_hdf5, reading
from captioning.progress import Progress
from captioning.vision.extractors import extractor
from captioning.vision.regions import RegionProjection

__all__ = ["Fitted", "fit_and_judge"]

_BATCH = 8
_HELD_OUT = 5  # one photo in five


@dataclass(frozen=True)
class Fitted:
    """A projection fitted to `photos` photos, and the error on `left_out` of them of a projection fitted to the others.

    error: the root mean square over entries that were not clipped, divided by their standard deviation.
    """

    projection: RegionProjection
    photos: int
    left_out: int
    error: float


def fit_and_judge(
    folder: str | os.PathLike[str] | None = None,
    split: str = "train",
    name: str = "efficientnet-lite0",
    most: int = 200,
    progress: Progress | None = None,
) -> Fitted:
    """Find the projection from an extractor's maps to the regions of a split, on at most `most` of its photos.

    With 160 photos of Flickr8k the error on other photos is 0.012, with 38 photos 0.094. Each photo takes about a tenth
    of a second.

    Args:
        folder: the data set's; None finds it as `open_captions` does.
        split: 'train', 'val' or 'test', one that has `…_regions.h5`, `…_images.txt` and photos.
        name: the extractor that made the maps.

    Raises:
        DataError: if a file is missing, damaged or does not fit; names it.
        ValueError: if there is no such extractor, or there are too few photos.
        PhotoError: if a photo cannot be read.
    """
    check_split(split)
    root = find_folder(folder)
    rows, photos = _photos(root, split, most)
    stored, scale, offset = _stored(regions_path(root, split), rows)
    maps = _maps(name, photos, progress or Progress(enabled=False))
    out = np.arange(len(maps)) % _HELD_OUT == 0
    projection = RegionProjection.fit(maps[~out], stored[~out], scale, offset)
    true, inside = stored[out] * scale + offset, (stored[out] > 0) & (stored[out] < 255)
    missed, spread = (projection.apply(maps[out]) - true)[inside], (true - true.mean(axis=(0, 1)))[inside]
    error = float(np.sqrt((missed**2).mean() / (spread**2).mean()))
    return Fitted(RegionProjection.fit(maps, stored, scale, offset), len(maps), int(out.sum()), error)


def _photos(root: Path, split: str, most: int) -> tuple[list[int], list[Path]]:
    """Return the rows of images whose photos exist, and these photos."""
    path = lines_path(root, split, "images")
    if not path.exists():
        raise DataError(f"{root}: the data set has no photos of the split {split}, because it has no {path.name}")
    lines = read_text(path).splitlines()
    photos = [root / PHOTOS_FOLDER / Path(line).name for line in lines]
    there = [row for row, photo in enumerate(photos) if photo.is_file()][:most]
    if not there:
        raise DataError(f"{root / PHOTOS_FOLDER}: has none of the {len(lines)} photos of {path.name}; "
                        "name a split whose photos exist with --split")  # fmt: skip
    return there, [photos[row] for row in there]


def _stored(path: Path, rows: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[Any], NDArray[Any]]:
    """Return these rows of a file of regions, and the scale and offset of its numbers."""
    with open_hdf5(path) as file:
        regions = checked_dataset(file, path, "regions", 3, np.uint8)
        if rows[-1] >= len(regions):
            raise DataError(f"{path}: regions: has {len(regions)} rows; the image of row {rows[-1]} has none")
        with reading(path, "regions"):
            scale, offset = (np.asarray(regions.attrs[key], np.float64) for key in ("scale", "offset"))
            return regions[rows], scale, offset


def _maps(name: str, photos: Sequence[Path], progress: Progress) -> NDArray[np.float32]:
    network, batches = extractor(name), []
    progress.begin(len(photos), what="photos")
    try:
        for start in range(0, len(photos), _BATCH):
            prepared = np.stack([network.read(photo) for photo in photos[start : start + _BATCH]])
            batches.append(network.maps(prepared))
            progress.update(start + len(prepared))
    finally:
        progress.close()
    return np.concatenate(batches)
