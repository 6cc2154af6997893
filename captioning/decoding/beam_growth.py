"""One step of beam search: unfinished captions grow by a word each way, and the best of the results are kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.batches import Ids
from captioning.decoding.best_captions import Totals
from captioning.decoding.next_word import Scores
from captioning.decoding.rules import Bars

__all__ = ["Growth", "Grown", "likeliest"]

Grown = tuple[NDArray[np.intp], NDArray[np.integer[Any]], Totals]
"""Of n beams of R captions what is kept, each (n,R): which captions they were, their new words, their totals."""


class Growth:
    """Beams of `width` captions, one for each set of required words that captions have, side by side.

    rows: R, the captions of all of them. met: int (R,), how many of the required words each row has.
    """

    def __init__(self, width: int, bars: Bars) -> None:
        self.width, self.bars = width, bars
        self._sets = np.repeat(np.arange(2**bars.required.size), width)  # of each row; bit j is required word j
        self._lacking = np.flatnonzero(self._sets != self._sets[-1])
        self.rows = len(self._sets)
        self.met = np.array([int(s).bit_count() for s in self._sets])

    def step(self, scores: Scores, totals: Totals, said: Ids, penalty: Scores | None = None) -> tuple[Grown, Any]:
        """What is kept of n beams, and which captions (n,R) cannot grow by any word.

        scores: (n R, V), used up. totals: log-probabilities (n,R), minus infinity where there is no caption. said:
        (n,R,t), the words so far. penalty: (n,V), how much less words count for what is kept; None means nothing.
        """
        n, barred = len(totals), self.bars.any
        change = partial(self._change, said, penalty) if barred or penalty is not None else None
        also = self.bars.required  # they lead to other sets, so so many more words may be kept of one caption
        words, logs = likeliest(scores, self.width + also.size, change, also)  # whatever is kept is one of these
        words, ranks = words.reshape(n, -1), (totals[:, :, None] + logs.reshape(n, self.rows, -1)).reshape(n, -1)
        stuck = np.isneginf(ranks.reshape(n, self.rows, -1).max(axis=2)) & ~np.isneginf(totals) if barred else None
        grown = ranks if penalty is None else ranks + np.take_along_axis(penalty, words, axis=1)
        chosen, totals = self._best(words, ranks, grown)
        kept = chosen // logs.shape[1], np.take_along_axis(words, chosen, axis=1), totals
        return kept, stuck

    def _change(self, said: Ids, penalty: Scores | None, scores: Scores) -> None:
        """Bar words of the scores (n R, V), and take the penalty from them."""
        self.bars.bar(scores, said.reshape(len(scores), -1))
        by_beam = scores.reshape(len(said), self.rows, -1)
        by_beam[:, self._lacking, self.bars.end] = -np.inf
        if penalty is not None:
            by_beam -= penalty[:, None]

    def _best(self, words: NDArray[Any], ranks: Totals, grown: Totals) -> tuple[NDArray[np.intp], Totals]:
        """Which of the results (n, R M) of each set are kept, and their totals, (n,R) each."""
        if self.rows == self.width:
            chosen = np.argsort(-ranks, axis=1, kind="stable")[:, : self.width]
            return chosen, np.take_along_axis(grown, chosen, axis=1)
        each = words.shape[1] // self.rows
        sets = np.repeat(self._sets, each) | sum((words == word) << j for j, word in enumerate(self.bars.required))
        every, totals = [], []
        for s in range(self._sets[-1] + 1):
            chosen = np.argsort(-np.where(sets == s, ranks, -np.inf), axis=1, kind="stable")[:, : self.width]
            every.append(chosen)
            totals.append(np.take_along_axis(np.where(sets == s, grown, -np.inf), chosen, axis=1))
        return np.concatenate(every, axis=1), np.concatenate(totals, axis=1)


def likeliest(
    scores: Scores, count: int, change: Callable[[Scores], None] | None = None, also: Any = ()
) -> tuple[NDArray[np.integer[Any]], Scores]:
    """The `count` likeliest words of each row of scores (N,V), and their log-probabilities (N,count).

    The scores are used up. change: alters scores in place, on which probabilities do not depend, but which words are
    found and what is given for them does. also: the ids of words that are given behind the others in any case, at
    minus infinity where they are among them. A few searches for the largest take a tenth of the time of
    `np.argpartition`.
    """
    count, rows, found_too = min(count, scores.shape[1]), np.arange(len(scores)), len(also)
    words = np.empty((len(scores), count + found_too), np.intp)
    found = np.empty(words.shape, scores.dtype)
    most = scores.max(axis=1, keepdims=True)
    weights = np.exp(scores - most).sum(axis=1)
    if change is not None:
        change(scores)
    for k in range(count):
        words[:, k] = scores.argmax(axis=1)
        found[:, k] = scores[rows, words[:, k]]
        scores[rows, words[:, k]] = -np.inf
    if found_too:
        words[:, count:], found[:, count:] = also, scores[:, also]
    return words, found - most - np.log(weights)[:, None]
