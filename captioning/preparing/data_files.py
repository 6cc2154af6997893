"""The files of a data set: captions as word ids, the vocabulary, rows of features, names, raw captions, photos."""

from __future__ import annotations

import csv
import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from captioning.data.errors import DataError
from captioning.data.hdf5 import new_hdf5
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.preparing.images import MOST_WORDS, CaptionedImage
from captioning.preparing.unfinished_features import UnfinishedFeatures
from captioning.progress import Progress
from minigrad.runtime.files import replacing

__all__ = ["COVERED", "NamedImages", "SplitSummary", "choose_words", "covering_length", "place_photos", "tokenised",
           "write_captions", "write_names", "write_raw_captions", "write_rows"]  # fmt: skip

COVERED = 0.99  # the share of training captions that the default length holds whole
_PIECE = 1024  # rows of features, or of regions, at once

NamedImages = Sequence[tuple[str, CaptionedImage]]  # images with their names


@dataclass
class SplitSummary:
    """Statistics of a split: images, captions, words, unknown words, and captions that were cut."""

    images: int
    captions: int
    words: int = 0
    unknown: int = 0
    cut: int = 0


def tokenised(images: NamedImages, tokenizer: Callable[[str], list[str]], progress: Progress) -> Iterator[list[str]]:
    """Yield the words of each caption of the images."""
    for _, image in progress.track(images):
        yield from map(tokenizer, image.captions)


def covering_length(lengths: Sequence[int], share: float = COVERED) -> int:
    """Return the least length that this share of the captions does not exceed, at most `MOST_WORDS`.

    >>> covering_length([3, 9, 4, 5], 0.75)
    5
    """
    return min(sorted(lengths)[max(math.ceil(share * len(lengths)) - 1, 0)], MOST_WORDS)


def choose_words(counts: Counter[str], min_count: int = 4, most: int | None = None) -> Vocabulary:
    """Return the vocabulary of the special tokens, then the words by falling frequency, ties by first occurrence.

    min_count: how often a word must occur. most: the number of most frequent words to keep instead. A vocabulary
    without words raises a DataError. Flickr8k's training captions give the vocabulary of its data set in the CS231n
    layout.

    >>> choose_words(Counter(["a", "dog", "runs", "a", "cat", "runs"]), min_count=2).idx_to_word
    ['<NULL>', '<START>', '<END>', '<UNK>', 'a', 'runs']
    """
    words = [word for word, count in counts.most_common(most) if most is not None or count >= min_count]
    if not words:
        raise DataError(f"no word occurs {min_count} times or more in training captions. Choose a lower --min-count.")
    return Vocabulary([*SPECIAL, *words])


def write_captions(
    path: Path,
    splits: Mapping[str, NamedImages],
    tokenizer: tuple[str, Callable[[str], list[str]]],
    vocabulary: Vocabulary,
    length: int,
    progress: Progress,
) -> dict[str, SplitSummary]:
    """Write word ids `{split}_captions` and rows `{split}_image_idxs`, in the order of the images.

    tokenizer: its name, which becomes the file's attribute `tokenizer`, and the function. length: words of a caption;
    a longer one is cut and still ends in `<END>`. The summaries count the words after the cut, too.
    """
    summaries = {}
    with new_hdf5(path) as file:
        file.attrs["tokenizer"] = tokenizer[0]
        for split, images in splits.items():
            counts = [len(image.captions) for _, image in images]
            summaries[split] = summary = SplitSummary(len(images), sum(counts))
            rows = np.empty((sum(counts), length + 2), np.int32)
            for row, words in zip(rows, tokenised(images, tokenizer[1], progress), strict=True):
                summary.words += len(words)
                summary.unknown += sum(word not in vocabulary for word in words)
                summary.cut += len(words) > length
                row[:] = vocabulary.encode_caption(words, length + 2)
            file[f"{split}_captions"] = rows
            file[f"{split}_image_idxs"] = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    return summaries


def write_rows(
    path: Path, rows: UnfinishedFeatures, key: str, chosen: Sequence[int], attributes: dict[str, Any]
) -> None:
    """Write the `features` or `regions` of the chosen records (increasing) as one block with these attributes."""
    kind = rows.dtype[key]
    with new_hdf5(path) as file:
        target = file.create_dataset(key, (len(chosen), *kind.shape), kind.base)
        target.attrs.update(attributes)
        for start in range(0, len(chosen), _PIECE):
            part = np.array(chosen[start : start + _PIECE])
            target[start : start + len(part)] = rows.read(part[0], part[-1] + 1)[key][part - part[0]]


def write_names(path: Path, images: NamedImages) -> None:
    """Write the name of each image on a line."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{name}\n" for name, _ in images), encoding="utf-8")


def write_raw_captions(path: Path, splits: Mapping[str, NamedImages]) -> None:
    """Write the table `image,split,caption` of all raw captions."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "split", "caption"])
        for split, images in splits.items():
            writer.writerows([name, split, caption] for name, image in images for caption in image.captions)


def place_photos(folder: Path, final: Path, photos: Mapping[str, Path], copy: bool, progress: Progress) -> None:
    """Link or copy the photos into `folder`, which will be renamed to `final`.

    Links are relative to `final`, so you can move the data set together with the photos. With copies, you can move it
    alone.
    """
    folder.mkdir()
    for name, photo in progress.track(photos.items()):
        if copy:
            shutil.copyfile(photo, folder / name)
        else:
            (folder / name).symlink_to(os.path.relpath(photo.resolve(), final))
