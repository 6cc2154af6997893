"""A second training, in rounds: the model writes captions to learn from, and then learns from them.

Each round draws captions by consensus (`captioning.training.consensus_targets`) with the weights that it starts from,
and trains for some epochs on them. It is a `Solver` whose captions are renewed, with everything that a solver has: what
is random in round r comes from `default_rng([seed, 2, r])`, and the run folder holds the captions of the running round
in `targets.safetensors`, so that a resumed run is the uninterrupted one bit by bit.

Where batches are cut into shards, so are the pictures of a round: the captions of shard s are drawn by
`default_rng([seed, 2, r, s])`, and ranks write those of their shards.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.neighbours import Neighbours, nearest
from captioning.data.splits import Split
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.training.consensus_targets import Consensus, captions_by_image, consensus_captions
from captioning.training.errors import RunError
from captioning.training.run_folder import Run, read_arrays
from captioning.training.settings import Settings
from captioning.training.solver import CHECKPOINT_EVERY, Solver
from captioning.training.stopping import Stop
from minigrad.parallel.communicators import ALONE
from minigrad.runtime.threads import split as split_evenly

__all__ = ["Refinement", "Rounds"]

TARGETS = "targets.safetensors"


@dataclass(frozen=True)
class Rounds:
    """How often captions are renewed (`rounds`), and for how many epochs each is trained on (`round_epochs`)."""

    rounds: int = 6
    round_epochs: int = 2

    def __post_init__(self) -> None:
        for name in ("rounds", "round_epochs"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an int of at least 1; got {value!r}")


class Refinement(Solver):
    """Trains a captioner that is trained already on captions that it writes itself, in rounds.

    model: with the weights to start from. train: the split with the human captions. rounds, consensus: how
    the captions are made. settings: of the training; its epochs follow from the rounds. The rest as in `Solver`.
    """

    def __init__(
        self,
        model: AnyCaptioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        rounds: Rounds | None = None,
        consensus: Consensus | None = None,
        run: Run | None = None,
        progress: Progress | None = None,
        checkpoint_every: str = CHECKPOINT_EVERY,
        shards: int = 1,
        comm: Any = ALONE,
    ) -> None:
        self.rounds = Rounds() if rounds is None else rounds
        self.consensus = Consensus() if consensus is None else consensus
        epochs = self.rounds.rounds * self.rounds.round_epochs
        settings = replace(Settings() if settings is None else settings, epochs=epochs)
        super().__init__(model, train, val, settings, run, progress, checkpoint_every, shards, comm)
        self.humans = train
        self.pictures = np.array(sorted(captions_by_image(train)))
        if not self.pictures.size:
            raise ValueError(f"the split {train.name} has no caption with a known word to refine on")
        self._neighbours: dict[int, Neighbours] = {}  # of shards; found when they are first needed
        self.epoch_length = -(-self.pictures.size * self.consensus.best // settings.batch_size)

    def _parts(self) -> dict[int, slice]:
        """Which pictures belong to each of this rank's shards, where there are any."""
        parts = split_evenly(len(self.pictures), self.shards)
        own = mg.parallel.blocks_of_shards(self.shards, self.comm.size)[self.comm.rank]
        return {shard: parts[shard] for shard in own if parts[shard].stop > parts[shard].start}

    def _find_neighbours(self, stop: Stop) -> bool:
        """Those of each picture that has a caption and belongs to this rank's shards; False if it was stopped."""
        if self.progress is not None and not self._neighbours:
            self.progress.say("looking for the pictures most like each picture")
        how = self.consensus
        whole = self.humans.features.parts[0]  # of the pictures, not of their places
        for shard, part in self._parts().items():
            if shard not in self._neighbours:
                found = nearest(whole, self.pictures, how.neighbours, how.width, self._report, stop.is_set, part=part)
                if found is None:
                    return False
                self._neighbours[shard] = found
        return True

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        number, rest = divmod(epoch, self.rounds.round_epochs)
        if rest:
            return True
        captions = self._written(number, stop)
        if self._told(np.array([captions is None]), stop).any():  # if some rank was stopped, all are
            return False
        captions = mg.parallel.merge(self.comm, captions)
        self.split = self.humans.with_captions(captions, self._images_of_captions())
        if self.run is not None:
            targets = {"captions": self.split.captions, "image_idxs": self.split.image_idxs}
            mg.save(self.run.folder / TARGETS, {**targets, "round": np.array(number)})
        if self.progress is not None:
            self.progress.begin(self.total, self.iteration)
        return True

    def _written(self, number: int, stop: Stop) -> NDArray[np.int32] | None:
        """The captions of a round, those of other ranks' pictures left 0; None if it was stopped."""
        if not self._find_neighbours(stop):
            return None
        if self.progress is not None:
            self.progress.say(f"round {number + 1}/{self.rounds.rounds}: writing captions to learn from")
        parts, done, how = self._parts(), 0, self.consensus
        mine = sum(part.stop - part.start for part in parts.values())
        captions = np.zeros((how.best * self.pictures.size, self.humans.captions.shape[1]), np.int32)
        for shard, part in parts.items():
            neighbours, rng = self._neighbours[shard], self._rng_of(2, number, shard)
            report = functools.partial(self._report_more, done, mine)
            found = consensus_captions(self.model, self.humans, neighbours, how, rng, report, stop.is_set, part)
            if found is None:
                return None
            captions[how.best * part.start : how.best * part.stop] = found[0]
            done += part.stop - part.start
        return captions

    def _images_of_captions(self) -> NDArray[np.int32]:
        """The rows of the pictures of a round's captions."""
        return np.repeat(self.pictures, self.consensus.best).astype(np.int32)

    def synchronise(self) -> None:
        """Also what the running round learns from."""
        super().synchronise()
        if self.comm.size > 1 and self._is_within_a_round(self.iteration):
            captions = np.zeros((len(self._images_of_captions()), self.humans.captions.shape[1]), np.int32)
            captions = self.split.captions if self.comm.rank == 0 else captions
            mg.parallel.broadcast_arrays([captions], 0, self.comm)
            self.split = self.humans.with_captions(captions, self._images_of_captions())

    def _is_within_a_round(self, iteration: int) -> bool:
        """Whether the captions that are learnt from then have been written before."""
        epoch, position = divmod(iteration, self.epoch_length)
        return bool(position or epoch % self.rounds.round_epochs)

    def _report_more(self, before: int, whole: int, done: int, _: int) -> None:
        self._report(before + done, whole)

    def _report(self, done: int, total: int) -> None:
        if self.progress is not None:
            if not done:
                self.progress.begin(total)
            self.progress.update(done)

    def _load_split(self, iteration: int) -> None:
        """A missing or damaged file of the round's captions is a RunError too."""
        assert self.run is not None  # or `resume` had raised
        if self._is_within_a_round(iteration):
            path, number = self.run.folder / TARGETS, iteration // self.epoch_length // self.rounds.round_epochs
            split = _targets(path, read_arrays(path), self.humans, number)
            if not np.array_equal(split.image_idxs, self._images_of_captions()):
                raise RunError(f"{path}: holds captions of other pictures, or another number of each, than the "
                               f"{len(self.pictures)} that are learnt from, {self.consensus.best} of each")  # fmt: skip
            self.split = split


