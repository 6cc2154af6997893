"""From a source to a data set: read, checked, divided, seen by a network, worded and written."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.folder import (
    CAPTIONS_FILE,
    PHOTOS_FOLDER,
    PROJECTION_FILE,
    RAW_CAPTIONS_FILE,
    VOCABULARY_FILE,
    features_path,
    lines_path,
    regions_path,
)
from captioning.data.tokens import TOKENIZERS
from captioning.preparing.data_files import (
    Named,
    place_photos,
    write_captions,
    write_features,
    write_names,
    write_raw_captions,
    write_regions,
)
from captioning.preparing.division import divide
from captioning.preparing.gaps import Gaps
from captioning.preparing.photo_features import compute_features, photo_fingerprint
from captioning.preparing.photo_search import find_photos, name_images, photo_folders
from captioning.preparing.recipe import Prepared, Recipe
from captioning.preparing.region_sample import find_reduction, sample_of
from captioning.preparing.sources import read_sources
from captioning.preparing.table import CaptionedImage, captions_by_split, have_splits, with_captions
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.preparing.wording import choose_words, count_words, watched
from captioning.preparing.workshop import Workshop
from captioning.progress import Progress
from captioning.vision.extractors import FeatureExtractor
from captioning.vision.region_reduction import RegionReduction
from minigrad.parallel.communicators import ALONE

__all__ = ["prepare_data"]

_ORDER = ("train", "val", "test")
_PIECE = 1024  # rows of features, or of regions, at once


def prepare_data(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    recipe: Recipe | None = None,
    extractor: FeatureExtractor | None = None,
    photo_places: Sequence[str | os.PathLike[str]] = (),
    progress: Progress | None = None,
    comm: Any = ALONE,
) -> Prepared:
    """Make the data set `out` of the captions and photos of a source.

    source: COCO's caption JSON, JSON with splits as Karpathy's, a table `image,split,caption`, or a folder of photos
    with text files; several are files of COCO's, as `read_sources` says. extractor: the network that
    computes features; None for captions alone, which need no photos.
    photo_places: folders to look for the photos in; by default where the source is. comm: the ranks that look at the
    photos, of which this is rank 0 and is `leading`, and the others `assist`, as `captioning.preparing.looking` says;
    the data set is the same to the bit.

    `out` becomes a data set when all of it is whole. After a kill or Ctrl-C the same call goes on with the features
    that were computed, and the data set is the same to the bit as an unbroken one's.

    Raises:
        DataError: a source that cannot be used; it says what, where and what would fit.
        OSError: a file that cannot be read or written.
    """
    given = [source] if isinstance(source, str | os.PathLike) else source
    sources, out = [Path(path) for path in given], Path(out)
    told = " and ".join(map(str, sources))
    recipe, progress = recipe or Recipe(), progress or Progress(enabled=False)
    if recipe.regions is not None and extractor is None:
        raise DataError("regions are what a network sees at the places of photos; without features there are none")
    for path in sources:
        if path.is_dir() and out.resolve().is_relative_to(path.resolve()):
            raise DataError(
                f"{out}: lies in the source {path}, whose photos it would be taken for; choose another --out"
            )
    gaps = Gaps()
    progress.say(f"reading {told}")
    images = with_captions(read_sources(sources, gaps, recipe.format), told, gaps)
    folders = photo_folders(sources, [Path(place) for place in photo_places])
    said = captions_by_split(images)
    images, photos = _with_photos(images, folders, gaps, looked_for=extractor is not None or bool(photo_places))
    if not recipe.skip_missing:
        gaps.refuse(told)
    if not images:
        raise DataError(f"{told}: no image is left: {'; '.join(gaps.lines())}")
    drawn = recipe.resplit or not have_splits(images, told)
    if drawn:
        divide(images, recipe.val, recipe.test, recipe.seed)
    order = sorted(range(len(images)), key=lambda n: _ORDER.index(str(images[n].split)))
    ordered = _Images([images[n] for n in order], [photos[n] for n in order] if photos else [], drawn)
    ordered.check(told, said, "that are not there")
    with Workshop(out) as workshop:
        return _make(ordered, workshop, recipe, extractor, gaps, progress, comm)


class _Images:
    """Images in the order of the splits, with their names and, where they are known, their photos.

    drawn: whether the splits were drawn here; else they are the source's.
    """

    def __init__(self, images: list[CaptionedImage], photos: list[Path], drawn: bool) -> None:
        self.images, self.photos, self.drawn = images, photos, drawn
        self.names = name_images([image.path for image in images])
        self.kept = np.ones(len(images), bool)

    def rows(self, split: str) -> list[int]:
        """The places of a split's images that are kept."""
        return [n for n, image in enumerate(self.images) if image.split == split and self.kept[n]]

    def named(self) -> Named:
        """The images of each split that has some."""
        splits = {split: [(self.names[n], self.images[n]) for n in self.rows(split)] for split in _ORDER}
        return {split: named for split, named in splits.items() if named}

    def check(self, where: str, said: Mapping[str | None, int], lost: str) -> None:
        """Raise a DataError unless there are images to train with and to validate on.

        said: how many captions each split had before photos were `lost`, such as those 'that are not there'.
        """
        way = "another --seed or --val draws other splits" if self.drawn else "--resplit draws new splits of the images"
        for split in ("train", "val"):
            if not self.rows(split):
                told = f"no image with captions is in the split {split}"
                if number := said.get(split, 0):
                    told = f"no image is left in the split {split}: {number:,} captions of it are of photos {lost}"
                raise DataError(f"{where}: {told}; a training needs train and val: {way}")


