"""Which captions may be said: no fewer words than so many, no phrase twice, words that must be there or must not.

A rule changes no probability. It says which captions count, and what is asked for is the likeliest of those; the
log-probability of a caption is the same under all rules that it keeps.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.decoding.next_word import Scores

__all__ = ["MOST_REQUIRED", "Bars", "Rules"]

MOST_REQUIRED = 5
"""Words that a caption may be made to have: a beam for each set of them is 32 beams."""


@dataclass(frozen=True)
class Rules:
    """What every caption keeps to.

    min_length: words of a caption, its end counted as one, as `max_length` counts them. no_repeat: of how many words
    no run stands twice in a caption, 1 to forbid any word twice; None to allow all. required: words that stand in it
    somewhere, at most `MOST_REQUIRED`. banned: words that do not.

    Raises:
        ValueError: for numbers below 1, a word that is both required and banned, or too many that are required.

    >>> Rules(no_repeat=3, required=["dog"])
    Rules(min_length=1, no_repeat=3, required=('dog',), banned=())
    """

    min_length: int = 1
    no_repeat: int | None = None
    required: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_least("min_length", self.min_length)
        if self.no_repeat is not None:
            _check_least("no_repeat", self.no_repeat)
        for name in ("required", "banned"):
            words: Any = getattr(self, name)
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise ValueError(f"{name} must be a list of words; got {words!r}")
            object.__setattr__(self, name, tuple(dict.fromkeys(words)))
        if both := [word for word in self.required if word in self.banned]:
            raise ValueError(f"required: {both[0]!r} is banned at the same time")
        if len(self.required) > MOST_REQUIRED:
            raise ValueError(f"required: at most {MOST_REQUIRED} words; got {len(self.required)}")


class Bars:
    """Rules of captions in the words of a vocabulary, at most `max_length` of them with `<END>`.

    `required` (c,) and `banned` are ids; `end` is that of `<END>`.

    Raises:
        ValueError: for a word that the vocabulary does not have, or a length in which no caption can keep to the rules.
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

    @property
    def any(self) -> bool:
        """Whether anything is barred."""
        return self.min_length > 1 or self.no_repeat is not None or bool(self.banned.size + self.required.size)

    def bar(self, scores: Scores, said: NDArray[np.int32]) -> None:
        """Put scores (M,V) of what may not follow the captions said so far, (M,t) words each, to minus infinity."""
        scores[:, self.banned] = -np.inf
        if said.shape[1] + 1 < self.min_length:
            scores[:, self.end] = -np.inf
        if self.no_repeat is not None and said.shape[1] >= self.no_repeat:
            rows, words = _that_repeat(said, self.no_repeat)
            scores[rows, words] = -np.inf


def _that_repeat(said: NDArray[np.int32], n: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """The rows of captions said so far (M,t), and the words that would end a run of n words that a row has already."""
    t = said.shape[1]
    alike = np.ones((len(said), t - n + 1), dtype=bool)  # the n - 1 words from each place are also the last ones
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


def _check_least(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1; got {value!r}")
