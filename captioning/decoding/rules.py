"""Rules for captions: a minimum length, no doubled words, no repeated phrases, required words and banned words.

Rules do not change probabilities. They decide which captions are allowed, and decoders return the likeliest of these.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import FLAG, check_values, int_from, optional
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.decoding.batches import Ids, Scores

__all__ = ["MOST_REQUIRED", "RuleMask", "Rules"]

MOST_REQUIRED = 5
"""The most required words: each subset needs a beam, so five need 32 beams."""


@dataclass(frozen=True)
class Rules:
    """The rules for a caption.

    min_length: the smallest number of words, the end included. no_repeat: the length of phrases that may not occur
    twice, 1 for words; None allows repetition. required, banned: words that a caption must or must not contain; at most
    `MOST_REQUIRED` are required. doubled_words: whether a word may follow itself, alone or after "and": "black and
    black".

    Raises:
        ValueError: for numbers below 1, a word that is both required and banned, or too many required words.

    >>> Rules(no_repeat=3, required=["dog"])
    Rules(min_length=1, no_repeat=3, required=('dog',), banned=(), doubled_words=False)
    """

    min_length: int = 1
    no_repeat: int | None = None
    required: tuple[str, ...] = ()
    banned: tuple[str, ...] = ()
    doubled_words: bool = False

    def __post_init__(self) -> None:
        check_values(vars(self), {"min_length": int_from(1), "no_repeat": optional(int_from(1)), "doubled_words": FLAG})
        for name in ("required", "banned"):
            words: Any = getattr(self, name)
            if isinstance(words, str) or not all(isinstance(word, str) for word in words):
                raise ValueError(f"{name} must be a list of words; got {words!r}")
            object.__setattr__(self, name, tuple(dict.fromkeys(words)))
        if both := [word for word in self.required if word in self.banned]:
            raise ValueError(f"required: {both[0]!r} is also banned")
        if len(self.required) > MOST_REQUIRED:
            raise ValueError(f"required: at most {MOST_REQUIRED} words; got {len(self.required)}")


class RuleMask:
    """Applies rules to scores, for captions of at most `max_length` words with `<END>`.

    `required` and `banned` are ids, and `end` is the id of `<END>`.

    Raises:
        ValueError: for a word outside the vocabulary, or rules that no caption of this length can obey.
    """

    def __init__(self, rules: Rules, vocabulary: Vocabulary, max_length: int) -> None:
        self.min_length, self.no_repeat, self.end = rules.min_length, rules.no_repeat, vocabulary.end
        self.doubled_words, self._and = rules.doubled_words, vocabulary.word_to_idx.get("and", -1)
        self.required = _ids("required", rules.required, vocabulary)
        self.banned = _ids("banned", rules.banned, vocabulary)
        if max_length < rules.min_length:
            raise ValueError(f"min_length, {rules.min_length}, is more than max_length, {max_length}")
        if self.required.size >= max_length:
            raise ValueError(f"required: {self.required.size} words and the end do not fit into a max_length of "
                             f"{max_length}")  # fmt: skip
        if self.banned.size == len(vocabulary) - len(SPECIAL) and rules.min_length > 1:
            raise ValueError("banned: all words are banned, so no caption has min_length words")

    def apply(self, scores: Scores, prefixes: Ids) -> None:
        """Set the scores (M,V) of forbidden next words to minus infinity. prefixes: (M,t), the words so far."""
        scores[:, self.banned] = -np.inf
        if prefixes.shape[1] + 1 < self.min_length:
            scores[:, self.end] = -np.inf
        if self.no_repeat is not None and prefixes.shape[1] >= self.no_repeat:
            rows, words = _repeated(prefixes, self.no_repeat)
            scores[rows, words] = -np.inf
        if not self.doubled_words and prefixes.shape[1]:
            scores[np.arange(len(scores)), prefixes[:, -1]] = -np.inf
            rows = np.flatnonzero(prefixes[:, -1] == self._and)
            scores[rows, prefixes[rows, -2:][:, 0]] = -np.inf


def _repeated(prefixes: Ids, n: int) -> tuple[NDArray[np.intp], Ids]:
    """Return rows of prefixes (M,t), and words that would complete a phrase of n words for the second time."""
    t = prefixes.shape[1]
    equal = np.ones((len(prefixes), t - n + 1), dtype=bool)  # where the n - 1 words from a place equal the last ones
    for k in range(n - 1):
        equal &= prefixes[:, k : t - n + 1 + k] == prefixes[:, t - n + 1 + k, None]
    rows, places = np.nonzero(equal)
    return rows, prefixes[rows, places + n - 1]


def _ids(name: str, words: tuple[str, ...], vocabulary: Vocabulary) -> NDArray[np.intp]:
    for word in words:
        if word not in vocabulary or word in SPECIAL:
            near = difflib.get_close_matches(word, [w for w in vocabulary.idx_to_word if w not in SPECIAL], n=3)
            hint = f"; similar words are {', '.join(near)}" if near else ""
            raise ValueError(f"{name}: {word!r} is not one of the {len(vocabulary)} words of the captioner{hint}")
    return np.array([vocabulary.word_to_idx[word] for word in words], dtype=np.intp)