def _with_photos(
    images: list[CaptionedImage], folders: Sequence[Path], gaps: Gaps, looked_for: bool
) -> tuple[list[CaptionedImage], list[Path]]:
    """The images whose photo is there, with it; all of them without photos where these are not looked for."""
    if not looked_for:
        return images, []
    found = find_photos(images, folders, gaps)
    kept = [(image, path) for image, path in zip(images, found, strict=True) if path is not None]
    return [image for image, _ in kept], [path for _, path in kept]


def _make(
    ordered: _Images,
    workshop: Workshop,
    recipe: Recipe,
    extractor: FeatureExtractor | None,
    gaps: Gaps,
    progress: Progress,
    comm: Any,
) -> Prepared:
    """Everything behind the source: features, then words, which are of photos that can be read, then the files."""
    unreadable: list[str] = []
    reduction = None
    if extractor is not None:
        unreadable, reduction = _see(ordered, workshop, extractor, recipe, progress, comm)
    ordered.check(str(workshop.folder), captions_by_split(ordered.images), "that cannot be read")
    images = ordered.named()
    number = {split: sum(len(image.captions) for _, image in named) for split, named in images.items()}
    progress.say(f"wording {sum(number.values()):,} captions")
    tokenizer = watched(TOKENIZERS[recipe.tokenizer], progress, number["train"] + sum(number.values()))
    wording = count_words((caption for _, image in images["train"] for caption in image.captions), tokenizer)
    vocabulary = choose_words(wording.counts, recipe.min_count, recipe.words)
    length = recipe.max_length or wording.covering_length()
    told = write_captions(workshop.path(CAPTIONS_FILE), images, (recipe.tokenizer, tokenizer), vocabulary, length)
    vocabulary.to_json(workshop.path(VOCABULARY_FILE))
    write_raw_captions(workshop.path(RAW_CAPTIONS_FILE), images)
    for split, named in images.items():
        write_names(lines_path(workshop.place, split, "images"), named)
    way = recipe.photos if ordered.photos else "none"
    if way != "none":
        photos = {ordered.names[n]: ordered.photos[n] for n in np.flatnonzero(ordered.kept).tolist()}
        place_photos(workshop.path(PHOTOS_FOLDER), workshop.folder / PHOTOS_FOLDER, photos, way, progress)
    workshop.finish()
    name = None if extractor is None else extractor.name
    return Prepared(workshop.folder, told, vocabulary, length, gaps, unreadable, name, way, reduction)


def _see(
    ordered: _Images, workshop: Workshop, extractor: FeatureExtractor, recipe: Recipe, progress: Progress, comm: Any
) -> tuple[list[str], RegionReduction | None]:
    """Write the features of all splits, and the regions if there are to be any, with how these were made.

    Images whose photo cannot be read are not kept, and why is returned.
    """
    fingerprint, reduction = photo_fingerprint(ordered.photos, extractor), None
    regions: tuple[int, ...] = ()
    if recipe.regions is not None:
        sample = sample_of([ordered.photos[n] for n in ordered.rows("train")])
        reduction = find_reduction(sample, extractor, recipe.regions, workshop.reduction, progress, recipe.strict, comm)
        fingerprint = hashlib.sha256(fingerprint + reduction.digest()).digest()
        regions = reduction.shape(extractor.grid)
    with UnfinishedFeatures(workshop.features, fingerprint, extractor.size, regions) as rows:
        if rows.began_with:
            progress.say(f"going on with the features of {rows.began_with:,} photos")
        failed = compute_features(ordered.photos, extractor, rows, progress, recipe.strict, reduction, comm)
        ordered.kept[list(failed)] = False
        for split in ordered.named():
            chosen = ordered.rows(split)
            path = features_path(workshop.place, split, pca=False)
            write_features(path, _blocks(rows.read, chosen), (len(chosen), extractor.size), extractor.name)
            if reduction is not None:
                path, shape = regions_path(workshop.place, split), (len(chosen), *reduction.shape(extractor.grid))
                write_regions(path, _blocks(rows.read_regions, chosen), shape, reduction)
    if reduction is not None:
        reduction.projection.save(workshop.path(PROJECTION_FILE))
    return [failed[n] for n in sorted(failed)], reduction


def _blocks(read: Callable[[int, int], NDArray[Any]], chosen: Sequence[int]) -> Iterator[NDArray[Any]]:
    """The chosen rows, which rise, of what `read` gives from one to another, some thousand at once."""
    for start in range(0, len(chosen), _PIECE):
        part = np.array(chosen[start : start + _PIECE])
        yield read(int(part[0]), int(part[-1]) + 1)[part - part[0]]
