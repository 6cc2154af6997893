"""What came of a source, for people: images, captions, words that are lost, and what to run next."""

from __future__ import annotations

import shlex

from captioning.command import shown
from captioning.data.vocabulary import SPECIAL
from captioning.preparing.recipe import Prepared, Recipe
from captioning.preparing.wording import COVERED, WrittenSplit

__all__ = ["report"]

_SHOWN = 5  # photos that could not be read
_MANY_UNKNOWN = 0.1  # of the words of training captions: more are advised against


def report(prepared: Prepared, recipe: Recipe) -> str:
    """Some lines on a data set that was made."""
    return "\n".join([
        f"data set: {shown(prepared.folder)}",
        "split   images   captions      words  <UNK>            cut",
        *(_line(split, told) for split, told in prepared.splits.items()),
        _vocabulary(prepared, recipe),
        *_many_unknown(prepared, recipe),
        f"captions: cut after {prepared.max_length} words"
        + ("" if recipe.max_length else f", which leaves at least {100 * COVERED:.0f} % of those for training whole"),
        f"features: {'none' if prepared.extractor is None else f'by {prepared.extractor}'}; photos: "
        + {"link": "symbolic links", "copy": "copies", "none": "none"}[prepared.photos],
        *_regions(prepared, recipe),
        *(f"left out: {line}" for line in prepared.gaps.lines()),
        *_unreadable(prepared.unreadable),
        _next(prepared),
    ])  # fmt: skip


def _line(split: str, told: WrittenSplit) -> str:
    cut = f"{told.cut:,} ({told.cut / told.captions:.1%})"
    return (f"{split:<5} {told.images:>8,} {told.captions:>10,} {told.words:>10,} "
            f"{told.unknown / max(told.words, 1):>6.2%} {cut:>14}")  # fmt: skip


def _vocabulary(prepared: Prepared, recipe: Recipe) -> str:
    words = len(prepared.vocabulary) - len(SPECIAL)
    which = "the most frequent" if recipe.words else f"each {recipe.min_count} times or more in training captions"
    return f"vocabulary: {words:,} words, {which}, and {len(SPECIAL)} special tokens"


def _many_unknown(prepared: Prepared, recipe: Recipe) -> list[str]:
    """What to do where much of what people said is not among the words."""
    told = prepared.splits["train"]
    share = told.unknown / max(told.words, 1)
    if share <= _MANY_UNKNOWN:
        return []
    which = "a larger --words" if recipe.words else f"--min-count 1{' or 2' if recipe.min_count > 2 else ''}"
    return [
        f"    {share:.0%} of the words of the training captions are <UNK>, which is much: {which} keeps more of them"
    ]


def _regions(prepared: Prepared, recipe: Recipe) -> list[str]:
    """How many numbers a place has, and how much of what differs is in them."""
    if (reduction := prepared.regions) is None:
        return []
    count = len(reduction.scale)
    few = "" if count == recipe.regions else " (the photos for training have no more)"
    return [f"regions: {count:,} numbers a place{few}, which keep {reduction.kept:.1%} of the variance of the sample"]


def _unreadable(lines: list[str]) -> list[str]:
    if not lines:
        return []
    number = f"{len(lines):,} photos" if len(lines) > 1 else "1 photo"
    more = [f"    and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return [f"left out: {number} that cannot be read", *(f"    {line}" for line in lines[:_SHOWN]), *more]


def _next(prepared: Prepared) -> str:
    if prepared.extractor is None:
        names = ", ".join(f"{split}2014_vgg16_fc7.h5" for split in prepared.splits)
        return f"next: it can be trained on when {names} have a row of features for each line of …2014_images.txt"
    model = "" if prepared.regions is None else " --model attention"
    return f"next: captioning train{model} --data {shlex.quote(str(prepared.folder))} --out run"
