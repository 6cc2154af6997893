"""The images of a source: their captions, splits, names and photo files, and a list of what is left out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from captioning.command import shown
from captioning.data.errors import DataError

__all__ = ["MOST_WORDS", "CaptionedImage", "LeftOut", "check_shares", "divide", "find_photos", "have_splits",
           "name_images", "photo_folders", "split_of", "with_captions"]  # fmt: skip

# What sources call splits, and what they are here; restval is the part of MS-COCO's val that Karpathy trains on.
_SPLITS = {"train": "train", "restval": "train", "val": "val", "test": "test"}
MOST_WORDS = 1000  # of a caption: the rows of word ids are as wide as the longest
_LETTER = re.compile(r"[^\W_]")  # or digit; every tokenizer makes a word of it


@dataclass(slots=True)
class CaptionedImage:
    """An image of a source. path: as the source names it, perhaps with folders. split: None if the source has none."""

    path: str
    split: str | None = None
    captions: list[str] = field(default_factory=list)

    def add(self, caption: str) -> None:
        """Add a raw caption; a line break or several spaces become one space."""
        self.captions.append(" ".join(caption.split()))


class LeftOut:
    """Counts the unusable entries of a source by kind, with the first entry of each kind.

    >>> left_out = LeftOut()
    >>> left_out.add("photos without a caption", "b.jpg")
    >>> left_out.add("photos without a caption", "c.jpg")
    >>> left_out.add("captions without a photo", "a\\nb.jpg")
    >>> left_out.lines()
    ['2 photos without a caption, the first b.jpg', "1 caption without a photo, 'a\\\\nb.jpg'"]
    """

    def __init__(self) -> None:
        self._found: dict[str, tuple[int, str]] = {}

    def add(self, kind: str, which: str, number: int = 1) -> None:
        """Add to the count of a kind, such as 'photos without a caption'; a kind starts with a plural noun."""
        count, first = self._found.get(kind, (0, which))
        self._found[kind] = (count + number, first)

    def lines(self) -> list[str]:
        """Return a line for each kind, in the order of their first occurrence."""
        return [
            f"1 {kind.replace('s ', ' ', 1)}, {shown(first)}" if count == 1 else  # the noun in the singular
            f"{count:,} {kind}, the first {shown(first)}" for kind, (count, first) in self._found.items()
        ]  # fmt: skip


def split_of(name: str, where: str) -> str:
    """Return the split that a source's name for it means, or raise a DataError that begins with `where`."""
    if name not in _SPLITS:
        raise DataError(f"{where}: unknown split {name!r}; choose one of {', '.join(_SPLITS)}")
    return _SPLITS[name]


def have_splits(images: Iterable[CaptionedImage], where: str) -> bool:
    """Return whether the images have splits; raise a DataError if only some have."""
    first = {image.split is None: image.path for image in images}
    if len(first) == 2:
        raise DataError(f"{where}: {first[False]!r} has a split, {first[True]!r} has none; all need one, or none")
    return False in first


def with_captions(images: Iterable[CaptionedImage], where: str, left_out: LeftOut) -> list[CaptionedImage]:
    """Return the images that have captions; leave out captions without a letter or digit, and images without captions.

    Text that UTF-8 cannot encode, and captions that are far too long, raise a DataError.
    """
    kept = []
    for image in images:
        for text in (image.path, *image.captions):
            _check_text(text, f"{where}: {image.path!r}")
        captions = [caption for caption in image.captions if _LETTER.search(caption)]
        if len(captions) < len(image.captions):
            left_out.add("captions without a letter or digit", f"of {image.path}", len(image.captions) - len(captions))
        if captions:
            kept.append(CaptionedImage(image.path, image.split, captions))
        elif not image.captions:
            left_out.add("photos without a caption", image.path)
    return kept


def _check_text(text: str, where: str) -> None:
    if (words := text.count(" ") + 1) > MOST_WORDS or len(text) > 100_000:  # readers of tables take 131,072
        raise DataError(f"{where}: a caption has {words:,} words and {len(text):,} characters; at most "
                        f"{MOST_WORDS:,} words and 100,000 characters are allowed: {text[:40]!r}")  # fmt: skip
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{where}: {text[:60]!r} has a lone surrogate at {error.start}, which UTF-8 cannot encode"
                        ) from error  # fmt: skip


# --- splits -------------------------------------------------------------------------------------------


