"""Captions as a training reads them: words in, words out, which of these count, and the loss of their scores.

Words in are a caption without its last column, words out a caption without its first; a word out that is `<NULL>` costs
nothing. The columns after the longest caption of a batch are cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from minigrad import Tensor

__all__ = ["CaptionBatch", "summed_loss"]


@dataclass(frozen=True)
class CaptionBatch:
    """N captions of T words in, and as many out. words_in, words_out: ids (N,T). counts: which words out count (N,T).

    >>> batch = CaptionBatch.of(np.array([[1, 4, 2, 0, 0], [1, 5, 6, 2, 0]]), null=0)
    >>> batch.words_in, batch.targets, batch.lengths
    (array([[1, 4, 2],
           [1, 5, 6]]), array([4, 2, 5, 6, 2]), array([2, 3]))
    """

    words_in: NDArray[Any]
    words_out: NDArray[Any]
    counts: NDArray[np.bool_]

    @classmethod
    def of(cls, captions: ArrayLike, null: int | None, read: ArrayLike | None = None) -> CaptionBatch:
        """Of word ids (N,T), T >= 2. null: the id of `<NULL>`; None if every word counts. read: other captions (N,T)
        to take the words in from.

        Raises:
            ValueError: for another shape, or no captions.
            TypeError: for ids that are no integers.
        """
        ids = np.asarray(captions)
        if ids.ndim != 2 or ids.shape[1] < 2:
            raise ValueError(f"captions must be word ids (N,T) with T >= 2, a word in and a word out; got {ids.shape}")
        if not len(ids):
            raise ValueError("captions: the batch is empty, its mean loss is not defined")
        if ids.dtype.kind not in "iu":
            raise TypeError(f"captions must be integers, word ids; got dtype {ids.dtype}")
        words_out = ids[:, 1:]
        counts = np.ones(words_out.shape, bool) if null is None else words_out != null
        used = np.flatnonzero(counts.any(axis=0))
        steps = int(used[-1]) + 1 if used.size else 1  # up to the last word of the longest caption
        words_in = ids if read is None else np.asarray(read)
        if words_in.shape != ids.shape:
            raise ValueError(f"read must be as the captions, {ids.shape}; got {words_in.shape}")
        return cls(words_in[:, :steps], words_out[:, :steps], counts[:, :steps])

    @property
    def targets(self) -> NDArray[Any]:
        """The words out that count (M,), caption by caption."""
        return self.words_out[self.counts]

    @property
    def lengths(self) -> NDArray[np.intp]:
        """How far from the front the last word of each caption is that counts: no state behind it is ever used."""
        behind = np.argmax(self.counts[:, ::-1], axis=1)
        return np.where(self.counts.any(axis=1), self.counts.shape[1] - behind, 0)

    def check_images(self, features: NDArray[Any], size: int) -> int:
        """How many captions each row of features (M, size) has; a ValueError unless they are as many of each."""
        n = len(self.counts)
        if features.ndim != 2 or features.shape[1] != size or not len(features) or n % len(features):
            raise ValueError(
                f"features must be (M, {size}), a column for each feature and a row for each of M images that have "
                f"as many captions, {n} in all; got {features.shape}"
            )
        return n // len(features)


def summed_loss(scores: Tensor, targets: NDArray[Any], captions: int, label_smoothing: float = 0.0) -> Tensor:
    """The cross-entropy of words (M,) by their scores (M,V), summed, in the mean over captions: a scalar."""
    loss: Tensor = mg.cross_entropy(scores, targets, reduction="sum", label_smoothing=label_smoothing) / captions
    return loss
