"""How a data set is to be made of a source, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from captioning.data.errors import DataError, check_count
from captioning.data.tokens import TOKENIZERS
from captioning.data.vocabulary import Vocabulary
from captioning.preparing.data_files import PHOTO_WAYS
from captioning.preparing.division import check_shares
from captioning.preparing.gaps import Gaps
from captioning.preparing.table import MOST_WORDS
from captioning.preparing.wording import WrittenSplit
from captioning.vision.region_reduction import RegionReduction

__all__ = ["Prepared", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a data set is made of a source.

    format: one of `captioning.preparing.sources.FORMATS`, None finds it. tokenizer: one of
    `captioning.data.tokens.TOKENIZERS`. min_count: how often a word of the vocabulary stands in training captions;
    words: instead, how many it has. max_length: words of a caption, None for what holds 99 % of training captions
    whole, at most `MOST_WORDS`. val, test, seed: how a source without splits is divided; resplit: so is one with
    splits, which are forgotten. photos: 'link', 'copy' or 'none'. skip_missing: leave out what lacks a photo or a
    caption. strict: a photo that cannot be read is an error. regions: how many numbers of each place of a photo are
    stored, or fewer where there are not as many; None for no regions.
    """

    format: str | None = None
    tokenizer: str = "ptb"
    min_count: int = 4
    words: int | None = None
    max_length: int | None = None
    val: float = 0.1
    test: float = 0.0
    seed: int = 0
    resplit: bool = False
    photos: str = "link"
    skip_missing: bool = False
    strict: bool = False
    regions: int | None = None

    def __post_init__(self) -> None:
        for name in ("min_count", "words", "max_length", "regions"):
            if (value := getattr(self, name)) is not None:
                check_count(name, value)
        if self.max_length is not None and self.max_length > MOST_WORDS:
            raise DataError(f"max_length must be at most {MOST_WORDS}; got {self.max_length}")
        for name, known in (("tokenizer", tuple(TOKENIZERS)), ("photos", PHOTO_WAYS)):
            if getattr(self, name) not in known:
                raise DataError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}")
        check_shares(self.val, self.test)


@dataclass
class Prepared:
    """What came of a source: the data set's folder, its splits, vocabulary and length, and what was left out.

    regions: how they were made, None where there are none.
    """

    folder: Path
    splits: dict[str, WrittenSplit]
    vocabulary: Vocabulary
    max_length: int
    gaps: Gaps
    unreadable: list[str]
    extractor: str | None
    photos: str
    regions: RegionReduction | None = None
