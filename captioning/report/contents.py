"""What a report is made of, gathered from a run and a data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from captioning.data.parts import images_of_part
from captioning.data.splits import Split
from captioning.decoding.batches import length_for
from captioning.evaluation.calibration import Calibration
from captioning.evaluation.results import signature
from captioning.evaluation.split_scores import cider_d_by_image, known_captions, score
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.report.judging import Judged, judged
from captioning.report.listening import listened
from captioning.training.history import Entry

__all__ = ["Choice", "Contents", "Scored", "scored"]


@dataclass(frozen=True)
class Choice:
    """Which images of a split are captioned, and how.

    part, most, seed: as of `captioning.data.parts.images_of_part`; the seed also draws the reference of exercise BLEU.
    decode: from a model, features and `max_length` to captions, `decoding` says how in words.
    calibration: of the model, of the beam by which `decode` goes; None where nobody knows how sure it is of captions.
    """

    decode: Callable[..., Any]
    decoding: str
    part: str = "all"
    most: int | None = None
    seed: int = 0
    max_length: int | None = None
    calibration: Calibration | None = None


@dataclass(frozen=True)
class Scored:
    """What a captioner says of a split: figures as `captioning.evaluation.split_scores.score` has them, and captions.

    data: the name of the data set's folder. chosen_on: on which part of the validation split the weights were chosen.
    raw: whether the references are whole, as people wrote them.
    """

    data: str
    split: str
    part: str
    decoding: str
    signature: str
    figures: dict[str, float | None]
    captions: list[Judged]
    raw: bool
    chosen_on: str | None = None


@dataclass(frozen=True)
class Contents:
    """A report before it is a page. scored: None of a run without its data."""

    title: str
    settings: dict[str, Any]
    history: list[Entry]
    model: AnyCaptioner
    scored: Scored | None


def scored(
    model: AnyCaptioner,
    split: Split,
    choice: Choice,
    progress: Progress,
    chosen_on: str | None = None,
    training: Split | None = None,
) -> Scored:
    """Let a model caption images of a split, and score what it says.

    chosen_on: on which part of the validation split its weights were chosen. training: whose captions are not novel.
    """
    every = images_of_part(split, choice.part)
    images = images_of_part(split, choice.part, choice.most, choice.seed)
    length = length_for(split) if choice.max_length is None else choice.max_length
    told = listened(model, split, images, choice.decode, length, progress, choice.calibration)
    said = [spoken.words for spoken in told]
    known = None if training is None else known_captions(training, progress)
    figures = score(model, split, images, said, choice.seed, progress, known=known)
    drawn_by = choice.seed if len(images) < len(every) else None
    sign = signature(split, choice.part, len(images), choice.decoding, length, drawn_by, "corpus")
    captions = judged(split, images, told, cider_d_by_image(split, images, said, progress=progress))
    return Scored(split.folder.resolve().name, split.name, choice.part, choice.decoding, sign, figures, captions,
                  split.has_raw_captions, chosen_on)  # fmt: skip
