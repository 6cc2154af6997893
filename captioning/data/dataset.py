"""Open, check, fingerprint and close a data set in the CS231n MS-COCO layout.

Captions and image rows are always in memory (27 MB for MS-COCO); features are read by rows, see
`captioning.data.features`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.data.captions import each_raw_caption, read_captions
from captioning.data.errors import DataError, check_count
from captioning.data.features import CACHE_BYTES, FeatureRows, FeaturesAndRegions, ImageRows, RegionRows, StoredRows
from captioning.data.folder import (
    ALL_SPLITS,
    CAPTIONS_FILE,
    SPLITS,
    VOCABULARY_FILE,
    check_split,
    features_path,
    find_folder,
    regions_path,
)
from captioning.data.hdf5 import open_hdf5, reading
from captioning.data.splits import CAPTIONS, LONGEST_LEARNT, Split, with_whole_captions
from captioning.data.tokens import recorded_tokenizer_name
from captioning.data.vocabulary import Vocabulary
from captioning.progress import SILENT, Progress
from captioning.storage import crc32_of

__all__ = ["CaptionData", "captions_fingerprint", "changed", "fingerprint", "open_captions"]

_SAMPLED = 256  # rows in a fingerprint of features that stay in their file: a second from a compressed file


class CaptionData:
    """An open data set: `vocabulary` and the splits `train`, `val` and `test`; `open_captions` returns one.

    pca: whether the features are the reduced ones.
    splits: the splits of the data set; one used only for scoring needs neither train nor val. If a split is missing,
    `data.test` and `data.get(name)` are None; `data.train`, `data.val` and `data[name]` raise a DataError.

    Use it in a `with` block, or call `close`.
    """

    def __init__(self, folder: Path, vocabulary: Vocabulary, pca: bool, splits: Sequence[Split]) -> None:
        self.folder, self.vocabulary, self.pca, self.splits = folder, vocabulary, pca, list(splits)

    def get(self, split: str) -> Split | None:
        """Return a split, or None if the data set does not have it."""
        check_split(split)
        return next((each for each in self.splits if each.name == split), None)

    def __getitem__(self, split: str) -> Split:
        found = self.get(split)
        if found is None:
            raise DataError(f"{self.folder}: has no {split} split: {CAPTIONS_FILE} has no {split}_captions, only the "
                            f"split{'s' if len(self.splits) > 1 else ''} {' and '.join(s.name for s in self.splits)}"
                            )  # fmt: skip
        return found

    @property
    def train(self) -> Split:
        return self["train"]

    @property
    def val(self) -> Split:
        return self["val"]

    @property
    def test(self) -> Split | None:
        return self.get("test")

    def check(self, progress: Progress = SILENT) -> list[str]:
        """Read everything once, to find damage before training.

        This checks all features, which must be finite in float32 and of one extractor, all regions, and all lines of
        the text files. A DataError names what cannot be used. Returns a warning for each irregularity: images without
        captions, and captions without words or without `<END>`.

        ```
        with open_captions() as data:
            for line in data.check(Progress()):
                print(line)
        ```
        """
        recorded_tokenizer_name(self.folder / CAPTIONS_FILE)
        for split in self.splits:
            if split.has_urls:
                split.urls  # noqa: B018 - reading it checks it
            if split.has_raw_captions:
                table = each_raw_caption(split.raw_captions_path)
                split.check_all_have_captions({image for image, its_split, _ in table if its_split == split.name})
        files = [rows for split in self.splits for rows in split.features.parts]
        _check_same(files, "extractor")
        _check_same(files, "projection")
        progress.begin(sum(map(len, files)))
        done = 0
        for rows in files:
            for block in rows.blocks():
                done += len(rows[block])  # reading checks the numbers
                progress.update(done)
        return [line for split in self.splits for line in _irregularities(split)]

    def close(self) -> None:
        """Close all files, even if closing one fails; features cannot be read afterwards."""
        with ExitStack() as stack:
            for split in self.splits:
                stack.callback(split.features.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
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
    """Open a data set in the CS231n layout (`captioning.data.folder` lists its files).

    folder: the data set's; None means the folder that the environment variable CAPTIONING_DATA names, or the only
    subfolder of it that holds a data set; if the variable is unset, `datasets/coco_captioning`.
    pca: read the reduced features `…_fc7_pca.h5` (MS-COCO: 512 columns), or if False the whole `…_fc7.h5` (4096); None
    means the reduced ones if there are any. `pca` of the result says which.
    max_train: the number of training captions to use, drawn without replacement by `numpy.random.default_rng(seed)` and
    kept in the order of the file, so that equal seeds give equal captions.
    cache_bytes: features of a split up to this size are kept in memory when first read.
    regions: also read the features of the images' regions, `…_regions.h5`.
    captions: 'stored', or 'raw' to give the training split its raw captions of up to `max_words` words; 'raw' excludes
    `max_train`.

    Everything except the features is checked at once; features are checked when they are read. A DataError names what
    does not fit: a missing or damaged file or key, a wrong number of dimensions or dtype, word ids outside the
    vocabulary, image rows outside the features, an empty split, or a wrong max_train.

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
        raise DataError(
            "max_train selects stored captions, but captions='raw' uses all raw ones. Pass only one of the two."
        )
    root = find_folder(folder)
    if not any(os.path.lexists(root / name) for name in (CAPTIONS_FILE, VOCABULARY_FILE)):
        raise DataError(
            f"{root}: is not a data set, because it has neither {CAPTIONS_FILE} nor {VOCABULARY_FILE}. "
            "`captioning prepare` makes one from photos and captions."
        )
    vocabulary = Vocabulary.from_json(root / VOCABULARY_FILE)
    with ExitStack() as stack:
        file = stack.enter_context(open_hdf5(root / CAPTIONS_FILE))
        kept = stack.enter_context(ExitStack())
        with reading(root / CAPTIONS_FILE, "/"):
            present = [name for name in ALL_SPLITS if {f"{name}_captions", f"{name}_image_idxs"} & set(file)]
        names = present or SPLITS
        if pca is None:
            pca = not regions and any(os.path.lexists(features_path(root, name, pca=True)) for name in names)
        splits = []
        for name in names:
            whole = kept.enter_context(FeatureRows(features_path(root, name, pca), cache_bytes=cache_bytes))
            features: ImageRows = whole
            if regions:
                path = regions_path(root, name)
                if not path.exists():
                    raise DataError(f"{path}: there is no such file: the data set has no regions, which an attention "
                                    "captioner needs. To use or fine-tune a RUN, prepare the data set with --like RUN; "
                                    "for a new captioner, with --regions.")  # fmt: skip
                features = FeaturesAndRegions(whole, kept.enter_context(RegionRows(path, cache_bytes)))
            ids, image_idxs = read_captions(file, root / CAPTIONS_FILE, name, vocabulary, whole)
            chosen = _choose(len(ids), max_train, seed) if name == "train" else None
            splits.append(Split(root, name, vocabulary, features, ids, image_idxs, chosen))
        _check_widths(*splits)
        if captions == "raw" and splits[0].name == "train":
            splits[0] = with_whole_captions(splits[0], max_words)
        kept.pop_all()  # no error: the features stay open
    return CaptionData(root, vocabulary, pca, splits)


