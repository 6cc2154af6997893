"""Decoding word by word: the likeliest word at every step (greedy), or a random one (sample)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import check_values, int_from
from captioning.decoding.batches import LONGEST, CaptionModel, Ids, Scores, WordScorer, decode_in_batches
from minigrad.runtime.threads import get_num_threads

__all__ = ["check_chance", "greedy", "sample"]

_COLDEST, _HOTTEST = 1e-6, 1e6  # scores divided by these are finite in single precision

Choose = Callable[[Scores], NDArray[np.integer[Any]]]
"""Chooses one word for each row of scores (N,V)."""


def greedy(model: CaptionModel, features: ArrayLike, max_length: int = LONGEST, allow_unknown: bool = False) -> Ids:
    """Return captions int32 (N,L) of the likeliest word at every step, for features (N,D)."""
    decode = partial(_decode_batch, lambda scores: scores.argmax(axis=1))
    return decode_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads())


def sample(
    model: CaptionModel,
    features: ArrayLike,
    max_length: int = LONGEST,
    temperature: float = 1.0,
    top_k: int | None = None,
    rng: np.random.Generator | int | None = None,
    allow_unknown: bool = False,
    each: int = 1,
) -> Ids:
    """Return captions of words drawn from softmax(scores / temperature), optionally only from the `top_k` likeliest.

    rng: a seed draws the same captions in each call, a Generator different ones. temperature: from 1e-6 to 1e6. each:
    the number of captions of an image, which are adjacent.
    """
    check_chance(temperature, top_k)
    check_values({"each": each}, {"each": int_from(1)})
    random = np.random.default_rng(rng)

    def choose(scores: Scores) -> NDArray[np.integer[Any]]:
        if top_k is not None and top_k < scores.shape[1]:
            least = np.partition(scores, -top_k, axis=1)[:, -top_k, None]
            scores = np.where(scores < least, -np.inf, scores)
        return _draw(scores / temperature, random)

    decode = partial(_decode_batch, choose)
    return decode_in_batches(decode, model, features, max_length, allow_unknown, 1, each=each)  # draws have an order


def check_chance(temperature: float, top_k: int | None) -> None:
    """Raise a ValueError unless temperature and top_k are in range."""
    if not _COLDEST <= temperature <= _HOTTEST:
        raise ValueError(f"temperature must be from {_COLDEST:g} to {_HOTTEST:g}; got {temperature!r}. "
                         "Use greedy decoding for the likeliest words.")  # fmt: skip
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1; got {top_k!r}")


def _draw(scores: Scores, random: np.random.Generator) -> NDArray[np.integer[Any]]:
    """Draw a word from softmax(scores) for each row, by the inverse of the distribution function.

    This needs one random number per row. The Gumbel trick needs one per word, which is 1.6 times slower.
    """
    heights = np.cumsum(np.exp(scores - scores.max(axis=1, keepdims=True)), axis=1)
    # A draw of 0 skips words of weight 0, and a draw below 1 stays below the last height.
    return np.asarray(np.sum(heights <= random.random((len(scores), 1)) * heights[:, -1:], axis=1))


def _decode_batch(choose: Choose, scorer: WordScorer, features: NDArray[Any], captions: Ids) -> None:
    """Fill the rows of `captions`, word by word."""
    words, state = scorer.start(features, len(captions) // max(1, len(features)))
    alive = np.arange(len(captions))  # the captions that have not ended
    for t in range(captions.shape[1]):
        scores, state = scorer.scores(words, state)
        words = choose(scores)
        captions[alive, t] = words
        going = words != scorer.vocabulary.end
        if not going.all():
            alive, words = alive[going], words[going]
            state = tuple(s[going] for s in state)
        if not alive.size:
            break
