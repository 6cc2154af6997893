"""A data set of the size of MS-COCO in CS231n's layout, without its content.

`python -m tests.captioning.data.large DIR` writes it into a folder that is there.

82,783 and 40,504 images, features of 4096 columns and of 512, and 400,135 and 195,954 captions of random words. The
features are holes in their files: zeros that take no room on the disk, but all of their room in memory when they are
read. Each row whose number `MARKED` divides holds its number, so that rows can be told.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from captioning.data.vocabulary import Vocabulary

MARKED = 1000
T = 17


@dataclass(frozen=True)
class Size:
    """Images and captions of the splits train and val, columns of the whole features and of the reduced ones."""

    images: tuple[int, int] = (82_783, 40_504)
    captions: tuple[int, int] = (400_135, 195_954)
    columns: tuple[int, int] = (4096, 512)
    words: int = 1004


def write_large(folder: Path, size: Size = Size()) -> None:
    """Write the files of a data set into a folder that is there."""
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *(f"w{i}" for i in range(size.words - 4))])
    vocabulary.to_json(folder / "coco2014_vocab.json")
    rng = np.random.default_rng(0)
    with h5py.File(folder / "coco2014_captions.h5", "w") as file:
        for split, images, captions in zip(("train", "val"), size.images, size.captions, strict=True):
            file[f"{split}_captions"] = _captions(rng, captions, vocabulary)
            file[f"{split}_image_idxs"] = (np.arange(captions) % images).astype(np.int32)
            for suffix, columns in zip(("", "_pca"), size.columns, strict=True):
                _write_features(folder / f"{split}2014_vgg16_fc7{suffix}.h5", images, columns)
            lines = "".join(f"http://example.org/{split}{i}.jpg\n" for i in range(images))
            (folder / f"{split}2014_urls.txt").write_text(lines)


def _captions(rng: np.random.Generator, number: int, vocabulary: Vocabulary) -> np.ndarray:
    """Captions of 7 to 15 random words."""
    rows = rng.integers(4, len(vocabulary), (number, T), dtype=np.int32)
    ends = rng.integers(8, T, (number, 1))
    rows[:, 0] = vocabulary.start
    place = np.arange(T)
    rows[place == ends] = vocabulary.end
    rows[place > ends] = vocabulary.null
    return rows


def _write_features(path: Path, rows: int, columns: int) -> None:
    with h5py.File(path, "w") as file:
        features = file.create_dataset("features", (rows, columns), np.float32)
        for row in {*range(0, rows, MARKED), rows - 1}:
            features[row] = row


if __name__ == "__main__":
    write_large(Path(sys.argv[1]))
