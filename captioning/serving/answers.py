"""From a photo to what the page shows: captions, how sure of each word the captioner is, and where it looked.

An answer is a dict that becomes JSON:

| key | holds |
|---|---|
| `caption` | the best beam's |
| `confidence` | the best beam's, from 0 to 1, or null |
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
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.lengths import LONGEST
from captioning.decoding.next_word import NextWord
from captioning.models.kinds import AnyCaptioner
from captioning.vision.extractors import FeatureExtractor

__all__ = ["Answering", "Spoken", "as_json", "spoken"]

_DIGITS = 4  # behind the point: a page shows per cent


@dataclass(frozen=True)
class Spoken:
    """A caption and what was thought while it was said.

    Attributes:
        words: without `<END>`.
        log_probs: float64 (len(words) + 1,), of each word and of `<END>`; of a caption that was cut, of its words.
        score: what captions are ranked by, the mean of `log_probs`.
        ended: whether `<END>` was said.
        looks: float32 (len(words), places), where the model looked at each word; None for one that sees no places.
        confidence: from 0 to 1; None where nobody knows.
    """

    words: list[str]
    log_probs: NDArray[np.float64]
    score: float
    ended: bool
    looks: NDArray[np.float32] | None = None
    confidence: float | None = None


def spoken(model: AnyCaptioner, features: NDArray[Any], max_length: int = LONGEST) -> list[Spoken]:
    """What a model says of one image with features (1, D), best first: the likeliest word at every step."""
    next_word = NextWord(model, spoken=max_length)
    words, state = next_word.start(features)
    said: list[int] = []
    log_probs: list[float] = []
    while len(log_probs) < max_length:
        scores, state = next_word.scores(words, state)
        words = scores.argmax(axis=1)
        log_probs.append(_log_softmax(scores[0])[words[0]])
        if words[0] == model.vocabulary.end:
            break
        said.append(int(words[0]))
    tokens = model.vocabulary.tokens(said, keep_unknown=True)
    return [Spoken(tokens, np.array(log_probs), float(np.mean(log_probs)), len(log_probs) > len(said))]


def _log_softmax(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """log(exp(s_i) / sum_j exp(s_j)) of scores (V,); of words that are barred, whose score is -inf, it is -inf."""
    shifted = scores.astype(np.float64) - scores.max()
    log_probs: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return log_probs


def as_json(beams: Sequence[Spoken], grid: tuple[int, int]) -> dict[str, Any]:
    """The answer to a photo, but for the time it took. grid: (h, w), how many places there are if looks are there.

    >>> beam = Spoken(["dog"], np.log([0.5, 0.75]), -0.49, True)
    >>> answer = as_json([beam], (7, 7))
    >>> answer["caption"], answer["beams"][0]["words"], answer["beams"][0]["end"]
    ('dog', [{'word': 'dog', 'probability': 0.5, 'look': None}], 0.75)
    """
    looked = any(beam.looks is not None for beam in beams)
    told = [_beam_as_json(beam) for beam in beams]
    best = told[0]
    return {
        "caption": best["caption"],
        "confidence": best["confidence"],
        "beams": told,
        "grid": list(grid) if looked else None,
    }


def _beam_as_json(beam: Spoken) -> dict[str, Any]:
    probabilities = [round(float(p), _DIGITS) for p in np.exp(beam.log_probs)]
    looks = [None] * len(beam.words) if beam.looks is None else np.round(beam.looks.astype(float), _DIGITS).tolist()
    words = [
        {"word": word, "probability": probability, "look": look}
        for word, probability, look in zip(beam.words, probabilities, looks, strict=False)  # `<END>` is no word
    ]
    return {
        "caption": " ".join(beam.words),
        "score": round(float(beam.score), _DIGITS),
        "confidence": None if beam.confidence is None else round(float(beam.confidence), _DIGITS),
        "ended": beam.ended,
        "end": probabilities[len(beam.words)] if beam.ended else None,
        "words": words,
    }


class Answering:
    """Answers photo files' contents with what a captioner says, as the page's head describes it.

    model: in evaluation mode, trained on features of `network`. read: turns a file's content into RGB uint8 (H, W, 3),
    whose shorter side has at least so many pixels, or raises a PhotoError.
    """

    def __init__(
        self, model: AnyCaptioner, network: FeatureExtractor, read: Callable[[bytes, int], NDArray[np.uint8]]
    ) -> None:
        self.model, self.network, self.read = model, network, read

    def __call__(self, content: bytes) -> dict[str, Any]:
        """The answer. Raises a PhotoError where the content is no photo."""
        began = time.perf_counter()
        beams = self._beams(self.read(content, 2 * self.network.side))
        return {**as_json(beams, self.network.grid), "milliseconds": round(1000 * (time.perf_counter() - began))}

    def rehearse(self) -> None:
        """Caption a black photo: what is made when it is first used is made then."""
        self._beams(np.zeros((self.network.side, self.network.side, 3), np.uint8))

    def _beams(self, photo: NDArray[np.uint8]) -> list[Spoken]:
        features = self.network.features(self.network.prepare(photo)[None])
        return spoken(self.model, features)
