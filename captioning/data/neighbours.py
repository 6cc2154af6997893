"""The pictures most like each picture of a split, by their features.

Pictures i and j are as alike as the cosine of the angle between their features, taken from the mean of all.
The k nearest other pictures j get the weights

    w_ij = exp(s_ij / width) / sum_j exp(s_ij / width).

What people say of them is a guess at what they might say of picture i, made without asking what they did say. Source:
J. Devlin et al., Exploring nearest neighbor approaches for image captioning (2015).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.stored_rows import StoredRows

__all__ = ["Neighbours", "nearest"]

_ROWS = 4096  # features compared at a time: the whole set is never in memory at once


@dataclass(frozen=True)
class Neighbours:
    """For M pictures their k nearest others: rows (M,k) of the features, and weights (M,k) that sum to 1."""

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
    """The k nearest other pictures of each of the rows `images` (M,) of `features`, among these rows.

    With fewer than k other pictures, all of them. width: above 0; the smaller, the more the nearest count. Features
    are read in blocks, each block as often as there are blocks. report: called with the number of steps that are done
    and of all. stopped: asked as often; once it is true None is returned. asked: features (N,D) of pictures that are
    none of these rows, whose neighbours are wanted instead. part: of which of the rows they are wanted, if not of all.

    >>> corners = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0], [-1.0, 0.2]])
    >>> nearest(corners, np.arange(4), k=1, width=0.1).rows.ravel()
    array([1, 0, 3, 2])
    """
    k = min(k, len(images) - (asked is None))
    blocks = _blocks(images)
    wanted = _blocks(images[part] if asked is None else asked)
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

    rows, similarities = [], []
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
                new[block[:, None] == other] = -np.inf  # none is its own neighbour
            likeness = np.hstack([likeness, new])
            found = np.hstack([found, np.broadcast_to(other, new.shape)])
            if likeness.shape[1] > k:
                best = np.argpartition(-likeness, k, axis=1)[:, :k] if k else np.empty((len(block), 0), np.int64)
                likeness, found = np.take_along_axis(likeness, best, 1), np.take_along_axis(found, best, 1)
        rows.append(found)
        similarities.append(likeness)
    return Neighbours(np.vstack(rows), _weights(np.vstack(similarities), width))


def _blocks(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[start : start + _ROWS] for start in range(0, max(1, len(rows)), _ROWS)]


def _weights(similarities: NDArray[np.float32], width: float) -> NDArray[np.float64]:
    if not similarities.shape[1]:
        return similarities.astype(np.float64)
    powers = np.exp((similarities - similarities.max(axis=1, keepdims=True)).astype(np.float64) / width)
    weights: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return weights
