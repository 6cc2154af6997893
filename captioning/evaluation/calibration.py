"""Calibrated confidence: estimate how good a caption is from the results of its beam search.

A *measure* is a number for one caption of a beam; it should be high for good captions. `Calibration` turns a measure x
into a confidence,

    c(x) = 1 / (1 + exp(-(a (x - m) / s + b))),    a >= 0,

which estimates min(1, CIDEr-D of the caption / CIDEr-D of a human caption), its *share*. m and s are the mean and the
standard deviation of the measures. a and b maximise sum_i y_i log c(x_i) + (1 - y_i) log(1 - c(x_i)) over captions with
known shares y_i. Source: J. Platt, Probabilistic outputs for support vector machines (1999).

`calibrate` fits a calibration on the first half of a split's images and tests it on the second. The CIDEr-D of a human
caption is the mean of one caption against the others of its image.
"""

from __future__ import annotations

import json
import os
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import (
    COUNT,
    FINITE,
    NOT_NEGATIVE,
    POSITIVE,
    UNIT,
    DataError,
    among,
    check_values,
    int_from,
    optional,
)
from captioning.data.folder import read_text
from captioning.data.splits import FEW_IMAGES, Split, images_of_part
from captioning.decoding.batches import LONGEST, CaptionModel, length_for
from captioning.decoding.beam_search import Beam
from captioning.decoding.captions import MOST, Caption, n_best
from captioning.progress import SILENT, Progress
from captioning.scoring.cider import CiderD, DocumentFrequencies, cider_d
from captioning.storage import crc32_of
from minigrad.runtime.files import replacing

__all__ = ["CONFIDENCE_FILE", "MEASURES", "Calibration", "calibrate", "human_cider_d", "spearman"]

CONFIDENCE_FILE = "confidence.json"
"""The name of a calibration's file in a run folder."""

_WEIGHTS = "weights.safetensors"
_STEPS = 50  # of Newton's method, which needs about five
_RIDGE = 1e-3  # keeps a finite if a measure separates good captions from bad ones perfectly
_BLOCK = 50  # images captioned between two updates of the progress

Beams = Sequence[Caption]
Floats = NDArray[np.float64]


def _margin(beams: Beams, k: int) -> float:
    others = [other.score for j, other in enumerate(beams) if j != k]
    return beams[k].score - max(others) if others else 0.0


def _agreement(beams: Beams, k: int) -> float:
    others = [other for j, other in enumerate(beams) if j != k]
    if not others:
        return 1.0
    logs = np.array([other.log_probs.sum() for other in others])
    weights = np.exp(logs - logs.max())
    return float(np.average([_overlap(beams[k].words, other.words) for other in others], weights=weights))


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """Return the F1 score, from 0 to 1, of the words and word pairs of one caption in another."""
    a, b = (Counter([*words, *pairwise(words)]) for words in (one, other))
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 1.0


MEASURES: dict[str, Callable[[Beams, int], float]] = {
    "likelihood": lambda beams, k: float(beams[k].log_probs.mean()),
    "probability": lambda beams, k: float(beams[k].log_probs.sum()),
    "weakest": lambda beams, k: float(beams[k].log_probs.min()),
    "margin": _margin,
    "agreement": _agreement,
}
"""Functions of a beam and the index k of a caption.

The first three are the mean, the sum and the minimum of the log-probabilities of its words and its end. "margin" is its
score minus the best other score, and "agreement" its overlap with the others, weighted by their probabilities.
"""


