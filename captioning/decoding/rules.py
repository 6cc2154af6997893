"""Rules that captions must obey: a least length, no repeated phrase, required words and banned words.

A rule changes no probability. It decides which captions count, and decoders look for the likeliest of those.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import check_values, int_from, optional
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.decoding.batches import Ids, Scores

__all__ = ["MOST_REQUIRED", "RuleMask", "Rules"]

MOST_REQUIRED = 5
"""The most required words: a beam for each set of them makes 32 beams."""


@dataclass(frozen=True)
class Rules:
    """The rules of a caption.

    min_length: the least number of words, the end included. no_repeat: the length of phrases that may not occur twice
    in a caption, 1 to forbid any repeated word; None allows all. required: words that it must contain, at most
    `MOST_REQUIRED`. banned: words that it must not contain.

    Raises:
        ValueError: for numbers below 1, a word that is both required and banned, or too many required words.

    >>> Rules(no_repeat=3, required=["dog"])
    Rules(min_length=1, no_repeat=3, required=('dog',), banned=())
    """

    min_length: int = 1
    no_repeat: int | None = None
    required: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_values(vars(self), {"min_length": int_from(1), "no_repeat": optional(int_from(1))})
        for name in ("required", "banned"):
            words: Any = getattr(self, name)
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise ValueError(f"{name} must be a list of words; got {words!r}")
            object.__setattr__(self, name, tuple(dict.fromkeys(words)))
        if both := [word for word in self.required if word in self.banned]:
            raise ValueError(f"required: {both[0]!r} is banned at the same time")
        if len(self.required) > MOST_REQUIRED:
            raise ValueError(f"required: at most {MOST_REQUIRED} words; got {len(self.required)}")


class RuleMask:
    """Rules in the words of a vocabulary, for captions of at most `max_length` words with `<END>`.

    `required` and `banned` are ids; `end` is the id of `<END>`.

    Raises:
        ValueError: for a word that the vocabulary does not have, or a length in which no caption can obey the rules.
    """

    def __init__(self, rules: Rules, vocabulary: Vocabulary, max_length: int) -> None:
        self.min_length, self.no_repeat, self.end = rules.min_length, rules.no_repeat, vocabulary.end
        self.required = _ids("required", rules.required, vocabulary)
        self.banned = _ids("banned", rules.banned, vocabulary)
        if max_length < rules.min_length:
            raise ValueError(f"min_length, {rules.min_length}, is more than max_length, {max_length}")
        if self.required.size >= max_length:
            raise ValueError(f"required: {self.required.size} words and the end do not fit into a max_length of "
                             f"{max_length}")  # fmt: skip
        if self.banned.size == len(vocabulary) - len(SPECIAL) and rules.min_length > 1:
            raise ValueError("banned: all words, and an end alone is shorter than min_length")

    def apply(self, scores: Scores, said: Ids) -> None:
        """Set scores (M,V) of forbidden next words to minus infinity, after the captions so far, (M,t) words each."""
        scores[:, self.banned] = -np.inf
        if said.shape[1] + 1 < self.min_length:
            scores[:, self.end] = -np.inf
        if self.no_repeat is not None and said.shape[1] >= self.no_repeat:
            rows, words = _repeated(said, self.no_repeat)
            scores[rows, words] = -np.inf


def _repeated(said: Ids, n: int) -> tuple[NDArray[np.intp], Ids]:
    """The rows of captions so far (M,t), and the words that would complete a phrase of n words for the second time."""
    t = said.shape[1]
    alike = np.ones((len(said), t - n + 1), dtype=bool)  # the n - 1 words from each place equal the last ones
    for k in range(n - 1):
        alike &= said[:, k : t - n + 1 + k] == said[:, t - n + 1 + k, None]
    rows, places = np.nonzero(alike)
    return rows, said[rows, places + n - 1]


def _ids(name: str, words: tuple[str, ...], vocabulary: Vocabulary) -> NDArray[np.intp]:
    for word in words:
        if word not in vocabulary or word in SPECIAL:
            near = difflib.get_close_matches(word, [w for w in vocabulary.idx_to_word if w not in SPECIAL], n=3)
            hint = f"; near it are {', '.join(near)}" if near else ""
            raise ValueError(f"{name}: {word!r} is no word of the captioner's, which has {len(vocabulary)}{hint}")
    return np.array([vocabulary.word_to_idx[word] for word in words], dtype=np.intp)
