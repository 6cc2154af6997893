"""A caption and what was thought while it was said: how likely each word was, and where the model looked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.decoding.batches import Ids
from captioning.decoding.next_word import NextWord

__all__ = ["Spoken", "retell", "spoken_as_json"]


@dataclass(frozen=True, eq=False)
class Spoken:
    """A caption and what was thought while it was said.

    Attributes:
        words: without `<END>`.
        log_probs: float64 (len(words) + 1,), of each word and of `<END>`; of a caption that was cut, of its
            words alone.
        score: what captions are ranked by, the sum of `log_probs` divided by their number to the beam's length power.
        ended: whether `<END>` was said.
        looks: float32 (len(words), places), where the model looked for each word, rows summing to 1; None for one
            that sees no places.
        confidence: from 0 to 1, see `captioning.decoding.confidence`; None where nobody knows.

    >>> Spoken(["a", "dog"], np.log([0.5, 0.5, 1.0]), -0.46, True).caption
    'a dog'
    """

    words: list[str]
    log_probs: NDArray[np.float64]
    score: float
    ended: bool
    looks: NDArray[np.float32] | None = None
    confidence: float | None = None

    @property
    def caption(self) -> str:
        """The words, with spaces between them."""
        return " ".join(self.words)


def spoken_as_json(spoken: Spoken, digits: int = 6) -> dict[str, Any]:
    """A caption with the probabilities of its words and of its end, None if it was cut, ready for JSON.

    digits: behind the point, of every number.

    >>> told = spoken_as_json(Spoken(["dog"], np.log([0.5, 0.25]), -1.0397, True), 2)
    >>> told["score"], told["words"], told["end"]
    (-1.04, [{'word': 'dog', 'probability': 0.5}], 0.25)
    """
    probabilities = [round(float(p), digits) for p in np.exp(spoken.log_probs)]
    count = len(spoken.words)
    words = [{"word": word, "probability": p} for word, p in zip(spoken.words, probabilities[:count], strict=True)]
    return {"caption": spoken.caption, "score": round(float(spoken.score), digits), "ended": spoken.ended,
            "words": words, "end": probabilities[count] if spoken.ended else None}  # fmt: skip


def retell(next_word: NextWord, features: NDArray[Any], captions: Ids, power: float = 1.0) -> list[list[Spoken]]:
    """Say given captions int32 (N,S,L), S of each image with features (N,D), once more, listening to every word.

    They are as decoding gives them: ids, without `<START>`, `<NULL>` at the end. A row of `<NULL>` alone is no caption.
    power: the length power of scores.
    """
    S = captions.shape[1]
    rows = captions.reshape(-1, captions.shape[2])
    log_probs, looks = _listen(next_word, features, rows)
    lengths = (rows != next_word.vocabulary.null).sum(axis=1)
    end, tokens = next_word.vocabulary.end, next_word.vocabulary.tokens
    told: list[list[Spoken]] = [[] for _ in range(len(captions))]
    for k in np.flatnonzero(lengths):
        own, n = log_probs[k, : lengths[k]], int(lengths[k])
        words = tokens(rows[k], keep_unknown=True)
        seen = None if looks is None else looks[k, : len(words)].copy()
        told[k // S].append(Spoken(words, own.copy(), float(own.sum() / n**power), bool(rows[k, n - 1] == end), seen))
    return told


def _listen(
    next_word: NextWord, features: NDArray[Any], rows: Ids
) -> tuple[NDArray[np.float64], NDArray[np.float32] | None]:
    """Of captions (C,L), C / N of each image: the log-probabilities (C,L) of the words, and the looks (C,L,places).

    Entries behind a caption's end are 0.
    """
    null, (C, L) = next_word.vocabulary.null, rows.shape
    log_probs, looks = np.zeros((C, L)), None
    words, state = next_word.start(features)
    together = np.repeat(np.arange(len(features)), C // max(1, len(features)))
    going = np.flatnonzero((rows != null).any(axis=1))
    words, state = words[together[going]], tuple(s[together[going]] for s in state)
    for t in range(L):
        scores, state = next_word.scores(words, state)
        words = rows[going, t]
        log_probs[going, t] = _log_softmax_at(scores, words)
        look = next_word.looks(state)
        if look is not None:
            looks = np.zeros((C, L, look.shape[1]), np.float32) if looks is None else looks
            looks[going, t] = look
        on = np.flatnonzero(rows[going, t + 1] != null) if t + 1 < L else np.zeros(0, np.intp)
        if not on.size:
            break
        going, words, state = going[on], words[on], tuple(s[on] for s in state)
    return log_probs, looks


def _log_softmax_at(scores: NDArray[Any], words: NDArray[Any]) -> NDArray[np.float64]:
    """log(exp(s_w) / sum_v exp(s_v)) of scores (C,V) for one word w each; what is barred, at -inf, takes no part."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    at: NDArray[np.float64] = shifted[np.arange(len(words)), words] - np.log(np.exp(shifted).sum(axis=1))
    return at
