"""Everything of a data set read once, before a long training meets what is damaged.

`open_captions` has checked what is small: words, captions, image rows, shapes. Here is what takes a while: every
number of the features and of the regions, and what people said of the images. Memory stays flat: rows that are not
kept in memory are read by blocks, and raw captions line by line.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from captioning.data.errors import DataError
from captioning.data.folder import RAW_CAPTIONS_FILE, regions_path
from captioning.data.raw_captions import each_raw_caption
from captioning.data.regions import FeaturesAndRegions, RegionRows
from captioning.data.splits import ImageRows, Split
from captioning.data.tokenizer_record import recorded_tokenizer
from captioning.progress import Progress

__all__ = ["check_splits"]


def check_splits(splits: Sequence[Split], progress: Progress | None = None) -> list[str]:
    """Read everything of the splits of a data set; what cannot be used is a DataError, what is odd a line returned.

    Regions are read where they are there, also if the splits were opened without them. progress: is told of the rows of
    features and regions that are read.
    """
    recorded_tokenizer(splits[0].captions_path)
    _check_extractors(splits)
    for split in splits:
        if split.has_urls:
            split.urls  # noqa: B018 - reading it checks it
    _check_references(splits)
    with ExitStack() as stack:
        unopened = [stack.enter_context(rows) for rows in _unopened_regions(splits)]
        _check_projections([*_opened_regions(splits), *unopened])
        _check_rows([*(split.features for split in splits), *unopened], progress or Progress(enabled=False))
    return [line for split in splits for line in _oddities(split)]


def _check_extractors(splits: Iterable[Split]) -> None:
    """Columns mean the same in every split only if one network made them; a file that names none says nothing."""
    named = [split.features for split in splits if split.features.extractor is not None]
    for rows in named[1:]:
        if rows.extractor != named[0].extractor:
            raise DataError(f"{rows.path}: features are of {rows.extractor}, but those of {named[0].path.name} are of "
                            f"{named[0].extractor}")  # fmt: skip


def _check_references(splits: Sequence[Split]) -> None:
    """Every image that is named has raw captions, if there are such."""
    named = [split for split in splits if split.image_names_path.is_file()]
    names = {split.name: split.image_names for split in named}
    table = splits[0].folder / RAW_CAPTIONS_FILE
    if not (named and table.is_file()):
        return
    found: dict[str, set[str]] = {name: set() for name in names}
    for row in each_raw_caption(table):
        if row.split in found:
            found[row.split].add(row.image)
    for split in named:
        missing = [name for name in names[split.name] if name not in found[split.name]]
        if missing:
            raise DataError(f"{table}: has no {split.name} captions for {len(missing)} of the {len(split.features)} "
                            f"images of {split.image_names_path.name}, the first {missing[0]!r}")  # fmt: skip


def _opened_regions(splits: Iterable[Split]) -> Iterator[RegionRows]:
    """The regions that are open with the features of their splits."""
    return (split.features.places for split in splits if isinstance(split.features, FeaturesAndRegions))


def _unopened_regions(splits: Iterable[Split]) -> Iterator[RegionRows]:
    """Of splits that were opened without their regions, these, where there are any, opened."""
    for split in splits:
        path = regions_path(split.folder, split.name)
        if isinstance(split.features, FeaturesAndRegions) or not os.path.lexists(path):
            continue
        rows = RegionRows(path, cache_bytes=0)
        yield rows
        if len(rows) != len(split.features):
            raise DataError(f"{path}: regions has {len(rows)} rows, {split.features.path.name} has "
                            f"{len(split.features)}")  # fmt: skip


def _check_projections(regions: Iterable[RegionRows]) -> None:
    """Regions mean the same in every split only if one projection made them; a file that names none says nothing."""
    named = [rows for rows in regions if rows.projection is not None]
    for rows in named[1:]:
        if rows.projection != named[0].projection:
            raise DataError(f"{rows.path}: regions are of another projection than those of {named[0].path.name}")


def _check_rows(all_rows: Sequence[ImageRows | RegionRows], progress: Progress) -> None:
    """Every row can be read and is finite in float32: reading checks both."""
    progress.begin(sum(len(rows) for rows in all_rows))
    done = 0
    for rows in all_rows:
        for block in rows.blocks():
            done += len(rows[block])
            progress.update(done)


def _oddities(split: Split) -> Iterable[str]:
    """What can be used but may not have been meant, a line each."""
    captions, image_idxs = split.stored
    end = split.vocabulary.end
    without = np.setdiff1d(np.arange(len(split.features)), image_idxs)
    endless = np.flatnonzero(~(captions == end).any(axis=1))
    wordless = np.flatnonzero(captions[:, 1] == end)
    for key, what, rows, number in (
        ("image_idxs", "images have no caption", without, len(split.features)),
        ("captions", "captions fill their row without <END>", endless, len(captions)),
        ("captions", "captions have no words", wordless, len(captions)),
    ):
        if rows.size:
            where = f"{split.captions_path}: {split.name}_{key}"
            yield f"{where}: {rows.size} of the {number} {what}, the first is row {rows[0]}"
    for part in split.features.parts:
        if part.chunked and not part.cached:
            yield (f"{part.path}: {part.key}: are too large to be kept in memory, and stored in chunks, from which "
                   "random rows are read slowly: captioning.data.features.repack_features makes one block of "
                   "features")  # fmt: skip
