"""Collect the contents of a report: a run, its captions of the images of a split, and their scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.splits import Split, images_of_part
from captioning.decoding.batches import WordScorer
from captioning.decoding.captions import Caption, score_captions
from captioning.evaluation.calibration import Calibration
from captioning.evaluation.split_scores import cider_d_by_image, known_captions, score, signature
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.training.run_files import Entry

__all__ = ["ReportContents", "ReportSettings", "ReportedCaption", "ScoredSplit", "best_typical_worst", "score_split"]

_BATCH = 500  # images whose features are in memory at once


@dataclass(frozen=True)
class ReportSettings:
    """Which images of a split to caption, and how.

    Attributes:
        decode: takes a model, features and `max_length`, and returns captions.
        decoding: describes `decode` in words.
        part, most, seed: arguments of `captioning.data.splits.images_of_part`; the seed also draws the reference of
            exercise BLEU.
        max_length: the most words of a caption, its end included.
        calibration: gives captions a confidence, if it was made for this model and this beam.
    """

    decode: Callable[..., Any]
    decoding: str
    part: str
    most: int | None
    seed: int
    max_length: int
    calibration: Calibration | None = None


@dataclass(frozen=True)
class ReportedCaption:
    """A caption of one image, with human captions and its CIDEr-D score.

    Attributes:
        row: the image's row in its split.
        name: the file name of the image, None if the data set has no names.
        photo: the file of the photo, None without one.
        attention: float32 (len(words), places), how much the model looked at each place for each word; None for a
            model without attention.
        confidence: from 0 to 1, None without a calibration.
    """

    row: int
    name: str | None
    photo: Path | None
    words: list[str]
    references: list[list[str]]
    score: float
    confidence: float | None = None
    attention: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class ScoredSplit:
    """The captions of a split and their scores.

    Attributes:
        data: the name of the data set's folder.
        figures: what `captioning.evaluation.split_scores.score` returns.
        raw: whether the references are complete, as people wrote them.
        chosen_on: the part of the validation split on which the training chose its weights.
        moved: how many photos have moved, see `Split.photo_has_moved`.
    """

    data: str
    split: str
    part: str
    decoding: str
    signature: str
    figures: dict[str, float | None]
    captions: list[ReportedCaption]
    raw: bool
    chosen_on: str | None = None
    moved: int = 0


@dataclass(frozen=True)
class ReportContents:
    """Everything that a report shows; scored is None for a run without its data set."""

    title: str
    settings: dict[str, Any]
    history: list[Entry]
    model: AnyCaptioner
    scored: ScoredSplit | None


def score_split(
    model: AnyCaptioner,
    split: Split,
    settings: ReportSettings,
    progress: Progress,
    chosen_on: str | None = None,
    training: Split | None = None,
) -> ScoredSplit:
    """Caption images of a split and score the captions.

    Args:
        chosen_on: the part of the validation split on which the training chose its weights.
        training: the split whose captions do not count as novel.
    """
    images = images_of_part(split, settings.part, settings.most, settings.seed)
    decoded = _decoded(model, split, images, settings, progress)
    words = [caption.words for caption in decoded]
    known = None if training is None else known_captions(training, progress)
    figures = score(model, split, images, words, settings.seed, progress, known=known)
    drawn_by = settings.seed if len(images) < len(images_of_part(split, settings.part)) else None
    scores = cider_d_by_image(split, images, words, progress=progress).tolist()
    captions = [
        ReportedCaption(
            row=i,
            name=split.image_names[i] if split.has_image_names else None,
            photo=split.photo(i),
            words=caption.words,
            references=split.references(i),
            score=value,
            confidence=caption.confidence,
            attention=caption.attention,
        )
        for i, caption, value in zip(images.tolist(), decoded, scores, strict=True)
    ]
    return ScoredSplit(
        data=split.folder.resolve().name,
        split=split.name,
        part=settings.part,
        decoding=settings.decoding,
        signature=signature(
            split, settings.part, len(images), settings.decoding, settings.max_length, drawn_by, "corpus"
        ),
        figures=figures,
        captions=captions,
        raw=split.has_raw_captions,
        chosen_on=chosen_on,
        moved=sum(map(split.photo_has_moved, images.tolist())),
    )


def _decoded(
    model: Any, split: Split, images: NDArray[np.int64], settings: ReportSettings, progress: Progress
) -> list[Caption]:
    """Caption images, with the attention at each word and, if there is a calibration, the confidence."""
    decoded: list[Caption] = []
    progress.begin(len(images), what="captions of images")
    for start in range(0, len(images), _BATCH):
        features = split.features[images[start : start + _BATCH]]
        if settings.calibration is None:
            ids = settings.decode(model, features, max_length=settings.max_length)
            decoded += [found[0] for found in score_captions(WordScorer(model, steps=ids.size), features, ids[:, None])]
        else:  # the confidence of a caption may depend on the other captions of the beam
            decoded += [beams[0] for beams in settings.calibration.decode(model, features, settings.max_length)]
        progress.update(len(decoded))
    return decoded


def best_typical_worst(captions: Sequence[ReportedCaption], count: int) -> dict[str, list[ReportedCaption]]:
    """Return at most `count` captions with the best, typical (around the median) and worst scores, without duplicates.

    If scores are equal, the first image counts as better. If there are fewer than 3 `count` captions, all appear.

    >>> captions = [ReportedCaption(i, None, None, [], [], score=i / 10) for i in range(10)]
    >>> {kind: [found.row for found in some] for kind, some in best_typical_worst(captions, 2).items()}
    {'best': [9, 8], 'typical': [5, 4], 'worst': [0, 1]}
    """
    ranked = sorted(captions, key=lambda found: (-found.score, found.row))
    each = min(count, (len(ranked) + 1) // 3)
    middle = min(count, len(ranked) - 2 * each)
    start = (len(ranked) - middle) // 2
    return {
        "best": ranked[:each],
        "typical": ranked[start : start + middle],
        "worst": ranked[len(ranked) - each :][::-1],
    }