def check_shares(val: float, test: float, training: bool = True) -> None:
    """Raise a DataError unless val and test are valid shares of the images.

    training: whether they must leave images for training, and some to validate on.
    """
    for name, share in (("val", val), ("test", test)):
        if not 0 <= share <= 1:  # also rejects NaN
            raise DataError(f"{name} must be a share of the images, from 0 to 1; got {share}")
    if training and val == 0:
        raise DataError("val must be above 0: training needs images to validate on. To prepare only a test set, pass "
                        "--like RUN.")  # fmt: skip
    if training and val + test >= 1:
        raise DataError(f"val and test must leave images for training; got {val} and {test}")
    if val + test > 1:
        raise DataError(f"val and test must not exceed 1 together; got {val} and {test}. To prepare only a test set, "
                        "set val to 0 and test to 1.")  # fmt: skip


def divide(images: Sequence[CaptionedImage], val: float, test: float, seed: int) -> None:
    """Assign each image to a split: shares val and test of the images, at least one each if above 0; the rest trains.

    If the shares add up to 1, no image is left for training.

    The same images in the same order with the same seed are divided in the same way on every machine. Too few images
    raise a DataError.

    >>> images = [CaptionedImage(f"{n}.jpg") for n in range(5)]
    >>> divide(images, val=0.2, test=0.2, seed=0)
    >>> sorted(image.split for image in images)
    ['test', 'train', 'train', 'train', 'val']
    """
    check_shares(val, test, training=False)
    vals, tests = (max(1, round(share * len(images))) if share else 0 for share in (val, test))
    if val + test == 1 and test:
        tests = max(1, len(images) - vals)
    if vals + tests + (val + test < 1) > len(images):
        train = " and one in train" if val + test < 1 else ""
        raise DataError(f"{len(images)} images are too few for {vals} in val, {tests} in test{train}")
    order = np.random.default_rng(seed).permutation(len(images)).tolist()
    for place, n in enumerate(order):
        images[n].split = "val" if place < vals else "test" if place < vals + tests else "train"


# --- photos -------------------------------------------------------------------------------------------


def photo_folders(sources: Sequence[Path], named: Sequence[Path] = ()) -> list[Path]:
    """Return the folders to search: the named ones; else those of the sources, and `photos` and `images` in them.

    A named folder that does not exist raises a DataError.
    """
    for folder in named:
        if not folder.is_dir():
            raise DataError(f"{folder}: there is no such folder of photos")
    if named:
        return list(named)
    homes = list(dict.fromkeys(source if source.is_dir() else source.parent for source in sources))
    within = (home / name for home in homes for name in ("photos", "images"))
    return [*homes, *(folder for folder in within if folder.is_dir())]


def find_photos(images: Sequence[CaptionedImage], folders: Sequence[Path], left_out: LeftOut) -> list[Path | None]:
    """Return the file of each image: in one of the folders by its path, else by its name alone; None if it is missing.

    The captions of images without a file are added to `left_out`.
    """
    found = [_find(image.path, folders) for image in images]
    for image, path in zip(images, found, strict=True):
        if path is None:
            where = f"of {image.path} (searched in {' and '.join(map(str, folders))})"
            left_out.add("captions of missing photos", where, len(image.captions))
    return found


def _find(name: str, folders: Sequence[Path]) -> Path | None:
    for path in (folder / each for folder in folders for each in (name, Path(name).name)):
        try:
            if path.is_file():
                return path
        except (OSError, ValueError):  # a name that no file can have
            continue
    return None


def name_images(paths: Sequence[str]) -> list[str]:
    """Return a name without folders for each image, under which a data set has its captions and its photo.

    It is the file's own name; if images in several folders share it, the folders are part of it. Names that are still
    equal, and names that do not fit on a line, raise a DataError.

    >>> name_images(["a/1.jpg", "b/1.jpg", "b/2.jpg"])
    ['a__1.jpg', 'b__1.jpg', '2.jpg']
    """
    plain = [path.rpartition("/")[2] for path in paths]
    count = Counter(plain)
    names = [path.strip("/").replace("/", "__") if count[name] > 1 else name
             for path, name in zip(paths, plain, strict=True)]  # fmt: skip
    first: dict[str, str] = {}
    for name, path in zip(names, paths, strict=True):
        if name in ("", ".", "..") or name != name.strip() or not name.isprintable():
            raise DataError(f"the image {path!r}: {name!r} cannot be a file name on a line of its own")
        if name in first:
            raise DataError(f"the images {first[name]!r} and {path!r} would both be called {name!r}; rename one")
        first[name] = path
    return names
