"""How varied captions are, whether they are true or not: a captioner that always says the same can have a fair BLEU."""

from __future__ import annotations

from collections.abc import Container, Sequence

from captioning.data.vocabulary import SPECIAL, UNK, Vocabulary
from captioning.scoring.corpora import Tokens
from captioning.scoring.ngrams import ngrams_of

__all__ = ["distinct", "mean_length", "novel_share", "unknown_rate", "vocabulary_share", "words_in_use"]


def distinct(hypotheses: Sequence[Tokens], n: int) -> float:
    """distinct-n: how many different n-grams the captions have, as a share of all that they have, in [0, 1].

    It falls as captions are added, which repeat each other: compare it for as many captions. 0 if there are no n-grams.
    Source: J. Li et al., A diversity-promoting objective function for neural conversation models (2016), who divide
    by the number of words.

    >>> distinct([["a", "dog", "runs"], ["a", "dog"]], 1), distinct([["a", "dog", "runs"], ["a", "dog"]], 2)
    (0.6, 0.6667)
    """
    if n < 1:
        raise ValueError(f"distinct: n must be at least 1; got {n}")
    found = [ngram for tokens in _captions("distinct", hypotheses) for ngram in ngrams_of(tokens, n)]
    return len(set(found)) / len(found) if found else 0.0


def words_in_use(hypotheses: Sequence[Sequence[str]]) -> int:
    """How many different words the captions have; special tokens do not count.

    >>> words_in_use([["a", "dog"], ["a", "<UNK>"]])
    2
    """
    return len({word for tokens in _captions("words_in_use", hypotheses) for word in tokens} - set(SPECIAL))


def vocabulary_share(hypotheses: Sequence[Sequence[str]], vocabulary: Vocabulary) -> float:
    """How much of a vocabulary that is, in [0, 1]; special tokens do not count on either side.

    >>> vocabulary_share([["a", "dog"]], Vocabulary([*SPECIAL, "a", "dog", "cat", "runs"]))
    0.5
    """
    words = len(vocabulary) - len(SPECIAL)
    return words_in_use([[w for w in tokens if w in vocabulary] for tokens in hypotheses]) / words if words else 0.0


def novel_share(hypotheses: Sequence[Sequence[str]], known: Container[tuple[str, ...]]) -> float:
    """The share of captions that are not known, word for word, in [0, 1]. known: tuples of words.

    >>> novel_share([["a", "dog"], ["a", "cat"]], {("a", "dog"), ("two", "dogs")})
    0.5
    """
    return sum(tuple(tokens) not in known for tokens in _captions("novel_share", hypotheses)) / len(hypotheses)


def mean_length(hypotheses: Sequence[Tokens]) -> float:
    """The mean number of words of a caption.

    >>> mean_length([["a", "dog", "runs"], ["a", "dog"]])
    2.5
    """
    return sum(map(len, _captions("mean_length", hypotheses))) / len(hypotheses)


def unknown_rate(hypotheses: Sequence[Sequence[str]]) -> float:
    """The share of words that are `<UNK>`, in [0, 1]; 0 if there are no words.

    >>> unknown_rate([["a", "<UNK>"], ["a", "dog"]])
    0.25
    """
    words = [word for tokens in _captions("unknown_rate", hypotheses) for word in tokens]
    return words.count(UNK) / len(words) if words else 0.0


def _captions(name: str, hypotheses: Sequence[Sequence[str]] | Sequence[Tokens]) -> Sequence[Tokens]:
    """The captions, if there are any and each is a list of words."""
    if not len(hypotheses):
        raise ValueError(f"{name}: there are no captions")
    if isinstance(hypotheses, str) or any(isinstance(tokens, str) for tokens in hypotheses):
        raise TypeError(f"{name}: captions must be lists of words; got a str: use tokenise() first")
    return hypotheses
