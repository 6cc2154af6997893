"""A split of a data set: batches of captions with the features of their images, and the references of each image."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.captions import read_raw_captions
from captioning.data.errors import DataError, check_count
from captioning.data.features import ImageRows
from captioning.data.folder import CAPTIONS_FILE, PHOTOS_FOLDER, RAW_CAPTIONS_FILE, lines_path, read_bytes
from captioning.data.tokens import TOKENIZERS, recorded_tokenizer_name
from captioning.data.vocabulary import Vocabulary

__all__ = ["CAPTIONS", "FEW_IMAGES", "LONGEST_LEARNT", "PARTS", "Batch", "ReadAhead", "Split", "images_of_part",
           "with_whole_captions"]  # fmt: skip

CAPTIONS = ("stored", "raw")  # what a training run learns from: the captions of the HDF5 file, or the raw ones
LONGEST_LEARNT = 22  # words of a raw caption to learn from: 99 % of Flickr8k's captions are no longer
PARTS = {"all": "", "first": "first half of the ", "second": "second half of the "}
"""The parts of a split's images, and their names in sentences. Choose settings on one half and report on the other."""

FEW_IMAGES = 100
"""Scores of fewer images are too uncertain to choose by: the standard error of CIDEr-D is 0.06 for 100 images."""


class Batch(NamedTuple):
    """N captions, each with the features and the row of its image."""

    captions: NDArray[np.int32]  # (N,T)
    features: NDArray[np.float32]  # (N,D)
    image_idxs: NDArray[np.int32]  # (N,)


