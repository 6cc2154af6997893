"""The images most like each image of a split, by their features.

The likeness s_ij of images i and j is the cosine between their features, minus the mean of all features. The k nearest
other images j get the weights

    w_ij = exp(s_ij / width) / sum_j exp(s_ij / width).

Their captions are a guess at the captions of image i that does not look at those. Source: J. Devlin et al., Exploring
nearest neighbor approaches for image captioning (2015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from captioning.data.features import StoredRows

__all__ = ["Neighbours", "nearest"]

_ROWS = 4096  # features compared at a time, so that the whole set is never in memory at once


class Neighbours(NamedTuple):
    """The k nearest others of M images: rows (M,k) of the features, and weights (M,k) that sum to 1."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]


def nearest(
    features: StoredRows | NDArray[np.floating],
    images: NDArray[np.integer],
    k: int,
    width: float,
    report: Callable[[int, int], Any] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    asked: NDArray[np.floating] | None = None,
    part: slice = slice(None),
) -> Neighbours | None:
    """Find the k nearest other images of each of the rows `images` (M,) of `features`, among these rows.

    If there are fewer than k other images, all of them are neighbours.

    width: above 0; the smaller, the more the nearest count.
    report: called with the number of finished steps and of all steps.
    stopped: called as often; if it returns True, the function returns None.
    asked: features (N,D) of new images, whose neighbours are wanted instead.
    part: which of the rows to find neighbours for; all by default.

    >>> corners = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0], [-1.0, 0.2]])
    >>> nearest(corners, np.arange(4), k=1, width=0.1).rows.ravel()
    array([1, 0, 3, 2])
    """
    k = min(k, len(images) - (asked is None))
    blocks, wanted = _blocks(images), _blocks(images[part] if asked is None else asked)
    steps = len(blocks) * (1 + len(wanted))
    mean = np.zeros(features.shape[1])
    for i, block in enumerate(blocks):
        report(i, steps)
        if stopped():
            return None
        mean += features[block].sum(axis=0, dtype=np.float64) / len(images)

    def directions(block: NDArray[Any]) -> NDArray[np.float32]:
        x: NDArray[np.float32] = (block - mean).astype(np.float32)
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return x

    rows, weights = [], []
    for i, block in enumerate(wanted):
        mine = directions(features[block] if asked is None else block)
        found = np.empty((len(block), 0), np.int64)
        likeness = np.empty((len(block), 0), np.float32)
        for j, other in enumerate(blocks):
            report((i + 1) * len(blocks) + j, steps)
            if stopped():
                return None
            new = mine @ directions(features[other]).T
            if asked is None:
                new[block[:, None] == other] = -np.inf  # no image is its own neighbour
            likeness = np.hstack([likeness, new])
            found = np.hstack([found, np.broadcast_to(other, new.shape)])
            if likeness.shape[1] > k:
                best = np.argpartition(-likeness, k, axis=1)[:, :k]
                likeness, found = np.take_along_axis(likeness, best, 1), np.take_along_axis(found, best, 1)
        powers = np.exp((likeness - likeness.max(axis=1, keepdims=True, initial=-np.inf)).astype(np.float64) / width)
        rows.append(found)
        weights.append(powers / powers.sum(axis=1, keepdims=True))
    return Neighbours(np.vstack(rows), np.vstack(weights))


def _blocks(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[start : start + _ROWS] for start in range(0, max(1, len(rows)), _ROWS)]
