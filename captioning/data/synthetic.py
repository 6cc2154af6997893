"""Data sets of any size in the CS231n MS-COCO layout, made up, for trials of what size does: time, memory, disks.

Each image shows four things, and its captions name two to four of them in any order, as in "a photo of a thing7 with a
thing2 near a thing5". Its features are the sum of a direction for each thing and noise, behind a threshold, so that
three quarters of them are 0 and the others positive: a captioner can learn to say what is there, and its loss falls.
How good captioners are is measured on other data.

Everything is written block by block. What stays in memory are the directions, 4 bytes a word and column, and eight
bytes an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError, check_count
from captioning.data.folder import CAPTIONS_FILE, SPLITS, VOCABULARY_FILE, features_path
from captioning.data.hdf5_writing import new_hdf5
from captioning.data.vocabulary import END, NULL, SPECIAL, START, Vocabulary
from captioning.progress import Progress
from captioning.storage import making

__all__ = ["COCO", "Size", "write_synthetic"]

_SENTENCE = f"{START} a photo of a {{}} with a {{}} near a {{}} under a {{}} {END} {NULL}"
_WORDS = ("a", "photo", "of", "with", "near", "under")  # those of it that are no things
_THINGS = 4  # on an image
_NAMED = 2  # at least, by a caption
_THRESHOLD = 1.5  # of numbers with variance 4 + 1
_BLOCK = 1024  # images whose features, or captions, are in memory at once


@dataclass(frozen=True)
class Size:
    """How many images and captions the splits train and val have, columns of the features, words of the vocabulary.

    Raises:
        DataError: for a number below 1, fewer captions than images, or no word left for a thing.

    >>> COCO.times(0.1)
    Size(images=(8278, 4050), captions=(40014, 19595), columns=4096, words=1004)
    """

    images: tuple[int, int] = (82_783, 40_504)
    captions: tuple[int, int] = (400_135, 195_954)
    columns: int = 4096
    words: int = 1004

    def __post_init__(self) -> None:
        for name, values in (("images", self.images), ("captions", self.captions), ("columns", (self.columns,))):
            for value in values:
                check_count(name, value)
        for images, captions in zip(self.images, self.captions, strict=True):
            if captions < images:
                raise DataError(f"captions must be at least one an image; got {captions} of {images} images")
        least = len(SPECIAL) + len(_WORDS) + 1
        if self.words < least:
            raise DataError(f"words must be at least {least}, so that there is a thing to name; got {self.words}")

    def times(self, factor: float) -> Size:
        """So many times the images and captions of both splits."""
        (train, val), (train_captions, val_captions) = self.images, self.captions
        return replace(
            self,
            images=(round(train * factor), round(val * factor)),
            captions=(round(train_captions * factor), round(val_captions * factor)),
        )


COCO = Size()
"""The size of the MS-COCO captions of 2014, as CS231n has them."""


def write_synthetic(
    folder: str | os.PathLike[str], size: Size = COCO, seed: int = 0, progress: Progress | None = None
) -> None:
    """Write a data set of a size into a new folder, which appears when it is whole.

    folder: a path where nothing is, or an empty folder. seed: what everything is drawn by. progress: is told of the
    images.

    Raises:
        FileExistsError: there is something at `folder` already.
        OSError: it cannot be written, as on a full disk.

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
    progress = progress or Progress(enabled=False)
    progress.begin(sum(size.images))
    with making(folder) as temporary:
        vocabulary.to_json(temporary / VOCABULARY_FILE)
        with new_hdf5(temporary / CAPTIONS_FILE) as file:
            for number, split in enumerate(SPLITS):
                shown = _shown(seed, number, size.images[number], len(things))
                _write_captions(file, split, shown, size.captions[number], vocabulary, [seed, 2, number])
                path = features_path(temporary, split, pca=False)
                done = sum(size.images[:number])
                _write_features(path, shown, directions, [seed, 3, number], progress, done)


def _shown(seed: int, split: int, images: int, things: int) -> NDArray[np.uint16]:
    """The things (M,4) on each image of a split."""
    dtype = np.min_scalar_type(things - 1)
    return np.random.default_rng([seed, 1, split]).integers(things, size=(images, _THINGS), dtype=dtype)


def _blocks(count: int, seed: list[int]) -> Iterator[tuple[int, int, np.random.Generator]]:
    """Starts and stops that cover so many rows, each with the generator of its own."""
    for start in range(0, count, _BLOCK):
        yield start, min(start + _BLOCK, count), np.random.default_rng([*seed, start])


def _write_captions(
    file: Any, split: str, shown: NDArray[Any], count: int, vocabulary: Vocabulary, seed: list[int]
) -> None:
    """Captions (N,17) of word ids, about as many of each image, and the images (N,) that they are of."""
    ids = file.create_dataset(f"{split}_captions", (count, len(_SENTENCE.split())), np.int32)
    images = file.create_dataset(f"{split}_image_idxs", (count,), np.int32)
    for start, stop, rng in _blocks(count, seed):
        images[start:stop] = rows = np.arange(start, stop) * len(shown) // count
        ids[start:stop] = _said(shown[rows], vocabulary, rng)


def _said(shown: NDArray[Any], vocabulary: Vocabulary, rng: np.random.Generator) -> NDArray[np.int32]:
    """A caption (N,17) of each row of things (N,4): the sentence, broken off behind some of them."""
    words = _SENTENCE.split()
    places = [i for i, word in enumerate(words) if word == "{}"]
    captions = np.tile(np.array([vocabulary.word_to_idx.get(word, 0) for word in words], np.int32), (len(shown), 1))
    captions[:, places] = rng.permuted(shown, axis=1) + np.int32(len(SPECIAL) + len(_WORDS))
    last = np.array(places)[rng.integers(_NAMED - 1, _THINGS, len(shown)), None]
    place = np.arange(len(words))
    return np.where(place <= last, captions, np.where(place == last + 1, vocabulary.end, vocabulary.null))


def _write_features(
    path: Path, shown: NDArray[Any], directions: NDArray[np.float32], seed: list[int], progress: Progress, done: int
) -> None:
    """Features (M,D), in one block of float32 rows without compression. done: images that were written before."""
    with new_hdf5(path) as file:
        features = file.create_dataset("features", (len(shown), directions.shape[1]), np.float32)
        for start, stop, rng in _blocks(len(shown), seed):
            features[start:stop] = _seen(shown[start:stop], directions, rng)
            progress.update(done + stop)


def _seen(shown: NDArray[Any], directions: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The features (N,D) of rows of things (N,4)."""
    found = rng.random((len(shown), directions.shape[1]), np.float32)
    found *= np.float32(12**0.5)  # noise of variance 1
    found -= np.float32(3**0.5 + _THRESHOLD)
    for things in shown.T:
        found += directions[things]
    return np.maximum(found, 0, out=found)