@dataclass(frozen=True)
class Calibration:
    """Turns a measure of a beam's captions into a confidence; `fitted` returns one.

    Attributes:
        measure: a key of `MEASURES`.
        centre, spread, slope, intercept: m, s, a and b in the formula of this module.
        unsure_below: captions with a lower confidence are unsure.
        beam, count: the beam search, and how many of its captions of an image the measure compares.
        weights: the CRC-32 of the captioner's weights; None if unknown.
        max_length: the most words of a caption, its end included; None if unknown.

    >>> calibration = Calibration.fitted("likelihood", [-2.0, -1.5, -1.0, -0.5], [0.1, 0.3, 0.2, 0.9], Beam(5), 5)
    >>> calibration.of_measure([-2.0, -0.5]).round(2)
    array([0.07, 0.75])
    """

    measure: str
    centre: float
    spread: float
    slope: float
    intercept: float
    unsure_below: float
    beam: Beam = field(default_factory=Beam)
    count: int = 5
    weights: int | None = None
    max_length: int | None = None

    def __post_init__(self) -> None:
        check_values(vars(self), {
            "measure": among(MEASURES), "centre": FINITE, "spread": POSITIVE, "slope": NOT_NEGATIVE,
            "intercept": FINITE, "unsure_below": UNIT, "count": int_from(1, MOST), "max_length": optional(COUNT),
        })  # fmt: skip

    @classmethod
    def fitted(
        cls,
        measure: str,
        raw: ArrayLike,
        shares: ArrayLike,
        beam: Beam,
        count: int,
        unsure: float = 0.2,
        max_length: int | None = None,
    ) -> Calibration:
        """Fit a calibration to captions with measures raw (n,) and known shares (n,) from 0 to 1, n at least 2.

        unsure: the share of captions to count as unsure. If a measure falls as captions get better, every confidence is
        the mean share.
        """
        check_values({"unsure": unsure}, {"unsure": UNIT})
        x, y = np.asarray(raw, np.float64), np.asarray(shares, np.float64)
        centre, spread = float(x.mean()), float(x.std()) or 1.0
        slope, intercept = _logistic((x - centre) / spread, y)
        if slope < 0:
            slope, intercept = 0.0, _logistic(np.zeros(len(x)), y)[1]
        made = cls(measure, centre, spread, slope, intercept, 0.0, beam, count, max_length=max_length)
        return replace(made, unsure_below=float(np.quantile(made.of_measure(x), unsure)))

    def of_measure(self, raw: ArrayLike) -> Floats:
        """Return the confidence for each measure."""
        return _sigmoid(self.slope * (np.asarray(raw, np.float64) - self.centre) / self.spread + self.intercept)

    def with_confidence(self, beams: Beams) -> list[Caption]:
        """Add the confidence to the captions of one image, which `n_best` found with this calibration's beam.

        The calibration was fitted on the best captions only, so the confidence of the others is rough. A caption that
        was cut gets no confidence.
        """
        sure = self.of_measure([MEASURES[self.measure](beams, k) for k in range(len(beams))]).tolist()
        return [replace(each, confidence=c, unsure=c < self.unsure_below) if each.ended else each
                for each, c in zip(beams, sure, strict=True)]  # fmt: skip

    def applies_to(self, beam: Beam | None, max_length: int = LONGEST) -> bool:
        """Return whether it applies to captions of this beam with at most `max_length` words.

        The beam must be the calibration's. `max_length` must be at least the calibration's, or `LONGEST`.
        """
        return beam == self.beam and max_length >= min(self.max_length or 1, LONGEST)

    def decode(
        self, model: CaptionModel, features: ArrayLike, max_length: int = LONGEST, count: int = 1
    ) -> list[list[Caption]]:
        """Return what `n_best` finds with this calibration's beam; the first `self.count` captions get a confidence."""
        lists = n_best(model, features, max(count, self.count), max_length=max_length, **vars(self.beam))
        return [[*self.with_confidence(each[: self.count]), *each[self.count :]][:count] for each in lists]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write confidence.json into a run folder, with the checksum of its weights."""
        known = replace(self, weights=crc32_of(Path(folder) / _WEIGHTS))
        with replacing(Path(folder) / CONFIDENCE_FILE, durable=True) as temporary:
            temporary.write_text(json.dumps(asdict(known), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        beam: Beam,
        max_length: int = LONGEST,
        warn: Callable[[str], Any] = warnings.warn,
    ) -> Calibration | None:
        """Return the calibration of a run folder, or None if it does not apply to its weights or to such captions.

        warn: called with a message if the calibration was made for other weights.

        Raises:
            DataError: if the file is damaged.
        """
        path = Path(folder) / CONFIDENCE_FILE
        if not os.path.lexists(path):
            return None
        text = read_text(path)
        try:
            content: Mapping[str, Any] = json.loads(text)
            made = cls(**{**content, "beam": Beam.from_json(content["beam"])})
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}: is not a calibration ({error}). Run captioning calibrate again.") from error
        if made.weights != crc32_of(Path(folder) / _WEIGHTS):
            warn(f"{path}: is ignored, because it was made for other weights. Run captioning calibrate again.")
            return None
        return made if made.applies_to(beam, max_length) else None


def _logistic(x: Floats, y: Floats) -> tuple[float, float]:
    """Return the slope and intercept of the likeliest c(x) for shares y, by Newton's method with a small ridge."""
    columns, w = np.stack([x, np.ones(len(x))], axis=1), np.zeros(2)
    for _ in range(_STEPS):
        c = _sigmoid(columns @ w)
        gradient = columns.T @ (c - y) + _RIDGE * w
        curvature = columns.T @ (columns * (c * (1 - c))[:, None]) + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        w -= step * min(1.0, 2.0 / float(np.abs(step).max(initial=1e-12)))  # far from the solution, steps are too long
        if np.abs(step).max() < 1e-10:
            break
    return float(w[0]), float(w[1])


def _sigmoid(z: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)))


