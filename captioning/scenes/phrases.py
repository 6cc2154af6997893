"""Which words and pairs of neighbouring words tell what a picture shows, by its captions alone.

Captions of one picture that are told by different sentences still agree on what is there: "dog" and "red dog" come
again, "is" and "there is" as it happens. Of a phrase that stands in a caption, let a be the chance that it stands in
another one of the same picture, and p that it stands in any caption at all. A phrase is told of pictures if a is large,
and much larger than p.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["phrases_of", "shown", "told_again"]

_AGAIN = 0.3  # the least a; a phrase then stands in some of five captions with 1 - 0.7^5 = 0.83 where it is true
_LIFT = 3.0  # the least a / p


def phrases_of(caption: str) -> set[str]:
    """The words of a caption and its pairs of neighbouring words.

    >>> sorted(phrases_of("a red dog"))
    ['a', 'a red', 'dog', 'red', 'red dog']
    """
    words = caption.split()
    return {*words, *(" ".join(pair) for pair in pairwise(words))}


def told_again(captions: Sequence[Sequence[str]], least: int = 20) -> list[str]:
    """The phrases that tell what pictures show, in alphabetical order; captions has those of each picture.

    least: in how many captions a phrase must stand. There are none if no picture has two captions.

    >>> told_again([["a dog", "the dog"], ["a cat", "the cat"], ["a cup", "a cup"], ["the hat", "a hat"]], least=2)
    ['a cup', 'cat', 'cup', 'dog', 'hat']
    """
    told: Counter[str] = Counter()  # in how many captions a phrase stands
    again: dict[str, float] = defaultdict(float)  # the same, each as the share of the picture's others that have it too
    for own in captions:
        counts = Counter(phrase for caption in own for phrase in phrases_of(caption))
        for phrase, count in counts.items():
            told[phrase] += count
            again[phrase] += count * (count - 1) / max(len(own) - 1, 1)
    total = sum(map(len, captions))
    return sorted(
        phrase
        for phrase, count in told.items()
        if count >= least and again[phrase] >= max(_AGAIN, _LIFT * count / total) * count
    )


def shown(captions: Sequence[Iterable[str]], phrases: Sequence[str]) -> NDArray[np.float32]:
    """Whether a picture's captions have each phrase: 1 or 0, float32 (pictures, phrases).

    >>> shown([["a dog", "the dog"], ["a cat"]], ["a dog", "cat"])
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    column = {phrase: i for i, phrase in enumerate(phrases)}
    found = np.zeros((len(captions), len(phrases)), np.float32)
    for row, own in enumerate(captions):
        for caption in own:
            found[row, [column[phrase] for phrase in phrases_of(caption) if phrase in column]] = 1
    return found
