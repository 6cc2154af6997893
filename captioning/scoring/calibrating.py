"""A calibration of a captioner's confidence: fitted on one half of a split's images, tried on the other.

The share of a caption is its CIDEr-D divided by that of people, 1 at most; people's is the mean of one human caption
against the others of its image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.splits import Split, images_of_part
from captioning.decoding.beam_search import Beam
from captioning.decoding.best_lists import n_best
from captioning.decoding.confidence import MEASURES, Calibration
from captioning.decoding.lengths import length_for
from captioning.decoding.next_word import Speaker
from captioning.decoding.spoken import Spoken
from captioning.progress import Progress
from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from captioning.scoring.rank_correlation import spearman

__all__ = ["Measured", "calibrate", "human_cider_d"]

_IMAGES = 50  # that are captioned between two words of progress
_SILENT = Progress(enabled=False)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Captions of a part of a split's images: their measures by name, and their CIDEr-D, (n,) each."""

    raw: dict[str, Floats]
    scores: Floats

    def correlations(self) -> dict[str, float]:
        """Spearman's rho of each measure with CIDEr-D."""
        return {name: spearman(raw, self.scores) for name, raw in self.raw.items()}


def calibrate(
    model: Speaker,
    split: Split,
    beam: Beam,
    count: int = 5,
    unsure: float = 0.2,
    max_length: int | None = None,
    max_images: int | None = None,
    progress: Progress = _SILENT,
) -> tuple[Calibration, dict[str, Any]]:
    """The calibration of a model's captions by a beam, and how good it is, by CIDEr-D of the split's references.

    The measure is the one that goes best with CIDEr-D on the first half of the images, on which it is fitted too; so
    what is said of the second half is of captions that had no say. max_images: of each half at most so many, drawn.
    Returns the calibration and a dict with

    - `human_cider_d`: the mean of one human caption against the others of its image;
    - `first` and `second`: Spearman's rho by measure on each half, None where it is not defined;
    - of the second half `confidence` and `share`, the mean confidence and the mean share, `error`, by how much the two
      differ in the mean over ten bins of equally many captions; `cider_d_sure`, `cider_d_unsure`, the means of the
      captions of which it is sure and of the others, and `unsure`, how many those are of all.

    Raises:
        DataError: if there is no image with two captions, or none of the captions is better than another.
    """
    references = split.references_by_image()
    frequencies = DocumentFrequencies.of(references)
    human = human_cider_d(references, frequencies, progress)
    length = length_for(split) if max_length is None else max_length
    halves = []
    for part in ("first", "second"):
        images = images_of_part(split, part, max_images)
        beams = _beams(model, split, images, (beam, count, length), progress)
        halves.append(_measured(beams, [references[i] for i in images], frequencies))
    first, second = halves
    found = first.correlations()
    if not np.isfinite(list(found.values())).any():
        raise DataError(f"{split.folder}: the captions of the {split.name} split's first half are all as good or all "
                        "as sure: nothing can be learnt of them")  # fmt: skip
    best = max(found, key=lambda name: np.nan_to_num(found[name], nan=-2.0))
    shares = _shares(first.scores, human)
    calibration = Calibration.fitted(best, first.raw[best], shares, beam, count, unsure, length)
    rhos = {"first": _defined(found), "second": _defined(second.correlations())}
    tried = rhos | _tried(calibration, second, human)
    return calibration, {"human_cider_d": human} | tried


def _defined(found: dict[str, float]) -> dict[str, float | None]:
    """The same with None for NaN, which is no JSON."""
    return {name: rho if np.isfinite(rho) else None for name, rho in found.items()}


def human_cider_d(
    references: Sequence[Sequence[Sequence[str]]], frequencies: DocumentFrequencies, progress: Progress = _SILENT
) -> float:
    """The mean CIDEr-D of one human caption against the others of its image, over the images with two and more."""
    several = [captions for captions in references if len(captions) > 1]
    if not several:
        raise DataError("there is no image with two human captions: nobody knows how alike those of people are")
    means = []
    progress.begin(len(several), what="human captions of images")
    for done, captions in enumerate(several, 1):
        others = [[*captions[:k], *captions[k + 1 :]] for k in range(len(captions))]
        means.append(cider_d(others, list(captions), frequencies)[0])
        progress.update(done)
    return float(np.mean(means))


def _beams(
    model: Speaker, split: Split, images: NDArray[np.int64], how: tuple[Beam, int, int], progress: Progress
) -> list[list[Spoken]]:
    beam, count, length = how
    told: list[list[Spoken]] = []
    progress.begin(len(images), what="captions of images")
    for start in range(0, len(images), _IMAGES):
        features = split.features[images[start : start + _IMAGES]]
        told += n_best(model, features, count, max_length=length, **vars(beam))
        progress.update(len(told))
    return told


def _measured(
    beams: Sequence[Sequence[Spoken]], references: Sequence[Any], frequencies: DocumentFrequencies
) -> Measured:
    raw = {name: np.array([measure(each, 0) for each in beams]) for name, measure in MEASURES.items()}
    judge = CiderD(references, frequencies)
    return Measured(raw, judge.score_many(np.arange(len(beams)), [each[0].words for each in beams]))


def _shares(scores: Floats, human: float) -> Floats:
    """What captions have of the score of people's."""
    return np.minimum(scores / human, 1.0) if human > 0 else np.zeros(len(scores))


def _tried(calibration: Calibration, second: Measured, human: float) -> dict[str, float | None]:
    """How good a calibration is on captions that had no say in it."""
    sure, shares = calibration.of_measure(second.raw[calibration.measure]), _shares(second.scores, human)
    order = np.array_split(np.argsort(sure, kind="stable"), min(10, len(sure)))
    unsure = sure < calibration.unsure_below
    return {
        "confidence": float(sure.mean()),
        "share": float(shares.mean()),
        "error": float(np.mean([abs(sure[part].mean() - shares[part].mean()) for part in order])),
        "cider_d_sure": float(second.scores[~unsure].mean()) if not unsure.all() else None,
        "cider_d_unsure": float(second.scores[unsure].mean()) if unsure.any() else None,
        "unsure": float(unsure.mean()),
    }