class Split:
    """One of the splits 'train', 'val' and 'test' of an open `CaptionData`; `len` is its number of captions.

    captions: int32 (N,T), ids of `vocabulary`. image_idxs: int32 (N,), the image row of each caption. features: the
    rows (M,D) of the M images. photos_folder: where `photo` looks. stored: captions and image_idxs of the file. With
    `max_train`, captions and image_idxs are the chosen ones; images, features, references and `stored` are always
    complete.
    has_urls, has_image_names, has_raw_captions: which text files there are; without raw captions the references are the
    stored ones.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        vocabulary: Vocabulary,
        features: ImageRows,
        captions: NDArray[np.int32],
        image_idxs: NDArray[np.int32],
        chosen: NDArray[np.int64] | None = None,
    ) -> None:
        self.folder, self.name, self.vocabulary, self.features = folder, name, vocabulary, features
        self.stored = captions, image_idxs
        self.captions = captions if chosen is None else captions[chosen]
        self.image_idxs = image_idxs if chosen is None else image_idxs[chosen]
        self.captions_path, self.raw_captions_path = folder / CAPTIONS_FILE, folder / RAW_CAPTIONS_FILE
        self.photos_folder = folder / PHOTOS_FOLDER
        self.urls_path, self.image_names_path = lines_path(folder, name, "urls"), lines_path(folder, name, "images")
        self.has_urls, self.has_image_names = self.urls_path.is_file(), self.image_names_path.is_file()
        self.has_raw_captions = self.has_image_names and self.raw_captions_path.is_file()

    def with_captions(self, captions: NDArray[np.int32], image_idxs: NDArray[np.int32]) -> Split:
        """Return the same images with other captions (N,T), rows `image_idxs` (N,); the references stay."""
        split = Split(self.folder, self.name, self.vocabulary, self.features, *self.stored)
        split.captions, split.image_idxs = captions, image_idxs
        return split

    def __len__(self) -> int:
        return len(self.captions)

    def __repr__(self) -> str:
        return f"<Split {self.name}: {len(self)} captions, {len(self.features)} images>"

    def batch(self, rows: ArrayLike) -> Batch:
        """Return the captions of the given rows (N,), integers, with their features."""
        chosen = np.asarray(rows)
        image_idxs = self.image_idxs[chosen]
        return Batch(self.captions[chosen], self.features[image_idxs], image_idxs)

    def batches(self, batch_size: int, rng: np.random.Generator | int) -> Iterator[Batch]:
        """Return one epoch: every caption once, in an order drawn from `rng` (a Generator or a seed).

        The last batch is shorter if `batch_size` does not divide the number of captions.
        """
        check_count("batch_size", batch_size)
        order = np.random.default_rng(rng).permutation(len(self))
        return (self.batch(order[start : start + batch_size]) for start in range(0, len(self), batch_size))

    @cached_property
    def urls(self) -> NDArray[np.bytes_]:
        """The address of each image, byte strings (M,), from `{name}2014_urls.txt`."""
        return np.array(self._lines(self.urls_path), dtype=np.bytes_)

    @cached_property
    def image_names(self) -> list[str]:
        """The file name of each image without its folder, M of them, from `{name}2014_images.txt`."""
        names = [line.decode("utf-8", errors="replace") for line in self._lines(self.image_names_path)]
        return [name.rpartition("/")[2] for name in names]

    def photo(self, i: int) -> Path | None:
        """Return the photo file of image row `i`, or None.

        It is in `photos_folder` under its name, or where the image's address points inside the data set's folder, as
        for drawn scenes.
        """
        self._check_row(i)
        if self.has_image_names and (path := self.photos_folder / self.image_names[i]).is_file():
            return path
        if self.has_urls:
            path = self.folder / self.urls[i].decode("utf-8", errors="replace")
            try:
                return path if path.is_file() and path.resolve().is_relative_to(self.folder.resolve()) else None
            except (OSError, ValueError):  # an address that cannot be a path: a null byte, too many characters
                pass
        return None

    def photo_has_moved(self, i: int) -> bool:
        """Return whether the photo of image row `i` is a broken link, or missing in another `photos_folder`."""
        if self.photo(i) is not None or not self.has_image_names:
            return False
        return (
            self.photos_folder != self.folder / PHOTOS_FOLDER or (self.photos_folder / self.image_names[i]).is_symlink()
        )

    def references(self, i: int) -> list[list[str]]:
        """Return all human captions of image row `i`, each a list of words; see `references_by_image`."""
        self._check_row(i)
        return self._references[i]

    def references_by_image(self) -> list[list[list[str]]]:
        """Return all human captions of every image: M lists of captions, each a list of words.

        They are the raw captions of `captions.csv`, split by the tokenizer of the data set. Without that file or
        `{name}2014_images.txt` they are the stored captions, cut and with `<UNK>` for rare words. An image without
        captions has an empty list.
        """
        return list(self._references)

    @cached_property
    def _references(self) -> list[list[list[str]]]:
        if self.has_raw_captions:
            tokenizer = TOKENIZERS[recorded_tokenizer_name(self.captions_path)]
            found = read_raw_captions(self.raw_captions_path, self.name, tokenizer)
            self.check_all_have_captions(found)
            return [found[name] for name in self.image_names]
        references: list[list[list[str]]] = [[] for _ in range(len(self.features))]
        for row, i in zip(*self.stored, strict=True):
            references[i].append(self.vocabulary.tokens(row, keep_unknown=True))
        return references

    def check_all_have_captions(self, images: Collection[str]) -> None:
        """Raise a DataError unless every image is among these, which have raw captions."""
        if missing := [name for name in self.image_names if name not in images]:
            raise DataError(
                f"{self.raw_captions_path}: has no {self.name} captions for {len(missing)} of the "
                f"{len(self.features)} images of {self.image_names_path.name}, the first {missing[0]!r}"
            )

    def _lines(self, path: Path) -> list[bytes]:
        """Return the stripped lines of a text file with a line for each image."""
        lines = [line.strip() for line in read_bytes(path).removesuffix(b"\n").split(b"\n")]
        if len(lines) != len(self.features):
            images = f"the {len(self.features)} images of {self.features.path.name}"
            raise DataError(f"{path}: has {len(lines)} lines; needs one for each of {images}")
        return lines

    def _check_row(self, i: int) -> None:
        if not 0 <= i < len(self.features):
            raise IndexError(f"the {self.name} split has image rows 0 to {len(self.features) - 1}; got {i}")


def images_of_part(split: Split, part: str = "all", most: int | None = None, seed: int = 0) -> NDArray[np.int64]:
    """Return the image rows of a part that have captions, in increasing order; draw `most` of them if there are more.

    part: one of `PARTS`. seed: draws them.
    """
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}; got {part!r}")
    rows = np.unique(split.image_idxs).astype(np.int64)
    middle = (len(split.features) + 1) // 2
    if part != "all":
        rows = rows[rows < middle] if part == "first" else rows[rows >= middle]
    if not rows.size:
        raise ValueError(f"part {part!r} of the split {split.name} has no image with captions")
    if most is not None:
        check_count("max_images", most)
        if most < rows.size:
            rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    return rows


def with_whole_captions(split: Split, max_words: int) -> Split:
    """Return the split with its raw captions instead of the stored ones, of at most `max_words` words each.

    A longer caption is cut and has no `<END>`, so that no captioner learns an end there. Words outside the vocabulary
    are `<UNK>`. A data set without raw captions raises a DataError.
    """
    if not split.has_raw_captions:
        raise DataError(
            f"{split.folder}: has no raw captions to train on ({RAW_CAPTIONS_FILE} and {split.image_names_path.name}); "
            "use --captions stored to train on those of the HDF5 file"
        )
    v, rows, images = split.vocabulary, [], []
    for image, captions in enumerate(split.references_by_image()):
        for words in captions:
            ids = v.encode(words).tolist()
            row = [v.start, *ids[:max_words], *([v.end] if len(ids) <= max_words else [])]
            rows.append(row + [v.null] * (max_words + 2 - len(row)))
            images.append(image)
    return split.with_captions(np.array(rows, np.int32), np.array(images, np.int32))


class ReadAhead:
    """Reads batches with a function, and reads the next ones in a thread while the caller computes.

    function: takes row numbers (N,) and returns their data, such as a `Batch`. threaded: False uses no thread, for rows
    in memory. The thread lives in the `with` block; outside, everything is read on demand. docs/guides/processes.md has
    measurements.

    >>> with ReadAhead(lambda rows: rows * 10) as ahead:
    ...     first = ahead.read(np.array([3, 0]), upcoming=[np.array([1])])
    ...     second = ahead.read(np.array([1]))  # was read meanwhile
    >>> first.tolist(), second.tolist()
    ([30, 0], [10])
    """

    def __init__(self, function: Callable[[NDArray[np.int64]], Any], threaded: bool = True) -> None:
        self.function, self.threaded = function, threaded
        self._thread: ThreadPoolExecutor | None = None
        self._begun: dict[bytes, Future[Any]] = {}  # by the row numbers

    def read(self, rows: NDArray[np.int64], upcoming: Sequence[NDArray[np.int64]] = ()) -> Any:
        """Return what the function returns for rows (N,), or raise its exception.

        upcoming: the next rows, in order, which the thread reads after this returns. An exception is raised when its
        rows are requested. Rows of earlier calls that are not among them are dropped, so memory stays bounded.
        """
        if self._thread is None:
            return self.function(rows)
        wanted = {each.tobytes(): each for each in (rows, *upcoming)}
        for key in self._begun.keys() - wanted.keys():
            self._begun.pop(key).cancel()
        for key, each in wanted.items():
            if key not in self._begun:
                self._begun[key] = self._thread.submit(self.function, each)
        return self._begun.pop(rows.tobytes()).result()

    def __enter__(self) -> Self:
        if self.threaded:
            self._thread = ThreadPoolExecutor(1, "reading-ahead")
        return self

    def __exit__(self, *exception: object) -> None:
        """Drop pending reads, and wait for the current one; an interrupt ends the waiting."""
        thread, self._thread = self._thread, None
        self._begun.clear()
        if thread is not None:
            thread.shutdown(cancel_futures=True)
