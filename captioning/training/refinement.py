"""Refinement: in rounds, a captioner writes captions and then learns from the best of them.

Training on human captions teaches a captioner to write what one person might write. Scores compare its caption with
those of several people, which rewards cautious captions. Minimum Bayes risk decoding finds these: it draws several
drafts and takes the one with the highest utility,

    utility(y) = a mean_h BLEU(y, h) + (1 - a) sum_j w_j mean_c BLEU(y, c).

h are the human captions of the image, c those of a similar image j with weight w_j (`captioning.data.neighbours`), and
BLEU is exercise BLEU. Captions of similar images depend only on the features, so the model can predict them for new
images. An image's own captions can also be memorised.

A `Refinement` is a `Solver` that regenerates its captions in each round. The random numbers of round r come from
`default_rng([seed, 2, r])`, and `targets.safetensors` in the run folder holds the captions of the current round. So a
resumed run is bit-identical to an uninterrupted one. If batches are split into shards, so are the images of a round,
and `default_rng([seed, 2, r, s])` draws the captions of shard s.

Sources: S. Kumar and W. Byrne, Minimum Bayes-risk decoding for statistical machine translation (2004); Y. Kim and
A. Rush, Sequence-level knowledge distillation (2016), for training on a model's own best sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.errors import COUNT, POSITIVE, UNIT, check_values
from captioning.data.neighbours import Neighbours, nearest
from captioning.data.splits import Split
from captioning.decoding.stepwise import check_chance, sample
from captioning.models.kinds import AnyCaptioner
from captioning.scoring.metrics import exercise_bleu_table
from captioning.training.run_files import RunError
from captioning.training.run_folder import read_arrays
from captioning.training.settings import Settings, Stop
from captioning.training.solver import Solver
from minigrad.runtime.threads import split as split_evenly

__all__ = ["Consensus", "Refinement", "Rounds", "best_drafts", "captions_by_image", "consensus_captions"]

TARGETS = "targets.safetensors"
_BLOCK = 50  # images whose drafts are in memory at once
_MOST_DRAFTS = 1000  # of an image

Ids = NDArray[np.int32]
Words = list[int]


@dataclass(frozen=True)
class Rounds:
    """How often to regenerate the captions (`rounds`), and how many epochs use the same captions (`round_epochs`)."""

    rounds: int = 6
    round_epochs: int = 2

    def __post_init__(self) -> None:
        check_values(vars(self), dict.fromkeys(vars(self), COUNT))


@dataclass(frozen=True)
class Consensus:
    """How to choose the captions to learn from.

    drafts, temperature: how many captions to draw for an image, and at which temperature. neighbours: how many similar
    images to compare with. width: a smaller one gives more weight to the most similar images. human_weight: a in the
    formula of this module, from 0 to 1. best: how many of the best drafts to learn from.
    """

    drafts: int = 12
    temperature: float = 0.7
    neighbours: int = 100
    width: float = 0.08
    human_weight: float = 0.2
    best: int = 2

    def __post_init__(self) -> None:
        check_values(vars(self), {**dict.fromkeys(("drafts", "neighbours", "best"), COUNT), "human_weight": UNIT,
                                  **dict.fromkeys(("temperature", "width"), POSITIVE)})  # fmt: skip
        check_chance(self.temperature, None)
        if self.drafts > _MOST_DRAFTS:
            raise ValueError(f"drafts must be at most {_MOST_DRAFTS}; got {self.drafts}")
        if self.best > self.drafts:
            raise ValueError(f"best must be at most drafts, {self.drafts}; got {self.best}")


class _StoppedError(Exception):
    """Training was stopped while captions were written."""


class Refinement(Solver):
    """Trains a captioner further, on captions that it writes itself, in rounds.

    model: has the weights to start from. train: the split with the human captions. rounds, consensus: how captions are
    written. settings: of the training; the rounds determine the number of epochs. options: those of `Solver`.
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
        self.training_images = np.array(sorted(captions_by_image(train)))
        if not self.training_images.size:
            raise ValueError(f"the split {train.name} has no caption with a known word, but refinement needs some")
        self._neighbours: dict[int, Neighbours] = {}  # of each shard
        self.epoch_length = -(-self.training_images.size * self.consensus.best // self.settings.batch_size)

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        number, rest = divmod(epoch, self.rounds.round_epochs)
        if rest:
            return True
        captions = self._blank_captions()
        try:
            self._write_captions(number, stop, captions)
            stopped = False
        except _StoppedError:
            stopped = True
        if self._sum_over_shards(np.array([stopped]), stop).any():
            return False
        self._use_captions(mg.parallel.merge(self.comm, captions))
        if self.run is not None:
            targets = {"captions": self.split.captions, "image_idxs": self.split.image_idxs}
            mg.save(self.run.folder / TARGETS, {**targets, "round": np.array(number)})
        self.progress.begin(self.total, self.iteration)
        return True

    def _write_captions(self, number: int, stop: Stop, captions: Ids) -> None:
        """Fill in the captions of a round for the images of this process; raise a _StoppedError if it should stop."""

        def report(done: int, total: int) -> None:
            self._report(done, total)
            if stop.is_set():
                raise _StoppedError

        how, slices = self.consensus, split_evenly(len(self.training_images), self.shards)
        own = mg.parallel.blocks_of_shards(self.shards, self.comm.size)[self.comm.rank]
        parts = {shard: slices[shard] for shard in own if slices[shard].stop > slices[shard].start}
        if not self._neighbours:
            self.progress.say("finding similar images")
            whole = self.humans.features.parts[0]  # without the features of regions
            self._neighbours = {
                shard: nearest(whole, self.training_images, how.neighbours, how.width, report, part=part)
                for shard, part in parts.items()
            }
        self.progress.say(f"round {number + 1}/{self.rounds.rounds}: writing captions to learn from")
        for shard, part in parts.items():
            neighbours, rng = self._neighbours[shard], self._rng_of(2, number, shard)
            written, _ = consensus_captions(self.model, self.humans, neighbours, how, rng, report, part)
            captions[how.best * part.start : how.best * part.stop] = written

    def _report(self, done: int, total: int) -> None:
        if done == 0:
            self.progress.begin(total)
        self.progress.update(done)

    def _blank_captions(self) -> Ids:
        return np.zeros((self.consensus.best * self.training_images.size, self.humans.captions.shape[1]), np.int32)

    def _use_captions(self, captions: Ids) -> None:
        self.split = self.humans.with_captions(
            captions, np.repeat(self.training_images, self.consensus.best).astype(np.int32)
        )

    def _captions_to_share(self) -> Ids | None:
        if not self._is_within_a_round(self.iteration):
            return None
        return self._blank_captions() if self.split is self.humans else self.split.captions

    def _is_within_a_round(self, iteration: int) -> bool:
        """Return whether the captions of the round were written before this iteration."""
        epoch, position = divmod(iteration, self.epoch_length)
        return bool(position or epoch % self.rounds.round_epochs)

    def _load_split(self, iteration: int) -> None:
        assert self.run is not None  # otherwise `resume` has raised
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
            raise RunError(f"{path}: must hold {self.consensus.best} captions of each of the "
                           f"{len(self.training_images)} images of this run; it belongs to another run")  # fmt: skip
        if captions.dtype != np.int32 or captions.min() < 0 or captions.max() >= words:
            raise RunError(f"{path}: captions must be int32 from 0 to {words - 1}; the file is damaged")
        self._use_captions(captions)


def best_drafts(drafts: Sequence[Words], captions: Sequence[Words], weights: Sequence[float], best: int) -> list[Words]:
    """Return the `best` distinct drafts that agree best with captions of the given weights, best first.

    drafts, captions: lists of words without special tokens. Empty drafts are ignored. If there are fewer distinct
    drafts than `best`, they are repeated. If there are none, the first caption is used.

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
    part: slice = slice(None),
) -> tuple[Ids, Ids]:
    """Return captions to learn from, for all images of a split with human captions or for a part of them.

    neighbours: of the images, the keys of `captions_by_image` in increasing order. report: called with the number of
    finished images and the number of all; an exception that it raises ends the work. part: the part of the images.

    Returns:
        Captions (best M, T), T as in the split, and their image rows (best M,).
    """
    random, v, T = np.random.default_rng(rng), split.vocabulary, split.captions.shape[1]
    humans = captions_by_image(split)
    images = np.array(sorted(humans), dtype=np.int32)[part]
    rows: list[Ids] = []
    for start in range(0, len(images), _BLOCK):
        report(start, len(images))
        block = slice(start, start + _BLOCK)
        features = np.repeat(split.features[images[block]], how.drafts, axis=0)
        drawn = sample(model, features, T - 1, how.temperature, rng=random)  # a row has <START> too
        # Drop drafts that were cut: learning them would teach the model to end in the middle of a phrase.
        drafts = [_words(split, row) if v.end in row else [] for row in drawn]
        others = zip(neighbours.rows[block].tolist(), neighbours.weights[block], strict=True)
        for k, (image, (similar, weights)) in enumerate(zip(images[block].tolist(), others, strict=True)):
            a = how.human_weight if similar else 1.0
            voters = [(image, a), *zip(similar, (1 - a) * weights, strict=True)]
            captions = [caption for voter, _ in voters for caption in humans[voter]]
            shares = [w / len(humans[voter]) for voter, w in voters for _ in humans[voter]]
            for words in best_drafts(drafts[k * how.drafts : (k + 1) * how.drafts], captions, shares, how.best):
                row = [v.start, *words, v.end][:T]  # a human caption may fill its row without <END>
                rows.append(np.array(row + [v.null] * (T - len(row)), np.int32))
    return np.stack(rows), np.repeat(images, how.best)


def captions_by_image(split: Split) -> dict[int, list[Words]]:
    """Return the captions of each image row as word ids without special tokens; empty captions are left out."""
    found: dict[int, list[Words]] = {}
    for row, image in zip(split.captions, split.image_idxs.tolist(), strict=True):
        if words := _words(split, row):
            found.setdefault(image, []).append(words)
    return found


def _words(split: Split, row: NDArray[Any]) -> Words:
    v = split.vocabulary
    return [word for word in row.tolist() if word not in (v.null, v.start, v.end, v.unk)]