def _check_widths(first_split: Split, *others: Split) -> None:
    for other in others:
        for first, second in zip(first_split.features.parts, other.features.parts, strict=True):
            if first.shape[1:] != second.shape[1:]:
                columns, got = (" x ".join(map(str, rows.shape[1:])) for rows in (first, second))
                raise DataError(f"{first.path}: {first.key} has {columns} columns, but {second.path.name} has {got}")


def _choose(number: int, max_train: int | None, seed: int) -> NDArray[np.int64] | None:
    if max_train is None:
        return None
    check_count("max_train", max_train)
    if max_train > number:
        raise DataError(f"max_train must be at most {number}, all training captions; got {max_train}")
    return np.sort(np.random.default_rng(seed).choice(number, max_train, replace=False))


def _check_same(files: Sequence[StoredRows], what: str) -> None:
    """Raise a DataError if two files name different extractors, or different projections of regions."""
    named = [(rows, value) for rows in files if (value := getattr(rows, what, None)) is not None]
    for rows, value in named[1:]:
        if value != named[0][1]:
            raise DataError(f"{rows.path}: {rows.key} come from the {what} {value}, but those of "
                            f"{named[0][0].path.name} come from {named[0][1]}")  # fmt: skip


def _irregularities(split: Split) -> Iterable[str]:
    """Yield a warning for each irregularity of a split that can still be used."""
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
            yield (f"{part.path}: {part.key}: are too large for memory and stored in chunks, so random rows are slow "
                   "to read; captioning.data.features.repack_features converts them to one block")  # fmt: skip


def fingerprint(data: CaptionData) -> dict[str, str]:
    """Return the shape, dtype and checksum of everything that a training run reads, by file and key.

    A run can only be resumed with the same data. The CRC-32 is that of the content of an array, so repacked features
    have the same one. It covers 256 rows of features that are not kept in memory, and the whole files of raw captions.
    The vocabulary is left out, because a run folder has a copy.
    """
    found: dict[str, str] = {}
    for split in (data.train, data.val):
        found |= captions_fingerprint(split)
        found |= {rows.path.name: _fingerprint_of_rows(rows) for rows in split.features.parts}
    names = [split.image_names_path for split in (data.train, data.val) if split.has_image_names]
    if names and data.train.raw_captions_path.is_file():
        for path in (data.train.raw_captions_path, *names):
            found[path.name] = f"{path.stat().st_size} bytes {crc32_of(path):08x}"
    return found


def captions_fingerprint(split: Split) -> dict[str, str]:
    """Return the entries of `fingerprint` for the stored captions of a split."""
    stored = zip(("captions", "image_idxs"), split.stored, strict=True)
    file = f"{split.captions_path.name}: {split.name}"
    return {f"{file}_{what}": f"{_kind(array)} {_crc(array):08x}" for what, array in stored}


def _fingerprint_of_rows(rows: StoredRows) -> str:
    if rows.cached:
        crc = 0
        for block in rows.blocks():
            crc = _crc(rows[block], crc)
        return f"{_kind(rows)} {crc:08x}"
    sample = np.unique(np.linspace(0, len(rows) - 1, _SAMPLED).astype(np.int64))
    return f"{_kind(rows)} {_crc(rows[sample]):08x} of {len(sample)} rows"


def _kind(array: NDArray[Any] | StoredRows) -> str:
    return f"{'x'.join(map(str, array.shape))} {array.dtype.name}"


def _crc(array: NDArray[Any], crc: int = 0) -> int:
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return zlib.crc32(np.ascontiguousarray(little).data, crc)


def changed(was: dict[str, str], now: dict[str, str]) -> list[str]:
    """Describe each entry that differs between two fingerprints.

    >>> changed({"a.h5": "3 int32 0000002a"}, {"a.h5": "4 int32 00000010", "b.csv": "00000001"})
    ['a.h5 (was 3 int32 0000002a, is 4 int32 00000010)', 'b.csv (was not there, is 00000001)']
    """
    names = [name for name in {**was, **now} if was.get(name) != now.get(name)]
    return [f"{n} (was {was.get(n, 'not there')}, is {now.get(n, 'not there')})" for n in names]
