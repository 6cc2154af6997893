"""How long captions are, beside those of people, and how good those of each length are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captioning.report.bars import bar_chart
from captioning.report.judging import SCORE, Judged
from captioning.report.markup import Markup, element
from captioning.report.numbers import count_text, number_text

__all__ = ["length_charts", "means_by_length"]

_LONGEST = 30  # words; longer ones stand together


def length_charts(captions: Sequence[Judged]) -> Markup:
    """Two charts of at least one caption: which share has how many words, and the mean score of each length."""
    said = _lengths([found.words for found in captions])
    human = _lengths([words for found in captions for words in found.references])
    scores = np.array([found.score for found in captions])
    lengths = np.arange(min(said.min(), human.min(initial=_LONGEST)), max(said.max(), human.max(initial=0)) + 1)
    names = [f"{n}+" if n == _LONGEST else str(n) for n in lengths.tolist()]
    shares = []
    for who, found in (("said", said), ("people", human)):
        share = np.array([np.mean(found == n) if found.size else 0.0 for n in lengths])
        tips = [f"{who}, {name} words: {part:.1%}" for name, part in zip(names, share.tolist(), strict=True)]
        shares.append((who, np.where(share > 0, 100 * share, np.nan), tips))
    own = slice(said.min() - lengths[0], said.max() - lengths[0] + 1)  # the lengths of what was said
    means, counts = means_by_length(said, scores, lengths[own])
    told = zip(names[own], means.tolist(), counts.tolist(), strict=True)
    tips = [f"{name} words: {number_text(mean, 3)}, {count_text(count, 'caption')}" for name, mean, count in told]
    by_length = bar_chart(names[own], [(SCORE, means, tips)], f"{SCORE} by length", "words of a caption")
    return element(
        "div",
        element("figure", element("figcaption", "Captions by length, in per cent"),
                bar_chart(names, shares, "how long captions are", "words of a caption")),
        element("figure", element("figcaption", f"{SCORE} by length of what was said, in the mean"), by_length),
        class_="charts",
    )  # fmt: skip


def means_by_length(
    said: NDArray[np.int64], scores: NDArray[np.float64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The mean score of the captions of each of the lengths, NaN where there are none, and how many there are.

    >>> means_by_length(np.array([3, 3, 5]), np.array([0.25, 0.75, 1.0]), np.array([3, 4, 5]))
    (array([0.5, nan, 1. ]), array([2, 0, 1]))
    """
    groups = [scores[said == n] for n in lengths]
    means = np.array([group.mean() if group.size else np.nan for group in groups])
    return means, np.array([group.size for group in groups])


def _lengths(captions: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    return np.array([min(len(words), _LONGEST) for words in captions], np.int64)
