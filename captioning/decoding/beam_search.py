"""Beam search: of each image several unfinished captions side by side, those of the largest probability.

Every step lets each of the K captions of a beam grow by its K likeliest words and keeps the best K of the K K
results; those that end leave the beam, and the best of them are remembered. An image whose unfinished captions cannot
win any more is done, and is not computed any further.

The K captions may be divided into *groups*, which take a step one after the other: for a group a word counts
`diversity` less for every caption of an earlier group that says it at this step. Source: A. Vijayakumar et al., Diverse
beam search (2016), with its Hamming diversity. The penalty guides what is kept; captions are ranked without it.

Where words are required there is a beam of K for each set of those that a caption has already, so that an unlikely
word needs to win only against captions that have it too; every caption also grows by the required words, however
unlikely, and ends only when it has them all. Source: P. Anderson et al., Guided open vocabulary image captioning with
constrained beam search (2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.decoding.batches import Ids, decode_in_batches
from captioning.decoding.beam_growth import Grown, Growth
from captioning.decoding.best_captions import BestCaptions, Totals, best_of
from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import NextWord, Speaker
from captioning.decoding.rules import Bars, Rules
from minigrad.runtime.threads import get_num_threads

__all__ = ["WIDEST", "Beam", "beam", "check_width", "search"]

WIDEST = 100
"""The widest beam: memory grows as the width, time as its square."""

_STEEPEST = 100.0  # of length powers: of the longest captions they are numbers still
_ALL = Rules()


def beam(
    model: Speaker,
    features: ArrayLike,
    width: int = 3,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
    groups: int = 1,
    diversity: float = 0.5,
    rules: Rules = _ALL,
) -> Ids:
    """The best caption that a beam of `width` unfinished captions finds, `width` from 1 to `WIDEST`.

    Best is the largest log-probability divided by length ** length_power, where `<END>` counts as a word:
    0 prefers short captions, 1 (the mean of the words) longer ones. A caption that has not ended within
    `max_length` words is given only where no caption of the beam has. With width 1 it is `greedy`.

    groups: into how many the beam is divided, `diversity` apart. rules: what captions must keep to. One that has not
    ended has as many of the required words as could be said, and goes on for as long as no other rule forbids it.
    Several captions of each image, with what was thought while they were said, are `captioning.decoding.best_lists`.
    """
    how = Beam(width, length_power, groups, diversity, rules)
    bars = Bars(rules, model.vocabulary, max_length)

    def decode(next_word: NextWord, rows: NDArray[Any], best: Ids) -> None:
        best[...] = search(how, bars, next_word, rows, best.shape[1])[:, 0]

    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), beams=how.rows)


def check_width(width: int) -> None:
    """Raise a ValueError unless a beam may be so wide."""
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= WIDEST:
        raise ValueError(f"width must be an int from 1 to {WIDEST}; got {width!r}")


@dataclass(frozen=True)
class Beam:
    """How a beam searches: the arguments of `beam`, checked.

    >>> Beam(width=4, rules=Rules(required=["dog"])).rows
    8
    """

    width: int = 3
    length_power: float = 1.0
    groups: int = 1
    diversity: float = 0.5
    rules: Rules = _ALL

    def __post_init__(self) -> None:
        check_width(self.width)
        if not 0 <= self.length_power < math.inf:
            raise ValueError(f"length_power must be at least 0 and finite; got {self.length_power!r}")
        if self.length_power > _STEEPEST:
            raise ValueError(f"length_power must be at most {_STEEPEST:g}; got {self.length_power!r}")
        if isinstance(self.groups, bool) or not isinstance(self.groups, int | np.integer) or self.groups < 1:
            raise ValueError(f"groups must be an int of at least 1; got {self.groups!r}")
        if self.width % self.groups:
            raise ValueError(f"groups must divide the width, {self.width}; got {self.groups}")
        if not 0 <= self.diversity < math.inf:
            raise ValueError(f"diversity must be at least 0 and finite; got {self.diversity!r}")

    @property
    def rows(self) -> int:
        """How many captions of an image are side by side."""
        return int(self.width * 2 ** len(self.rules.required))


def search(how: Beam, bars: Bars, next_word: NextWord, features: NDArray[Any], length: int, count: int = 1) -> Ids:
    """The best `count` captions of images with features (n,D), best first: int32 (n,count,length).

    Where there are fewer, rows of `<NULL>` stand behind the others; unfinished ones are given where none has ended.
    All beams go on side by side: rows n R to n R + R - 1 of the state belong to image going[n].
    """
    N, G, null, end = len(features), how.groups, next_word.vocabulary.null, next_word.vocabulary.end
    growth = Growth(how.width // G, bars)
    words, state = next_word.start(features)
    together = np.repeat(np.arange(N), G * growth.rows)
    words, state = words[together], tuple(s[together] for s in state)
    said = np.full((N, G * growth.rows, length), null, dtype=np.int32)
    totals = np.full((N, G, growth.rows), -np.inf)  # log-probabilities of the unfinished captions
    totals[:, :, 0] = 0.0  # at first all of a group are the same caption: only one may grow
    found = _Found(N, how, growth, length, count, null)
    going = np.arange(N)  # the images that are not done
    for t in range(length):
        scores, state = next_word.scores(words, state)
        (parents, new, grown), stuck = _grow(growth, how, scores, totals, said[:, :, :t])
        if stuck is not None and stuck.any():
            found.offer_cut(going, said, np.where(stuck, totals, -np.inf), t)
        said = np.take_along_axis(said, parents[:, :, None], axis=1)
        said[:, :, t] = new
        totals = grown
        ended = (new == end).reshape(totals.shape)
        if ended.any():
            found.offer_ended(going, said, np.where(ended, totals, -np.inf), t + 1)
            totals[ended] = -np.inf
        hopeful = np.flatnonzero(found.can_be_beaten(going, totals))
        state = tuple(s[(hopeful[:, None] * said.shape[1] + parents[hopeful]).ravel()] for s in state)
        words = new[hopeful].ravel()
        going, totals, said = going[hopeful], totals[hopeful], said[hopeful]
        if not going.size:
            break
    found.offer_cut(going, said, totals, length)
    return found.best()


def _grow(growth: Growth, how: Beam, scores: Any, totals: Totals, said: Ids) -> tuple[Grown, Any]:
    """A step of all groups, (n, G R) each and the last (n,G,R), and which captions (n,G,R) cannot grow."""
    n, G, R = totals.shape
    if G == 1:
        (parents, words, grown), stuck = growth.step(scores, totals[:, 0], said)
        return (parents, words, grown[:, None]), None if stuck is None else stuck[:, None]
    by_group = scores.reshape(n, G, R, -1)
    times = np.zeros((n, by_group.shape[3]), scores.dtype)  # that words were said by the groups before
    steps = []
    for g in range(G):
        own = by_group[:, g].reshape(n * R, -1)
        step = growth.step(own, totals[:, g], said[:, g * R : (g + 1) * R], how.diversity * times)
        _, words, grown = step[0]
        np.add.at(times, (np.arange(n)[:, None], words), ~np.isneginf(grown))
        steps.append(step)
    parents = np.concatenate([step[0] + g * R for g, (step, _) in enumerate(steps)], axis=1)
    words = np.concatenate([step[1] for step, _ in steps], axis=1)
    grown = np.stack([step[2] for step, _ in steps], axis=1)
    stuck = None if steps[0][1] is None else np.stack([stuck for _, stuck in steps], axis=1)
    return (parents, words, grown), stuck


class _Found:
    """What a search of N images has found: captions that ended, and those that had to be cut, by group.

    Of the latter those with more of the required words are better, whatever their scores.
    """

    def __init__(self, N: int, how: Beam, growth: Growth, length: int, count: int, null: int) -> None:
        self.N, self.groups, self.power, self.count, self.null = N, how.groups, how.length_power, count, null
        self.met, self.longest = growth.met, length
        self.ended, *self.cut = (
            BestCaptions(N * how.groups, count, length, null) for _ in range(growth.met[-1] + 2)
        )  # fmt: skip

    def offer_ended(self, images: NDArray[np.intp], said: Ids, totals: Totals, length: int) -> None:
        """Captions (n, G R, L) of some images that ended, of so many words; totals (n,G,R)."""
        self._offer(self.ended, images, said, totals / length**self.power)

    def offer_cut(self, images: NDArray[np.intp], said: Ids, totals: Totals, length: int) -> None:
        """Captions that cannot go on."""
        for met, best in enumerate(self.cut):
            self._offer(best, images, said, np.where(self.met == met, totals, -np.inf) / length**self.power)

    def can_be_beaten(self, images: NDArray[np.intp], totals: Totals) -> NDArray[np.bool_]:
        """Of which images (n,) unfinished captions of these totals may win yet.

        A longer caption only loses probability, so none can win once its best mean cannot.
        """
        worst = self.ended.scores[:, -1].reshape(self.N, self.groups)[images]
        hopeful: NDArray[np.bool_] = (totals.max(axis=2) / self.longest**self.power > worst).any(axis=1)
        return hopeful

    def best(self) -> Ids:
        """The best captions of each image: int32 (N,count,L)."""
        captions, scores = self._by_image(self.ended)
        for cut in self.cut:
            others, theirs = self._by_image(cut)
            better = np.isneginf(self._by_image(self.ended)[1]).all(axis=1) & ~np.isneginf(theirs).all(axis=1)
            captions[better], scores[better] = others[better], theirs[better]
        return best_of(captions, scores, self.count, self.null)

    def _offer(self, best: BestCaptions, images: NDArray[np.intp], said: Ids, scores: Totals) -> None:
        n, G, R = scores.shape
        beams = (images[:, None] * G + np.arange(G)).ravel()
        best.offer(beams, said.reshape(n * G, R, self.longest), scores.reshape(n * G, R))

    def _by_image(self, best: BestCaptions) -> tuple[Ids, Totals]:
        captions, scores = best.captions.copy(), best.scores.copy()
        return captions.reshape(self.N, -1, self.longest), scores.reshape(self.N, -1)
