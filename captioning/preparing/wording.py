"""From captions to a vocabulary and to rows of word ids, and what is lost on the way."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captioning.data.errors import DataError
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.preparing.table import MOST_WORDS
from captioning.progress import Progress

__all__ = ["Wording", "WrittenSplit", "choose_words", "count_words", "encode_captions", "watched"]

COVERED = 0.99
"""The share of training captions that the default length holds whole."""

_BLOCK = 4096  # captions at once

Tokenizer = Callable[[str], list[str]]


@dataclass
class Wording:
    """How the training captions are worded: how often each word stands in them, and the words of each."""

    counts: Counter[str]
    lengths: NDArray[np.int32]  # (N,)

    def covering_length(self, share: float = COVERED) -> int:
        """The least number of words that so many of the captions do not exceed, at most `MOST_WORDS`.

        >>> Wording(Counter(), np.array([3, 9, 4, 5], np.int32)).covering_length(0.75)
        5
        """
        place = math.ceil(share * self.lengths.size) - 1
        return min(int(np.sort(self.lengths)[max(place, 0)]), MOST_WORDS)


@dataclass
class WrittenSplit:
    """What became of a split: images and captions, the words of these, words that are `<UNK>`, captions cut."""

    images: int = 0
    captions: int = 0
    words: int = 0
    unknown: int = 0
    cut: int = 0


def watched(tokenizer: Tokenizer, progress: Progress, total: int) -> Tokenizer:
    """The tokenizer, which tells `progress` how many of `total` captions it has split."""
    progress.begin(total)
    done = 0

    def words(caption: str) -> list[str]:
        nonlocal done
        done += 1
        if done % 256 == 0:
            progress.update(done)
        return tokenizer(caption)

    return words


def count_words(captions: Iterable[str], tokenizer: Tokenizer) -> Wording:
    """Count the words of the training captions."""
    counts: Counter[str] = Counter()
    lengths = array("i")
    for caption in captions:
        words = tokenizer(caption)
        counts.update(words)
        lengths.append(len(words))
    return Wording(counts, np.array(lengths, np.int32))


def choose_words(counts: Counter[str], min_count: int = 4, most: int | None = None) -> Vocabulary:
    """The special tokens, then words by falling frequency, of equally frequent ones the one met first.

    min_count: words that stand at least so often; with `most` instead the so many most frequent. A DataError if
    none is left. Of Flickr8k's training captions this is the vocabulary of its data set in the CS231n layout.

    >>> choose_words(Counter(["a", "dog", "runs", "a", "cat", "runs"]), min_count=2).idx_to_word
    ['<NULL>', '<START>', '<END>', '<UNK>', 'a', 'runs']
    """
    falling = counts.most_common(most)  # which keeps the order of equal ones
    words = [word for word, count in falling if most is not None or count >= min_count]
    if not words:
        raise DataError(
            f"no word stands {min_count} times or more in the training captions; choose a lower --min-count"
        )
    return Vocabulary([*SPECIAL, *words])


def encode_captions(
    captions: Iterable[str],
    tokenizer: Tokenizer,
    vocabulary: Vocabulary,
    max_length: int,
    told: WrittenSplit,
) -> Iterator[NDArray[np.int32]]:
    """Rows of the layout (N, max_length + 2) for the captions, some thousands at once; what is lost is added to `told`.

    A caption of more words than max_length is cut and ends in `<END>` all the same. Words behind the cut count as
    words, and as unknown if they are.
    """
    block: list[NDArray[np.int32]] = []
    for caption in captions:
        words = tokenizer(caption)
        told.captions += 1
        told.words += len(words)
        told.unknown += sum(word not in vocabulary for word in words)
        told.cut += len(words) > max_length
        block.append(vocabulary.encode_caption(words, max_length + 2))
        if len(block) == _BLOCK:
            yield np.array(block)
            block = []
    if block:
        yield np.array(block)
