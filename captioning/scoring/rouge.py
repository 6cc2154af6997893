"""ROUGE-L: how much of a caption stands in a reference in the same order, with gaps between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from captioning.scoring.corpora import Corpus, Tokens, check_corpus

__all__ = ["rouge_l"]

_BETA = 1.2  # how many times as much recall counts as precision; COCO's


def rouge_l(references: Corpus, hypotheses: Sequence[Tokens]) -> tuple[float, NDArray[np.float64]]:
    """ROUGE-L of a set of captions, the mean over captions, and that of each: float64 (n,), all in [0, 1].

    references, hypotheses and errors: as `corpus_bleu` has them. With L the length of the longest common subsequence
    of a hypothesis of c tokens and a reference of r, precision is the greatest L/c over its references and recall
    the greatest L/r, each by itself, as COCO's evaluation takes them; the score is (1 + β²) P R / (R + β² P), β = 1.2.
    A hypothesis without words scores 0.
    Source: C.-Y. Lin, ROUGE: a package for automatic evaluation of summaries (2004); β as in X. Chen et al.,
    Microsoft COCO captions: data collection and evaluation server (2015).

    >>> mean, scores = rouge_l([[["a", "dog", "runs"], ["one", "dog"]], [["a", "cat"]]], [["a", "dog"], ["no"]])
    >>> round(mean, 4), scores.round(4)
    (0.3861, array([0.7722, 0.    ]))
    """
    check_corpus("rouge_l", references, hypotheses)
    scores = np.array([_score(item, hypothesis) for item, hypothesis in zip(references, hypotheses, strict=True)])
    return float(scores.mean()), scores


def _score(references: Sequence[Tokens], hypothesis: Tokens) -> float:
    if not len(hypothesis):
        return 0.0
    common = [_common_length(hypothesis, reference) for reference in references]
    precision = max(common) / len(hypothesis)
    recall = max(length / max(len(reference), 1) for length, reference in zip(common, references, strict=True))
    if not precision:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _common_length(one: Tokens, other: Tokens) -> int:
    """The length of the longest common subsequence, a column of its table at a time, which is one integer.

    Going down a column the table grows by 0 or 1; bit k of `column` is 0 where it grows between rows k and k + 1.
    Where `one` has the token of the next column, a carry of the addition moves the growth up to the first such row.
    Source: M. Crochemore et al., A fast and practical bit-vector algorithm for the longest common subsequence
    problem (2001).
    """
    rows: dict[object, int] = {}  # token to the rows where it stands
    for k, token in enumerate(one):
        rows[token] = rows.get(token, 0) | 1 << k
    every = (1 << len(one)) - 1
    column = every
    for token in other:
        here = column & rows.get(token, 0)
        column = ((column + here) | (column - here)) & every
    return len(one) - column.bit_count()
