"""From a photo to what the page shows: captions, how sure of each word the captioner is, and where it looked.

An answer is a dict that becomes JSON:

| key | holds |
|---|---|
| `caption` | the best beam's |
| `confidence` | the best beam's, from 0 to 1, or null |
| `unsure` | whether the captioner is not sure of the best beam; false where nobody knows |
| `beams` | a list, best first, of `caption`, `score`, `confidence`, `ended`, `words` and `end` |
| `grid` | rows and columns of the places that were looked at, or null |
| `milliseconds` | that it took to read the photo and to caption it |

Beams are ranked by `score`. The grid covers the largest square in the photo's middle. `words` are a list of `word`,
`probability` and `look`, a number a place, row by row, whose sum is 1, or null. `end` is the probability with which the
caption ends where it does, or null if it was cut.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.captions import ScoredCaption, caption_as_json, n_best
from captioning.evaluation.calibration import Calibration
from captioning.models.kinds import AnyCaptioner
from captioning.vision.extractors import FeatureExtractor

__all__ = ["Answering", "as_json"]

_DIGITS = 4  # behind the point: a page shows per cent


def as_json(beams: Sequence[ScoredCaption], grid: tuple[int, int], unsure: bool = False) -> dict[str, Any]:
    """The answer to a photo, but for the time it took. beams: at least one, as a beam search always finds.

    grid: (h, w), how many places there are if looks are there.

    >>> beam = ScoredCaption(["dog"], np.log([0.5, 0.75]), -0.49, True)
    >>> answer = as_json([beam], (7, 7))
    >>> answer["caption"], answer["beams"][0]["words"], answer["beams"][0]["end"]
    ('dog', [{'word': 'dog', 'probability': 0.5, 'look': None}], 0.75)
    """
    looked = any(beam.attention is not None for beam in beams)
    told = [_beam_as_json(beam) for beam in beams]
    best = told[0]
    return {
        "caption": best["caption"],
        "confidence": best["confidence"],
        "unsure": unsure,
        "beams": told,
        "grid": list(grid) if looked else None,
    }


def _beam_as_json(beam: ScoredCaption) -> dict[str, Any]:
    told = caption_as_json(beam, _DIGITS)
    looks = (
        [None] * len(beam.words) if beam.attention is None else np.round(beam.attention.astype(float), _DIGITS).tolist()
    )
    words = [word | {"look": look} for word, look in zip(told["words"], looks, strict=True)]
    confidence = None if beam.confidence is None else round(float(beam.confidence), _DIGITS)
    return told | {"confidence": confidence, "words": words}


class Answering:
    """Answers photo files' contents with what a captioner says, as the page's head describes it.

    model: in evaluation mode, trained on features of `network`. calibration: of this model, by whose beam it then
    speaks; None where nobody knows how sure it may be. read: turns a file's content into RGB uint8 (H, W, 3),
    whose shorter side has at least so many pixels, or raises a PhotoError.
    """

    def __init__(
        self,
        model: AnyCaptioner,
        network: FeatureExtractor,
        read: Callable[[bytes, int], NDArray[np.uint8]],
        calibration: Calibration | None = None,
    ) -> None:
        self.model, self.network, self.read, self.calibration = model, network, read, calibration

    def __call__(self, content: bytes) -> dict[str, Any]:
        """The answer. Raises a PhotoError where the content is no photo."""
        began = time.perf_counter()
        beams = self._beams(self.read(content, 2 * self.network.side))
        unsure = self.calibration is not None and self.calibration.is_unsure(beams[0])
        answer = as_json(beams, self.network.grid, unsure)
        return {**answer, "milliseconds": round(1000 * (time.perf_counter() - began))}

    def rehearse(self) -> None:
        """Caption a black photo: what is made when it is first used is made then."""
        self._beams(np.zeros((self.network.side, self.network.side, 3), np.uint8))

    def _beams(self, photo: NDArray[np.uint8]) -> list[ScoredCaption]:
        features = self.network.features(self.network.prepare(photo)[None])
        speak = n_best if self.calibration is None else self.calibration.decode
        return speak(self.model, features)[0]
