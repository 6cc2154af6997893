"""CIDEr-D: how similar a caption is to the human captions of its image, weighting rare n-grams more.

For each n from 1 to 4, a caption becomes a vector with an entry for each of its n-grams k. The entry is the count of k
times its inverse document frequency, idf(k) = log(N / max(1, number of images with k in a caption)), with N images. The
similarity of two captions is the cosine of their vectors. Two changes to plain CIDEr prevent high scores for repeated
words: counts are clipped to those of the reference, and a different length lowers the score.

    CIDEr-D(h) = 10/(4m) Σ_n Σ_j exp(-(|h| - |r_j|)² / 2σ²) Σ_k min(h_k, r_jk) r_jk / (‖h‖ ‖r_j‖),    σ = 6,

where j runs over the m references. Papers call it CIDEr. Compare scores only if they use the same
`DocumentFrequencies`. With a single image all scores are 0, because every idf is 0. Words are not stemmed, as in the
published code.

Source: R. Vedantam, C. Zitnick, D. Parikh, CIDEr: consensus-based image description evaluation (2015).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.progress import SILENT, Progress
from captioning.scoring.metrics import Corpus, Tokens, check_corpus, ngrams_of

__all__ = ["CiderD", "DocumentFrequencies", "cider_d"]

_LONGEST = 4  # words of an n-gram
_SIGMA = 6.0  # words

Ngram = tuple[Hashable, ...]


@dataclass(frozen=True)
class DocumentFrequencies:
    """The number of images whose captions contain each n-gram: `counts`, out of `documents` images with captions.

    end: a word, such as `<END>` or its id, that is appended to every reference; None appends nothing. A hypothesis that
    ended must have it too. A caption that stops too early then scores less, as a reward requires.

    >>> frequencies = DocumentFrequencies.of([[["a", "dog"], ["a", "dog", "runs"]], [["a", "cat"]]])
    >>> frequencies.documents, frequencies.counts[("a",)], frequencies.counts[("a", "dog")]
    (2, 2, 1)
    >>> [round(frequencies.idf(ngram), 4) for ngram in (("a",), ("a", "dog"), ("a", "bird"))]
    [0.0, 0.6931, 0.6931]
    """

    counts: Mapping[Ngram, int] = field(repr=False)
    documents: int
    end: Hashable | None = None

    def __post_init__(self) -> None:
        if self.documents < 1:
            raise ValueError("DocumentFrequencies: there are no images with captions to count in")

    @classmethod
    def of(
        cls, references: Iterable[Sequence[Tokens]], end: Hashable | None = None, progress: Progress = SILENT
    ) -> DocumentFrequencies:
        """Count the n-grams in the captions of each image; images without captions do not count."""
        counts: Counter[Ngram] = Counter()
        documents = 0
        for item in progress.track(references, "n-grams of images"):
            captions = [_with_end(tokens, end) for tokens in item]
            counts.update({k for tokens in captions for n in range(1, _LONGEST + 1) for k in ngrams_of(tokens, n)})
            documents += bool(len(item))
        return cls(counts, documents, end)

    def idf(self, ngram: Ngram) -> float:
        """Return the idf of an n-gram, a tuple of words."""
        return self.idfs[self.counts.get(ngram, 0)]

    @cached_property
    def idfs(self) -> list[float]:
        """The idf of each count from 0 to the largest."""
        counts = range(max(self.counts.values(), default=0) + 1)
        return [math.log(self.documents) - math.log(max(1, count)) for count in counts]


def cider_d(
    references: Corpus, hypotheses: Sequence[Tokens], frequencies: DocumentFrequencies | None = None
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean CIDEr-D, and the CIDEr-D of each caption, float64 (n,); all in [0, 10].

    references, hypotheses and errors: as in `corpus_bleu`. frequencies: by default those of the references. Papers
    often print 100 times the score.

    >>> references = [[["a", "dog", "runs"], ["one", "dog"]], [["a", "cat"]]]
    >>> mean, scores = cider_d(references, [["one", "dog"], ["a", "dog"]])
    >>> round(mean, 4), scores.round(4)
    (1.5582, array([3.1164, 0.    ]))
    """
    check_corpus("cider_d", references, hypotheses)
    frequencies = DocumentFrequencies.of(references) if frequencies is None else frequencies
    scores = CiderD(references, frequencies).score_many(range(len(hypotheses)), hypotheses)
    return float(scores.mean()), scores


class _Prepared(NamedTuple):
    """The references of an image.

    lengths: the number of words of each. scales: for n - 1 and each reference j, 10/(4m ‖r_j‖). entries: for each
    n-gram in a reference, idf² and a list of (j, r_jk idf², r_jk) for each reference j with the n-gram.
    """

    lengths: list[int]
    scales: list[list[float]]
    entries: dict[Ngram, tuple[float, list[tuple[int, float, int]]]]


