"""Find the images of a split that are most similar to each image, by their features.

The similarity s_ij of images i and j is the cosine between their features minus the mean of all features. The k most
similar other images j get the weights

    w_ij = exp(s_ij / width) / sum_j exp(s_ij / width).

Their captions predict those of image i without using them. Source: J. Devlin et al., Exploring
nearest neighbor approaches for image captioning (2015).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from captioning.data.features import StoredRows

__all__ = ["Neighbours", "nearest"]

_ROWS = 4096  # images whose features are in memory at once


class Neighbours(NamedTuple):
    """The k most similar other images of each of M images: their rows (M,k), and weights (M,k) that sum to 1."""

    rows: NDArray[np.int64]
    weights: NDArray[np.float64]


def nearest(
    features: StoredRows | NDArray[np.floating],
    images: NDArray[np.integer],
    k: int,
    width: float = 0.08,
    report: Callable[[int, int], Any] = lambda done, total: None,
    queries: NDArray[np.floating] | None = None,
    part: slice = slice(None),
) -> Neighbours:
    """Find the k most similar other images for each of the rows `images` (M,) of `features`, among these rows.

    If there are fewer than k other images, all of them are neighbours.

    width: above 0; a smaller one gives more weight to the most similar images.
    report: called with the number of finished steps and the number of all steps. An exception that it raises ends the
    search.
    queries: features (N,D) of new images, to find neighbours for these instead.
    part: the part of `images` to find neighbours for; by default all.

    >>> corners = np.array([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.0], [-1.0, 0.2]])
    >>> nearest(corners, np.arange(4), k=1, width=0.1).rows.ravel()
    array([1, 0, 3, 2])
    """
    k = min(k, len(images) - (queries is None))
    blocks, query_blocks = _blocks(images), _blocks(images[part] if queries is None else queries)
    steps = len(blocks) * (1 + len(query_blocks))
    mean = np.zeros(features.shape[1])
    for i, block in enumerate(blocks):
        report(i, steps)
        mean += features[block].sum(axis=0, dtype=np.float64) / len(images)

    def directions(block: NDArray[Any]) -> NDArray[np.float32]:
        x: NDArray[np.float32] = (block - mean).astype(np.float32)
        x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return x

    rows, weights = [], []
    for i, block in enumerate(query_blocks):
        mine = directions(features[block] if queries is None else block)
        found = np.empty((len(block), 0), np.int64)
        similarity = np.empty((len(block), 0), np.float32)
        for j, other in enumerate(blocks):
            report((i + 1) * len(blocks) + j, steps)
            new = mine @ directions(features[other]).T
            if queries is None:
                new[block[:, None] == other] = -np.inf  # no image is its own neighbour
            similarity = np.hstack([similarity, new])
            found = np.hstack([found, np.broadcast_to(other, new.shape)])
            if similarity.shape[1] > k:
                best = np.argpartition(-similarity, k, axis=1)[:, :k]
                similarity, found = np.take_along_axis(similarity, best, 1), np.take_along_axis(found, best, 1)
        powers = np.exp(
            (similarity - similarity.max(axis=1, keepdims=True, initial=-np.inf)).astype(np.float64) / width
        )
        rows.append(found)
        weights.append(powers / powers.sum(axis=1, keepdims=True))
    return Neighbours(np.vstack(rows), np.vstack(weights))


def _blocks(rows: NDArray[Any]) -> list[NDArray[Any]]:
    return [rows[start : start + _ROWS] for start in range(0, max(1, len(rows)), _ROWS)]
