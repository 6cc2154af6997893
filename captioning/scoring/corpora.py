"""What all scores of a set of captions take: for each hypothesis its references, all of them lists of words."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

__all__ = ["Corpus", "Tokens", "check_corpus"]

Tokens = Sequence[Hashable]
"""Words, or ids of words: what can be a key."""

Corpus = Sequence[Sequence[Tokens]]
"""References: for each hypothesis, or image, a list of captions."""


def check_corpus(name: str, references: Corpus, hypotheses: Sequence[Tokens]) -> None:
    """Raise an error that begins with the score's `name` unless each hypothesis has its non-empty list of references.

    A str where tokens are expected is a TypeError; lengths that differ, an item without references or no items at all
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
