"""A second training, in rounds: the model writes captions to learn from, and then learns from them.

Each round draws captions by consensus (`captioning.training.consensus_targets`) with the weights that it starts from,
and trains for some epochs on them. It is a `Solver` whose captions are renewed, with everything that a solver has: what
is random in round r comes from `default_rng([seed, 2, r])`, and the run folder holds the captions of the running round
in `targets.safetensors`, so that a resumed run is the uninterrupted one bit by bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

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
    ) -> None:
        self.rounds = Rounds() if rounds is None else rounds
        self.consensus = Consensus() if consensus is None else consensus
        epochs = self.rounds.rounds * self.rounds.round_epochs
        settings = replace(Settings() if settings is None else settings, epochs=epochs)
        super().__init__(model, train, val, settings, run, progress, checkpoint_every)
        self.humans = train
        self.pictures = np.array(sorted(captions_by_image(train)))
        if not self.pictures.size:
            raise ValueError(f"the split {train.name} has no caption with a known word to refine on")
        self._neighbours: Neighbours | None = None  # found when they are first needed
        self.epoch_length = -(-self.pictures.size * self.consensus.best // settings.batch_size)

    def _find_neighbours(self, stop: Stop) -> Neighbours | None:
        """Of each picture that has a caption; None if it was stopped."""
        if self._neighbours is None:
            if self.progress is not None:
                self.progress.say("looking for the pictures most like each picture")
            how = self.consensus
            whole = self.humans.features.parts[0]  # of the pictures, not of their places
            self._neighbours = nearest(whole, self.pictures, how.neighbours, how.width, self._report, stop.is_set)
        return self._neighbours

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        number, rest = divmod(epoch, self.rounds.round_epochs)
        if rest:
            return True
        neighbours = self._find_neighbours(stop)
        if neighbours is None:
            return False
        if self.progress is not None:
            self.progress.say(f"round {number + 1}/{self.rounds.rounds}: writing captions to learn from")
        rng = np.random.default_rng([self.settings.seed, 2, number])
        found = consensus_captions(self.model, self.humans, neighbours, self.consensus, rng, self._report, stop.is_set)
        if found is None:
            return False
        self.split = self.humans.with_captions(*found)
        if self.run is not None:
            targets = {"captions": self.split.captions, "image_idxs": self.split.image_idxs}
            mg.save(self.run.folder / TARGETS, {**targets, "round": np.array(number)})
        if self.progress is not None:
            self.progress.begin(self.total, self.iteration)
        return True

    def _report(self, done: int, total: int) -> None:
        if self.progress is not None:
            if not done:
                self.progress.begin(total)
            self.progress.update(done)

    def _load_split(self, iteration: int) -> None:
        """A missing or damaged file of the round's captions is a RunError too."""
        assert self.run is not None  # or `resume` had raised
        epoch, position = divmod(iteration, self.epoch_length)
        if position or epoch % self.rounds.round_epochs:  # the captions of a new round are yet to be written
            path = self.run.folder / TARGETS
            self.split = _targets(path, read_arrays(path), self.humans, epoch // self.rounds.round_epochs)


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
