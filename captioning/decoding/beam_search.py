"""Beam search: of each image several unfinished captions side by side, those of the largest probability.

Every step lets each of the K captions of a beam grow by its K likeliest words and keeps the best K of the K K
results; those that end leave the beam, and the best of them is remembered. An image whose unfinished captions cannot
win any more is done, and is not computed any further.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.decoding.batches import Ids, decode_in_batches
from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import NextWord, Scores
from captioning.models.kinds import AnyCaptioner
from minigrad.runtime.threads import get_num_threads

__all__ = ["WIDEST", "beam", "check_width"]

WIDEST = 100
"""The widest beam: memory grows as the width, time as its square."""


def beam(
    model: AnyCaptioner,
    features: ArrayLike,
    width: int = 3,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
) -> Ids:
    """The best caption that a beam of `width` unfinished captions finds, `width` from 1 to `WIDEST`.

    Best is the largest log-probability divided by length ** length_power, where `<END>` counts as a word:
    0 prefers short captions, 1 (the mean of the words) longer ones. A caption that has not ended within
    `max_length` words is given only where no caption of the beam has. With width 1 it is `greedy`.
    """
    check_width(width)
    if not 0 <= length_power < math.inf:
        raise ValueError(f"length_power must be at least 0 and finite; got {length_power!r}")
    decode = partial(_decode_batch, width, length_power)
    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), beams=width)


def check_width(width: int) -> None:
    """Raise a ValueError unless a beam may be so wide."""
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= WIDEST:
        raise ValueError(f"width must be an int from 1 to {WIDEST}; got {width!r}")


def _decode_batch(width: int, power: float, next_word: NextWord, features: NDArray[Any], best: Ids) -> None:
    """All beams side by side: rows n K to n K + K - 1 of the state belong to image going[n], row going[n] of `best`."""
    (N, max_length), K, vocabulary = best.shape, width, next_word.vocabulary
    words, state = next_word.start(features)
    together = np.repeat(np.arange(N), K)
    words, state = words[together], tuple(s[together] for s in state)
    said = np.full((N, K, max_length), vocabulary.null, dtype=np.int32)
    totals = np.full((N, K), -np.inf)  # log-probabilities of the unfinished captions
    totals[:, 0] = 0.0  # at first all K are the same caption: only one may grow
    best_score = np.full(N, -np.inf)
    going = np.arange(N)  # the images that are not done
    for t in range(max_length):
        scores, state = next_word.scores(words, state)
        likeliest, logs = _likeliest(scores, K)  # whatever grows further is one of these
        grown = (totals[:, :, None] + logs.reshape(len(going), K, -1)).reshape(len(going), -1)
        chosen = np.argsort(-grown, axis=1, kind="stable")[:, :K]
        totals = np.take_along_axis(grown, chosen, axis=1)
        parents = chosen // logs.shape[1]
        new = np.take_along_axis(likeliest.reshape(len(going), -1), chosen, axis=1)
        said = np.take_along_axis(said, parents[:, :, None], axis=1)
        said[:, :, t] = new
        ended = new == vocabulary.end
        _keep_best(best, best_score, going, said, np.where(ended, totals / (t + 1) ** power, -np.inf))
        totals[ended] = -np.inf
        # A longer caption only loses probability, so none can win once its best mean cannot.
        hopeful = np.flatnonzero(totals.max(axis=1) / max_length**power > best_score[going])
        state = tuple(s[(hopeful[:, None] * K + parents[hopeful]).ravel()] for s in state)
        words = new[hopeful].ravel()
        going, totals, said = going[hopeful], totals[hopeful], said[hopeful]
        if not going.size:
            return
    # What has not ended counts only where nothing has.
    _keep_best(best, best_score, going, said, np.where(np.isneginf(best_score[going])[:, None], totals, -np.inf))


def _keep_best(best: Ids, best_score: Scores, rows: NDArray[np.intp], said: Ids, scores: Scores) -> None:
    """Replace, in place, the best caption so far of images `rows` where one of `said` (N,K,L) has a better score."""
    k = scores.argmax(axis=1)
    score = scores[np.arange(len(k)), k]
    better = np.flatnonzero(score > best_score[rows])
    best[rows[better]], best_score[rows[better]] = said[better, k[better]], score[better]


def _likeliest(scores: Scores, count: int) -> tuple[NDArray[np.integer[Any]], Scores]:
    """The `count` likeliest words of each row of scores (N,V), and their log-probabilities (N,count).

    The scores are used up. A few searches for the largest take a tenth of the time of `np.argpartition`.
    """
    count, rows = min(count, scores.shape[1]), np.arange(len(scores))
    words, found = np.empty((len(scores), count), np.intp), np.empty((len(scores), count), scores.dtype)
    weights = np.exp(scores - scores.max(axis=1, keepdims=True)).sum(axis=1)
    for k in range(count):
        words[:, k] = scores.argmax(axis=1)
        found[:, k] = scores[rows, words[:, k]]
        scores[rows, words[:, k]] = -np.inf
    return words, found - found[:, :1] - np.log(weights)[:, None]
