"""A whole data set in the CS231n MS-COCO layout: opened, checked, and closed again.

**What is in memory.** Captions and image rows always are (27 MB for MS-COCO); features are read by rows, see
`captioning.data.features`.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.captions import read_captions
from captioning.data.checking import check_splits
from captioning.data.errors import DataError, check_count
from captioning.data.features import CACHE_BYTES, FeatureRows
from captioning.data.folder import (
    ALL_SPLITS,
    CAPTIONS_FILE,
    SPLITS,
    VOCABULARY_FILE,
    check_data_set,
    check_split,
    features_path,
    find_folder,
    has_reduced_features,
    regions_path,
)
from captioning.data.hdf5 import open_hdf5, reading
from captioning.data.regions import FeaturesAndRegions, RegionRows
from captioning.data.splits import ImageRows, Split
from captioning.data.stored_rows import StoredRows
from captioning.data.vocabulary import Vocabulary
from captioning.data.whole_captions import CAPTIONS, LONGEST_LEARNT, with_whole_captions
from captioning.progress import Progress

__all__ = ["CaptionData", "open_captions"]


class CaptionData:
    """An open data set: `vocabulary` and the splits `train`, `val` and `test`; `open_captions` makes it.

    `test` is None where the data set has no such split. pca: whether the features are the reduced ones. Use it in a
    `with` block, or call `close`. `data["train"]` is `data.train`; a split that is not there is a DataError.
    """

    def __init__(
        self, folder: Path, vocabulary: Vocabulary, pca: bool, train: Split, val: Split, test: Split | None = None
    ) -> None:
        self.folder, self.vocabulary, self.pca = folder, vocabulary, pca
        self.train, self.val, self.test = train, val, test

    def __getitem__(self, split: str) -> Split:
        check_split(split)
        found: Split | None = getattr(self, split)
        if found is None:
            raise DataError(f"{self.folder}: has no {split} split: {CAPTIONS_FILE} has no {split}_captions")
        return found

    @property
    def splits(self) -> list[Split]:
        """Those that are there: train, val and perhaps test."""
        return [split for split in (self.train, self.val, self.test) if split is not None]

    def __repr__(self) -> str:
        splits = ", ".join(map(repr, self.splits))
        return f"<CaptionData {self.folder}: {splits}, {self.vocabulary!r}>"

    def check(self, progress: Progress | None = None) -> list[str]:
        """Read everything once, so that damage is found before a training and not within it.

        That is each row of features, finite in float32 and of one extractor, and each line of the text files.
        A DataError names what cannot be used. What can be used but may not have been meant is returned, a line each:
        images without captions, captions that fill their row without `<END>` or have no words.

        ```
        with open_captions() as data:
            for line in data.check(Progress()):
                print(line)
        ```
        """
        return check_splits(self.splits, progress)

    def close(self) -> None:
        """Close the files; features cannot be read any more."""
        for split in self.splits:
            split.features.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_captions(
    folder: str | os.PathLike[str] | None = None,
    pca: bool | None = None,
    max_train: int | None = None,
    seed: int = 0,
    cache_bytes: int = CACHE_BYTES,
    regions: bool = False,
    captions: str = "stored",
    max_words: int = LONGEST_LEARNT,
) -> CaptionData:
    """Open a data set in the CS231n layout (`captioning.data.folder` says which files that are).

    folder: the data set's; None means the folder that the environment variable CAPTIONING_DATA names, or
    its one subfolder with a data set, and `datasets/coco_captioning` if the variable is unset.
    pca: read the reduced features `…_fc7_pca.h5` (MS-COCO: 512 columns), or if False the whole `…_fc7.h5` (4096); None
    means the reduced ones where they are there, else the whole. `pca` of the result says which.
    max_train: use only so many training captions, drawn without replacement by
    `numpy.random.default_rng(seed)` and kept in the order of the file: the same ones every time.
    cache_bytes: features of a split up to this size are kept in memory when first read.
    regions: read those of the pictures' places too, `…_regions.h5`, and the whole features beside them:
    `captioning.data.regions`.
    captions: 'stored', or 'raw', which has the split train hold its raw captions of up to `max_words` words
    (`captioning.data.whole_captions`); not together with `max_train`.

    Everything is checked before it returns, but features, which are checked as they are read. Whatever
    does not fit (a missing or damaged file or key, a rank or dtype, word ids outside the vocabulary,
    image rows outside the features, an empty split, a wrong max_train) is a DataError that names it.

    ```
    with open_captions("datasets/coco_captioning", max_train=5000) as data:
        for captions, features, image_idxs in data.train.batches(25, rng=0):
            ...
    ```
    """
    if captions not in CAPTIONS:
        raise DataError(f"captions must be one of {', '.join(CAPTIONS)}; got {captions!r}")
    check_count("max_words", max_words)
    if captions == "raw" and max_train is not None:
        raise DataError("max_train chooses among the stored captions; raw ones are all taken: leave one of them out")
    root = find_folder(folder)
    check_data_set(root)
    vocabulary = Vocabulary.from_json(root / VOCABULARY_FILE)
    with ExitStack() as stack:
        file = stack.enter_context(open_hdf5(root / CAPTIONS_FILE))
        kept = stack.enter_context(ExitStack())
        with reading(root / CAPTIONS_FILE, "/"):
            names = [name for name in ALL_SPLITS if name in SPLITS or f"{name}_captions" in file]
        if pca is None:
            pca = not regions and has_reduced_features(root, names)
        splits = []
        for name in names:
            whole = kept.enter_context(FeatureRows(features_path(root, name, pca), cache_bytes=cache_bytes))
            features: ImageRows = whole
            if regions:
                places = kept.enter_context(_regions(root, name, cache_bytes))
                features = FeaturesAndRegions(whole, places)
            ids, image_idxs = read_captions(file, root / CAPTIONS_FILE, name, vocabulary, whole)
            chosen = _choose(len(ids), max_train, seed) if name == "train" else None
            splits.append(Split(root, name, vocabulary, features, ids, image_idxs, chosen))
        _check_widths(*splits)
        if captions == "raw":
            splits[0] = with_whole_captions(splits[0], max_words)
        kept.pop_all()  # all is well: the features stay open
    return CaptionData(root, vocabulary, pca, *splits)


def _check_widths(train: Split, *others: Split) -> None:
    for other in others:
        for first, second in zip(train.features.parts, other.features.parts, strict=True):
            if first.shape[1:] != second.shape[1:]:
                raise DataError(
                    f"{first.path}: {first.key} has {_columns(first)} columns, "
                    f"but {second.path.name} has {_columns(second)}"
                )


def _regions(root: Path, name: str, cache_bytes: int) -> RegionRows:
    path = regions_path(root, name)
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file: the data set has no regions, which an attention captioner looks at; "
            "`captioning prepare --regions` makes them of photos"
        )
    return RegionRows(path, cache_bytes)


def _columns(rows: StoredRows) -> str:
    return " x ".join(map(str, rows.shape[1:]))


def _choose(number: int, max_train: int | None, seed: int) -> NDArray[np.int64] | None:
    if max_train is None:
        return None
    check_count("max_train", max_train)
    if max_train > number:
        raise DataError(f"max_train must be at most {number}, all training captions; got {max_train}")
    return np.sort(np.random.default_rng(seed).choice(number, max_train, replace=False))
