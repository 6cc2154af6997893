"""A split of a data set: captions with the features of their images, in batches, and what people said of each image."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import DataError, check_count
from captioning.data.features import FeatureRows
from captioning.data.folder import CAPTIONS_FILE, PHOTOS_FOLDER, RAW_CAPTIONS_FILE, lines_path
from captioning.data.raw_captions import read_raw_captions
from captioning.data.regions import FeaturesAndRegions
from captioning.data.tokenizer_record import recorded_tokenizer
from captioning.data.vocabulary import Vocabulary
from minigrad.runtime.files import irregular

__all__ = ["Batch", "ImageRows", "Split"]

Rng = np.random.Generator | int
ImageRows = FeatureRows | FeaturesAndRegions


class Batch(NamedTuple):
    """N captions, each with the features and the row of its image."""

    captions: NDArray[np.int32]  # (N,T)
    features: NDArray[np.float32]  # (N,D)
    image_idxs: NDArray[np.int32]  # (N,)


class Split:
    """One of the splits 'train', 'val' and 'test' of an open `CaptionData`; `len` is its number of captions.

    name: str. captions: int32 (N,T), ids of `vocabulary`. image_idxs: int32 (N,), the image row of each
    caption. features: `FeatureRows` (M,D) of the M images, or `FeaturesAndRegions`. stored: captions and image_idxs as
    they are in the file. With `max_train`, captions and image_idxs are the chosen ones; images, features, references
    and `stored` are always all.
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

    def with_captions(self, captions: NDArray[np.int32], image_idxs: NDArray[np.int32]) -> Split:
        """The same images with other captions (N,T), rows `image_idxs` (N,); the references stay the human ones."""
        split = Split(self.folder, self.name, self.vocabulary, self.features, *self.stored)
        split.captions, split.image_idxs = captions, image_idxs
        return split

    def __len__(self) -> int:
        return len(self.captions)

    def __repr__(self) -> str:
        return f"<Split {self.name}: {len(self)} captions, {len(self.features)} images>"

    def batch(self, rows: ArrayLike) -> Batch:
        """The captions of the given rows (N,), integers, with their features."""
        chosen = np.asarray(rows)
        image_idxs = self.image_idxs[chosen]
        return Batch(self.captions[chosen], self.features[image_idxs], image_idxs)

    def batches(self, batch_size: int, rng: Rng) -> Iterator[Batch]:
        """One epoch: every caption once, in an order drawn from `rng` (a Generator or a seed).

        The last batch is shorter if `batch_size` does not divide the number of captions.
        """
        check_count("batch_size", batch_size)
        order = np.random.default_rng(rng).permutation(len(self))
        return (self.batch(order[start : start + batch_size]) for start in range(0, len(self), batch_size))

    def sample(self, batch_size: int, rng: Rng) -> Batch:
        """`batch_size` captions drawn with replacement, as CS231n draws its minibatches."""
        check_count("batch_size", batch_size)
        return self.batch(np.random.default_rng(rng).integers(len(self), size=batch_size))

    @cached_property
    def urls(self) -> NDArray[np.bytes_]:
        """The address of each image, byte strings (M,), from `{name}2014_urls.txt`, read when first asked."""
        return np.array(self._lines("urls"), dtype=np.bytes_)

    @property
    def captions_path(self) -> Path:
        """The file of the captions."""
        return self.folder / CAPTIONS_FILE

    @property
    def image_names_path(self) -> Path:
        """The file of `image_names`, which need not be there."""
        return self._file("images")

    @property
    def has_urls(self) -> bool:
        """Whether there is a file of addresses; without it `urls` is a DataError."""
        return self._file("urls").is_file()

    @property
    def has_image_names(self) -> bool:
        """Whether there is a file of names; without it `image_names` is a DataError."""
        return self.image_names_path.is_file()

    @property
    def has_raw_captions(self) -> bool:
        """Whether the references are raw captions, as people wrote them; else they are the stored ones."""
        return self.has_image_names and (self.folder / RAW_CAPTIONS_FILE).is_file()

    @cached_property
    def image_names(self) -> list[str]:
        """The file name of each image without its folder, M of them, from `{name}2014_images.txt`."""
        names = [line.decode("utf-8", errors="replace") for line in self._lines("images")]
        return [name.rpartition("/")[2] for name in names]

    def photo(self, i: int) -> Path | None:
        """The picture file of image row `i` in the folder `photos`, or None if there is none."""
        self._check_row(i)
        if not self.has_image_names:
            return None
        path = self.folder / PHOTOS_FOLDER / self.image_names[i]
        return path if path.is_file() else None

    def references(self, i: int) -> list[list[str]]:
        """All human captions of image row `i`, each a list of words; see `references_by_image`."""
        self._check_row(i)
        return self._references[i]

    def references_by_image(self) -> list[list[list[str]]]:
        """All human captions of every image: M lists of captions, each a list of words.

        They are the raw captions of `captions.csv`, whole and with rare words, split as the stored ones were
        (`captioning.data.tokenizer_record`). If that file or `{name}2014_images.txt` is not there, they are the
        stored captions, cut as they are, where `<UNK>` stands for a rare word. An image without captions has an
        empty list.
        """
        return list(self._references)

    @cached_property
    def _references(self) -> list[list[list[str]]]:
        if not self.has_raw_captions:
            return self._stored_references()
        table = self.folder / RAW_CAPTIONS_FILE
        found = read_raw_captions(table, self.name, recorded_tokenizer(self.captions_path))
        missing = [name for name in self.image_names if name not in found]
        if missing:
            raise DataError(
                f"{table}: has no {self.name} captions for {len(missing)} of the {len(self.features)} images "
                f"of {self._file('images').name}, the first {missing[0]!r}"
            )
        return [found[name] for name in self.image_names]

    def _stored_references(self) -> list[list[list[str]]]:
        captions, image_idxs = self.stored
        references: list[list[list[str]]] = [[] for _ in range(len(self.features))]
        for row, i in zip(captions, image_idxs.tolist(), strict=True):
            references[i].append(self.vocabulary.tokens(row, keep_unknown=True))
        return references

    def _file(self, what: str) -> Path:
        return lines_path(self.folder, self.name, what)

    def _lines(self, what: str) -> list[bytes]:
        """The stripped lines of a text file with a line each image."""
        path = self._file(what)
        if found := irregular(path):
            raise DataError(f"{path}: is {found}, not a regular file")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        lines = [line.strip() for line in content.removesuffix(b"\n").split(b"\n")]
        if len(lines) != len(self.features):
            images = f"the {len(self.features)} images of {self.features.path.name}"
            raise DataError(f"{path}: has {len(lines)} lines; needs one for each of {images}")
        return lines

    def _check_row(self, i: int) -> None:
        if not 0 <= i < len(self.features):
            raise IndexError(f"the {self.name} split has image rows 0 to {len(self.features) - 1}; got {i}")
