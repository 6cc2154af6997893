"""Synthetic data sets of any size in the CS231n MS-COCO layout, to measure time, memory and disk access.

Each image shows four things, and its captions name two to four of them in any order, as in "a photo of a thing7 with a
thing2 near a thing5". Its features are the sum of a direction for each thing and noise, minus a threshold, cut at 0:
three quarters of them are 0. So a captioner can learn from them, and its loss falls.

Everything is written block by block; memory holds the directions, 4 bytes per word and column, and 8 bytes per image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.folder import CAPTIONS_FILE, SPLITS, VOCABULARY_FILE, features_path
from captioning.data.hdf5 import new_hdf5
from captioning.data.vocabulary import END, NULL, SPECIAL, START, Vocabulary
from captioning.storage import making

__all__ = ["COCO", "Size", "write_synthetic"]

_SENTENCE = f"{START} a photo of a {{}} with a {{}} near a {{}} under a {{}} {END} {NULL}".split()
_WORDS = ("a", "photo", "of", "with", "near", "under")  # those of it that are not things
_THINGS = 4  # on an image
_BLOCK = 1024  # images whose features, or captions, are in memory at once


@dataclass(frozen=True)
class Size:
    """The size of a data set: images and captions of train and val, columns of the features, words of the vocabulary.

    >>> COCO.times(0.1)
    Size(images=(8278, 4050), captions=(40014, 19595), columns=4096, words=1004)
    """

    images: tuple[int, int] = (82_783, 40_504)
    captions: tuple[int, int] = (400_135, 195_954)
    columns: int = 4096
    words: int = 1004

    def times(self, factor: float) -> Size:
        """Return the size with the images and captions of both splits multiplied by a factor."""
        images, captions = ((round(a * factor), round(b * factor)) for a, b in (self.images, self.captions))
        return replace(self, images=images, captions=captions)


COCO = Size()  # the MS-COCO captions of 2014 in CS231n's layout


def write_synthetic(folder: str | os.PathLike[str], size: Size = COCO, seed: int = 0) -> None:
    """Write a data set of a size to a new folder, which appears when it is complete.

    folder: a path that does not exist, or an empty folder. seed: of all random numbers.

    Raises:
        FileExistsError: if `folder` exists and is not an empty folder.
        OSError: if it cannot be written, as on a full disk.

    >>> import tempfile
    >>> from captioning.data.dataset import open_captions
    >>> with tempfile.TemporaryDirectory() as above:
    ...     write_synthetic(above + "/data", Size(images=(20, 10), captions=(50, 20), columns=8, words=14))
    ...     with open_captions(above + "/data") as data:
    ...         data.check(), data.train, data.vocabulary.decode(data.train.captions[0])
    ([], <Split train: 50 captions, 20 images>, '<START> a photo of a thing2 with a thing0 near a thing0 <END>')
    """
    things = [f"thing{i}" for i in range(size.words - len(SPECIAL) - len(_WORDS))]
    vocabulary = Vocabulary([*SPECIAL, *_WORDS, *things])
    directions = np.random.default_rng([seed, 0]).standard_normal((len(things), size.columns), np.float32)
    with making(folder) as temporary, new_hdf5(temporary / CAPTIONS_FILE) as file:
        vocabulary.to_json(temporary / VOCABULARY_FILE)
        for n, (split, images, captions) in enumerate(zip(SPLITS, size.images, size.captions, strict=True)):
            dtype = np.min_scalar_type(len(things) - 1)
            shown = np.random.default_rng([seed, 1, n]).integers(len(things), size=(images, _THINGS), dtype=dtype)
            ids = file.create_dataset(f"{split}_captions", (captions, len(_SENTENCE)), np.int32)
            idxs = file.create_dataset(f"{split}_image_idxs", (captions,), np.int32)
            for block, rng in _blocks(captions, [seed, 2, n]):
                idxs[block] = rows = np.arange(block.start, block.stop) * images // captions
                ids[block] = _captions(shown[rows], vocabulary, rng)
            with new_hdf5(features_path(temporary, split, pca=False)) as features:
                matrix = features.create_dataset("features", (images, size.columns), np.float32)
                for block, rng in _blocks(images, [seed, 3, n]):
                    matrix[block] = _features(shown[block], directions, rng)


def _blocks(count: int, seed: list[int]) -> Iterator[tuple[slice, np.random.Generator]]:
    """Yield slices that together cover the rows, each with its own generator."""
    for start in range(0, count, _BLOCK):
        yield slice(start, min(start + _BLOCK, count)), np.random.default_rng([*seed, start])


def _captions(shown: NDArray[Any], vocabulary: Vocabulary, rng: np.random.Generator) -> NDArray[np.int32]:
    """Return a caption (N,17) for each row of things (N,4): the sentence, cut off after some of them."""
    places = np.array([i for i, word in enumerate(_SENTENCE) if word == "{}"])
    captions = np.tile(np.array([vocabulary.word_to_idx.get(word, 0) for word in _SENTENCE], np.int32), (len(shown), 1))
    captions[:, places] = rng.permuted(shown, axis=1) + np.int32(len(SPECIAL) + len(_WORDS))
    last = places[rng.integers(1, _THINGS, len(shown)), None]
    place = np.arange(len(_SENTENCE))
    return np.where(place <= last, captions, np.where(place == last + 1, vocabulary.end, vocabulary.null))


def _features(shown: NDArray[Any], directions: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the features (N,D) of rows of things (N,4)."""
    found = rng.random((len(shown), directions.shape[1]), np.float32)
    found *= np.float32(12**0.5)  # noise of variance 1
    found -= np.float32(3**0.5 + 1.5)  # its mean, and a threshold of numbers with variance 4 + 1
    for things in shown.T:
        found += directions[things]
    return np.maximum(found, 0, out=found)
