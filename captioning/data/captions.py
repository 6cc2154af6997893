"""The captions of a data set: word ids as the HDF5 file stores them, and raw captions as people wrote them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.hdf5 import checked_dataset, reading
from captioning.data.tokens import tokenise
from captioning.data.vocabulary import END, NULL, START, Vocabulary
from minigrad.runtime.files import irregular

__all__ = ["each_raw_caption", "read_captions", "read_raw_captions"]

_COLUMNS = ("image", "split", "caption")


def read_captions(
    file: Any, path: Path, name: str, vocabulary: Vocabulary, features: FeatureRows
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the captions (N,T) and image rows (N,) of a split, checked against vocabulary and features.

    file: the open HDF5 file at `path`. Anything that does not fit raises a DataError. A row has `<START>`, words,
    `<END>`, and `<NULL>` up to its end. A caption that was cut may fill the row without `<END>`.
    """
    key, idxs_key = f"{name}_captions", f"{name}_image_idxs"
    captions = checked_dataset(file, path, key, rank=2, kind=np.integer)
    image_idxs = checked_dataset(file, path, idxs_key, rank=1, kind=np.integer)
    if len(captions) == 0:
        raise DataError(f"{path}: {key}: the {name} split is empty, shape {captions.shape}")
    if captions.shape[1] < 3:
        raise DataError(f"{path}: {key}: needs 3 columns for <START>, a word and <END>; got shape {captions.shape}")
    if len(captions) != len(image_idxs):
        raise DataError(f"{path}: {key} has {len(captions)} rows, but {idxs_key} has {len(image_idxs)}")
    with reading(path, f"{key} or {idxs_key}"):
        captions, image_idxs = captions[()], image_idxs[()]
    _check_range(captions, len(vocabulary), f"{path}: {key}", f"the vocabulary of {len(vocabulary)} words")
    _check_layout(captions, vocabulary, f"{path}: {key}")
    _check_range(image_idxs, len(features), f"{path}: {idxs_key}", f"the {len(features)} images of "
                 f"{features.path.name}: a caption file that does not match the features")  # fmt: skip
    return captions.astype(np.int32, copy=False), image_idxs.astype(np.int32, copy=False)


def _check_range(values: NDArray[np.integer[Any]], stop: int, where: str, what: str) -> None:
    outside = (values < 0) | (values >= stop)
    if outside.any():
        place = tuple(np.argwhere(outside)[0].tolist())
        raise DataError(f"{where}: {values[place]} at {list(place)} is outside {what}")


def _check_layout(captions: NDArray[np.integer[Any]], vocabulary: Vocabulary, where: str) -> None:
    """Raise a DataError for the first row that is not a caption; `<NULL>` must fill exactly the places after `<END>`.

    Otherwise a captioner would learn words after the end, which it never uses.
    """
    ended = np.logical_or.accumulate(captions == vocabulary.end, axis=1)
    after = np.zeros_like(ended)
    after[:, 1:] = ended[:, :-1]
    wrong = (captions == vocabulary.null) != after
    wrong[:, 0] |= captions[:, 0] != vocabulary.start
    if wrong.any():
        row, step = np.argwhere(wrong)[0].tolist()
        word = vocabulary.idx_to_word[captions[row, step]]
        raise DataError(f"{where}: row {row} has {word!r} at step {step}; a caption is {START}, words, {END}, {NULL} "
                        f"to {captions.shape[1]} columns")  # fmt: skip


def each_raw_caption(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (image, split, caption) for each line of a table of raw captions, the image without its folder.

    Anything wrong with the table raises a DataError.
    """
    if found := irregular(path):  # reading a pipe would wait for a writer
        raise DataError(f"{path}: is {found}, not a regular file")
    line = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # spreadsheets write a byte order mark
            reader = csv.DictReader(file, strict=True)
            if missing := sorted(set(_COLUMNS) - set(reader.fieldnames or ())):
                raise DataError(f"{path}: the columns {missing} are missing; it has {str(reader.fieldnames)[:200]}")
            for row in reader:
                line = reader.line_num
                image, split, caption = (row[column] for column in _COLUMNS)
                if None in row or None in (image, split, caption):
                    raise DataError(f"{path}: line {line} must have {len(reader.fieldnames or ())} columns; a caption "
                                    "with a comma needs quotes")  # fmt: skip
                yield image.rpartition("/")[2], split, caption
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: is not a readable table of captions after line {line}: {error}") from error


def read_raw_captions(
    path: Path, split: str, tokenizer: Callable[[str], list[str]] = tokenise
) -> dict[str, list[list[str]]]:
    """Return the tokenised captions of one split by the file name of the image, without its folder."""
    captions: dict[str, list[list[str]]] = {}
    for image, its_split, caption in each_raw_caption(path):
        if its_split == split:
            captions.setdefault(image, []).append(tokenizer(caption))
    return captions
