"""What a captioner says of images, listened to: where it looked at each word, and how sure it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.splits import Split
from captioning.decoding.batches import WordScorer
from captioning.decoding.captions import ScoredCaption, score_captions
from captioning.evaluation.calibration import Calibration
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
    calibration: Calibration | None = None,
) -> list[ScoredCaption]:
    """The captions of `captioning.evaluation.split_scores.captions_of`, with what was thought while they were said.

    model: in evaluation mode. length: the most words of a caption, its end counted as one. calibration: of this
    model, of the beam by which `decode` goes; None where nobody knows how sure it is.
    """
    told: list[ScoredCaption] = []
    progress.begin(len(images), what="captions of images")
    for start in range(0, len(images), _IMAGES):
        features = split.features[images[start : start + _IMAGES]]
        if calibration is None:
            ids = decode(model, features, max_length=length)
            told += [spoken for (spoken,) in score_captions(WordScorer(model, steps=ids.size), features, ids[:, None])]
        else:  # how sure it is of a caption may depend on the others of the beam
            told += [beams[0] for beams in calibration.decode(model, features, length)]
        progress.update(len(told))
    return told
