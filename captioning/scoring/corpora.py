"""What all scores share: the form of references and hypotheses, and n-grams."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

__all__ = ["Corpus", "Tokens", "check_corpus", "ngrams_of"]

Tokens = Sequence[Hashable]
"""Words, or ids of words."""

Corpus = Sequence[Sequence[Tokens]]
"""References: a list of captions for each hypothesis, or for each image."""


def ngrams_of(tokens: Tokens, n: int) -> Iterator[tuple[Hashable, ...]]:
    """Return each run of n tokens, first to last, as a tuple.

    >>> list(ngrams_of(["a", "dog", "runs"], 2))
    [('a', 'dog'), ('dog', 'runs')]
    """
    return zip(*(tokens[k:] for k in range(n)), strict=False)


def check_corpus(name: str, references: Corpus, hypotheses: Sequence[Tokens]) -> None:
    """Raise an error that begins with the score's `name` unless each hypothesis has a non-empty list of references.

    A str where tokens are expected is a TypeError. Lengths that differ, an item without references, or no items at all
    are a ValueError.

    >>> check_corpus("rouge_l", [[["a", "dog"]], []], [["a", "dog"], ["a", "cat"]])
    Traceback (most recent call last):
    ValueError: rouge_l: item 1 has no references
    """
    for what, value in (("references", references), ("hypotheses", hypotheses)):
        if isinstance(value, str):
            raise TypeError(f"{name}: {what} must be a list; got a str")
    if len(references) != len(hypotheses):
        raise ValueError(
            f"{name}: references has {len(references)} items, hypotheses has {len(hypotheses)}; "
            "each hypothesis needs its own list of references"
        )
    if not len(hypotheses):
        raise ValueError(f"{name}: there are no hypotheses to score")
    for i, (item, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        if isinstance(item, str) or any(isinstance(tokens, str) for tokens in (hypothesis, *item)):
            raise TypeError(f"{name}: item {i} has a str where a list of tokens is expected: use tokenise() first")
        if not len(item):
            raise ValueError(f"{name}: item {i} has no references")