def _targets(path: Any, arrays: dict[str, Any], humans: Split, number: int) -> Split:
    missing = [key for key in ("captions", "image_idxs", "round") if key not in arrays]
    if missing:
        raise RunError(f"{path}: the arrays {', '.join(missing)} are missing")
    if arrays["round"].shape != () or arrays["round"].dtype.kind != "i":
        raise RunError(f"{path}: round must be one int; got {arrays['round'].dtype} {arrays['round'].shape}")
    if int(arrays["round"]) != number:
        raise RunError(f"{path}: holds the captions of round {int(arrays['round']) + 1}, not of {number + 1}")
    captions, images = arrays["captions"], arrays["image_idxs"]
    shapes = (captions.shape, images.shape)
    if not len(captions) or shapes != ((len(captions), humans.captions.shape[1]), (len(captions),)):
        raise RunError(f"{path}: captions and image_idxs must be (N,{humans.captions.shape[1]}) and (N,); got {shapes}")
    for name, values, stop in (
        ("captions", captions, len(humans.vocabulary)),
        ("image_idxs", images, len(humans.features)),
    ):
        if values.dtype != np.int32 or values.min() < 0 or values.max() >= stop:
            raise RunError(f"{path}: {name} must be int32 from 0 to {stop - 1}; the file is damaged")
    return humans.with_captions(captions, images)