def calibrate(
    model: CaptionModel,
    split: Split,
    beam: Beam,
    count: int = 5,
    unsure: float = 0.2,
    max_length: int | None = None,
    max_images: int | None = None,
    progress: Progress = SILENT,
) -> tuple[Calibration, dict[str, Any]]:
    """Fit a calibration to a model's captions by a beam, and test it.

    It uses the measure that correlates best with CIDEr-D on the first half of the images. max_images: the most images
    of each half, drawn at random.

    Returns:
        The calibration, and a dict with

        - `human_cider_d`: the mean of one human caption against the others of its image;
        - `first` and `second`: Spearman's rho of each measure on each half, None where undefined;
        - figures of the second half: the mean `confidence` and `share`; their mean difference in ten bins, `error`; the
          share of `unsure` captions; the mean CIDEr-D of sure and unsure captions, `cider_d_sure` and `cider_d_unsure`.

    Raises:
        DataError: if there are fewer than `FEW_IMAGES` images, no image has two captions, or all captions have the same
            score or the same measures.
    """
    halves = {part: images_of_part(split, part, max_images) for part in ("first", "second")}
    if (number := sum(map(len, halves.values()))) < FEW_IMAGES:
        raise DataError(
            f"{split.folder}: {number} images of the {split.name} split are too few for a calibration, so none is "
            f"written. Use a split of at least {FEW_IMAGES} images, with at least {FEW_IMAGES // 2} in each half."
        )
    references = split.references_by_image()
    frequencies = DocumentFrequencies.of(references)
    human = human_cider_d(references, frequencies, progress)
    length = length_for(split) if max_length is None else max_length
    raw, scores, rhos = {}, {}, {}
    for part, images in halves.items():
        found: list[list[Caption]] = []
        progress.begin(len(images), what="captions of images")
        for start in range(0, len(images), _BLOCK):
            features = split.features[images[start : start + _BLOCK]]
            found += n_best(model, features, count, max_length=length, **vars(beam))
            progress.update(len(found))
        raw[part] = {name: np.array([measure(each, 0) for each in found]) for name, measure in MEASURES.items()}
        judge = CiderD([references[i] for i in images], frequencies)
        scores[part] = judge.score_many(np.arange(len(found)), [each[0].words for each in found])
        rhos[part] = {name: spearman(measures, scores[part]) for name, measures in raw[part].items()}
    if not np.isfinite(list(rhos["first"].values())).any():
        raise DataError(f"{split.folder}: a calibration needs captions of different quality, but those of the first "
                        f"half of the {split.name} split have equal scores or equal probabilities")  # fmt: skip
    best = max(rhos["first"], key=lambda name: np.nan_to_num(rhos["first"][name], nan=-2.0))
    share = {part: np.minimum(each / human, 1.0) if human > 0 else 0 * each for part, each in scores.items()}
    made = Calibration.fitted(best, raw["first"][best], share["first"], beam, count, unsure, length)
    sure, second = made.of_measure(raw["second"][best]), scores["second"]
    bins = np.array_split(np.argsort(sure, kind="stable"), min(10, len(sure)))
    low = sure < made.unsure_below
    figures: dict[str, Any] = {"human_cider_d": human}
    for part, rho_of in rhos.items():  # JSON has no NaN
        figures[part] = {name: rho if np.isfinite(rho) else None for name, rho in rho_of.items()}
    return made, figures | {
        "confidence": float(sure.mean()),
        "share": float(share["second"].mean()),
        "error": float(np.mean([abs(sure[each].mean() - share["second"][each].mean()) for each in bins])),
        "cider_d_sure": None if low.all() else float(second[~low].mean()),
        "cider_d_unsure": float(second[low].mean()) if low.any() else None,
        "unsure": float(low.mean()),
    }


def human_cider_d(
    references: Sequence[Sequence[Sequence[str]]], frequencies: DocumentFrequencies, progress: Progress = SILENT
) -> float:
    """Return the mean CIDEr-D of a human caption against the others of its image, over images with at least two."""
    several = [captions for captions in references if len(captions) > 1]
    if not several:
        raise DataError("no image has two human captions, so the score of a human caption is unknown")
    means = [
        cider_d([[*captions[:k], *captions[k + 1 :]] for k in range(len(captions))], list(captions), frequencies)[0]
        for captions in progress.track(several, "human captions of images")
    ]
    return float(np.mean(means))


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Return Spearman's rank correlation of two lists (n,), from -1 to 1; NaN where it is undefined.

    Equal numbers share the mean of their ranks, as in SciPy, which is not a dependency.

    >>> spearman([0.1, 0.2, 0.9], [-5, 7, 8])
    1.0
    """
    if np.shape(x) != np.shape(y) or np.ndim(x) != 1:
        raise ValueError(f"spearman: needs two lists of the same length; got shapes {np.shape(x)} and {np.shape(y)}")
    centred = []
    for values in (x, y):
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(counts) - (counts + 1) / 2)[which]
        centred.append(ranks - ranks.mean() if len(ranks) else ranks)
    a, b = centred
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 0 else float("nan")
