"""BLEU in two versions, ROUGE-L, and measures of caption diversity.

*Exercise BLEU* (`BLEU_score`, `exercise_bleu`) is what the homework prints: unigram sentence BLEU of one caption
against one reference, averaged over samples. *Corpus BLEU* (`corpus_bleu`) is what papers print: BLEU-1 to BLEU-4 of a
whole set against all references of each image. Exercise BLEU is lower, because it compares a caption with one human's
choice of words, and its mean of ratios is not the ratio of sums.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.vocabulary import SPECIAL, UNK, Vocabulary
from minigrad.runtime.extras import require

__all__ = [
    "BLEU_score", "Corpus", "Tokens", "bleu_counts", "bleu_of_counts", "check_corpus", "corpus_bleu", "distinct",
    "diversity", "exercise_bleu", "exercise_bleu_table", "ngrams_of", "rouge_l",
]  # fmt: skip

_BETA = 1.2  # weight of recall against precision in ROUGE-L, as in COCO's evaluation

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


def BLEU_score(gt_caption: str, sample_caption: str) -> float:  # noqa: N802 - the notebook's name
    """Return exercise BLEU: unigram sentence BLEU of one caption against one reference, in [0, 1].

    This is nltk's `sentence_bleu` with weights [1]. gt_caption, sample_caption: captions as `decode_captions` returns
    them, split at spaces. Words that contain `<START>`, `<END>`, `<NULL>` or `<UNK>` are ignored. An empty caption
    scores 0. Source: homework 1-1.

    >>> round(BLEU_score("<START> a dog runs <END>", "a dog sits <END>"), 4)
    0.6667
    """
    reference = _exercise_words("gt_caption", gt_caption)
    sample = _exercise_words("sample_caption", sample_caption)
    # nltk's versions differ in the precision of captions without a common word.
    if not set(reference) & set(sample):
        return 0.0
    sentence_bleu = require("nltk.translate.bleu_score", "caption").sentence_bleu
    return float(sentence_bleu([reference], sample, weights=[1]))


def _exercise_words(name: str, caption: str) -> list[str]:
    if not isinstance(caption, str):
        raise TypeError(f"BLEU_score: {name} must be a str of words; got {type(caption).__name__}")
    return [word for word in caption.split() if not any(token in word for token in SPECIAL)]


def exercise_bleu(pairs: Iterable[tuple[str, str]]) -> float:
    """Return the mean of `BLEU_score(gt_caption, sample_caption)` over pairs, in [0, 1]; not corpus BLEU.

    Raises a ValueError without pairs. Source: homework 1-1, with 1,000 samples per split.

    >>> exercise_bleu([("a dog", "a dog"), ("a dog", "two cats")])
    0.5
    """
    scores = [BLEU_score(gt_caption, sample_caption) for gt_caption, sample_caption in pairs]
    if not scores:
        raise ValueError("exercise_bleu: there are no pairs to score")
    return sum(scores) / len(scores)


def exercise_bleu_table(samples: Sequence[Sequence[Any]], references: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Return the `BLEU_score` of each of n samples against each of m references: (n,m).

    samples, references: lists of words or word ids, without special tokens. A sample of c words and a reference of r
    words score p exp(min(0, 1 - r/c)). p is the share of the sample's words that are in the reference, each counted at
    most as often as it occurs there. An empty sample scores 0.

    >>> exercise_bleu_table([["a", "dog", "sits"], []], [["a", "dog", "runs"], ["a", "small", "dog", "runs"]]).round(4)
    array([[0.6667, 0.4777],
           [0.    , 0.    ]])
    """
    column: dict[Any, int] = {}
    for words in samples:
        for word in words:
            column.setdefault(word, len(column))

    def counts(texts: Sequence[Sequence[Any]]) -> NDArray[np.int16]:
        """Count each word of the samples in each text."""
        table = np.zeros((len(texts), len(column)), np.int16)
        for row, words in zip(table, texts, strict=True):
            for word in words:
                if word in column:
                    row[column[word]] += 1
        return table

    matches = np.minimum(counts(samples)[:, None], counts(references)[None]).sum(axis=-1)
    c = np.maximum([[len(words)] for words in samples], 1)  # an empty sample has no matches
    r = np.array([len(words) for words in references])
    return np.asarray(matches / c * np.exp(np.minimum(0, 1 - r / c)))


def corpus_bleu(references: Corpus, hypotheses: Sequence[Tokens]) -> dict[str, float]:
    """Return corpus BLEU-1 to BLEU-4 against all references: {"BLEU-1": …, "BLEU-4": …}, each in [0, 1].

    references: a non-empty list of references for each hypothesis. References and hypotheses are lists of tokens
    (`tokenise`, `Vocabulary.tokens`).

    BLEU-n is BP (p_1 … p_n)^(1/n). p_k is the share of the hypotheses' k-grams that are in a reference, with counts
    clipped to the largest of a reference. BP = min(1, exp(1 - r/c)) for c tokens in the hypotheses and r tokens in the
    references closest in length, the shorter one of two. Nothing is smoothed. The scores are those of coco-caption.
    nltk's differ, because it counts a caption of fewer than k words as if it had a k-gram.

    Raises:
        TypeError: for a str in place of tokens.
        ValueError: for lists of different lengths, an item without references, or no items.

    Source: Papineni et al., BLEU: a method for automatic evaluation of machine translation (2002).

    >>> scores = corpus_bleu([[["a", "dog", "runs"], ["one", "dog"]]], [["a", "dog", "dog"]])
    >>> [round(score, 4) for score in scores.values()]
    [0.6667, 0.5774, 0.0, 0.0]
    """
    check_corpus("corpus_bleu", references, hypotheses)
    return bleu_of_counts(bleu_counts(references, hypotheses).sum(axis=0))


