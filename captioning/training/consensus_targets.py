"""Captions to learn from: those of the model's own drafts with which most people would agree.

Training on human captions teaches a captioner to say what one person might say. The score that counts compares
what it says with *any* of several people, and then a cautious caption is worth more than a daring one. Minimum
Bayes risk decoding finds it: of several drafts take the one that agrees best with all that might be said,

    utility(y) = a mean_h BLEU(y, h) + (1 - a) sum_j w_j mean_c BLEU(y, c),

h the human captions of the picture, c those of its neighbour j with weight w_j (`captioning.data.neighbours`), BLEU
the exercise's. The drafts with the highest utility are what the next epochs train on
(`captioning.training.refinement`). The neighbours matter: their captions are a function of the features alone, which
the model can learn for pictures that it has never seen, while a picture's own captions can also be learnt by heart.

Source: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); training on
a model's own best sequences: Y. Kim and A. Rush, Sequence-level knowledge distillation (2016).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data.neighbours import Neighbours
from captioning.data.splits import Split
from captioning.decoding.stepwise import sample
from captioning.models.kinds import AnyCaptioner
from captioning.scoring.metrics import exercise_bleu_table
from captioning.training.settings import is_finite

__all__ = ["Consensus", "best_drafts", "captions_by_image", "consensus_captions"]

Ids = NDArray[np.int32]
Words = list[int]
_MOST_DRAFTS = 1000  # of each of _IMAGES pictures, which are in memory at once
_IMAGES = 50  # pictures whose drafts are drawn side by side


@dataclass(frozen=True)
class Consensus:
    """How captions to learn from are made.

    drafts: how many are drawn for a picture, with temperature `temperature`. neighbours: how many pictures
    like it have a say; width: of their weights, the smaller the more the nearest count. human_weight: a
    above, from 0 to 1. best: how many of the best drafts are learnt from.
    """

    drafts: int = 12
    temperature: float = 0.7
    neighbours: int = 100
    width: float = 0.08
    human_weight: float = 0.2
    best: int = 2

    def __post_init__(self) -> None:
        for name in ("drafts", "neighbours", "best"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an int of at least 1; got {value!r}")
        if self.drafts > _MOST_DRAFTS:
            raise ValueError(f"drafts must be at most {_MOST_DRAFTS}; got {self.drafts}")
        if self.best > self.drafts:
            raise ValueError(f"best must be at most drafts, {self.drafts}; got {self.best}")
        for name in ("temperature", "width"):
            if not (is_finite(getattr(self, name)) and getattr(self, name) > 0):
                raise ValueError(f"{name} must be above 0; got {getattr(self, name)!r}")
        if not (is_finite(self.human_weight) and 0 <= self.human_weight <= 1):
            raise ValueError(f"human_weight must be from 0 to 1; got {self.human_weight!r}")


def best_drafts(drafts: Sequence[Words], captions: Sequence[Words], weights: Sequence[float], best: int) -> list[Words]:
    """The `best` distinct drafts that agree best with captions of the given weights, best first.

    drafts, captions: lists of words without special tokens. If there are fewer distinct ones, they are
    repeated; empty ones do not count, and if all are empty the first caption is taken.

    >>> best_drafts([["a"], ["a", "dog"], ["a", "dog"]], [["a", "dog", "runs"], ["the", "dog"]], [0.5, 0.5], best=2)
    [['a', 'dog'], ['a']]
    """
    distinct = [list(draft) for draft in dict.fromkeys(map(tuple, drafts)) if draft] or [list(captions[0])]
    utility = exercise_bleu_table(distinct, captions) @ np.asarray(weights)
    order = np.argsort(-utility, kind="stable")
    return [distinct[order[k % len(order)]] for k in range(best)]


def consensus_captions(
    model: AnyCaptioner,
    split: Split,
    neighbours: Neighbours,
    how: Consensus,
    rng: np.random.Generator | int,
    report: Callable[[int, int], Any] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
    part: slice = slice(None),
) -> tuple[Ids, Ids] | None:
    """Captions to learn from for every picture of a split that has a human one, or for a part of them.

    neighbours: of these pictures, the rows of `captions_by_image` in rising order. Returns captions
    (best M, T), T as in the split, and their image rows (best M,). report: called with the number of pictures done
    and of all. stopped: asked now and then; once it is true None is returned. part: which of the pictures.
    """
    random = np.random.default_rng(rng)
    humans = captions_by_image(split)
    images = np.array(sorted(humans), dtype=np.int32)[part]
    rows: list[Ids] = []
    for start in range(0, len(images), _IMAGES):
        report(start, len(images))
        if stopped():
            return None
        block = slice(start, start + _IMAGES)
        drafts = _draw(model, split, split.features[images[block]], how.drafts, how.temperature, random)
        others = zip(neighbours.rows[block].tolist(), neighbours.weights[block], strict=True)
        for image, own, (alike, weights) in zip(images[block].tolist(), drafts, others, strict=True):
            a = how.human_weight if alike else 1.0
            voters = [(image, a), *zip(alike, (1 - a) * weights, strict=True)]
            captions = [caption for voter, _ in voters for caption in humans[voter]]
            shares = [w / len(humans[voter]) for voter, w in voters for _ in humans[voter]]
            rows.extend(_as_row(split, words) for words in best_drafts(own, captions, shares, how.best))
    return np.stack(rows), np.repeat(images, how.best)


def captions_by_image(split: Split) -> dict[int, list[Words]]:
    """The captions of each image row as word ids without special tokens; one without any known word does not count."""
    found: dict[int, list[Words]] = {}
    for row, image in zip(split.captions, split.image_idxs.tolist(), strict=True):
        if words := _words(split, row):
            found.setdefault(image, []).append(words)
    return found


def _words(split: Split, row: NDArray[Any]) -> Words:
    v = split.vocabulary
    return [word for word in row.tolist() if word not in (v.null, v.start, v.end, v.unk)]


def _draw(
    model: AnyCaptioner, split: Split, features: NDArray[Any], count: int, temperature: float, rng: np.random.Generator
) -> list[list[Words]]:
    """`count` captions of each row of features, as words, short enough for a row of the split.

    One that did not end in time has no words: whoever learnt that it ends there would end in the middle of a phrase.
    """
    longest = split.captions.shape[1] - 1  # of words and <END>, since <START> stands before
    drawn = sample(model, np.repeat(features, count, axis=0), longest, temperature, rng=rng)
    words = [_words(split, row) if split.vocabulary.end in row else [] for row in drawn]
    return [words[k : k + count] for k in range(0, len(words), count)]


def _as_row(split: Split, words: Words) -> Ids:
    """A row of the split; a human caption may fill it, and then has no <END>, as it had none."""
    v = split.vocabulary
    row = np.full(split.captions.shape[1], v.null, dtype=np.int32)
    said = [v.start, *words, v.end][: row.size]
    row[: len(said)] = said
    return row
