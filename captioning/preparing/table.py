"""The common table that every source is read into: an image, what people said of it, and its split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps

__all__ = [
    "MOST_WORDS",
    "SPLIT_NAMES",
    "CaptionedImage",
    "captions_by_split",
    "have_splits",
    "split_of",
    "with_captions",
]

SPLIT_NAMES = {"train": "train", "restval": "train", "val": "val", "test": "test"}
"""What sources call splits, and what they are here; restval is the part of MS-COCO's val that Karpathy trains on."""


MOST_WORDS = 1000
"""The most words of a caption: no caption is so long, and each takes memory of the longest."""
_MOST_SIGNS = 100_000  # of a caption: readers of tables take 131,072


@dataclass(slots=True)
class CaptionedImage:
    """An image of a source. path: as the source names it, perhaps with folders. split: None where it says none."""

    path: str
    split: str | None = None
    captions: list[str] = field(default_factory=list)

    def say(self, caption: str) -> None:
        """Add a raw caption; a line break or several spaces become one space."""
        self.captions.append(" ".join(caption.split()))


def split_of(name: str, where: str) -> str:
    """The split that a source's name for it means, or a DataError that begins with `where`."""
    if name not in SPLIT_NAMES:
        raise DataError(f"{where}: the split {name!r} is none of {', '.join(SPLIT_NAMES)}")
    return SPLIT_NAMES[name]


def have_splits(images: Iterable[CaptionedImage], where: str) -> bool:
    """Whether the images have splits; where only some have, a DataError names the first of the others."""
    with_split = without = None
    for image in images:
        if image.split is None:
            without = without or image
        else:
            with_split = with_split or image
    if with_split and without:
        raise DataError(f"{where}: {with_split.path!r} has a split, {without.path!r} has none; all need one, or none")
    return with_split is not None


def captions_by_split(images: Iterable[CaptionedImage]) -> Counter[str | None]:
    """How many captions the images of each split have; under None those of images without a split."""
    counts: Counter[str | None] = Counter()
    for image in images:
        counts[image.split] += len(image.captions)
    return counts


_LETTER = re.compile(r"[^\W_]")  # or digit; every tokenizer makes a word of it


def with_captions(images: Iterable[CaptionedImage], where: str, gaps: Gaps) -> list[CaptionedImage]:
    """The images that have captions; captions without a letter or digit, and images without captions, are gaps.

    Text that UTF-8 cannot hold, and a caption without end, are a DataError.
    """
    kept = []
    for image in images:
        for text in (image.path, *image.captions):
            _check_text(text, f"{where}: {image.path!r}")
        _check_lengths(image.captions, f"{where}: {image.path!r}")
        spoken = [caption for caption in image.captions if _LETTER.search(caption)]
        if len(spoken) < len(image.captions):
            gaps.add("captions without a letter or digit", f"of {image.path}", len(image.captions) - len(spoken))
        if spoken:
            kept.append(CaptionedImage(image.path, image.split, spoken))
        elif not image.captions:
            gaps.add("photos without a caption", image.path)
    return kept


def _check_lengths(captions: Iterable[str], where: str) -> None:
    for caption in captions:
        words = caption.count(" ") + 1
        if words > MOST_WORDS or len(caption) > _MOST_SIGNS:
            raise DataError(f"{where}: a caption of {words:,} words, {len(caption):,} signs, is more than "
                            f"{MOST_WORDS:,} words or {_MOST_SIGNS:,} signs: {caption[:40]!r}")  # fmt: skip


def _check_text(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: {text[:60]!r} has half a character at {error.start}, which no UTF-8 holds"
        ) from error
