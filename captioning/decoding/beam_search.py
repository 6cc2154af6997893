"""Beam search: keep the likeliest unfinished captions of each image, and extend them word by word.

At each step, each of the K captions of a beam is extended by its K likeliest words, and the best K of the K K results
are kept. Captions that end leave the beam, and the best of them are stored. An image is finished when none of its
unfinished captions can win any more.

The K captions may be divided into *groups*, which take their steps one after the other. In a group, the log-probability
of a word is reduced by `diversity` for each caption of an earlier group that takes it at this step. This penalty
affects which captions are kept, but not their final ranking. Source: A. Vijayakumar et al., Diverse beam search (2016),
with its Hamming diversity.

With required words, there is a beam of K captions for each subset of them that a caption contains. So a caption with an
unlikely word competes only with captions that contain the word too. Every caption is also extended by the required
words, however unlikely, and may end only when it contains all of them. Source: P. Anderson et al., Guided open
vocabulary image captioning with constrained beam search (2017).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
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
"""The largest width of a beam. Memory grows with the width, and time with its square."""

_STEEPEST = 100.0  # the largest length power; larger ones may overflow
_ALL = Rules()
_ENDED = 99  # a level above any number of required words

Totals = NDArray[np.float64]


@dataclass(frozen=True)
class Beam:
    """The settings of a beam search; see `beam`.

    >>> Beam(width=4, rules=Rules(required=["dog"])).rows
    8
    """

    width: int = 5
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

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Beam:
        """Return the beam search of a JSON object that `dataclasses.asdict` made; missing settings have defaults.

        Raises:
            ValueError, TypeError: if it is not such an object.

        >>> Beam.from_json({"width": 4, "rules": {"no_repeat": 3}}).rules.no_repeat
        3
        """
        return cls(**{**content, "rules": Rules(**dict(content).get("rules", {}))})

    @property
    def rows(self) -> int:
        """The number of captions of an image that are extended at the same time."""
        return int(self.width * 2 ** len(self.rules.required))


def beam(
    model: CaptionModel,
    features: ArrayLike,
    width: int = 5,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
    groups: int = 1,
    diversity: float = 0.5,
    rules: Rules = _ALL,
) -> Ids:
    """Return the best caption that a beam search finds, int32 (N,L) for features (N,D).

    The best caption has the largest log-probability divided by length ** length_power, where `<END>` counts as a word.
    Power 0 prefers short captions; power 1 takes the mean over the words. A caption without `<END>` within `max_length`
    words is returned only if no caption of the beam has ended; it has as many required words as possible. Width 1 is
    greedy.

    groups, diversity: the number of groups of the beam, and their penalty. rules: which captions are allowed.
    """
    how = Beam(width, length_power, groups, diversity, rules)
    mask = RuleMask(rules, model.vocabulary, max_length)

    def decode(scorer: WordScorer, rows: NDArray[Any], best: Ids) -> None:
        best[...] = search(how, mask, scorer, rows, best.shape[1])[:, 0]

    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), beams=how.rows)


def search(how: Beam, mask: RuleMask, scorer: WordScorer, features: NDArray[Any], length: int, count: int = 1) -> Ids:
    """Return the best `count` captions of images with features (n,D), best first: int32 (n,count,length).

    If there are fewer, rows of `<NULL>` follow. Unfinished captions are returned only if none has ended. Rows n K to
    n K + K - 1 of the state belong to image going[n].
    """
    N, G, null, end = len(features), how.groups, scorer.vocabulary.null, scorer.vocabulary.end
    growth = _Growth(how.width // G, mask)
    K = G * growth.rows
    words, state = scorer.start(features, K)
    prefixes = np.full((N, K, length), null, dtype=np.int32)
    totals = np.full((N, G, growth.rows), -np.inf)  # log-probabilities of the unfinished captions
    totals[:, :, 0] = 0.0  # at first the captions of a group are equal, so extend only one
    finished = _Finished(N, how, count, length)
    going = np.arange(N)  # the images that are not finished
    for t in range(length):
        scores, state = scorer.scores(words, state)
        parents, new, grown, stuck = _grow(growth, how, scores, totals, prefixes[:, :, :t])
        finished.add(going, prefixes, np.where(stuck, totals, -np.inf), t, growth.levels)
        prefixes = np.take_along_axis(prefixes, parents[:, :, None], axis=1)
        prefixes[:, :, t] = new
        ended = (new == end).reshape(grown.shape)
        finished.add(going, prefixes, np.where(ended, grown, -np.inf), t + 1, [_ENDED] * growth.rows)
        totals = np.where(ended, -np.inf, grown)
        hopeful = np.flatnonzero(finished.can_be_beaten(going, totals))
        state = tuple(s[(hopeful[:, None] * K + parents[hopeful]).ravel()] for s in state)
        words = new[hopeful].ravel()
        going, totals, prefixes = going[hopeful], totals[hopeful], prefixes[hopeful]
        if not going.size:
            break
    finished.add(going, prefixes, totals, length, growth.levels)
    return finished.best(null)


class _Growth:
    """One step of beams of `width` captions, one beam for each subset of the required words.

    rows: R, the number of captions in all these beams. levels: the number of required words in each row.
    """

    def __init__(self, width: int, mask: RuleMask) -> None:
        self.width, self.mask = width, mask
        self._sets = np.repeat(np.arange(2**mask.required.size), width)  # of each row; bit j is required word j
        self._lacking = np.flatnonzero(self._sets != self._sets[-1])
        self.rows = len(self._sets)
        self.levels = [int(s).bit_count() for s in self._sets]

    def step(
        self, scores: Scores, totals: Totals, prefixes: Ids, penalty: Scores | None
    ) -> tuple[Any, Any, Totals, Any]:
        """Return parents, last words and totals of the captions to keep, and which captions are stuck; (n,R) each.

        scores: (n R, V), overwritten. totals: log-probabilities (n,R), minus infinity where there is no caption.
        prefixes: (n,R,t), the words so far. penalty: (n,V), subtracted from log-probabilities to choose what to keep.
        """
        n = len(totals)
        also = self.mask.required  # these lead to other subsets, so more words of a caption may be kept
        words, logs = likeliest(scores, self.width + also.size, partial(self._mask, prefixes, penalty), also)
        words, ranks = words.reshape(n, -1), (totals[:, :, None] + logs.reshape(n, self.rows, -1)).reshape(n, -1)
        stuck = np.isneginf(ranks.reshape(n, self.rows, -1).max(axis=2)) & ~np.isneginf(totals)
        grown = ranks if penalty is None else ranks + np.take_along_axis(penalty, words, axis=1)
        chosen, totals = self._best(words, ranks, grown)
        return chosen // logs.shape[1], np.take_along_axis(words, chosen, axis=1), totals, stuck

    def _mask(self, prefixes: Ids, penalty: Scores | None, scores: Scores) -> None:
        """Forbid words of the scores (n R, V), and subtract the penalty."""
        self.mask.apply(scores, prefixes.reshape(len(scores), -1))
        by_beam = scores.reshape(len(prefixes), self.rows, -1)
        by_beam[:, self._lacking, self.mask.end] = -np.inf
        if penalty is not None:
            by_beam -= penalty[:, None]

    def _best(self, words: NDArray[Any], ranks: Totals, grown: Totals) -> tuple[NDArray[np.intp], Totals]:
        """Return which of the results (n, R M) each subset keeps, and their totals, (n,R) each."""
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


def _grow(growth: _Growth, how: Beam, scores: Scores, totals: Totals, prefixes: Ids) -> tuple[Any, Any, Totals, Any]:
    """Take a step of all groups. Return parents and words (n, G R), totals (n,G,R), and stuck captions (n,G,R)."""
    n, G, R = totals.shape
    by_group = scores.reshape(n, G, R, -1)
    times = np.zeros((n, by_group.shape[3]), scores.dtype)  # how often earlier groups took each word
    steps = []
    for g in range(G):
        penalty = how.diversity * times if g else None
        step = growth.step(by_group[:, g].reshape(n * R, -1), totals[:, g], prefixes[:, g * R : (g + 1) * R], penalty)
        if g < G - 1:
            np.add.at(times, (np.arange(n)[:, None], step[1]), ~np.isneginf(step[2]))
        steps.append((step[0] + g * R, *step[1:]))
    parents, words, grown, stuck = zip(*steps, strict=True)
    return np.concatenate(parents, axis=1), np.concatenate(words, axis=1), np.stack(grown, 1), np.stack(stuck, 1)


def likeliest(
    scores: Scores, count: int, change: Callable[[Scores], None] | None = None, also: Any = ()
) -> tuple[NDArray[np.integer[Any]], Scores]:
    """Return the `count` likeliest words of each row of scores (N,V), and their log-probabilities (N,count).

    The scores are overwritten. change: modifies scores in place after the normalisation is computed. also: ids of words
    to append in any case, with minus infinity if they are among the likeliest. A few searches for the maximum take a
    tenth of the time of `np.argpartition`.
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
    """Stores the best `count` finished captions of each group of N images.

    The level of a caption is `_ENDED`, or the number of required words in a caption that was cut. Only the captions of
    an image with the highest level count.
    """

    def __init__(self, N: int, how: Beam, count: int, longest: int) -> None:
        self.power, self.count, self.longest = how.length_power, count, longest
        self.worst = np.full((N, how.groups), -np.inf)  # score of the worst of `count` captions that ended
        self.found: list[dict[tuple[int, int], list[tuple[float, Ids]]]] = [defaultdict(list) for _ in range(N)]

    def add(self, images: NDArray[np.intp], prefixes: Ids, totals: Totals, length: int, levels: list[int]) -> None:
        """Add captions (n, G R, L) of `length` words; totals (n,G,R) are minus infinity where there is none."""
        R = totals.shape[2]
        for n, g, r in np.argwhere(totals > -np.inf).tolist():
            score = float(totals[n, g, r]) / max(length, 1) ** self.power
            best = self.found[images[n]][levels[r], g]
            best.append((score, prefixes[n, g * R + r].copy()))
            best.sort(key=lambda each: -each[0])  # the sort is stable, so the first of equal ones stays
            del best[self.count :]
            if levels[r] == _ENDED and len(best) == self.count:
                self.worst[images[n], g] = best[-1][0]

    def can_be_beaten(self, images: NDArray[np.intp], totals: Totals) -> NDArray[np.bool_]:
        """Return which images (n,) have unfinished captions that may still win: longer ones are less probable."""
        return np.asarray(np.any(totals.max(axis=2) / self.longest**self.power > self.worst[images], axis=1))

    def best(self, null: int) -> Ids:
        """Return the best distinct captions of each image, int32 (N,count,L)."""
        best = np.full((len(self.found), self.count, self.longest), null, dtype=np.int32)
        for row, found in zip(best, self.found, strict=True):
            level = max((level for level, _ in found), default=0)
            groups = [found[key] for key in sorted(found) if key[0] == level]
            every = sorted((each for group in groups for each in group), key=lambda each: -each[0])
            distinct = list({prefixes.tobytes(): prefixes for _, prefixes in every}.values())[: self.count]
            row[: len(distinct)] = distinct
        return best
