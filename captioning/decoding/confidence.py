"""How sure a captioner is of a caption: what the beam says of it, as a share of how good a person's caption is.

A *measure* is a number of one caption of a beam, the higher the surer. `Calibration` turns it into a confidence,

    c(x) = 1 / (1 + exp(-(a (x - m) / s + b))),    a >= 0,

the expected score of a caption of measure x as a share of that of a person's, 1 at most. a and b maximise
sum_i y_i log c(x_i) + (1 - y_i) log(1 - c(x_i)) over captions whose share y_i is known, m and s are mean and deviation
of their measures; then the mean of c is that of y. Two numbers are learnt from some hundred captions, whose scores are
noisy, better than a curve. Source: J. Platt, Probabilistic outputs for support vector machines (1999).
"""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import DataError
from captioning.decoding.beam_search import Beam
from captioning.decoding.best_lists import check_best, n_best
from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import Speaker
from captioning.decoding.rules import Rules
from captioning.decoding.spoken import Spoken
from captioning.storage import crc32_of
from minigrad.runtime.files import irregular, replacing

__all__ = ["CONFIDENCE_FILE", "MEASURES", "Calibration"]

CONFIDENCE_FILE = "confidence.json"
"""The name of a calibration's file in a run folder."""

_WEIGHTS = "weights.safetensors"
_STEPS = 50  # of Newton's method, which needs about five
_RIDGE = 1e-3  # of a caption: where measures part good captions from bad ones, a has a limit all the same


def _likelihood(beams: Sequence[Spoken], k: int) -> float:
    return float(beams[k].log_probs.mean())


def _probability(beams: Sequence[Spoken], k: int) -> float:
    return float(beams[k].log_probs.sum())


def _weakest(beams: Sequence[Spoken], k: int) -> float:
    return float(beams[k].log_probs.min())


def _margin(beams: Sequence[Spoken], k: int) -> float:
    others = [other.score for j, other in enumerate(beams) if j != k]
    return beams[k].score - max(others) if others else 0.0


