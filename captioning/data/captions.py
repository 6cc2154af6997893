"""The captions of a split as the HDF5 file stores them: rows of word ids, and the image row of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.hdf5 import checked_dataset, reading
from captioning.data.vocabulary import Vocabulary

__all__ = ["read_captions"]


def read_captions(
    file: Any, path: Path, name: str, vocabulary: Vocabulary, features: FeatureRows
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The captions (N,T) and image rows (N,) of a split, checked against vocabulary and features.

    file: the open HDF5 file at `path`. Whatever does not fit is a DataError.
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
    images = f"the {len(features)} images of {features.path.name}"
    mismatch = "a caption file that does not match the features"
    _check_range(image_idxs, len(features), f"{path}: {idxs_key}", f"{images}: {mismatch}")
    return captions.astype(np.int32, copy=False), image_idxs.astype(np.int32, copy=False)


def _check_range(values: NDArray[np.integer[Any]], stop: int, where: str, what: str) -> None:
    if values.min() >= 0 and values.max() < stop:
        return
    place = tuple(int(k) for k in np.argwhere((values < 0) | (values >= stop))[0])
    raise DataError(f"{where}: {values[place]} at {list(place)} is outside {what}")
