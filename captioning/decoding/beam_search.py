"""Beam search: several unfinished captions of each image side by side, those of the largest probability.

At every step each of the K captions of a beam grows by its K likeliest words, and the best K of the K K results are
kept. Captions that end leave the beam, and the best of them are remembered. An image whose unfinished captions cannot
win any more is finished and takes no more time.

The K captions may be divided into *groups*, which take a step one after the other. For a group a word counts
`diversity` less for every caption of an earlier group that takes it at this step. The penalty decides what is kept;
captions are ranked without it. Source: A. Vijayakumar et al., Diverse beam search (2016), with its Hamming diversity.

With required words there is a beam of K for each set of them that a caption has already. So an unlikely word competes
only with captions that have it too. Every caption also grows by the required words, however unlikely, and ends only
when it has all of them. Source: P. Anderson et al., Guided open vocabulary image captioning with constrained beam
search (2017).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import NOT_NEGATIVE, check_values, int_from
from captioning.decoding.batches import LONGEST, CaptionModel, Ids, Scores, WordScorer, decode_in_batches
from captioning.decoding.rules import RuleMask, Rules
from minigrad.runtime.threads import get_num_threads

__all__ = ["WIDEST", "Beam", "beam", "likeliest", "search"]

WIDEST = 100
"""The widest beam: memory grows with the width, time with its square."""

_STEEPEST = 100.0  # length power: that of the longest captions is still a number
_ALL = Rules()
_ENDED = 99  # more than the number of required words

Totals = NDArray[np.float64]


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
        check_values(vars(self), {"width": int_from(1, WIDEST), "groups": int_from(1), "length_power": NOT_NEGATIVE,
                                  "diversity": NOT_NEGATIVE})  # fmt: skip
        if self.length_power > _STEEPEST:
            raise ValueError(f"length_power must be at most {_STEEPEST:g}; got {self.length_power!r}")
        if self.width % self.groups:
            raise ValueError(f"groups must divide the width, {self.width}; got {self.groups}")

    @property
    def rows(self) -> int:
        """The number of captions of an image side by side."""
        return int(self.width * 2 ** len(self.rules.required))


def beam(
    model: CaptionModel,
    features: ArrayLike,
    width: int = 3,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
    groups: int = 1,
    diversity: float = 0.5,
    rules: Rules = _ALL,
) -> Ids:
    """Return the best caption that a beam of `width` unfinished captions finds, int32 (N,L) for features (N,D).

    The best caption has the largest log-probability divided by length ** length_power, where `<END>` counts as a word.
    Power 0 prefers short captions; power 1 is the mean over the words. A caption that has not ended within `max_length`
    words is returned only if no caption of the beam has. A beam of width 1 is `greedy`.

    groups: into how many the beam is divided, `diversity` apart. rules: what captions must obey. A caption that has not
    ended has as many of the required words as possible.
    """
    how = Beam(width, length_power, groups, diversity, rules)
    mask = RuleMask(rules, model.vocabulary, max_length)

    def decode(scorer: WordScorer, rows: NDArray[Any], best: Ids) -> None:
        best[...] = search(how, mask, scorer, rows, best.shape[1])[:, 0]

    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), beams=how.rows)


def search(how: Beam, mask: RuleMask, scorer: WordScorer, features: NDArray[Any], length: int, count: int = 1) -> Ids:
    """Return the best `count` captions of images with features (n,D), best first: int32 (n,count,length).

    Rows of `<NULL>` follow where there are fewer. Unfinished captions are returned only where none has ended.
    Rows n K to n K + K - 1 of the state belong to image going[n].
    """
    N, G, null, end = len(features), how.groups, scorer.vocabulary.null, scorer.vocabulary.end
    growth = _Growth(how.width // G, mask)
    K = G * growth.rows
    words, state = scorer.start(features, K)
    said = np.full((N, K, length), null, dtype=np.int32)
    totals = np.full((N, G, growth.rows), -np.inf)  # log-probabilities of the unfinished captions
    totals[:, :, 0] = 0.0  # at first all captions of a group are equal: only one may grow
    finished = _Finished(N, how, count, length)
    going = np.arange(N)  # the images that are not finished
    for t in range(length):
        scores, state = scorer.scores(words, state)
        parents, new, grown, stuck = _grow(growth, how, scores, totals, said[:, :, :t])
        finished.add(going, said, np.where(stuck, totals, -np.inf), t, growth.met)
        said = np.take_along_axis(said, parents[:, :, None], axis=1)
        said[:, :, t] = new
        ended = (new == end).reshape(grown.shape)
        finished.add(going, said, np.where(ended, grown, -np.inf), t + 1, [_ENDED] * growth.rows)
        totals = np.where(ended, -np.inf, grown)
        hopeful = np.flatnonzero(finished.can_be_beaten(going, totals))
        state = tuple(s[(hopeful[:, None] * K + parents[hopeful]).ravel()] for s in state)
        words = new[hopeful].ravel()
        going, totals, said = going[hopeful], totals[hopeful], said[hopeful]
        if not going.size:
            break
    finished.add(going, said, totals, length, growth.met)
    return finished.best(null)


class _Growth:
    """One step of beams of `width` captions, one beam for each set of required words that captions have.

    rows: R, the captions of all these beams. met: how many of the required words each row has.
    """

    def __init__(self, width: int, mask: RuleMask) -> None:
        self.width, self.mask = width, mask
        self._sets = np.repeat(np.arange(2**mask.required.size), width)  # of each row; bit j is required word j
        self._lacking = np.flatnonzero(self._sets != self._sets[-1])
        self.rows = len(self._sets)
        self.met = [int(s).bit_count() for s in self._sets]

    def step(self, scores: Scores, totals: Totals, said: Ids, penalty: Scores | None) -> tuple[Any, Any, Totals, Any]:
        """Return the captions that n beams keep: their parents, last words and totals, and who cannot grow; (n,R) each.

        scores: (n R, V), overwritten. totals: log-probabilities (n,R), minus infinity where there is no caption. said:
        (n,R,t), the words so far. penalty: (n,V), how much less words count in what is kept.
        """
        n = len(totals)
        also = self.mask.required  # these lead to other sets, so as many more words of one caption may be kept
        words, logs = likeliest(scores, self.width + also.size, partial(self._mask, said, penalty), also)
        words, ranks = words.reshape(n, -1), (totals[:, :, None] + logs.reshape(n, self.rows, -1)).reshape(n, -1)
        stuck = np.isneginf(ranks.reshape(n, self.rows, -1).max(axis=2)) & ~np.isneginf(totals)
        grown = ranks if penalty is None else ranks + np.take_along_axis(penalty, words, axis=1)
        chosen, totals = self._best(words, ranks, grown)
        return chosen // logs.shape[1], np.take_along_axis(words, chosen, axis=1), totals, stuck

    def _mask(self, said: Ids, penalty: Scores | None, scores: Scores) -> None:
        """Forbid words of the scores (n R, V), and subtract the penalty."""
        self.mask.apply(scores, said.reshape(len(scores), -1))
        by_beam = scores.reshape(len(said), self.rows, -1)
        by_beam[:, self._lacking, self.mask.end] = -np.inf
        if penalty is not None:
            by_beam -= penalty[:, None]

    def _best(self, words: NDArray[Any], ranks: Totals, grown: Totals) -> tuple[NDArray[np.intp], Totals]:
        """Which of the results (n, R M) each set keeps, and their totals, (n,R) each."""
        each = words.shape[1] // self.rows
        sets = np.repeat(self._sets, each) | sum(
            ((words == word) << j for j, word in enumerate(self.mask.required)), np.zeros_like(words)
        )
        every, totals = [], []
        for s in range(self._sets[-1] + 1):
            chosen = np.argsort(-np.where(sets == s, ranks, -np.inf), axis=1, kind="stable")[:, : self.width]
            every.append(chosen)
            totals.append(np.take_along_axis(np.where(sets == s, grown, -np.inf), chosen, axis=1))
        return np.concatenate(every, axis=1), np.concatenate(totals, axis=1)


def _grow(growth: _Growth, how: Beam, scores: Scores, totals: Totals, said: Ids) -> tuple[Any, Any, Totals, Any]:
    """A step of all groups: parents and words (n, G R), totals (n,G,R), and which captions (n,G,R) cannot grow."""
    n, G, R = totals.shape
    by_group = scores.reshape(n, G, R, -1)
    times = np.zeros((n, by_group.shape[3]), scores.dtype)  # that earlier groups took each word
    steps = []
    for g in range(G):
        penalty = how.diversity * times if g else None
        step = growth.step(by_group[:, g].reshape(n * R, -1), totals[:, g], said[:, g * R : (g + 1) * R], penalty)
        if g < G - 1:
            np.add.at(times, (np.arange(n)[:, None], step[1]), ~np.isneginf(step[2]))
        steps.append((step[0] + g * R, *step[1:]))
    parents, words, grown, stuck = zip(*steps, strict=True)
    return np.concatenate(parents, axis=1), np.concatenate(words, axis=1), np.stack(grown, 1), np.stack(stuck, 1)


def likeliest(
    scores: Scores, count: int, change: Callable[[Scores], None] | None = None, also: Any = ()
) -> tuple[NDArray[np.integer[Any]], Scores]:
    """Return the `count` likeliest words of each row of scores (N,V), and their log-probabilities (N,count).

    The scores are overwritten. change: alters scores in place. It decides which words are found and what is returned
    for them, but not the normalisation. also: ids of words that follow the others in any case, at minus infinity where
    they are among them. A few searches for the maximum take a tenth of the time of `np.argpartition`.
    """
    count, rows, more = min(count, scores.shape[1]), np.arange(len(scores)), len(also)
    words = np.empty((len(scores), count + more), np.intp)
    found = np.empty(words.shape, scores.dtype)
    most = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - most).sum(axis=1)
    if change is not None:
        change(scores)
    for k in range(count):
        words[:, k] = scores.argmax(axis=1)
        found[:, k] = scores[rows, words[:, k]]
        scores[rows, words[:, k]] = -np.inf
    if more:
        words[:, count:], found[:, count:] = also, scores[:, also]
    return words, found - most - np.log(weights)[:, None]


class _Finished:
    """The best `count` captions of each group of N images that ended, or that had to be cut.

    A caption has a level: `_ENDED`, or the number of required words that a cut caption has. Of each image only those
    of the highest level count.
    """

    def __init__(self, N: int, how: Beam, count: int, longest: int) -> None:
        self.power, self.count, self.longest = how.length_power, count, longest
        self.worst = np.full((N, how.groups), -np.inf)  # score of the last of `count` captions that ended
        self.found: list[dict[tuple[int, int], list[tuple[float, Ids]]]] = [defaultdict(list) for _ in range(N)]

    def add(self, images: NDArray[np.intp], said: Ids, totals: Totals, length: int, levels: list[int]) -> None:
        """Offer captions (n, G R, L) of `length` words; totals (n,G,R) are minus infinity where there is none."""
        R = totals.shape[2]
        for n, g, r in np.argwhere(totals > -np.inf).tolist():
            score = float(totals[n, g, r]) / max(length, 1) ** self.power
            best = self.found[images[n]][levels[r], g]
            best.append((score, said[n, g * R + r].copy()))
            best.sort(key=lambda each: -each[0])  # of equal ones the first stays
            del best[self.count :]
            if levels[r] == _ENDED and len(best) == self.count:
                self.worst[images[n], g] = best[-1][0]

    def can_be_beaten(self, images: NDArray[np.intp], totals: Totals) -> NDArray[np.bool_]:
        """Which images (n,) have unfinished captions that may still win: a longer caption only loses probability."""
        return np.asarray(np.any(totals.max(axis=2) / self.longest**self.power > self.worst[images], axis=1))

    def best(self, null: int) -> Ids:
        """The best distinct captions of each image: int32 (N,count,L)."""
        best = np.full((len(self.found), self.count, self.longest), null, dtype=np.int32)
        for row, found in zip(best, self.found, strict=True):
            level = max((level for level, _ in found), default=0)
            groups = [found[key] for key in sorted(found) if key[0] == level]
            every = sorted((each for group in groups for each in group), key=lambda each: -each[0])
            distinct = list({said.tobytes(): said for _, said in every}.values())[: self.count]
            row[: len(distinct)] = distinct
        return best
