"""The files of a data set in the layout of `captioning.data.folder`, written whole."""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.hdf5_writing import new_hdf5
from captioning.data.vocabulary import Vocabulary
from captioning.preparing.table import CaptionedImage
from captioning.preparing.wording import Tokenizer, WrittenSplit, encode_captions
from captioning.progress import Progress
from captioning.vision.region_reduction import RegionReduction
from minigrad.runtime.files import replacing

__all__ = [
    "PHOTO_WAYS",
    "Named",
    "place_photos",
    "write_captions",
    "write_features",
    "write_names",
    "write_raw_captions",
    "write_regions",
]

Named = Mapping[str, Sequence[tuple[str, CaptionedImage]]]
"""The images of each split in their order, each with its name."""

PHOTO_WAYS = ("link", "copy", "none")


def write_captions(
    path: Path, images: Named, tokenizer: tuple[str, Tokenizer], vocabulary: Vocabulary, length: int
) -> dict[str, WrittenSplit]:
    """Word ids `{split}_captions` and rows `{split}_image_idxs`, in the order of the images; what was lost, by split.

    tokenizer: its name, which the file's attribute `tokenizer` keeps, and the function. length: words of a caption.
    """
    told = {split: WrittenSplit(images=len(named)) for split, named in images.items()}
    with new_hdf5(path) as file:
        file.attrs["tokenizer"] = tokenizer[0]
        for split, named in images.items():
            counts = [len(image.captions) for _, image in named]
            said = (caption for _, image in named for caption in image.captions)
            rows = file.create_dataset(f"{split}_captions", (sum(counts), length + 2), np.int32)
            _fill(rows, encode_captions(said, tokenizer[1], vocabulary, length, told[split]))
            file[f"{split}_image_idxs"] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return told


def write_features(path: Path, blocks: Iterator[NDArray[np.float32]], shape: tuple[int, int], extractor: str) -> None:
    """Features (M, D) of a split as one block of float32 rows, with the name of what computed them."""
    with new_hdf5(path) as file:
        rows = file.create_dataset("features", shape, np.float32)
        rows.attrs["extractor"] = extractor
        _fill(rows, blocks)


def write_regions(
    path: Path, blocks: Iterator[NDArray[np.uint8]], shape: tuple[int, int, int], reduction: RegionReduction
) -> None:
    """Regions (M, R, K) of a split as one block of bytes, with what turns them into numbers and what made them."""
    with new_hdf5(path) as file:
        rows = file.create_dataset("regions", shape, np.uint8)
        rows.attrs.update(scale=reduction.scale, offset=reduction.offset, projection=reduction.projection.fingerprint())
        _fill(rows, blocks)


def _fill(rows: Any, blocks: Iterable[NDArray[Any]]) -> None:
    """Write blocks of rows, one behind the other, into an HDF5 data set."""
    start = 0
    for block in blocks:
        rows[start : start + len(block)] = block
        start += len(block)


def write_names(path: Path, images: Sequence[tuple[str, CaptionedImage]]) -> None:
    """A line an image: its name."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{name}\n" for name, _ in images), encoding="utf-8")


def write_raw_captions(path: Path, images: Named) -> None:
    """The table `image,split,caption` of everything that people said."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split", "caption"])
        for split, named in images.items():
            writer.writerows([name, split, caption] for name, image in named for caption in image.captions)


def place_photos(folder: Path, final: Path, photos: Mapping[str, Path], way: str, progress: Progress) -> None:
    """The photos under their names in `folder`, which is to become `final`: symbolic links or copies.

    A link says the way from `final` to the photo, so that both may move together; a copy may move alone.
    """
    folder.mkdir()
    progress.begin(len(photos))
    for done, (name, photo) in enumerate(photos.items()):
        progress.update(done)
        if way == "copy":
            shutil.copyfile(photo, folder / name)
        else:
            (folder / name).symlink_to(os.path.relpath(photo.resolve(), final.resolve()))
