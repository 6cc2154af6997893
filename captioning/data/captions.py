"""The captions of a split as the HDF5 file stores them: rows of word ids, and the image row of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.hdf5 import checked_dataset, reading
from captioning.data.vocabulary import END, NULL, START, Vocabulary

__all__ = ["read_captions"]


def read_captions(
    file: Any, path: Path, name: str, vocabulary: Vocabulary, features: FeatureRows
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The captions (N,T) and image rows (N,) of a split, checked against vocabulary and features.

    file: the open HDF5 file at `path`. Whatever does not fit is a DataError, also a row that is not
    `<START>`, words, `<END>`, and `<NULL>` to its end; a row that was cut may be full of words without `<END>`.
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
    with reading(path, key):
        captions = captions[()]
    with reading(path, idxs_key):
        image_idxs = image_idxs[()]
    _check_range(captions, len(vocabulary), f"{path}: {key}", f"the vocabulary of {len(vocabulary)} words")
    _check_layout(captions, vocabulary, f"{path}: {key}")
    images = f"the {len(features)} images of {features.path.name}"
    mismatch = "a caption file that does not match the features"
    _check_range(image_idxs, len(features), f"{path}: {idxs_key}", f"{images}: {mismatch}")
    return captions.astype(np.int32, copy=False), image_idxs.astype(np.int32, copy=False)


def _check_range(values: NDArray[np.integer[Any]], stop: int, where: str, what: str) -> None:
    if values.min() >= 0 and values.max() < stop:
        return
    place = tuple(int(k) for k in np.argwhere((values < 0) | (values >= stop))[0])
    raise DataError(f"{where}: {values[place]} at {list(place)} is outside {what}")


def _check_layout(captions: NDArray[np.integer[Any]], vocabulary: Vocabulary, where: str) -> None:
    """Refuse the first row that is not laid out as a caption, with the step that is wrong.

    Before a row's first `<END>` there must be no `<NULL>`, from there on nothing else: a caption stops there, and what
    follows would be learnt and never said.
    """
    length = captions.shape[1]
    ended = np.logical_or.accumulate(captions == vocabulary.end, axis=1)
    after = np.zeros_like(ended)
    after[:, 1:] = ended[:, :-1]  # whether a step is behind the first <END>
    wrong = (captions == vocabulary.null) != after
    wrong[:, 0] |= captions[:, 0] != vocabulary.start
    if not wrong.any():
        return
    row = int(wrong.any(axis=1).argmax())
    step = int(wrong[row].argmax())
    word = vocabulary.idx_to_word[captions[row, step]]
    if step == 0:
        problem = f"must begin with {START}; got {word!r}"
    elif after[row, step]:
        problem = f"must have {NULL} alone behind {END}; got {word!r} at step {step}"
    elif ended[row].any():
        problem = f"has {NULL} at step {step}, before its {END}"
    else:
        problem = f"has {NULL} at step {step} but no {END} before it"
    raise DataError(f"{where}: row {row} {problem} (a caption is {START}, words, {END}, {NULL} to {length} columns)")
