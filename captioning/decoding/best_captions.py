"""The best captions of each beam so far, in order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.batches import Ids

__all__ = ["BestCaptions", "best_of"]

Totals = NDArray[np.float64]


class BestCaptions:
    """For each of some beams the `count` best captions that it was offered, at most `length` words each.

    captions: int32 (beams, count, length), best first. scores: float64 (beams, count), minus infinity where there is
    no caption.
    """

    def __init__(self, beams: int, count: int, length: int, null: int) -> None:
        self.captions: Ids = np.full((beams, count, length), null, dtype=np.int32)
        self.scores: Totals = np.full((beams, count), -np.inf)

    def offer(self, beams: NDArray[np.intp], captions: Ids, scores: Totals) -> None:
        """Take what is better of captions (n,K,L) of n beams, scores (n,K); of equals the one that came first."""
        better = np.flatnonzero(scores.max(axis=1) > self.scores[beams, -1])
        if not better.size:
            return
        rows, count = beams[better], self.scores.shape[1]
        every = np.concatenate([self.scores[rows], scores[better]], axis=1)
        order = np.argsort(-every, axis=1, kind="stable")[:, :count]
        together = np.concatenate([self.captions[rows], captions[better]], axis=1)
        self.captions[rows] = np.take_along_axis(together, order[:, :, None], axis=1)
        self.scores[rows] = np.take_along_axis(every, order, axis=1)


def best_of(captions: Ids, scores: Totals, count: int, null: int) -> Ids:
    """The `count` best distinct captions of each image (N,count,L), of several (N,M,L) with scores (N,M), best first.

    Those with a score of minus infinity are none; where there are too few, rows of `null` stand behind the others.
    """
    best = np.full((len(captions), count, captions.shape[2]), null, dtype=np.int32)
    for image, order in enumerate(np.argsort(-scores, axis=1, kind="stable")):
        there = (captions[image, k] for k in order if scores[image, k] > -np.inf)
        distinct = list({row.tobytes(): row for row in there}.values())[:count]
        best[image, : len(distinct)] = distinct
    return best
