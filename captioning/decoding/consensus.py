"""Consensus decoding: of many captions that could be said, the one with which most of the others agree.

The likeliest caption need not be the one that scores best: a beam finds a sentence, while several likely ones may all
mean something else. With candidates C, some drafts y_1 ... y_S drawn from the captioner, and captions c of the
training pictures most like this one, what is said is

    argmax over y in C of   mean_s CIDEr-D(y; y_s) + weight mean_c CIDEr-D(y; c),

the first mean an estimate of the score that y is expected to have, if the captioner's probabilities were true (minimum
Bayes risk decoding), the second what people said of pictures like it. Candidates are the best of a beam and the drafts;
a draft has no vote for itself. The means are over references, as CIDEr-D itself takes them; document frequencies are
those of the training captions.

Sources: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); J. Devlin
et al., Exploring nearest neighbor approaches for image captioning (2015), whose consensus captions are of neighbours
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.neighbours import nearest
from captioning.data.splits import Split
from captioning.decoding.batches import Ids
from captioning.decoding.best_lists import n_best
from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import Speaker
from captioning.decoding.stepwise import check_chance, sample
from captioning.scoring.cider import CiderD, DocumentFrequencies

__all__ = ["MOST_DRAFTS", "Agreement", "Voters", "agreed"]

MOST_DRAFTS = 1000
"""Drafts of an image."""

_IMAGES = 100  # whose drafts are in memory at once
_WIDTH = 0.08  # of the neighbours' weights, which are not used: all have the same say

Words = list[int]


@dataclass(frozen=True)
class Agreement:
    """How a caption is agreed on.

    drafts: how many are drawn of each image, with a temperature: one above 1 helps a captioner that is very sure of
    itself, as self-critical training leaves it, to think of something else. neighbours: how many training pictures have
    a say, 0 for none; weight: of theirs, beside the drafts' 1. width: of the beam, whose best `width` captions are
    candidates too.

    >>> Agreement(drafts=0)
    Traceback (most recent call last):
    ValueError: drafts must be an int from 1 to 1000; got 0
    """

    drafts: int = 40
    temperature: float = 1.0
    neighbours: int = 20
    weight: float = 4.0
    width: int = 10

    def __post_init__(self) -> None:
        for name, least, most in (("drafts", 1, MOST_DRAFTS), ("neighbours", 0, 1000), ("width", 1, 100)):
            value = getattr(self, name)
            if type(value) is not int or not least <= value <= most:
                raise ValueError(f"{name} must be an int from {least} to {most}; got {value!r}")
        check_chance(self.temperature, None)
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight must be at least 0 and finite; got {self.weight!r}")


class Voters:
    """The pictures of a training split and their captions, which have a say on what is said of others.

    split: with human captions. Only the features of whole pictures are compared, not those of their places.
    """

    def __init__(self, split: Split) -> None:
        v = split.vocabulary
        self._features = split.features.parts[0]
        self._captions = [[v.encode(words).tolist() for words in item] for item in split.references_by_image()]
        self._pictures = np.array([i for i, item in enumerate(self._captions) if item])
        if not self._pictures.size:
            raise ValueError(f"the split {split.name} has no captions to agree with")
        self.frequencies = DocumentFrequencies.of(self._captions, end=v.end)

    def captions_like(self, features: NDArray[Any], count: int) -> list[list[Words]]:
        """The captions of the `count` pictures most like each of N, whose features (N,D) may have places' behind."""
        if not count:
            return [[] for _ in features]
        whole = features[:, : self._features.shape[1]]
        found = nearest(self._features, self._pictures, count, _WIDTH, asked=whole)
        assert found is not None  # nobody stops it
        return [[caption for i in row for caption in self._captions[i]] for row in found.rows.tolist()]


def agreed(
    model: Speaker,
    features: ArrayLike,
    voters: Voters,
    how: Agreement = Agreement(),
    max_length: int = LONGEST,
    allow_unknown: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Ids:
    """The captions agreed on: int32 (N,L) for features (N,D), L at most max_length.

    rng: a Generator or a seed, of what is drawn; the same seed draws the same. A draft that was cut at `max_length` has
    no say and is no candidate; where nothing has ended the beam's best is said.
    """
    random, rows, v = np.random.default_rng(rng), np.asarray(features), model.vocabulary
    likes = voters.captions_like(rows, how.neighbours)
    said: list[Words] = []
    for start in range(0, len(rows), _IMAGES):
        block = rows[start : start + _IMAGES]
        beams = n_best(model, block, how.width, how.width, max_length, allow_unknown=allow_unknown)
        drawn = sample(model, block, max_length, how.temperature, None, random, allow_unknown, each=how.drafts)
        for k, (best, like) in enumerate(zip(beams, likes[start : start + _IMAGES], strict=True)):
            drafts = [row for row in map(_ended(v.end), drawn[k * how.drafts : (k + 1) * how.drafts]) if row]
            ended = [v.encode(each.words).tolist() for each in best if each.ended]
            cut = v.encode(best[0].words).tolist() if best else []
            said.append(_best([*ended, *drafts], drafts, like, how.weight, voters.frequencies) or cut)
    return _as_rows(said, v.end, v.null, max_length)


def _ended(end: int) -> Any:
    """A function that gives the words before `<END>` of a drawn row; [] of one that was cut."""

    def words(row: NDArray[Any]) -> Words:
        found = np.flatnonzero(row == end)
        return row[: found[0]].tolist() if found.size else []

    return words


def _best(
    candidates: Sequence[Words],
    drafts: Sequence[Words],
    others: Sequence[Words],
    weight: float,
    frequencies: DocumentFrequencies,
) -> Words:
    """The candidate with the highest utility, of equal ones the first; [] if there is none."""
    distinct = [list(words) for words in dict.fromkeys(map(tuple, candidates)) if words]
    if not distinct:
        return []
    utility = _mean_of_the_others(distinct, drafts, frequencies)
    if others:
        utility += weight * _scores(distinct, others, frequencies)
    return distinct[int(np.argmax(utility))]


def _scores(
    candidates: Sequence[Words], references: Sequence[Words], frequencies: DocumentFrequencies
) -> NDArray[np.float64]:
    """CIDEr-D of each candidate, which has ended, against references; 0 where there are none."""
    if not references:
        return np.zeros(len(candidates))
    reward = CiderD({0: references}, frequencies)
    return np.array([reward.score(0, [*words, frequencies.end]) for words in candidates])


def _mean_of_the_others(
    candidates: Sequence[Words], drafts: Sequence[Words], frequencies: DocumentFrequencies
) -> NDArray[np.float64]:
    """The mean CIDEr-D of each candidate against the drafts, but for itself once where it is one of them."""
    utility, count = _scores(candidates, drafts, frequencies), len(drafts)
    drawn = set(map(tuple, drafts))
    for i, words in enumerate(candidates):
        if tuple(words) in drawn:
            own = _scores([words], [words], frequencies)[0]
            utility[i] = (count * utility[i] - own) / max(1, count - 1)
    return utility


def _as_rows(said: Sequence[Words], end: int, null: int, max_length: int) -> Ids:
    """Captions as rows, with `<END>` where there is room for it."""
    rows = [[*words, end][:max_length] for words in said]
    captions = np.full((len(rows), max(map(len, rows), default=0)), null, np.int32)
    for row, words in zip(captions, rows, strict=True):
        row[: len(words)] = words
    return captions