class CiderD:
    """Scores many captions of the same images; the vectors of the references are computed once.

    references: the captions of each image, in a list, or in a dict by image. frequencies: of the same words, either
    strings or ids. Scoring an image without references raises a KeyError.

    >>> frequencies = DocumentFrequencies.of([[[4, 5, 6], [7, 5]], [[4, 8]]], end=2)
    >>> reward = CiderD({17: [[4, 5, 6], [7, 5]]}, frequencies)
    >>> round(reward.score(17, [7, 5, 2]), 4), round(reward.score(17, [7, 5]), 4)
    (4.3664, 2.6957)
    >>> reward.score_many([17, 17], [[7, 5, 2], []]).round(4)
    array([4.3664, 0.    ])
    """

    def __init__(
        self,
        references: Mapping[Any, Sequence[Tokens]] | Corpus,
        frequencies: DocumentFrequencies,
        progress: Progress = SILENT,
    ) -> None:
        items = references.items() if isinstance(references, Mapping) else enumerate(references)
        by_image = {image: item for image, item in items if len(item)}
        self.frequencies = frequencies
        self._images: dict[Any, _Prepared] = {}
        self._entry = cache(self._entry)  # type: ignore[method-assign]  # most n-grams share a few entries
        for image, item in progress.track(by_image.items(), "references of images"):
            self._images[image] = self._prepared([_with_end(tokens, frequencies.end) for tokens in item])

    def _prepared(self, captions: list[Tokens]) -> _Prepared:
        count_of, idfs = self.frequencies.counts.get, self.frequencies.idfs
        holders: dict[Ngram, tuple[tuple[int, int], ...]] = {}  # (j, r_jk) for each reference j with an n-gram
        scales = []
        for n in range(1, _LONGEST + 1):
            squares = [0.0] * len(captions)
            for j, tokens in enumerate(captions):
                for ngram, count in _counts(tokens, n).items():
                    squares[j] += (count * idfs[count_of(ngram, 0)]) ** 2
                    holders[ngram] = (*holders.get(ngram, ()), (j, count))
            factor = 10 / (_LONGEST * len(captions))
            scales.append([factor / math.sqrt(square) if square else 0.0 for square in squares])
        entries = {ngram: self._entry(count_of(ngram, 0), found) for ngram, found in holders.items()}
        return _Prepared([len(tokens) for tokens in captions], scales, entries)

    def _entry(
        self, documents: int, holders: tuple[tuple[int, int], ...]
    ) -> tuple[float, list[tuple[int, float, int]]]:
        weight = self.frequencies.idfs[documents] ** 2
        return weight, [(j, weight * most, most) for j, most in holders]

    def score(self, image: Hashable, hypothesis: Tokens) -> float:
        """Return the CIDEr-D of a caption of an image, in [0, 10]."""
        if image not in self._images:
            raise KeyError(f"CiderD: image {image!r} has no references")
        lengths, scales_of, entries = self._images[image]
        count_of, idfs, entry_of = self.frequencies.counts.get, self.frequencies.idfs, entries.get
        words = _with_end(hypothesis, None)
        total = 0.0
        penalties = [math.exp(-((len(words) - r) ** 2) / (2 * _SIGMA**2)) for r in lengths]
        for n, scales in enumerate(scales_of, 1):
            square, products, matched = 0.0, [0.0] * len(scales), False
            for ngram, count in _counts(words, n).items():
                entry = entry_of(ngram)
                if entry is None:
                    square += (count * idfs[count_of(ngram, 0)]) ** 2
                    continue
                matched = True
                weight, holders = entry
                square += count * count * weight
                for j, product, most in holders:
                    products[j] += product if count == 1 else min(count, most) * product
            if not matched:
                break  # then the references have no common longer n-gram either
            if square:
                total += sum(map(prod, zip(products, scales, penalties, strict=True))) / math.sqrt(square)
        return total

    def score_many(self, images: ArrayLike, hypotheses: Sequence[Tokens]) -> NDArray[np.float64]:
        """Return the CIDEr-D of n captions of n images, float64 (n,)."""
        keys: Any = images.tolist() if isinstance(images, np.ndarray) else images
        if len(keys) != len(hypotheses):
            raise ValueError(f"CiderD: got {len(keys)} images but {len(hypotheses)} hypotheses")
        return np.array([self.score(image, words) for image, words in zip(keys, hypotheses, strict=True)], np.float64)


def _counts(tokens: Tokens, n: int) -> Mapping[Ngram, int]:
    """Count each n-gram of a caption. Most occur once, and then a Counter would be slower."""
    found = list(ngrams_of(tokens, n))
    once = dict.fromkeys(found, 1)
    return once if len(once) == len(found) else Counter(found)


def _with_end(tokens: Tokens, end: Hashable | None) -> Tokens:
    """Return the tokens, as Python objects (faster keys than NumPy's), and `end`; raise a TypeError for a str."""
    if isinstance(tokens, str):
        raise TypeError(f"a caption must be a list of words; got the str {tokens[:40]!r}: use tokenise() first")
    words: Tokens = tokens.tolist() if isinstance(tokens, np.ndarray) else tokens
    if end is not None and end in words:
        raise ValueError(f"a reference already has the word {end!r}, which is appended to every reference: remove it")
    return words if end is None else [*words, end]
