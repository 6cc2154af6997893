"""Consensus decoding: choose the caption that agrees best with many others.

The likeliest caption need not score best, because several less likely ones may agree on something else. Given
candidates C, drafts y_1 ... y_S drawn from the captioner, and the captions c of similar training images, the chosen
caption is

    argmax over y in C of   mean_s CIDEr-D(y; y_s) + weight mean_c CIDEr-D(y; c).

The first mean estimates the expected score of y under the captioner's probabilities (minimum Bayes risk decoding). The
second compares y with human captions of similar images. Candidates are the best captions of a beam, and the drafts. A
draft is not compared with itself. The document frequencies are those of the training captions.

Sources: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); J. Devlin
et al., Exploring nearest neighbor approaches for image captioning (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.data.errors import NOT_NEGATIVE, check_values, int_from
from captioning.data.neighbours import nearest
from captioning.data.splits import Split
from captioning.decoding.batches import LONGEST, CaptionModel, Ids
from captioning.decoding.captions import n_best
from captioning.decoding.stepwise import check_chance, sample
from captioning.scoring.cider import CiderD, DocumentFrequencies

__all__ = ["MOST_DRAFTS", "ConsensusSettings", "TrainingCaptions", "decode_consensus"]

MOST_DRAFTS = 1000
"""The most drafts of an image."""

_IMAGES = 100  # images whose drafts are in memory at once

Words = list[int]


@dataclass(frozen=True)
class ConsensusSettings:
    """How consensus decoding chooses a caption.

    drafts: how many captions to draw for each image. temperature: of the drafts; they differ more above 1. neighbours:
    how many similar training images to use. weight: of their captions, if drafts have weight 1. width: of the beam,
    whose `width` captions are candidates too.

    >>> ConsensusSettings(drafts=0)
    Traceback (most recent call last):
    ValueError: drafts must be an int from 1 to 1000; got 0
    """

    drafts: int = 40
    temperature: float = 1.0
    neighbours: int = 20
    weight: float = 4.0
    width: int = 10

    def __post_init__(self) -> None:
        check_values(vars(self), {"drafts": int_from(1, MOST_DRAFTS), "neighbours": int_from(0, 1000),
                                  "width": int_from(1, 100), "weight": NOT_NEGATIVE})  # fmt: skip
        check_chance(self.temperature, None)


class TrainingCaptions:
    """Finds the human captions of similar images in a training split.

    Similarity is that of the features of whole images, without those of regions.
    """

    def __init__(self, split: Split) -> None:
        v = split.vocabulary
        self._features = split.features.parts[0]
        self._captions = [[v.encode(words).tolist() for words in item] for item in split.references_by_image()]
        self._images = np.array([i for i, item in enumerate(self._captions) if item])
        if not self._images.size:
            raise ValueError(f"the split {split.name} has no captions to agree with")
        self.frequencies = DocumentFrequencies.of(self._captions, end=v.end)

    def captions_like(self, features: NDArray[Any], count: int) -> list[list[Words]]:
        """Return the captions of the `count` most similar training images, for each of N images with features (N,D)."""
        if not count:
            return [[] for _ in features]
        whole = features[:, : self._features.shape[1]]
        found = nearest(self._features, self._images, count, queries=whole)
        return [[caption for i in row for caption in self._captions[i]] for row in found.rows.tolist()]


def decode_consensus(
    model: CaptionModel,
    features: ArrayLike,
    training: TrainingCaptions,
    how: ConsensusSettings = ConsensusSettings(),
    max_length: int = LONGEST,
    allow_unknown: bool = False,
    rng: np.random.Generator | int | None = None,
) -> Ids:
    """Return the chosen captions, int32 (N,L) for features (N,D), with L at most max_length.

    rng: a Generator or a seed, which draws the drafts. Drafts that were cut at `max_length` are ignored. If no caption
    has ended, the best one of the beam is chosen.
    """
    random, rows, v = np.random.default_rng(rng), np.asarray(features), model.vocabulary
    neighbours = training.captions_like(rows, how.neighbours)
    chosen: list[Words] = []
    for start in range(0, len(rows), _IMAGES):
        block = rows[start : start + _IMAGES]
        beams = n_best(model, block, how.width, how.width, max_length, allow_unknown=allow_unknown)
        drawn = sample(model, block, max_length, how.temperature, None, random, allow_unknown, each=how.drafts)
        lists = drawn.reshape(len(block), how.drafts, -1).tolist()
        for best, rows_of, others in zip(beams, lists, neighbours[start : start + _IMAGES], strict=True):
            drafts = [row[: row.index(v.end)] for row in rows_of if v.end in row[1:]]
            ended = [v.encode(each.words).tolist() for each in best if each.ended and each.words]
            fallback = v.encode(best[0].words).tolist() if best and not best[0].ended else []
            chosen.append(_best([*ended, *drafts], drafts, others, how.weight, training.frequencies) or fallback)
    captions = np.full((len(chosen), max((len(words) + 1 for words in chosen), default=0)), v.null, np.int32)
    for row, words in zip(captions, chosen, strict=True):
        row[: len(words) + 1] = [*words, v.end]
    return captions[:, :max_length]


def _best(
    candidates: Sequence[Words],
    drafts: Sequence[Words],
    others: Sequence[Words],
    weight: float,
    frequencies: DocumentFrequencies,
) -> Words:
    """Return the first candidate with the highest utility, or [] without candidates."""
    distinct = [list(words) for words in dict.fromkeys(map(tuple, candidates))]
    if not distinct:
        return []
    utility, count = _scores(distinct, drafts, frequencies), len(drafts)
    drawn = set(map(tuple, drafts))
    for i, words in enumerate(distinct):
        if tuple(words) in drawn:  # do not compare it with itself
            utility[i] = (count * utility[i] - _scores([words], [words], frequencies)[0]) / max(1, count - 1)
    utility += weight * _scores(distinct, others, frequencies)
    return distinct[int(np.argmax(utility))]


def _scores(
    candidates: Sequence[Words], references: Sequence[Words], frequencies: DocumentFrequencies
) -> NDArray[np.float64]:
    """Return the CIDEr-D of each candidate, with its end, against references; 0 without references."""
    if not references:
        return np.zeros(len(candidates))
    reward = CiderD([references], frequencies)
    return np.array([reward.score(0, [*words, frequencies.end]) for words in candidates])
