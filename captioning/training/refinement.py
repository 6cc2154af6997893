"""Refinement: in rounds, a captioner writes captions and then learns from the best of them.

Training on human captions teaches a captioner to say what one person might say. Scores compare its caption with *any*
of several people, which rewards cautious captions. Minimum Bayes risk decoding finds these: of several drafts take the
one with the highest utility,

    utility(y) = a mean_h BLEU(y, h) + (1 - a) sum_j w_j mean_c BLEU(y, c),

h the human captions of the picture, c those of its neighbour j with weight w_j (`captioning.data.neighbours`), BLEU
the exercise's. The captions of neighbours are a function of the features alone, which the model can learn for pictures
that it has never seen, while a picture's own captions can also be learnt by heart.

A `Refinement` is a `Solver` whose captions are renewed. The random numbers of round r come from
`default_rng([seed, 2, r])`, and the run folder holds the captions of the current round in `targets.safetensors`, so a
resumed run has the same bits as an uninterrupted one. Where batches are cut into shards, so are the pictures of a
round, and the captions of shard s are drawn by `default_rng([seed, 2, r, s])`.

Sources: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); Y. Kim and
A. Rush, Sequence-level knowledge distillation (2016), for training on a model's own best sequences.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.checks import COUNT, FINITE, POSITIVE, Check, check_values
from captioning.data.neighbours import Neighbours, nearest
from captioning.data.splits import Split
from captioning.decoding.stepwise import check_chance, sample
from captioning.models.kinds import AnyCaptioner
from captioning.scoring.metrics import exercise_bleu_table
from captioning.training.errors import RunError
from captioning.training.run_folder import read_arrays
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from captioning.training.stopping import Stop
from minigrad.runtime.threads import split as split_evenly

__all__ = ["Consensus", "Refinement", "Rounds", "best_drafts", "captions_by_image", "consensus_captions"]

TARGETS = "targets.safetensors"
_MOST_DRAFTS = 1000  # of each of _IMAGES pictures, which are in memory at once
_IMAGES = 50

Ids = NDArray[np.int32]
Words = list[int]


@dataclass(frozen=True)
class Rounds:
    """How often captions are renewed (`rounds`), and for how many epochs each is trained on (`round_epochs`)."""

    rounds: int = 6
    round_epochs: int = 2

    def __post_init__(self) -> None:
        check_values(vars(self), dict.fromkeys(vars(self), COUNT))


@dataclass(frozen=True)
class Consensus:
    """How captions to learn from are made.

    drafts: how many are drawn for a picture, at this temperature. neighbours: how many similar pictures have a vote.
    width: of their weights; the smaller, the more the nearest count. human_weight: a above, from 0 to 1. best: how many
    of the best drafts are learnt from.
    """

    drafts: int = 12
    temperature: float = 0.7
    neighbours: int = 100
    width: float = 0.08
    human_weight: float = 0.2
    best: int = 2

    def __post_init__(self) -> None:
        share: Check = (lambda value: FINITE[0](value) and 0 <= value <= 1, "from 0 to 1")
        check_values(vars(self), {**dict.fromkeys(("drafts", "neighbours", "best"), COUNT), "human_weight": share,
                                  **dict.fromkeys(("temperature", "width"), POSITIVE)})  # fmt: skip
        check_chance(self.temperature, None)
        if self.drafts > _MOST_DRAFTS:
            raise ValueError(f"drafts must be at most {_MOST_DRAFTS}; got {self.drafts}")
        if self.best > self.drafts:
            raise ValueError(f"best must be at most drafts, {self.drafts}; got {self.best}")


class Refinement(Solver):
    """Trains a captioner further, on captions that it writes itself, in rounds.

    model: with the weights to start from. train: the split with the human captions. rounds, consensus: how the captions
    are made. settings: of the training; its epochs follow from the rounds. options: those of `Solver`.
    """

    def __init__(
        self,
        model: AnyCaptioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        rounds: Rounds | None = None,
        consensus: Consensus | None = None,
        **options: Any,
    ) -> None:
        self.rounds, self.consensus = rounds or Rounds(), consensus or Consensus()
        epochs = self.rounds.rounds * self.rounds.round_epochs
        super().__init__(model, train, val, replace(settings or Settings(), epochs=epochs), **options)
        self.humans = train
        self.pictures = np.array(sorted(captions_by_image(train)))
        if not self.pictures.size:
            raise ValueError(f"the split {train.name} has no caption with a known word to refine on")
        self._neighbours: dict[int, Neighbours] = {}  # of each shard
        self.epoch_length = -(-self.pictures.size * self.consensus.best // self.settings.batch_size)

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        number, rest = divmod(epoch, self.rounds.round_epochs)
        if rest:
            return True
        captions = self._written(number, stop)
        if self._sum_over_shards(np.array([captions is None]), stop).any():
            return False
        self._use_captions(self._merged(captions))
        if self.run is not None:
            targets = {"captions": self.split.captions, "image_idxs": self.split.image_idxs}
            mg.save(self.run.folder / TARGETS, {**targets, "round": np.array(number)})
        self.progress.begin(self.total, self.iteration)
        return True

    def _written(self, number: int, stop: Stop) -> Ids | None:
        """The captions of a round, 0 for the pictures of other processes; None if the training was stopped."""
        how, report = self.consensus, functools.partial(self._report, 0, 0)
        slices = split_evenly(len(self.pictures), self.shards)
        parts = {shard: slices[shard] for shard in self._own_shards() if slices[shard].stop > slices[shard].start}
        if not self._neighbours:
            self.progress.say("looking for the pictures most like each picture")
        for shard, part in parts.items():
            if shard not in self._neighbours:
                whole = self.humans.features.parts[0]  # without the features of regions
                found = nearest(whole, self.pictures, how.neighbours, how.width, report, stop.is_set, part=part)
                if found is None:
                    return None
                self._neighbours[shard] = found
        self.progress.say(f"round {number + 1}/{self.rounds.rounds}: writing captions to learn from")
        captions, done = self._blank_captions(), 0
        mine = sum(part.stop - part.start for part in parts.values())
        for shard, part in parts.items():
            neighbours, rng = self._neighbours[shard], self._rng_of(2, number, shard)
            report = functools.partial(self._report, done, mine)
            written = consensus_captions(self.model, self.humans, neighbours, how, rng, report, stop.is_set, part)
            if written is None:
                return None
            captions[how.best * part.start : how.best * part.stop] = written[0]
            done += part.stop - part.start
        return captions

    def _report(self, before: int, whole: int, done: int, total: int) -> None:
        """Show progress: `done` after `before` others, of `whole` or else of `total`."""
        if before + done == 0:
            self.progress.begin(whole or total)
        self.progress.update(before + done)

    def _blank_captions(self) -> Ids:
        return np.zeros((self.consensus.best * self.pictures.size, self.humans.captions.shape[1]), np.int32)

    def _use_captions(self, captions: Ids) -> None:
        self.split = self.humans.with_captions(captions, np.repeat(self.pictures, self.consensus.best).astype(np.int32))

    def _captions_to_share(self) -> Ids | None:
        if not self._is_within_a_round(self.iteration):
            return None
        return self._blank_captions() if self.split is self.humans else self.split.captions

    def _is_within_a_round(self, iteration: int) -> bool:
        """Whether the captions to learn from were written earlier."""
        epoch, position = divmod(iteration, self.epoch_length)
        return bool(position or epoch % self.rounds.round_epochs)

    def _load_split(self, iteration: int) -> None:
        assert self.run is not None  # or `resume` had raised
        if not self._is_within_a_round(iteration):
            return
        path, number = self.run.folder / TARGETS, iteration // self.epoch_length // self.rounds.round_epochs
        arrays, words, split = read_arrays(path), len(self.humans.vocabulary), self.split
        self._use_captions(self._blank_captions())
        wanted, self.split = self.split, split
        missing = [key for key in ("captions", "image_idxs", "round") if key not in arrays]
        if missing:
            raise RunError(f"{path}: the arrays {', '.join(missing)} are missing")
        captions, images, found = arrays["captions"], arrays["image_idxs"], arrays["round"]
        if found.shape != () or found.dtype.kind != "i" or int(found) != number:
            raise RunError(f"{path}: holds the captions of round {found.tolist()} (from 0), not of {number}")
        if captions.shape != wanted.captions.shape or not np.array_equal(images, wanted.image_idxs):
            raise RunError(f"{path}: holds captions of other pictures, or another number of each, than the "
                           f"{len(self.pictures)} that are learnt from, {self.consensus.best} of each")  # fmt: skip
        if captions.dtype != np.int32 or captions.min() < 0 or captions.max() >= words:
            raise RunError(f"{path}: captions must be int32 from 0 to {words - 1}; the file is damaged")
        self._use_captions(captions)


def best_drafts(drafts: Sequence[Words], captions: Sequence[Words], weights: Sequence[float], best: int) -> list[Words]:
    """Return the `best` distinct drafts that agree best with captions of the given weights, best first.

    drafts, captions: lists of words without special tokens. If there are fewer distinct drafts, they are repeated.
    Empty ones do not count, and if all are empty the first caption is taken.

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
    """Return captions to learn from for every picture of a split that has a human one, or for a part of them.

    neighbours: of these pictures, the rows of `captions_by_image` in rising order. report: called with the number of
    pictures done and of all. stopped: asked now and then. part: which of the pictures.

    Returns:
        Captions (best M, T), T as in the split, and their image rows (best M,); None if stopped.
    """
    random, v, T = np.random.default_rng(rng), split.vocabulary, split.captions.shape[1]
    humans = captions_by_image(split)
    images = np.array(sorted(humans), dtype=np.int32)[part]
    rows: list[Ids] = []
    for start in range(0, len(images), _IMAGES):
        report(start, len(images))
        if stopped():
            return None
        block = slice(start, start + _IMAGES)
        features = np.repeat(split.features[images[block]], how.drafts, axis=0)
        drawn = sample(model, features, T - 1, how.temperature, rng=random)  # a row has <START> too
        # A draft that was cut has no words: whoever learnt it would end in the middle of a phrase.
        drafts = [_words(split, row) if v.end in row else [] for row in drawn]
        others = zip(neighbours.rows[block].tolist(), neighbours.weights[block], strict=True)
        for k, (image, (alike, weights)) in enumerate(zip(images[block].tolist(), others, strict=True)):
            a = how.human_weight if alike else 1.0
            voters = [(image, a), *zip(alike, (1 - a) * weights, strict=True)]
            captions = [caption for voter, _ in voters for caption in humans[voter]]
            shares = [w / len(humans[voter]) for voter, w in voters for _ in humans[voter]]
            for words in best_drafts(drafts[k * how.drafts : (k + 1) * how.drafts], captions, shares, how.best):
                row = [v.start, *words, v.end][:T]  # a human caption may fill its row without <END>
                rows.append(np.array(row + [v.null] * (T - len(row)), np.int32))
    return np.stack(rows), np.repeat(images, how.best)


def captions_by_image(split: Split) -> dict[int, list[Words]]:
    """Return the captions of each image row as word ids without special tokens; empty ones do not count."""
    found: dict[int, list[Words]] = {}
    for row, image in zip(split.captions, split.image_idxs.tolist(), strict=True):
        if words := _words(split, row):
            found.setdefault(image, []).append(words)
    return found


def _words(split: Split, row: NDArray[Any]) -> Words:
    v = split.vocabulary
    return [word for word in row.tolist() if word not in (v.null, v.start, v.end, v.unk)]
