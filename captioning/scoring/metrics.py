"""BLEU, in two versions that must not be mixed up.

*Exercise BLEU* (`BLEU_score`, `exercise_bleu`) is what the homework prints: unigram sentence BLEU of one
caption against one reference, averaged over samples. *Corpus BLEU* (`corpus_bleu`) is what papers
print: BLEU-1 to BLEU-4 of a whole set against all references of each image. They are different
numbers: the first is lower, because a caption is compared with one human's choice of words only, and
its mean of ratios is not the ratio of sums. Other scores of papers: `rouge`, `cider`, `diversity`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.vocabulary import SPECIAL
from captioning.scoring.corpora import Corpus, Tokens, check_corpus
from captioning.scoring.ngrams import count_ngrams
from minigrad.runtime.extras import require

__all__ = ["BLEU_score", "corpus_bleu", "exercise_bleu", "exercise_bleu_table"]


def BLEU_score(gt_caption: str, sample_caption: str) -> float:  # noqa: N802 - the notebook's name
    """Exercise BLEU: unigram sentence BLEU of one caption against one reference, in [0, 1].

    gt_caption, sample_caption: captions as `decode_captions` gives them. They are split at spaces, and
    words that contain `<START>`, `<END>`, `<NULL>` or `<UNK>` do not count. An empty caption scores 0.
    Computed by nltk, `sentence_bleu` with weights [1]. Not the corpus BLEU of papers.
    Source: homework 1-1.

    >>> round(BLEU_score("<START> a dog runs <END>", "a dog sits <END>"), 4)
    0.6667
    """
    reference = _exercise_words("gt_caption", gt_caption)
    sample = _exercise_words("sample_caption", sample_caption)
    # Decided here because nltk computes precisions of nothing in several ways between its versions.
    if not set(reference) & set(sample):
        return 0.0
    sentence_bleu = require("nltk.translate.bleu_score", "caption").sentence_bleu
    return float(sentence_bleu([reference], sample, weights=[1]))


def _exercise_words(name: str, caption: str) -> list[str]:
    if not isinstance(caption, str):
        raise TypeError(f"BLEU_score: {name} must be a str of words; got {type(caption).__name__}")
    return [word for word in caption.split() if not any(token in word for token in SPECIAL)]


def exercise_bleu(pairs: Iterable[tuple[str, str]]) -> float:
    """The mean of `BLEU_score(gt_caption, sample_caption)` over pairs, in [0, 1]; not corpus BLEU.

    No pairs at all is a ValueError. Source: homework 1-1 (there: 1,000 samples a split).

    >>> exercise_bleu([("a dog", "a dog"), ("a dog", "two cats")])
    0.5
    """
    scores = [BLEU_score(gt_caption, sample_caption) for gt_caption, sample_caption in pairs]
    if not scores:
        raise ValueError("exercise_bleu: there are no pairs to score")
    return sum(scores) / len(scores)


def exercise_bleu_table(samples: Sequence[Sequence[Any]], references: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    """`BLEU_score` of each of n samples against each of m references, all pairs at once: (n,m).

    samples, references: lists of words or word ids, without special tokens. With p the share of the
    sample's words found in the reference, each at most as often as there, it is p exp(min(0, 1 - r/c)) for c
    words in the sample and r in the reference; an empty sample scores 0.

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
    scores: NDArray[np.float64] = matches / c * np.exp(np.minimum(0, 1 - r / c))
    return scores


def corpus_bleu(references: Corpus, hypotheses: Sequence[Tokens]) -> dict[str, float]:
    """Corpus BLEU-1 to BLEU-4 against all references: {"BLEU-1": …, "BLEU-4": …}, each in [0, 1].

    references: for each hypothesis a non-empty list of references; references and hypotheses are lists
    of tokens (`tokenise`, `Vocabulary.tokens`). BLEU-n is BP (p_1 … p_n)^(1/n): p_k the share of the
    hypotheses' k-grams found in a reference, each at most as often as in the reference that has it most
    often; BP = min(1, exp(1 - r/c)) for c hypothesis tokens and r tokens of the references closest in
    length (of two as close, the shorter). Nothing is smoothed: one p_k = 0 makes BLEU-n 0.

    Not the number that `exercise_bleu` gives. A str where tokens are expected is a TypeError; lengths
    that differ, an item without references or no items at all are a ValueError.
    Source: Papineni et al., BLEU: a method for automatic evaluation of machine translation (2002).

    >>> scores = corpus_bleu([[["a", "dog", "runs"], ["one", "dog"]]], [["a", "dog", "dog"]])
    >>> [round(score, 4) for score in scores.values()]
    [0.6667, 0.5774, 0.0, 0.0]
    """
    check_corpus("corpus_bleu", references, hypotheses)
    matches, totals = [0] * 4, [0] * 4
    hypothesis_length = reference_length = 0
    for item, hypothesis in zip(references, hypotheses, strict=True):
        hypothesis_length += len(hypothesis)
        reference_length += _closest_length(item, len(hypothesis))
        for n in range(1, 5):
            matches[n - 1] += _clipped_matches(item, hypothesis, n)
            totals[n - 1] += max(len(hypothesis) - n + 1, 0)
    if not hypothesis_length:
        return {f"BLEU-{n}": 0.0 for n in range(1, 5)}
    penalty = min(1.0, math.exp(1 - reference_length / hypothesis_length))
    return {f"BLEU-{n}": penalty * _geometric_mean(matches[:n], totals[:n]) for n in range(1, 5)}


def _clipped_matches(references: Sequence[Tokens], hypothesis: Tokens, n: int) -> int:
    most: Counter[tuple[Hashable, ...]] = Counter()
    for reference in references:
        most |= count_ngrams(reference, n)
    return (count_ngrams(hypothesis, n) & most).total()


def _closest_length(references: Sequence[Tokens], length: int) -> int:
    return min((len(reference) for reference in references), key=lambda r: (abs(r - length), r))


def _geometric_mean(matches: list[int], totals: list[int]) -> float:
    if not all(matches):
        return 0.0
    logs = [math.log(match / total) for match, total in zip(matches, totals, strict=True)]
    return math.exp(math.fsum(logs) / len(logs))
