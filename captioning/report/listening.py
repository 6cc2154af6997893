"""What a captioner says of images, listened to: where it looked at each word, and how sure it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.splits import Split
from captioning.decoding.next_word import NextWord
from captioning.decoding.spoken import Spoken, retell
from captioning.progress import Progress

__all__ = ["listened"]

_IMAGES = 500  # whose features are in memory at once


def listened(
    model: Any,
    split: Split,
    images: NDArray[np.int64],
    decode: Callable[..., Any],
    length: int,
    progress: Progress,
) -> list[Spoken]:
    """The captions of `captioning.scoring.evaluation.captions_of`, with what was thought while they were said.

    model: in evaluation mode. length: the most words of a caption, its end counted as one.
    """
    told: list[Spoken] = []
    progress.begin(len(images), what="captions of images")
    for start in range(0, len(images), _IMAGES):
        features = split.features[images[start : start + _IMAGES]]
        ids = decode(model, features, max_length=length)
        told += [spoken for (spoken,) in retell(NextWord(model, spoken=ids.size), features, ids[:, None])]
        progress.update(len(told))
    return told
