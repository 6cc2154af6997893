"""BLEU in two versions, and ROUGE-L.

*Exercise BLEU* (`BLEU_score`, `exercise_bleu`) is what the homework prints: unigram sentence BLEU of one caption
against one reference, averaged over samples. *Corpus BLEU* (`corpus_bleu`) is what papers print: BLEU-1 to BLEU-4 of a
whole set against all references of each image. Exercise BLEU is lower, because it compares a caption with one human's
choice of words, and its mean of ratios is not the ratio of sums.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.vocabulary import SPECIAL
from captioning.scoring.corpora import Corpus, Tokens, check_corpus, ngrams_of
from minigrad.runtime.extras import require

__all__ = ["BLEU_score", "corpus_bleu", "exercise_bleu", "exercise_bleu_table", "rouge_l"]

_BETA = 1.2  # how many times as much recall counts as precision in ROUGE-L; COCO's


def BLEU_score(gt_caption: str, sample_caption: str) -> float:  # noqa: N802 - the notebook's name
    """Return exercise BLEU: unigram sentence BLEU of one caption against one reference, in [0, 1].

    gt_caption, sample_caption: captions as `decode_captions` returns them. They are split at spaces, and words that
    contain `<START>`, `<END>`, `<NULL>` or `<UNK>` do not count. An empty caption scores 0. It is nltk's
    `sentence_bleu` with weights [1]. Source: homework 1-1.

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

    No pairs at all are a ValueError. Source: homework 1-1 (there: 1,000 samples a split).

    >>> exercise_bleu([("a dog", "a dog"), ("a dog", "two cats")])
    0.5
    """
    scores = [BLEU_score(gt_caption, sample_caption) for gt_caption, sample_caption in pairs]
    if not scores:
        raise ValueError("exercise_bleu: there are no pairs to score")
    return sum(scores) / len(scores)


def exercise_bleu_table(samples: Sequence[Sequence[Any]], references: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """Return the `BLEU_score` of each of n samples against each of m references, all pairs at once: (n,m).

    samples, references: lists of words or word ids, without special tokens. With p the share of the sample's words
    found in the reference, each at most as often as there, a score is p exp(min(0, 1 - r/c)) for c words in the sample
    and r in the reference. An empty sample scores 0.

    >>> exercise_bleu_table([["a", "dog", "sits"], []], [["a", "dog", "runs"], ["a", "small", "dog", "runs"]]).round(4)
    array([[0.6667, 0.4777],
           [0.    , 0.    ]])
    """
    column: dict[Any, int] = {}
    for words in samples:
        for word in words:
            column.setdefault(word, len(column))

    def counts(texts: Sequence[Sequence[Any]]) -> NDArray[np.int16]:
        """How often each text has each word of the samples."""
        table = np.zeros((len(texts), len(column)), np.int16)
        for row, words in zip(table, texts, strict=True):
            for word in words:
                if word in column:
                    row[column[word]] += 1
        return table

    matches = np.minimum(counts(samples)[:, None], counts(references)[None]).sum(axis=-1)
    c = np.maximum([[len(words)] for words in samples], 1)  # of an empty sample the matches are 0
    r = np.array([len(words) for words in references])
    return np.asarray(matches / c * np.exp(np.minimum(0, 1 - r / c)))


def corpus_bleu(references: Corpus, hypotheses: Sequence[Tokens]) -> dict[str, float]:
    """Return corpus BLEU-1 to BLEU-4 against all references: {"BLEU-1": …, "BLEU-4": …}, each in [0, 1].

    references: for each hypothesis a non-empty list of references. References and hypotheses are lists of tokens
    (`tokenise`, `Vocabulary.tokens`). BLEU-n is BP (p_1 … p_n)^(1/n). p_k is the share of the hypotheses' k-grams found
    in a reference, each at most as often as in the reference that has it most often. BP = min(1, exp(1 - r/c)) for c
    tokens of hypotheses and r tokens of the references closest in length (of two as close, the shorter). Nothing is
    smoothed: one p_k = 0 makes BLEU-n 0. These are coco-caption's numbers. nltk's differ, as it counts a caption
    of fewer than k words as if it had a k-gram.

    A str where tokens are expected is a TypeError. Lengths that differ, an item without references, or no items at all
    are a ValueError. Source: Papineni et al., BLEU: a method for automatic evaluation of machine translation (2002).

    >>> scores = corpus_bleu([[["a", "dog", "runs"], ["one", "dog"]]], [["a", "dog", "dog"]])
    >>> [round(score, 4) for score in scores.values()]
    [0.6667, 0.5774, 0.0, 0.0]
    """
    check_corpus("corpus_bleu", references, hypotheses)
    matches, totals, lengths = np.zeros(4, int), np.zeros(4, int), [len(hypothesis) for hypothesis in hypotheses]
    closest = [min((abs(len(r) - c), len(r)) for r in item)[1] for item, c in zip(references, lengths, strict=True)]
    for item, hypothesis in zip(references, hypotheses, strict=True):
        for n in range(4):
            most: Counter[tuple[Hashable, ...]] = Counter()
            for reference in item:
                most |= Counter(ngrams_of(reference, n + 1))
            matches[n] += (Counter(ngrams_of(hypothesis, n + 1)) & most).total()
            totals[n] += max(len(hypothesis) - n, 0)
    penalty = min(1.0, math.exp(1 - sum(closest) / sum(lengths))) if sum(lengths) else 0.0
    logs = np.log(matches / np.maximum(totals, 1), out=np.full(4, -np.inf), where=matches > 0)
    return {f"BLEU-{n}": penalty * math.exp(math.fsum(logs[:n]) / n) for n in range(1, 5)}


def rouge_l(references: Corpus, hypotheses: Sequence[Tokens]) -> tuple[float, NDArray[np.float64]]:
    """Return the mean ROUGE-L over captions, and that of each: float64 (n,), all in [0, 1].

    references, hypotheses and errors: as in `corpus_bleu`. With L the length of the longest common subsequence of a
    hypothesis of c tokens and a reference of r, precision P is the greatest L/c over its references and recall R the
    greatest L/r, each by itself, as in COCO's evaluation. The score is (1 + β²) P R / (R + β² P), β = 1.2. A hypothesis
    without words scores 0. Sources: C.-Y. Lin, ROUGE: a package for automatic evaluation of summaries (2004); β as in
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
    """The length of the longest common subsequence, a column of its table at a time, which is one integer.

    Going down a column the table grows by 0 or 1; bit k of `column` is 0 where it grows between rows k and k + 1.
    Where `one` has the token of the next column, a carry of the addition moves the growth up to the first such row.
    Source: M. Crochemore et al., A fast and practical bit-vector algorithm for the longest common subsequence
    problem (2001).
    """
    rows: dict[object, int] = {}  # token to the rows where it is
    for k, token in enumerate(one):
        rows[token] = rows.get(token, 0) | 1 << k
    every = (1 << len(one)) - 1
    column = every
    for token in other:
        here = column & rows.get(token, 0)
        column = ((column + here) | (column - here)) & every
    return len(one) - column.bit_count()
