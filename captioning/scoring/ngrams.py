"""Runs of n words, and how often a caption has each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator

from captioning.scoring.corpora import Tokens

__all__ = ["count_ngrams", "ngrams_of"]


def ngrams_of(tokens: Tokens, n: int) -> Iterator[tuple[Hashable, ...]]:
    """Each run of n tokens from the first to the last, as a tuple; none if there are fewer than n.

    >>> list(ngrams_of(["a", "dog", "runs"], 2))
    [('a', 'dog'), ('dog', 'runs')]
    """
    return zip(*(tokens[k:] for k in range(n)), strict=False)


def count_ngrams(tokens: Tokens, n: int) -> Counter[tuple[Hashable, ...]]:
    """How often each of them stands in the tokens.

    >>> count_ngrams([7, 8, 7], 1)
    Counter({(7,): 2, (8,): 1})
    """
    return Counter(ngrams_of(tokens, n))
