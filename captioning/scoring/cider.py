"""CIDEr-D: how much a caption says that all people say of this image, and few say of others.

For each n from 1 to 4 a caption is a vector with an entry for each of its n-grams k: its count, times its rarity
idf(k) = log(N / max(1, number of images with k in one of their captions)), N images in all. Captions are alike as far
as their vectors point the same way. Two changes to plain CIDEr punish repeated words: an n-gram counts at most as often
as in the reference, and a length other than the reference's costs.

    CIDEr-D(h) = 10/(4m) Σ_n Σ_j exp(-(|h| - |r_j|)² / 2σ²) Σ_k min(h_k, r_jk) r_jk / (‖h‖ ‖r_j‖),    σ = 6,

j over its m references. Papers print it as CIDEr. All depends on the idf: scores with other `DocumentFrequencies` are
other numbers. Of one image all scores are 0, since nothing is rare. Words are not stemmed; the published code does not
stem them either.

Source: R. Vedantam, C. Zitnick, D. Parikh, CIDEr: consensus-based image description evaluation (2015).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.progress import Progress
from captioning.scoring.corpora import Corpus, Tokens, check_corpus, ngrams_of

__all__ = ["CiderD", "DocumentFrequencies", "cider_d"]

_MOST = 4  # words of an n-gram
_SIGMA = 6.0  # words
_SILENT = Progress(enabled=False)

Ngram = tuple[Hashable, ...]


@dataclass(frozen=True)
class DocumentFrequencies:
    """In how many images' captions each n-gram occurs: `counts`, of `documents` images that have captions.

    end: the word, such as `<END>` or its id, that follows every reference; None for none. With it a caption that stops
    too early scores less, as a reward needs it. References get it here; a hypothesis has it if it ended.

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
        cls, references: Iterable[Sequence[Tokens]], end: Hashable | None = None, progress: Progress = _SILENT
    ) -> DocumentFrequencies:
        """Count in the captions of each image; an image without captions does not count."""
        counts: Counter[Ngram] = Counter()
        documents = 0
        progress.begin(len(references) if isinstance(references, Sized) else None, what="n-grams of images")
        for done, item in enumerate(references, 1):
            captions = [_with_end(tokens, end) for tokens in item]
            counts.update({k for tokens in captions for n in range(1, _MOST + 1) for k in ngrams_of(tokens, n)})
            documents += bool(len(item))
            progress.update(done)
        return cls(counts, documents, end)

    def idf(self, ngram: Ngram) -> float:
        """Return log(N / max(1, count)) of an n-gram, a tuple of words."""
        return self.idfs[self.counts.get(ngram, 0)]

    @cached_property
    def idfs(self) -> list[float]:
        """The idf by the count."""
        most = max(self.counts.values(), default=0)
        return [math.log(self.documents) - math.log(max(1, count)) for count in range(most + 1)]


def cider_d(
    references: Corpus, hypotheses: Sequence[Tokens], frequencies: DocumentFrequencies | None = None
) -> tuple[float, NDArray[np.float64]]:
    """Return the mean CIDEr-D over captions, and that of each: float64 (n,), all in [0, 10].

    references, hypotheses and errors: as in `corpus_bleu`. frequencies: None means those of the references. Papers
    often print the score times 100.

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

    lengths: in words, of each. scales: 10/(4m ‖r_j‖), by n - 1, of each reference j. entries: of each n-gram in a
    reference, idf² and, for each reference j that has it, (j, r_jk idf², r_jk).
    """

    lengths: list[int]
    scales: list[list[float]]
    entries: dict[Ngram, tuple[float, list[tuple[int, float, int]]]]


class CiderD:
    """CIDEr-D of many captions of the same images: the vectors of the references are made once.

    references: the captions of each image, by image in a dict, or a list. frequencies: of the same kind of words, texts
    or ids. To score an image without captions is a KeyError.

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
        progress: Progress = _SILENT,
    ) -> None:
        items = references.items() if isinstance(references, Mapping) else enumerate(references)
        by_image = {image: item for image, item in items if len(item)}
        self.frequencies = frequencies
        self._images: dict[Any, _Prepared] = {}
        self._entry = cache(self._entry)  # type: ignore[method-assign]  # most n-grams share a few entries
        progress.begin(len(by_image), what="references of images")
        for done, (image, item) in enumerate(by_image.items(), 1):
            self._images[image] = self._prepared([_with_end(tokens, frequencies.end) for tokens in item])
            progress.update(done)

    def _prepared(self, captions: list[Tokens]) -> _Prepared:
        count_of, idfs = self.frequencies.counts.get, self.frequencies.idfs
        holders: dict[Ngram, tuple[tuple[int, int], ...]] = {}  # references j that have an n-gram, and r_jk
        scales = []
        for n in range(1, _MOST + 1):
            squares = [0.0] * len(captions)
            for j, tokens in enumerate(captions):
                for ngram, count in _counts(tokens, n).items():
                    squares[j] += (count * idfs[count_of(ngram, 0)]) ** 2
                    holders[ngram] = (*holders.get(ngram, ()), (j, count))
            factor = 10 / (_MOST * len(captions))
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
            raise KeyError(f"CiderD: there are no references of the image {image!r}")
        lengths, scales_of, entries = self._images[image]
        count_of, idfs, entry_of = self.frequencies.counts.get, self.frequencies.idfs, entries.get
        words = _with_end(hypothesis, None)
        total = 0.0
        penalties = [math.exp(-((len(words) - r) ** 2) / (2 * _SIGMA**2)) for r in lengths]
        for n, scales in enumerate(scales_of, 1):
            square, products, met = 0.0, [0.0] * len(scales), False
            for ngram, count in _counts(words, n).items():
                entry = entry_of(ngram)
                if entry is None:
                    square += (count * idfs[count_of(ngram, 0)]) ** 2
                    continue
                met = True
                weight, holders = entry
                square += count * count * weight
                for j, product, most in holders:
                    products[j] += product if count == 1 else min(count, most) * product
            if not met:
                break  # where no n-gram is in a reference, no longer one is
            if square:
                total += sum(map(prod, zip(products, scales, penalties, strict=True))) / math.sqrt(square)
        return total

    def score_many(self, images: ArrayLike, hypotheses: Sequence[Tokens]) -> NDArray[np.float64]:
        """Return the CIDEr-D of n captions, each of its image: float64 (n,)."""
        keys: Any = images.tolist() if isinstance(images, np.ndarray) else images
        if len(keys) != len(hypotheses):
            raise ValueError(f"CiderD: there are {len(keys)} images for {len(hypotheses)} hypotheses")
        return np.array([self.score(image, words) for image, words in zip(keys, hypotheses, strict=True)], np.float64)


def _counts(tokens: Tokens, n: int) -> Mapping[Ngram, int]:
    """How often each n-gram occurs in a caption. Mostly once, and then a Counter would be slower."""
    found = list(ngrams_of(tokens, n))
    once = dict.fromkeys(found, 1)
    return once if len(once) == len(found) else Counter(found)


def _with_end(tokens: Tokens, end: Hashable | None) -> Tokens:
    """The tokens as Python's objects, which are faster keys than NumPy's, and the end; a str is a TypeError."""
    if isinstance(tokens, str):
        raise TypeError(f"a caption must be a list of words; got the str {tokens[:40]!r}: use tokenise() first")
    words: Tokens = tokens.tolist() if isinstance(tokens, np.ndarray) else tokens
    if end is not None and end in words:
        raise ValueError(f"a reference has the word {end!r} already, which follows every reference: leave it out")
    return words if end is None else [*words, end]
