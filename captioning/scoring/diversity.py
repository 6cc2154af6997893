"""How varied captions are, whether they are true or not: always saying the same can give a fair BLEU."""

from __future__ import annotations

from collections.abc import Container, Sequence

from captioning.data.vocabulary import SPECIAL, UNK, Vocabulary
from captioning.scoring.corpora import Tokens, ngrams_of

__all__ = ["distinct", "diversity"]


def distinct(hypotheses: Sequence[Tokens], n: int) -> float:
    """Return distinct-n: the number of different n-grams as a share of all n-grams, in [0, 1]; 0 without n-grams.

    It falls as captions are added, so compare it for equally many captions. Source: J. Li et al., A diversity-promoting
    objective function for neural conversation models (2016), who divide by the number of words.

    >>> distinct([["a", "dog", "runs"], ["a", "dog"]], 1), distinct([["a", "dog", "runs"], ["a", "dog"]], 2)
    (0.6, 0.6667)
    """
    found = [ngram for tokens in hypotheses for ngram in ngrams_of(tokens, n)]
    return len(set(found)) / len(found) if found else 0.0


def diversity(
    hypotheses: Sequence[Sequence[str]], vocabulary: Vocabulary, known: Container[tuple[str, ...]] | None = None
) -> dict[str, float]:
    """Return how varied captions are, as a dict. Special tokens do not count as words in use.

    - `distinct_1`, `distinct_2`: see `distinct`;
    - `words_in_use`: the number of different words; `vocabulary_share`: the share of the vocabulary that is used;
    - `novel_share`, if `known` is given: the share of captions that are not among these tuples of words;
    - `mean_length`: in words; `unknown_rate`: the share of words that are `<UNK>`.

    >>> diversity([["a", "dog"], ["a", "<UNK>"]], Vocabulary([*SPECIAL, "a", "dog"]), {("a", "dog")})
    {'distinct_1': 0.75, 'distinct_2': 1.0, 'words_in_use': 2, 'vocabulary_share': 1.0, 'novel_share': 0.5, \
'mean_length': 2.0, 'unknown_rate': 0.25}
    """
    words = [word for tokens in hypotheses for word in tokens]
    used, size = set(words) - set(SPECIAL), len(vocabulary) - len(SPECIAL)
    novel = {} if known is None else {
        "novel_share": sum(tuple(tokens) not in known for tokens in hypotheses) / len(hypotheses)
    }  # fmt: skip
    return {
        "distinct_1": distinct(hypotheses, 1),
        "distinct_2": distinct(hypotheses, 2),
        "words_in_use": len(used),
        "vocabulary_share": sum(word in vocabulary for word in used) / size if size else 0.0,
        **novel,
        "mean_length": len(words) / len(hypotheses),
        "unknown_rate": words.count(UNK) / len(words) if words else 0.0,
    }
