"""How to make a data set from a source, and a report about the result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from captioning.command import shown
from captioning.data.errors import DataError, check_count
from captioning.data.tokens import TOKENIZERS
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.preparing.data_files import COVERED, SplitSummary
from captioning.preparing.images import MOST_WORDS, LeftOut, check_shares
from captioning.vision.region_reduction import RegionReduction
from captioning.vision.regions import RegionProjection

__all__ = ["PHOTO_FILES", "Prepared", "Recipe", "report"]

PHOTO_FILES = {"link": "symbolic links", "copy": "copies", "none": "none"}
_SHOWN = 5  # photos that could not be read


@dataclass(frozen=True)
class Recipe:
    """How to make a data set from a source.

    format: one of `captioning.preparing.sources.FORMATS`; None detects it.
    tokenizer: one of `captioning.data.tokens.TOKENIZERS`.
    min_count: how often a word must occur in the training captions to be in the vocabulary. words: the number of most
    frequent words in the vocabulary, instead of `min_count`.
    max_length: the most words of a caption, at most `MOST_WORDS`; None cuts no more than 1 % of the training captions.
    val, test, seed: how to divide a source without splits. resplit: also divide a source with splits.
    photos: a key of `PHOTO_FILES`.
    skip_missing: leave out images without a photo or a caption.
    strict: a photo that cannot be read raises an error.
    regions: the most numbers to store for each region; None for no regions.
    vocabulary, projection: those of a captioner, instead of the words of the training captions and a PCA of the photos.
    With a vocabulary, the data set needs no train or val split.
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
    vocabulary: Vocabulary | None = None
    projection: RegionProjection | None = None

    def __post_init__(self) -> None:
        for name in ("min_count", "words", "max_length", "regions"):
            if (value := getattr(self, name)) is not None:
                check_count(name, value)
        if self.max_length is not None and self.max_length > MOST_WORDS:
            raise DataError(f"max_length must be at most {MOST_WORDS}; got {self.max_length}")
        for name, known in (("tokenizer", list(TOKENIZERS)), ("photos", list(PHOTO_FILES))):
            if getattr(self, name) not in known:
                raise DataError(f"{name} must be one of {', '.join(known)}; got {getattr(self, name)!r}")
        check_shares(self.val, self.test, training=self.vocabulary is None)


@dataclass
class Prepared:
    """A finished data set: its folder, splits, vocabulary and length, and what was left out.

    unreadable: a line for each photo that cannot be read. regions: how they were made, None if there are none.
    """

    folder: Path
    splits: dict[str, SplitSummary]
    vocabulary: Vocabulary
    max_length: int
    left_out: LeftOut
    unreadable: list[str]
    extractor: str | None
    photos: str
    regions: RegionReduction | None = None


def report(prepared: Prepared, recipe: Recipe, like: str | None = None) -> str:
    """Return a report about a data set. like: the name of the run whose vocabulary it has."""
    words = len(prepared.vocabulary) - len(SPECIAL)
    which = f" that occur at least {recipe.min_count} times in the training captions"
    if recipe.words or recipe.min_count == 1:
        which = f", {'the most frequent' if recipe.words else 'all'} of the training captions"
    which = f", those of {like}" if like else which
    covered = "the training captions" if "train" in prepared.splits else "the captions"
    whole = "" if recipe.max_length else f", which cuts at most {1 - COVERED:.0%} of {covered}"
    rows = []
    for split, of in prepared.splits.items():
        cut, unknown = f"{of.cut:,} ({of.cut / of.captions:.1%})", of.unknown / max(of.words, 1)
        rows.append(f"{split:<5} {of.images:>8,} {of.captions:>10,} {of.words:>10,} {unknown:>6.2%} {cut:>14}")
    lines = [
        f"data set: {shown(prepared.folder)}",
        "split   images   captions      words  <UNK>            cut",
        *rows,
        f"vocabulary: {words:,} words{which}, and {len(SPECIAL)} special tokens",
        *([] if like else _advice_on_unknown_words(prepared.splits["train"], recipe)),
        f"captions: cut after {prepared.max_length} words{whole.replace('%', ' %')}",
        f"features: {f'by {prepared.extractor}' if prepared.extractor else 'none'}; "
        f"photos: {PHOTO_FILES[prepared.photos]}",
    ]
    if (regions := prepared.regions) is not None:
        few = "" if len(regions.scale) == recipe.regions else " (the training photos have no more)"
        kept = f"{few}, which keep {regions.kept:.1%} of the variance of the sample"
        lines.append(f"regions: {len(regions.scale):,} numbers per place{f', those of {like}' if like else kept}")
    lines += [f"left out: {line}" for line in prepared.left_out.lines()]
    if number := len(prepared.unreadable):
        lines.append(f"left out: {number:,} photo{'s' if number > 1 else ''} that cannot be read")
        lines += [f"    {line}" for line in prepared.unreadable[:_SHOWN]]
        lines += [f"    and {number - _SHOWN:,} more"] if number > _SHOWN else []
    data = shlex.quote(str(prepared.folder))
    if prepared.extractor is None:
        names = ", ".join(f"{split}2014_vgg16_fc7.h5" for split in prepared.splits)
        next_step = f"captioners need {names} with a row of features for each line of …2014_images.txt"
    elif like and not {"train", "val"} <= prepared.splits.keys():
        next_step = f"captioning evaluate {shlex.quote(like)} --data {data} --split {list(prepared.splits)[-1]}"
    else:
        how = "" if prepared.regions is None else " --model attention"
        how = f" --start {shlex.quote(like)}" if like else how
        next_step = f"captioning train{how} --data {data} --out run"
    return "\n".join([*lines, f"next: {next_step}"])


def _advice_on_unknown_words(train: SplitSummary, recipe: Recipe) -> list[str]:
    """Return advice if many words of the training captions are outside the vocabulary."""
    share = train.unknown / max(train.words, 1)
    if share <= 0.1:
        return []
    which = "A larger --words" if recipe.words else f"--min-count 1{' or 2' if recipe.min_count > 2 else ''}"
    return [f"    {share:.0%} of the words of the training captions are <UNK>. {which} keeps more words."]
