"""Compare captioners on the same images, with paired bootstrap intervals of the differences between their scores.

A bootstrap sample draws as many images as there are, with replacement, and scores all captioners on them. The interval
of a difference holds the middle 95 % of the differences in 1,000 samples. The document frequencies of CIDEr-D stay
those of all images. Sources: B. Efron and R. Tibshirani, An introduction to the bootstrap (1993), 13.3; P. Koehn,
Statistical significance tests for machine translation evaluation (2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from captioning.evaluation.split_scores import SCORE_TABLE
from captioning.scoring.metrics import Corpus, Tokens, bleu_counts, bleu_of_counts, rouge_l

__all__ = ["SAMPLES", "SCORES", "Compared", "compare", "score_sums"]

SCORES = tuple(name.removeprefix("corpus ") for name, _, _ in next(iter(SCORE_TABLE.values())).values())
"""The scores of a comparison: BLEU-1 to BLEU-4, ROUGE-L and CIDEr-D, in the order of the columns of `_scores`."""

SAMPLES = 1000
"""The number of bootstrap samples."""

_MIDDLE = (2.5, 97.5)  # per cent

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Compared:
    """The scores of a captioner, each array in the order of `SCORES`.

    scores: (6,), the mean over its runs. spread: (6,), the standard deviation over its runs; None for one run.
    difference, low, high: (6,), the difference from the first captioner, and its 95 % interval; None for the first one.
    """

    scores: Floats
    spread: Floats | None = None
    difference: Floats | None = None
    low: Floats | None = None
    high: Floats | None = None

    def texts(self, k: int) -> tuple[str, str]:
        """Return score number k with its spread, and the difference with its interval, as tables print them.

        >>> one = np.full(6, 0.25)
        >>> Compared(one, one / 50).texts(0), Compared(one, None, one / 5, one / 10, one).texts(5)
        (('0.2500 ± 0.0050', ''), ('0.2500', '+0.0500 (+0.0250 to +0.2500)'))
        """
        spread = "" if self.spread is None else f" ± {self.spread[k]:.4f}"
        if self.difference is None or self.low is None or self.high is None:
            return f"{self.scores[k]:.4f}{spread}", ""
        difference = f"{self.difference[k]:+.4f} ({self.low[k]:+.4f} to {self.high[k]:+.4f})"
        return f"{self.scores[k]:.4f}{spread}", difference


def score_sums(references: Corpus, captions: Sequence[Tokens], cider_d: Sequence[float]) -> Floats:
    """Return the statistics behind the scores of n captions: (n,12). Sum the rows over images to compute scores.

    The columns are those of `bleu_counts`, ROUGE-L and CIDEr-D. references: as in `corpus_bleu`. cider_d: of each
    caption, with the document frequencies of all images.
    """
    return np.column_stack([bleu_counts(references, captions), rouge_l(references, captions)[1], cider_d])


def compare(tables: Sequence[Sequence[Floats]], seed: int = 0) -> list[Compared]:
    """Compare captioners with the first of them. seed: draws the bootstrap samples.

    tables: for each captioner the `score_sums` (n,12) of each of its runs, such as those with different seeds. All are
    of the same n images in the same order.

    >>> references = [[["a", "dog"]], [["a", "cat"]], [["the", "sea"]]]
    >>> right, wrong = [["a", "dog"], ["a", "cat"], ["the", "sea"]], [["a", "dog"], ["a", "dog"], ["no"]]
    >>> tables = [[score_sums(references, captions, [0, 0, 0])] for captions in (wrong, right)]
    >>> first, second = compare(tables)
    >>> second.texts(0)
    ('1.0000', '+0.5088 (+0.0000 to +1.0000)')
    """
    n, rng = len(tables[0][0]), np.random.default_rng(seed)
    every = [_scores(runs, np.ones(n)) for runs in tables]
    drawn = np.array([
        [_scores(runs, times).mean(axis=0) for runs in tables]
        for times in (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(SAMPLES))
    ])  # fmt: skip
    low, high = np.percentile(drawn - drawn[:, :1], _MIDDLE, axis=0)
    first = every[0].mean(axis=0)
    return [
        Compared(
            found.mean(axis=0),
            found.std(axis=0, ddof=1) if len(found) > 1 else None,
            *((found.mean(axis=0) - first, low[k], high[k]) if k else ()),
        )
        for k, found in enumerate(every)
    ]


def _scores(runs: Sequence[Floats], times: NDArray[np.number]) -> Floats:
    """Return the scores (runs,6) if each image is drawn a number of times (n,)."""
    sums = [times @ table for table in runs]
    return np.array([[*bleu_of_counts(each[:10]).values(), *each[10:] / times.sum()] for each in sums])