def bleu_counts(references: Corpus, hypotheses: Sequence[Tokens]) -> NDArray[np.int64]:
    """Return the counts that BLEU sums over n hypotheses: int64 (n,10).

    They are the matches of 1- to 4-grams, their numbers, the length c, and the length r of the closest reference, as
    `corpus_bleu` describes them.
    """
    counts = np.zeros((len(hypotheses), 10), np.int64)
    for row, item, hypothesis in zip(counts, references, hypotheses, strict=True):
        c = len(hypothesis)
        for n in range(4):
            most: Counter[tuple[Hashable, ...]] = Counter()
            for reference in item:
                most |= Counter(ngrams_of(reference, n + 1))
            row[n] = (Counter(ngrams_of(hypothesis, n + 1)) & most).total()
            row[4 + n] = max(c - n, 0)
        row[8:] = c, min((abs(len(reference) - c), len(reference)) for reference in item)[1]
    return counts


def bleu_of_counts(counts: NDArray[Any]) -> dict[str, float]:
    """Return corpus BLEU-1 to BLEU-4 of the sums (10,) of `bleu_counts`."""
    matches, totals, (length, closest) = counts[:4], counts[4:8], counts[8:]
    penalty = min(1.0, math.exp(1 - closest / length)) if length else 0.0
    logs = np.log(matches / np.maximum(totals, 1), out=np.full(4, -np.inf), where=matches > 0)
    return {f"BLEU-{n}": penalty * math.exp(math.fsum(logs[:n]) / n) for n in range(1, 5)}


def rouge_l(references: Corpus, hypotheses: Sequence[Tokens]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean ROUGE-L, and the ROUGE-L of each caption, float64 (n,); all in [0, 1].

    references, hypotheses and errors: as in `corpus_bleu`. L is the length of the longest common subsequence of a
    hypothesis of c tokens and a reference of r tokens. Precision P is the largest L/c over the references, and recall R
    the largest L/r, as in COCO's evaluation. The score is (1 + β²) P R / (R + β² P) with β = 1.2. An empty hypothesis
    scores 0. Sources: C.-Y. Lin, ROUGE: a package for automatic evaluation of summaries (2004); β as in
    X. Chen et al., Microsoft COCO captions: data collection and evaluation server (2015).

    >>> mean, scores = rouge_l([[["a", "dog", "runs"], ["one", "dog"]], [["a", "cat"]]], [["a", "dog"], ["no"]])
    >>> round(mean, 4), scores.round(4)
    (0.3861, array([0.7722, 0.    ]))
    """
    check_corpus("rouge_l", references, hypotheses)
    scores = np.zeros(len(hypotheses))
    for i, (item, hypothesis) in enumerate(zip(references, hypotheses, strict=True)):
        common = [_common_length(hypothesis, reference) for reference in item]
        if max(common):
            precision = max(common) / len(hypothesis)
            recall = max(found / max(len(reference), 1) for found, reference in zip(common, item, strict=True))
            scores[i] = (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
    return float(scores.mean()), scores


def _common_length(one: Tokens, other: Tokens) -> int:
    """Return the length of the longest common subsequence, by a table whose columns are the bits of one integer.

    Down a column, the table grows by 0 or 1 per row. Bit k of `column` is 0 where it grows between rows k and k + 1.
    Where `one` has the token of the next column, a carry of the addition moves the growth to the first such row.
    Source: M. Crochemore et al., A fast and practical bit-vector algorithm for the longest common subsequence
    problem (2001).
    """
    rows: dict[object, int] = {}  # the rows of each token, as bits
    for k, token in enumerate(one):
        rows[token] = rows.get(token, 0) | 1 << k
    every = (1 << len(one)) - 1
    column = every
    for token in other:
        here = column & rows.get(token, 0)
        column = ((column + here) | (column - here)) & every
    return len(one) - column.bit_count()


def distinct(hypotheses: Sequence[Tokens], n: int) -> float:
    """Return distinct-n: the number of different n-grams divided by the number of all n-grams; 0 without n-grams.

    More captions lower it, so compare it only for equally many captions. Source: J. Li et al., A diversity-promoting
    objective function for neural conversation models (2016), who divide by the number of words.

    >>> distinct([["a", "dog", "runs"], ["a", "dog"]], 1), distinct([["a", "dog", "runs"], ["a", "dog"]], 2)
    (0.6, 0.6667)
    """
    found = [ngram for tokens in hypotheses for ngram in ngrams_of(tokens, n)]
    return len(set(found)) / len(found) if found else 0.0


def diversity(
    hypotheses: Sequence[Sequence[str]], vocabulary: Vocabulary, known: Container[tuple[str, ...]] | None = None
) -> dict[str, float]:
    """Return measures of the diversity of captions.

    - `distinct_1`, `distinct_2`: see `distinct`;
    - `words_in_use`: the number of different words, without special tokens;
    - `vocabulary_share`: the share of the vocabulary that is used;
    - `novel_share`, if `known` is given: the share of captions that are not in `known`, tuples of words;
    - `mean_length`: the mean number of words; `unknown_rate`: the share of words that are `<UNK>`.

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
