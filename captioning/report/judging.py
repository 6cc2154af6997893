"""Captions beside what people said of the same images, each with a score; and which of them are worth a look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from captioning.data.split_photos import photo_path
from captioning.data.splits import Split
from captioning.decoding.captions import ScoredCaption

__all__ = ["SCORE", "Judged", "chosen", "judged"]

SCORE = "CIDEr-D"
"""By which captions are ordered: `captioning.scoring.cider`, from 0 to 10."""


@dataclass(frozen=True)
class Judged:
    """What a captioner said of an image, and how good that is by `SCORE`.

    row: of the image in its split. name: of its file, photo: where that is; None where the data set does not know.
    looks: where the model looked at each word, float32 (len(words), places), rows summing to 1; a square number of
    places divide the middle square of the photo; confidence: from 0 to 1. None where nobody knows.
    """

    row: int
    name: str | None
    photo: Path | None
    words: list[str]
    references: list[list[str]]
    score: float
    confidence: float | None = None
    looks: NDArray[np.float32] | None = None


def judged(
    split: Split, images: NDArray[np.int64], told: Sequence[ScoredCaption], scores: NDArray[np.float64]
) -> list[Judged]:
    """The captions of n images of a split with their references. told: n captions; scores: (n,)."""
    pairs = zip(images.tolist(), told, scores.tolist(), strict=True)
    return [Judged(i, split.image_names[i] if split.has_image_names else None, photo_path(split, i), spoken.words,
                   split.references(i), score, spoken.confidence, spoken.attention)
            for i, spoken, score in pairs]  # fmt: skip


def chosen(captions: Sequence[Judged], count: int) -> dict[str, list[Judged]]:
    """The 'best', 'typical' and 'worst' of captions by their score, at most `count` of each, none of them twice.

    Typical are those around the median. Of equal scores the first image is the better one. Fewer than 3 `count`
    captions are shared out, all of them.

    >>> captions = [Judged(i, None, None, [], [], score=i / 10) for i in range(10)]
    >>> {kind: [found.row for found in some] for kind, some in chosen(captions, 2).items()}
    {'best': [9, 8], 'typical': [5, 4], 'worst': [0, 1]}
    """
    ranked = sorted(captions, key=lambda found: (-found.score, found.row))
    each = min(count, (len(ranked) + 1) // 3)
    middle = min(count, len(ranked) - 2 * each)
    start = (len(ranked) - middle) // 2
    worst = ranked[len(ranked) - each :]
    return {"best": ranked[:each], "typical": ranked[start : start + middle], "worst": worst[::-1]}
