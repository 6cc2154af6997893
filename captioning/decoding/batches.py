"""Captions of many images: in batches of a bounded size, side by side on the threads.

Every way of decoding fills the captions of one batch; what is the same for all of them is here: what is checked,
the model in evaluation mode, the batches, and the columns that no caption needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.decoding.next_word import NextWord, Speaker
from captioning.models.ensemble import Ensemble
from minigrad.runtime.threads import run_in_parallel, split

__all__ = ["DecodeBatch", "Ids", "batch_size", "checked_rows", "decode_in_batches", "evaluating", "in_batches"]

Ids = NDArray[np.int32]
DecodeBatch = Callable[[NextWord, NDArray[Any], Ids], None]
"""Fills captions (S N,L), S of each image one after the other, at first all `<NULL>`, for features (N,D)."""

_BATCH = 500  # captions decoded at once, by one thread; scores of a step take 500 V floats


def decode_in_batches(
    decode_batch: DecodeBatch,
    model: Speaker,
    features: ArrayLike,
    max_length: int,
    allow_unknown: bool,
    threads: int,
    beams: int = 1,
    each: int = 1,
) -> Ids:
    """Captions int32 (each N,L) for features (N,D), with L at most `max_length`.

    beams: how many captions `decode_batch` computes at once for each caption. each: how many captions each image gets,
    one after the other. Features of another shape and a max_length below 1 are a ValueError.
    """
    rows = checked_rows(model, features, max_length)
    captions = np.full((each * len(rows), max_length), model.vocabulary.null, dtype=np.int32)
    with evaluating(model):
        next_word = NextWord(model, allow_unknown, captions.size * beams)

        def decode(batch: slice) -> None:
            decode_batch(next_word, rows[batch], captions[batch.start * each : batch.stop * each])

        in_batches(decode, len(rows), batch_size(beams * each), threads)
    return _trimmed(captions, model.vocabulary.null)


def batch_size(each: int) -> int:
    """How many images are decoded at once, by one thread, where each has so many captions side by side."""
    return max(1, _BATCH // each)


def in_batches(decode: Callable[[slice], None], count: int, size: int, threads: int) -> None:
    """About equal batches of at most `size`, as many on each thread; one by one if there is one thread."""
    number = -(-count // size)
    if count > size // 4:  # less is done before another thread is awake
        number = min(-(-number // threads) * threads, count)
    batches = split(count, number)
    if threads > 1:
        run_in_parallel([partial(decode, batch) for batch in batches])
    else:
        for batch in batches:
            decode(batch)


def checked_rows(model: Speaker, features: ArrayLike, max_length: int) -> NDArray[Any]:
    """Features (N,D) as an array; those of another shape and a max_length below 1 are a ValueError."""
    if isinstance(max_length, bool) or not isinstance(max_length, int | np.integer) or max_length < 1:
        raise ValueError(f"max_length must be an int of at least 1; got {max_length!r}")
    rows = np.asarray(features)
    if rows.ndim != 2 or rows.shape[1] != model.feature_size:
        raise ValueError(f"features must be (N, {model.feature_size}), a row for each caption; got {rows.shape}")
    return rows


def _trimmed(captions: Ids, null: int) -> Ids:
    """Without the columns in which no caption has a word."""
    used = np.flatnonzero((captions != null).any(axis=0))
    return captions[:, : used[-1] + 1 if used.size else 0]


@contextmanager
def evaluating(model: Speaker) -> Iterator[None]:
    """The model in evaluation mode, and afterwards in the mode it was in; of several together each in its own."""
    speakers = model.members if isinstance(model, Ensemble) else [model]
    modes = [speaker.training for speaker in speakers]
    model.eval()
    try:
        yield
    finally:
        for speaker, training in zip(speakers, modes, strict=True):
            speaker.train(training)
