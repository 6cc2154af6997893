"""Captions to learn from, on which the model's own drafts and the humans agree.

Training on human captions teaches a captioner to say what one person might say. The score that counts compares
what it says with *any* of several people, and then a cautious caption is worth more than a daring one. Minimum
Bayes risk decoding finds it: of several drafts take the one that agrees best with all that might be said,

    utility(y) = a mean_h BLEU(y, h) + (1 - a) mean_s BLEU(y, s),

h the human captions of the picture, s captions that the model samples as judges, BLEU the exercise's. The drafts
with the highest utility are what the next epochs train on (`captioning.refinement`). The judges matter: the humans
alone teach pictures by heart.

Source: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); training on
a model's own best sequences: Y. Kim and A. Rush, Sequence-level knowledge distillation (2016).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.data import Split
from captioning.decoding import sample
from captioning.metrics import exercise_bleu_table
from captioning.model import Captioner

__all__ = ["Consensus", "best_drafts", "captions_by_image", "consensus_captions"]

Ids = NDArray[np.int32]
Words = list[int]
_IMAGES = 50  # pictures whose drafts are drawn side by side


@dataclass(frozen=True)
class Consensus:
    """How captions to learn from are made.

    drafts: how many are drawn for a picture, with temperature `temperature`. judges: how many are drawn
    with temperature 1 to judge them. human_weight: a above, 0 to 1; at 1 no judges are drawn. best: how many
    of the best drafts are learnt from.
    """

    drafts: int = 10
    temperature: float = 0.7
    judges: int = 20
    human_weight: float = 0.5
    best: int = 2

    def __post_init__(self) -> None:
        for name in ("drafts", "judges", "best"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an int of at least 1; got {value!r}")
        if self.best > self.drafts:
            raise ValueError(f"best must be at most drafts, {self.drafts}; got {self.best}")
        if not 0 < self.temperature < math.inf:
            raise ValueError(f"temperature must be above 0; got {self.temperature!r}")
        if not 0 <= self.human_weight <= 1:
            raise ValueError(f"human_weight must be from 0 to 1; got {self.human_weight!r}")


def best_drafts(
    drafts: Sequence[Words], humans: Sequence[Words], judges: Sequence[Words], how: Consensus
) -> list[Words]:
    """The `how.best` distinct drafts of the highest utility, best first; if there are fewer, they are repeated.

    drafts, humans, judges: lists of words without special tokens. Empty drafts do not count; without any other
    the first human caption is taken.

    >>> best_drafts([["a"], ["a", "dog"], ["a", "dog"]], [["a", "dog", "runs"]], [["the", "dog"]], Consensus(best=2))
    [['a', 'dog'], ['a']]
    """
    distinct = [list(draft) for draft in dict.fromkeys(tuple(draft) for draft in drafts) if draft] or [list(humans[0])]
    utility = how.human_weight * exercise_bleu_table(distinct, humans).mean(axis=1)
    if how.human_weight < 1:
        utility += (1 - how.human_weight) * exercise_bleu_table(distinct, judges).mean(axis=1)
    order = np.argsort(-utility, kind="stable")
    return [distinct[order[k % len(order)]] for k in range(how.best)]


def consensus_captions(
    model: Captioner,
    split: Split,
    how: Consensus,
    rng: np.random.Generator | int,
    report: Callable[[int, int], Any] = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> tuple[Ids, Ids] | None:
    """Captions to learn from for every picture of a split that has a human one.

    Returns captions (best M, T), T as in the split, and their image rows (best M,). report: called with
    the number of pictures done and of all. stopped: asked now and then; once it is true None is returned.
    """
    random = np.random.default_rng(rng)
    humans = captions_by_image(split)
    images = np.array(sorted(humans), dtype=np.int32)
    rows: list[Ids] = []
    for start in range(0, len(images), _IMAGES):
        report(start, len(images))
        if stopped():
            return None
        block = images[start : start + _IMAGES]
        features = split.features[block]
        drafts = _draw(model, split, features, how.drafts, how.temperature, random)
        judges = _draw(model, split, features, how.judges, 1.0, random) if how.human_weight < 1 else [[]] * len(block)
        for image, own, others in zip(block.tolist(), drafts, judges, strict=True):
            rows.extend(_as_row(split, words) for words in best_drafts(own, humans[image], others, how))
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
    model: Captioner, split: Split, features: NDArray[Any], count: int, temperature: float, rng: np.random.Generator
) -> list[list[Words]]:
    """`count` captions of each row of features, as words, short enough for a row of the split."""
    longest = split.captions.shape[1] - 2  # <START> stands before, <END> after
    drawn = sample(model, np.repeat(features, count, axis=0), longest, temperature, rng=rng)
    words = [_words(split, row) for row in drawn]
    return [words[k : k + count] for k in range(0, len(words), count)]


def _as_row(split: Split, words: Words) -> Ids:
    v = split.vocabulary
    row = np.full(split.captions.shape[1], v.null, dtype=np.int32)
    row[: len(words) + 2] = v.start, *words, v.end
    return row
