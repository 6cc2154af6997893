"""Shared code of captioners: batches of captions, their loss, and steps of the recurrent cell.

The input words are a caption without its last column, and the targets a caption without its first. Targets `<NULL>` do
not count. Columns after the longest caption of a batch are cut off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

import minigrad as mg
from captioning.models.recurrent_cells import State
from minigrad import Tensor, nn, ops

__all__ = ["CaptionBatch", "BaseCaptioner", "checked_features", "summed_loss"]


@dataclass(frozen=True)
class CaptionBatch:
    """N captions. words_in, words_out: input and target ids (N,T). counts: which targets count (N,T).

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
        """Return the batch of word ids (N,T), T >= 2.

        null: the id of `<NULL>`; None if every target counts. read: captions (N,T) of the input words, if different.

        Raises:
            ValueError: for another shape, or no captions.
            TypeError: for ids that are not integers.
        """
        ids = np.asarray(captions)
        if ids.ndim != 2 or ids.shape[1] < 2:
            raise ValueError(f"captions must be word ids (N,T) with T >= 2, an input and a target; got {ids.shape}")
        if not len(ids):
            raise ValueError("captions: the batch is empty, so its mean loss is undefined")
        if ids.dtype.kind not in "iu":
            raise TypeError(f"captions must be integers, word ids; got dtype {ids.dtype}")
        words_in = ids if read is None else np.asarray(read)
        if words_in.shape != ids.shape:
            raise ValueError(f"read must have the shape of captions, {ids.shape}; got {words_in.shape}")
        words_out = ids[:, 1:]
        counts = np.ones(words_out.shape, bool) if null is None else words_out != null
        steps = int(np.flatnonzero(counts.any(axis=0)).max(initial=0)) + 1  # up to the last word of the longest caption
        return cls(words_in[:, :steps], words_out[:, :steps], counts[:, :steps])

    @property
    def targets(self) -> NDArray[Any]:
        """The targets that count (M,), caption by caption."""
        return self.words_out[self.counts]

    @property
    def lengths(self) -> NDArray[np.intp]:
        """The number of steps up to the last target of each caption that counts."""
        after = np.argmax(self.counts[:, ::-1], axis=1)
        return np.where(self.counts.any(axis=1), self.counts.shape[1] - after, 0)

    def check_images(self, features: NDArray[Any], size: int) -> int:
        """Return the number of captions of each row of features (M, size); raise a ValueError if it varies."""
        n = len(self.counts)
        if features.ndim != 2 or features.shape[1] != size or not len(features) or n % len(features):
            raise ValueError(
                f"features must be (M, {size}), with a row for each image, and M must divide the number of captions, "
                f"{n}; got {features.shape}"
            )
        return n // len(features)


def checked_features(features: ArrayLike, size: int) -> NDArray[Any]:
    """Return features (N, size) as an array; raise a ValueError for another shape."""
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.shape[1] != size:
        raise ValueError(f"features must be (N, {size}), a row for each image; got {rows.shape}")
    return rows


def summed_loss(scores: Tensor, targets: NDArray[Any], captions: int, label_smoothing: float = 0.0) -> Tensor:
    """Return the summed cross-entropy of targets (M,) by their scores (M,V), divided by the number of captions."""
    return cast(Tensor, mg.cross_entropy(scores, targets, reduction="sum", label_smoothing=label_smoothing) / captions)


class BaseCaptioner(nn.Module):
    """The base class of captioners. A subclass defines `scores`, `embed` and `cell`."""

    embed: nn.Embedding
    cell: Any
    dropout: float = 0.0
    rng: np.random.Generator

    def scores(
        self, features: ArrayLike, captions: ArrayLike, read: ArrayLike | None = None
    ) -> tuple[Tensor, NDArray[Any]]:
        """Return the scores (M,V) of the targets that count, given the words before them, and the targets (M,).

        features: (N,D). captions: (S N,T); the S captions of an image are adjacent. read: captions (S N,T) of the
        input words, if different.
        """
        raise NotImplementedError

    def loss(
        self, features: ArrayLike, captions: ArrayLike, label_smoothing: float = 0.0, read: ArrayLike | None = None
    ) -> Tensor:
        """Return the mean over captions (N,T) of the summed cross-entropy of their words, a scalar; features (N,D).

        read: captions (N,T) of the input words, if different.
        """
        scores, targets = self.scores(features, captions, read)
        return summed_loss(scores, targets, len(np.asarray(captions)), label_smoothing)

    forward = loss

    def project_words(self) -> Tensor:
        """Return what each word adds to the cell's pre-activations (V, gates H), without a gradient."""
        with mg.no_grad():
            return cast(Tensor, self.cell.projected(self.embed.weight))

    def _next_state(self, words: ArrayLike, state: State, projected: Tensor | None) -> State:
        """Return the state of the cell after words (N,). projected: the result of `project_words`, or None."""
        ids = np.asarray(words)
        if projected is None:
            return cast(State, self.cell.step(self.embed(ids), state))
        return cast(State, self.cell.advance(ops.embedding(ids, projected), state))

    def _drop(self, x: Tensor) -> Tensor:
        return ops.dropout(x, self.dropout, rng=self.rng) if self.training and self.dropout else x
