"""Beam search: of each image several unfinished captions side by side, those of the largest probability.

Every step lets each of the K captions of a beam grow by its K likeliest words and keeps the best K of the K K
results; those that end leave the beam, and the best of them is remembered.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.decoding.batches import Ids, decode_in_batches
from captioning.decoding.next_word import NextWord, Scores
from captioning.models.captioner import Captioner
from minigrad.runtime.threads import get_num_threads

__all__ = ["beam"]


def beam(
    model: Captioner,
    features: ArrayLike,
    width: int = 3,
    max_length: int = 16,
    length_power: float = 1.0,
    allow_unknown: bool = False,
) -> Ids:
    """The best caption that a beam of `width` unfinished captions finds.

    Best is the largest log-probability divided by length ** length_power, where `<END>` counts as a word:
    0 prefers short captions, 1 (the mean of the words) longer ones. With width 1 it is `greedy`.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1; got {width!r}")
    decode = partial(_decode_batch, width, length_power)
    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), beams=width)


def _decode_batch(width: int, power: float, next_word: NextWord, features: NDArray[Any], best: Ids) -> None:
    """All N beams side by side: rows n K to n K + K - 1 of the state belong to caption n of `best` (N,L)."""
    (N, max_length), K, vocabulary = best.shape, width, next_word.vocabulary
    words, state = next_word.start(np.repeat(features, K, axis=0))
    said = np.full((N, K, max_length), vocabulary.null, dtype=np.int32)
    totals = np.full((N, K), -np.inf)  # log-probabilities of the unfinished captions
    totals[:, 0] = 0.0  # at first all K are the same caption: only one may grow
    best_score = np.full(N, -np.inf)
    for t in range(max_length):
        scores, state = next_word.scores(words, state)
        likeliest, logs = _likeliest(scores, K)  # whatever grows further is one of these
        grown = (totals[:, :, None] + logs.reshape(N, K, -1)).reshape(N, -1)
        chosen = np.argsort(-grown, axis=1, kind="stable")[:, :K]
        totals = np.take_along_axis(grown, chosen, axis=1)
        parents = chosen // logs.shape[1]
        new = np.take_along_axis(likeliest.reshape(N, -1), chosen, axis=1)
        said = np.take_along_axis(said, parents[:, :, None], axis=1)
        said[:, :, t] = new
        ended = new == vocabulary.end
        _keep_best(best, best_score, said, np.where(ended, totals / (t + 1) ** power, -np.inf))
        totals[ended] = -np.inf
        # A longer caption only loses probability, so none can win once its best mean cannot.
        if (totals.max(axis=1) / max_length**power <= best_score).all():
            return
        state = tuple(s[(np.arange(N)[:, None] * K + parents).ravel()] for s in state)
        words = new.ravel()
    _keep_best(best, best_score, said, totals / max_length**power)  # cut, not ended


def _keep_best(best: Ids, best_score: Scores, said: Ids, scores: Scores) -> None:
    """Replace, in place, the best finished caption of each beam where one of its captions is better."""
    k = scores.argmax(axis=1)
    score = scores[np.arange(len(k)), k]
    better = np.flatnonzero(score > best_score)
    best[better], best_score[better] = said[better, k[better]], score[better]


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
