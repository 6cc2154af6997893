"""Shared code of decoders: scores of the next word, batches of images, and the length of captions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import check_values, int_from
from captioning.data.splits import Split
from captioning.models.caption_batches import checked_features
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble
from captioning.models.kinds import AnyCaptioner
from captioning.models.recurrent_cells import State
from minigrad.runtime.threads import run_in_parallel, split

__all__ = ["LONGEST", "CaptionModel", "Ids", "Scores", "WordScorer", "batch_slices",
           "decode_in_batches", "length_for", "run_in_batches"]  # fmt: skip

LONGEST = 50
"""The default for the largest number of words of a caption, `<END>` included."""

Ids = NDArray[np.int32]
Scores = NDArray[np.floating[Any]]
CaptionModel = AnyCaptioner | Ensemble
"""A captioner, or several as one."""

_BATCH = 500  # captions that a thread decodes at a time; the scores of a step take 500 V floats


def length_for(split: Split) -> int:
    """Return the `max_length` for a split: the length of its longest human caption with `<END>`, at most `LONGEST`.

    Stored captions may have been cut, so without raw captions it is twice the longest stored one. It is at least T - 1,
    the largest length of a stored caption.
    """
    longest: int = max(len(words) for item in split.references_by_image() for words in item)
    if not split.has_raw_captions:
        longest *= 2
    columns: int = split.stored[0].shape[1]
    return max(columns - 1, min(longest + 1, LONGEST))


class WordScorer:
    """Scores the next words of a batch of captions.

    `<NULL>`, `<START>` and, unless `allow_unknown`, `<UNK>` get the score minus infinity. model: in evaluation mode.
    steps: about how many words will be scored. If this is more than the size of the vocabulary, the products of all
    word vectors with the input weights are computed once.
    """

    def __init__(self, model: CaptionModel, allow_unknown: bool = False, steps: int = 0) -> None:
        self.model, self.vocabulary = model, model.vocabulary
        v = model.vocabulary
        self.barred = [v.null, v.start] if allow_unknown else [v.null, v.start, v.unk]
        self._projected: Any = model.project_words() if steps > len(v) else None

    def start(self, features: NDArray[Any], copies: int = 1) -> tuple[NDArray[np.integer[Any]], State]:
        """Return `<START>` and the first state, for `copies` captions of each image with features (N,D)."""
        state = self.model.initial_state(features)
        if copies > 1:
            image = np.repeat(np.arange(len(features)), copies)
            state = tuple(s[image] for s in state)
        return np.full(copies * len(features), self.vocabulary.start), state

    def scores(self, words: NDArray[np.integer[Any]], state: State) -> tuple[Scores, State]:
        """Return the scores (N,V) of the words after words (N,), and the next state. You may overwrite the scores."""
        scores, state = self.model.step(words, state, self._projected)
        scores.data[:, self.barred] = -np.inf
        return scores.data, state

    def attention_maps(self, state: State) -> NDArray[np.floating[Any]] | None:
        """Return the attention to each region (N,R) for the next word; None without attention."""
        return None if isinstance(self.model, Captioner) else self.model.attention_maps(state)


def decode_in_batches(
    decode: Callable[[WordScorer, NDArray[Any], Ids], None],
    model: CaptionModel,
    features: ArrayLike,
    max_length: int,
    allow_unknown: bool,
    threads: int,
    beams: int = 1,
    each: int = 1,
) -> Ids:
    """Return captions int32 (each N,L) for features (N,D), L at most `max_length`; those of an image are adjacent.

    decode: fills in captions (each n,L), initially all `<NULL>`, for features (n,D). beams: how many captions it
    extends for each of them.
    """
    null = model.vocabulary.null
    check_values({"max_length": max_length}, {"max_length": int_from(1)})
    captions = np.full((each * len(np.atleast_1d(features)), max_length), null, dtype=np.int32)

    def fill(scorer: WordScorer, rows: NDArray[Any], batch: slice) -> None:
        decode(scorer, rows, captions[batch.start * each : batch.stop * each])

    run_in_batches(fill, model, features, max_length, allow_unknown, threads, beams * each)
    used = np.flatnonzero((captions != null).any(axis=0))
    return captions[:, : used[-1] + 1 if used.size else 0]


def run_in_batches(
    decode: Callable[[WordScorer, NDArray[Any], slice], None],
    model: CaptionModel,
    features: ArrayLike,
    max_length: int,
    allow_unknown: bool,
    threads: int,
    beams: int,
) -> None:
    """Call `decode` for all batches of images, with a scorer, rows of features, and the slice of the images.

    beams: how many captions of an image are in memory at a time. The model is in evaluation mode during the calls.

    Raises:
        ValueError: for features that are not (N,D), or a max_length below 1.
    """
    check_values({"max_length": max_length}, {"max_length": int_from(1)})
    rows = checked_features(features, model.feature_size)
    members = (model, *getattr(model, "members", ()))
    modes = [member.training for member in members]
    model.eval()
    try:
        scorer = WordScorer(model, allow_unknown, len(rows) * max_length * beams)
        batches = batch_slices(len(rows), max(1, _BATCH // beams), threads)
        jobs = [partial(decode, scorer, rows[batch], batch) for batch in batches]
        if threads > 1:
            run_in_parallel(jobs)
        else:
            for job in jobs:
                job()
    finally:
        for member, mode in zip(members, modes, strict=True):
            member.train(mode)


def batch_slices(count: int, size: int, threads: int) -> list[slice]:
    """Divide `count` images into similar batches of at most `size`, the same number for each thread."""
    number = -(-count // size)
    if count > size // 4:  # fewer are finished before another thread starts
        number = min(-(-number // threads) * threads, count)
    return split(count, number)