def _agreement(beams: Sequence[Spoken], k: int) -> float:
    """The mean over the other captions, weighted by their probabilities."""
    others = [other for j, other in enumerate(beams) if j != k]
    if not others:
        return 1.0
    logs = np.array([other.log_probs.sum() for other in others])
    weights = np.exp(logs - logs.max())
    return float(np.average([_overlap(beams[k].words, other.words) for other in others], weights=weights))


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of words, and of pairs of words, that two captions have in common: F1, from 0 to 1."""
    common = total = 0
    for n in (1, 2):
        a, b = (Counter(zip(*(words[k:] for k in range(n)), strict=False)) for words in (one, other))
        common += 2 * (a & b).total()
        total += a.total() + b.total()
    return common / total if total else 1.0


MEASURES: dict[str, Callable[[Sequence[Spoken], int], float]] = {
    "likelihood": _likelihood, "probability": _probability, "weakest": _weakest, "margin": _margin,
    "agreement": _agreement,
}  # fmt: skip
"""Measures of caption k of a beam, by name: the mean log-probability of its words and its end; the sum; the least; how
much better its score is than that of the next; how much it has in common with the others."""


@dataclass(frozen=True)
class Calibration:
    """What a measure of a beam's captions says of how good they are; `fitted` makes one.

    Attributes:
        measure: a name of `MEASURES`.
        centre, spread, slope, intercept: m, s, a and b of the formula above.
        unsure_below: the confidence below which a caption is one that the captioner is not sure of.
        beam, count: the measure is of captions of such a beam, beside each other so many.
        weights: CRC-32 of the weights that spoke; None if nobody knows.
        max_length: the most words that those captions could have, their end counted as one; None if nobody knows.

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
        if self.measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}; got {self.measure!r}")
        for name in ("centre", "spread", "slope", "intercept", "unsure_below"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number; got {value!r}")
        if self.spread <= 0 or self.slope < 0 or not 0 <= self.unsure_below <= 1:
            raise ValueError("spread must be above 0, slope at least 0 and unsure_below from 0 to 1; got "
                             f"{self.spread}, {self.slope} and {self.unsure_below}")  # fmt: skip
        check_best(self.count)
        if self.max_length is not None and (type(self.max_length) is not int or self.max_length < 1):
            raise ValueError(f"max_length must be an int of at least 1, or null; got {self.max_length!r}")

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
        """The calibration of captions with measures raw (n,) and known shares (n,) from 0 to 1, n at least 2.

        unsure: the share of such captions, the lowest ones, of which it says that it is not sure. Where the measure
        rises as captions get worse, it says nothing, and every confidence is the mean share.
        """
        x, y = np.asarray(raw, np.float64), np.asarray(shares, np.float64)
        if x.shape != y.shape or x.ndim != 1 or len(x) < 2:
            raise ValueError(f"raw and shares must be as many, at least 2; got {x.shape} and {y.shape}")
        if not (np.isfinite(x).all() and ((y >= 0) & (y <= 1)).all()):
            raise ValueError("raw must be finite, and shares from 0 to 1")
        if not 0 <= unsure <= 1:
            raise ValueError(f"unsure must be from 0 to 1; got {unsure!r}")
        centre, spread = float(x.mean()), float(x.std()) or 1.0
        slope, intercept = _logistic((x - centre) / spread, y)
        if slope < 0:
            slope, intercept = 0.0, _logistic(np.zeros(len(x)), y)[1]
        made = cls(measure, centre, spread, slope, intercept, 0.0, beam, count, max_length=max_length)
        return replace(made, unsure_below=float(np.quantile(made.of_measure(x), unsure)))

    def of_measure(self, raw: ArrayLike) -> NDArray[np.float64]:
        """The confidence of measures."""
        z = self.slope * (np.asarray(raw, np.float64) - self.centre) / self.spread + self.intercept
        return _sigmoid(z)

    def judged(self, beams: Sequence[Spoken]) -> list[Spoken]:
        """The captions of one image, as `n_best` gives them with this calibration's beam, with their confidence.

        It was fitted on first captions; of the others it is a guess, and of one that was cut it says nothing.
        """
        measure = MEASURES[self.measure]
        return [replace(each, confidence=float(self.of_measure(measure(beams, k)))) if each.ended else each
                for k, each in enumerate(beams)]  # fmt: skip

    def counts_for(self, beam: Beam | None, max_length: int = LONGEST) -> bool:
        """Whether it says anything of captions by a beam of at most so many words: the beam must be its own, and the
        captions may get as long as those that it is of, or as `LONGEST`."""
        return beam == self.beam and max_length >= min(self.max_length or 1, LONGEST)

    def is_unsure(self, spoken: Spoken) -> bool:
        """Whether a judged caption is one that the captioner is not sure of."""
        return spoken.confidence is not None and spoken.confidence < self.unsure_below

    def speak(self, model: Speaker, features: ArrayLike, max_length: int = LONGEST) -> list[list[Spoken]]:
        """`n_best` by the beam that the calibration is of, judged."""
        lists = n_best(model, features, self.count, max_length=max_length, **vars(self.beam))
        return [self.judged(beams) for beams in lists]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write confidence.json in a run folder, with the fingerprint of the weights that are there."""
        known = replace(self, weights=crc32_of(Path(folder) / _WEIGHTS))
        with replacing(Path(folder) / CONFIDENCE_FILE, durable=True) as temporary:
            temporary.write_text(json.dumps(asdict(known), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Calibration | None:
        """The calibration of a run folder, None if it has none; one that is damaged is a DataError."""
        path = Path(folder) / CONFIDENCE_FILE
        if found := irregular(path):
            raise DataError(f"{path}: is {found}, not a regular file")
        if not path.exists():
            return None
        try:
            return cls(**_arguments(json.loads(path.read_text(encoding="utf-8"))))
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise DataError(f"{path}: is no calibration ({error}): captioning calibrate makes it anew") from error

    def is_of(self, folder: str | os.PathLike[str]) -> bool:
        """Whether it was fitted on the weights that are in a run folder now."""
        return self.weights == crc32_of(Path(folder) / _WEIGHTS)


def _arguments(content: Any) -> Mapping[str, Any]:
    """What the file says, as arguments of a `Calibration`."""
    if not isinstance(content, dict):
        raise ValueError(f"it must be an object; it is a {type(content).__name__}")
    beam = dict(content["beam"])
    return content | {"beam": Beam(**beam | {"rules": Rules(**beam["rules"])})}


def _logistic(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Slope and intercept of the likeliest c(x) for shares y by Newton's method, with a little pull towards 0."""
    columns, w = np.stack([x, np.ones(len(x))], axis=1), np.zeros(2)
    for _ in range(_STEPS):
        c = _sigmoid(columns @ w)
        gradient = columns.T @ (c - y) + _RIDGE * w
        curvature = columns.T @ (columns * (c * (1 - c))[:, None]) + _RIDGE * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        w -= step * min(1.0, 2.0 / float(np.abs(step).max(initial=1e-12)))  # far away its steps are too long
        if np.abs(step).max() < 1e-10:
            break
    return float(w[0]), float(w[1])


def _sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    half: NDArray[np.float64] = 0.5 * (1 + np.tanh(z / 2))
    return half
