"""The best captions of a beam, with the log-probability of each word and the attention to regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import check_values, int_from
from captioning.decoding.batches import LONGEST, CaptionModel, Ids, WordScorer, run_in_batches
from captioning.decoding.beam_search import Beam, search
from captioning.decoding.rules import RuleMask, Rules
from minigrad.runtime.threads import get_num_threads

__all__ = ["MOST", "Caption", "caption_as_json", "most_attended", "n_best", "score_captions"]

MOST = 100
"""The most captions of an image."""

_ALL = Rules()


@dataclass(frozen=True, eq=False)
class Caption:
    """A caption, with the log-probability and the attention of each word.

    Attributes:
        words: without `<END>`.
        log_probs: float64, of each word and of `<END>`, if the caption has ended.
        score: the sum of `log_probs` divided by their number to the beam's length power; ranks captions.
        ended: whether the caption has `<END>`.
        attention: float32, for each word the attention to each region, with the sum 1: (len(words), h, w) for the h x w
            places of a photo, (len(words), R) for the R regions of a data set; None without attention.
        confidence: from 0 to 1, see `captioning.evaluation.calibration`; None if unknown.
        unsure: whether the confidence is low; None if it is unknown.

    >>> caption = Caption(["a", "dog"], np.log([0.5, 0.25, 1.0]), -0.69, True)
    >>> caption.text, caption.probabilities
    ('a dog', array([0.5 , 0.25]))
    """

    words: list[str]
    log_probs: NDArray[np.float64] = field(repr=False)
    score: float
    ended: bool
    attention: NDArray[np.float32] | None = field(default=None, repr=False)
    confidence: float | None = None
    unsure: bool | None = None

    @property
    def text(self) -> str:
        """The words, with spaces between them."""
        return " ".join(self.words)

    @property
    def probabilities(self) -> NDArray[np.float64]:
        """The probability of each word, after the words before it: (len(words),)."""
        return np.asarray(np.exp(self.log_probs[: len(self.words)]))


def caption_as_json(caption: Caption, digits: int = 6) -> dict[str, Any]:
    """Return a caption as JSON values, with the probability of each word and of its end (None if it was cut).

    digits: the number of decimals.

    >>> found = caption_as_json(Caption(["dog"], np.log([0.5, 0.25]), -1.0397, True), 2)
    >>> found["score"], found["words"], found["end"]
    (-1.04, [{'word': 'dog', 'probability': 0.5}], 0.25)
    """
    probabilities = [round(float(p), digits) for p in np.exp(caption.log_probs)]
    words = [{"word": word, "probability": p} for word, p in zip(caption.words, probabilities, strict=False)]
    return {"caption": caption.text, "score": round(float(caption.score), digits), "ended": caption.ended,
            "words": words, "end": probabilities[-1] if caption.ended else None}  # fmt: skip


_PARTS = (("upper left", "top", "upper right"), ("left", "middle", "right"), ("lower left", "bottom", "lower right"))


def most_attended(attention: NDArray[Any]) -> tuple[int, int, str]:
    """Return the row and column of the place with the most attention in a map (h, w), and the part of the photo.

    >>> most_attended(np.eye(7)[5:])
    (0, 5, 'upper right')
    """
    (h, w), place = attention.shape, int(attention.argmax())
    row, column = divmod(place, w)
    return row, column, _PARTS[3 * (2 * row + 1) // (2 * h)][3 * (2 * column + 1) // (2 * w)]


def n_best(
    model: CaptionModel,
    features: ArrayLike,
    count: int = 5,
    width: int = 5,
    max_length: int = LONGEST,
    length_power: float = 1.0,
    allow_unknown: bool = False,
    groups: int = 1,
    diversity: float = 0.5,
    rules: Rules = _ALL,
) -> list[list[Caption]]:
    """Return the best `count` captions, from 1 to `MOST`, that a beam finds for each image, best first.

    There are fewer if the beam finds fewer. The captions of an image are different. Unfinished ones are returned only
    if none has ended. Other arguments and errors are those of `beam`, which returns the first caption.

    >>> from captioning.data.vocabulary import SPECIAL, Vocabulary
    >>> from captioning.models.captioner import Captioner
    >>> model = Captioner(Vocabulary([*SPECIAL, "a", "dog"]), 3, 4, 5, rng=0)
    >>> (beams,) = n_best(model, np.ones((1, 3)), count=3, rules=Rules(min_length=2, no_repeat=1))
    >>> [each.text for each in beams]
    ['a', 'a dog', 'dog']
    >>> len(beams[0].log_probs), beams[0].ended
    (2, True)
    """
    how = Beam(width, length_power, groups, diversity, rules)
    check_values({"count": count}, {"count": int_from(1, MOST)})
    mask = RuleMask(rules, model.vocabulary, max_length)
    found: list[list[Caption]] = [[] for _ in np.atleast_1d(features)]

    def decode(scorer: WordScorer, rows: NDArray[Any], batch: slice) -> None:
        captions = search(how, mask, scorer, rows, max_length, count)
        found[batch] = score_captions(scorer, rows, captions, length_power)

    run_in_batches(decode, model, features, max_length, allow_unknown, get_num_threads(), max(count, how.rows))
    return found


def score_captions(
    scorer: WordScorer, features: NDArray[Any], captions: Ids, power: float = 1.0
) -> list[list[Caption]]:
    """Score captions int32 (N,S,L), S of each image with features (N,D), word by word.

    The ids have no `<START>`, and `<NULL>` after the end. A row of only `<NULL>` is not a caption. power: the length
    power of scores.
    """
    (N, S, L), null, end = captions.shape, scorer.vocabulary.null, scorer.vocabulary.end
    rows = captions.reshape(N * S, L)
    log_probs, attention = np.zeros((N * S, L)), None
    words, state = scorer.start(features, S)
    going = np.arange(N * S)
    for t in range(L):
        on = np.flatnonzero(rows[going, t] != null)
        if not on.size:
            break
        going, words, state = going[on], words[on], tuple(s[on] for s in state)
        scores, state = scorer.scores(words, state)
        words = rows[going, t]
        log_probs[going, t] = _log_softmax_at(scores, words)
        maps = scorer.attention_maps(state)
        if maps is not None:
            attention = np.zeros((N * S, L, maps.shape[1]), np.float32) if attention is None else attention
            attention[going, t] = maps
    found: list[list[Caption]] = [[] for _ in range(N)]
    lengths = (rows != null).sum(axis=1).tolist()
    for k in np.flatnonzero(lengths).tolist():
        own, text = log_probs[k, : lengths[k]].copy(), scorer.vocabulary.tokens(rows[k], keep_unknown=True)
        maps = None if attention is None else attention[k, : len(text)].copy()
        score, ended = float(own.sum() / lengths[k] ** power), bool(rows[k, lengths[k] - 1] == end)
        found[k // S].append(Caption(text, own, score, ended, maps))
    return found


def _log_softmax_at(scores: NDArray[Any], words: NDArray[Any]) -> NDArray[np.float64]:
    """Return log(exp(s_w) / sum_v exp(s_v)) of scores (C,V) for words w (C,)."""
    shifted = scores.astype(np.float64) - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted[np.arange(len(words)), words] - np.log(np.exp(shifted).sum(axis=1)))
