"""Captions beside what people said of the same images, each with a score; and which of them are worth a look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.splits import Split
from captioning.scoring.metrics import exercise_bleu_table

__all__ = ["EXERCISE", "Judged", "Measure", "chosen", "judged"]

Words = Sequence[str]


@dataclass(frozen=True)
class Measure:
    """A score of one caption beside its references: its name, what it is in a sentence, and how it is computed.

    of: from n lists of references and n captions, as lists of words, to n scores, the more the better.
    """

    name: str
    meaning: str
    of: Callable[[Sequence[Sequence[Words]], Sequence[Words]], NDArray[np.float64]]


def _exercise(references: Sequence[Sequence[Words]], said: Sequence[Words]) -> NDArray[np.float64]:
    pairs = zip(said, references, strict=True)
    return np.array([exercise_bleu_table([words], item).mean() for words, item in pairs], np.float64)


EXERCISE = Measure(
    "exercise BLEU", "Unigram BLEU against each human caption, in the mean over them: from 0 to 1.", _exercise
)


@dataclass(frozen=True)
class Judged:
    """What a captioner said of an image, and how good that is.

    row: of the image in its split. name: of its file, photo: where that is; None where the data set does not know.
    looks: where the model looked at each word, float32 (len(words), places), rows summing to 1, of places that divide
    the middle square of the photo; confidence: from 0 to 1. None where nobody knows.
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
    split: Split,
    images: NDArray[np.int64],
    said: Sequence[list[str]],
    measure: Measure = EXERCISE,
    confidences: Sequence[float | None] | None = None,
    looks: Sequence[Any] | None = None,
) -> list[Judged]:
    """The captions of some images of a split, judged by their references.

    said: a list of words an image. confidences, looks: one an image, or None where there are none.
    """
    references = [split.references(int(i)) for i in images]
    scores = measure.of(references, said).tolist()
    none = [None] * len(images)
    rows = zip(images.tolist(), said, references, scores, confidences or none, looks or none, strict=True)
    return [Judged(i, split.image_names[i] if split.has_image_names else None, split.photo(i), *rest)
            for i, *rest in rows]  # fmt: skip


def chosen(captions: Sequence[Judged], count: int) -> dict[str, list[Judged]]:
    """The 'best', 'typical' and 'worst' of captions by their score, at most `count` of each, none of them twice.

    Typical are those around the median. Of equal scores the first image is the better one. Of fewer than 3 `count`
    captions each kind gets a third, what is left over is typical.

    >>> captions = [Judged(i, None, None, [], [], score=i / 10) for i in range(10)]
    >>> {kind: [found.row for found in some] for kind, some in chosen(captions, 2).items()}
    {'best': [9, 8], 'typical': [5, 4], 'worst': [0, 1]}
    """
    ranked = sorted(captions, key=lambda found: (-found.score, found.row))
    each = min(count, len(ranked) // 3)
    middle = min(count, len(ranked) - 2 * each)
    start = (len(ranked) - middle) // 2
    worst = ranked[len(ranked) - each :]
    return {"best": ranked[:each], "typical": ranked[start : start + middle], "worst": worst[::-1]}
