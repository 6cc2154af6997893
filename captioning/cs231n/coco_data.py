"""The data set as the CS231n notebooks use it: one dict of arrays, and minibatches drawn from it.

`captioning.cs231n` exports these functions. Source: homework 1-1, "The captioning exercises".
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError, check_count
from captioning.data.features import CACHE_BYTES, ImageRows
from captioning.data.folder import check_split
from captioning.data.splits import Split

__all__ = ["last_coco_data", "load_coco_data", "sample_coco_minibatch"]

_last: list[dict[str, Any]] = []  # at most one: the notebooks call `evaluate_model` without a data set


def load_coco_data(
    base_dir: str | os.PathLike[str] | None = None,
    max_train: int | None = None,
    pca_features: bool = True,
    seed: int = 0,
    cache_bytes: int = CACHE_BYTES,
) -> dict[str, Any]:
    """Return the data set as the dict of the CS231n notebooks.

    Keys: `{train,val}_captions` int32 (N,T), `{train,val}_image_idxs` int32 (N,), `{train,val}_features` float32
    (M,D), `{train,val}_urls` byte strings (M,), `idx_to_word` (list) and `word_to_idx` (dict). Features larger than
    `cache_bytes` are `FeatureRows`, which stay in the file and are indexed like an array. Without a file of addresses
    the addresses are empty. `last_coco_data` returns the dict until the next call. Arguments and errors as in
    `open_captions`. Source: homework 1-1.
    """
    data = open_captions(base_dir, pca_features, max_train, seed, cache_bytes)
    words = {"idx_to_word": data.vocabulary.idx_to_word, "word_to_idx": data.vocabulary.word_to_idx}
    _last[:] = [_notebook_split(data.train) | _notebook_split(data.val) | words]
    return _last[0]


def last_coco_data() -> dict[str, Any]:
    """Return what `load_coco_data` last returned in this process; raise a DataError if it has not been called."""
    if not _last:
        raise DataError("no data set has been loaded: pass one as `data`, or call load_coco_data first")
    return _last[0]


def _notebook_split(split: Split) -> dict[str, Any]:
    """Return the entries of one split; close its file of features if they are in memory now."""
    rows: ImageRows | NDArray[np.float32] = split.features
    if split.features.cached:
        rows = split.features[:]
        split.features.close()
    return {
        f"{split.name}_captions": split.captions,
        f"{split.name}_image_idxs": split.image_idxs,
        f"{split.name}_features": rows,
        f"{split.name}_urls": split.urls if split.has_urls else np.zeros(len(rows), dtype="S1"),
    }


def sample_coco_minibatch(
    data: dict[str, Any], batch_size: int = 100, split: str = "train"
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.bytes_]]:
    """Draw a minibatch from the dict of `load_coco_data`: captions (N,T), features (N,D) and urls (N,).

    NumPy's global generator draws captions with replacement, as in the notebooks: the same `np.random.seed` draws the
    same rows. Source: homework 1-1.

    >>> data = {"val_captions": np.array([[1, 3, 2]]), "val_image_idxs": np.array([1]),
    ...         "val_features": np.eye(2), "val_urls": np.array([b"a", b"b"])}
    >>> captions, features, urls = sample_coco_minibatch(data, batch_size=2, split="val")
    >>> captions.shape, features.tolist(), urls.tolist()
    ((2, 3), [[0.0, 1.0], [0.0, 1.0]], [b'b', b'b'])
    """
    check_split(split)
    check_count("batch_size", batch_size)
    keys = [f"{split}_{what}" for what in ("captions", "image_idxs", "features", "urls")]
    for key in keys:
        if key not in data:
            raise DataError(f"data: the key {key} is missing; it has {sorted(data)}")
    captions, image_idxs, features, urls = (data[key] for key in keys)
    if len(captions) == 0:
        raise DataError(f"{split}_captions: the {split} split is empty")
    rows = np.random.choice(len(captions), batch_size)  # noqa: NPY002 - see the docstring
    images = image_idxs[rows]
    return captions[rows], features[images], urls[images]
