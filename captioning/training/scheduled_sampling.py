"""Scheduled sampling: some words that are read in training are the captioner's own instead of the person's.

Otherwise it only ever reads what people wrote, and when it speaks it reads itself. A first pass without gradient says
what it would have said at each step; a second one learns with some of these words in place. Sources: S. Bengio et al.,
Scheduled sampling for sequence prediction with recurrent neural networks (2015); in two passes, so that a step does
not wait for the one before: D. Duckworth et al., Parallel scheduled sampling (2019).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg

__all__ = ["with_own_words"]


def with_own_words(
    model: Any, features: NDArray[Any], captions: NDArray[np.integer], share: float, rng: np.random.Generator
) -> NDArray[np.integer]:
    """Captions (N,T) to read, of which about a share of the words are the likeliest by the model, given those before.

    `<START>`, `<END>` and the padding stay. What is to be said stays the person's caption: give these to a model as
    words in alone.
    """
    v = model.vocabulary
    with mg.no_grad():
        scores, _ = model.scores(features, captions)
    scores.data[:, [v.null, v.start, v.end, v.unk]] = -np.inf
    counts = captions[:, 1:] != v.null  # which words out have scores, row by row
    said = captions[:, 1:].copy()
    said[counts] = scores.data.argmax(axis=1)
    replaced = counts & (captions[:, 1:] != v.end) & (rng.random(counts.shape) < share)
    found = captions.copy()
    found[:, 1:][replaced] = said[replaced]
    return found
