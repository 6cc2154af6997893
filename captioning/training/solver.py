"""Training: epochs of minibatches, the best weights kept, and a stop at any time that can be resumed exactly.

What a training draws at random depends on the seed and on the iteration only: the order of the captions
in epoch e comes from `default_rng([seed, 0, e])`, the dropout of iteration i from
`default_rng([seed, 1, i])`. So there is no state of a generator to save, and a resumed run is the
uninterrupted one bit by bit (on the same machine with the same number of threads).
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.parts import images_of_part
from captioning.data.splits import Split
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner
from captioning.progress import Progress
from captioning.scoring.evaluation import captions_of, mean_exercise_bleu, mean_loss
from captioning.scoring.metrics import corpus_bleu
from captioning.training.checkpoints import Checkpoint
from captioning.training.run_folder import Entry, Run, RunError

__all__ = ["KEEP", "Settings", "Solver", "TrainingError"]

KEEP = ("bleu", "exercise", "loss")
"""What may decide which epoch is best."""

Arrays = dict[str, NDArray[Any]]


class TrainingError(ValueError):
    """A training that cannot go on: the message says at which iteration and what to change."""


@dataclass(frozen=True)
class Settings:
    """How to train.

    epochs, batch_size: how often each caption is seen, and how many at once. learning_rate: Adam's, times
    lr_decay after every epoch. clip_norm: the largest norm of all gradients together; None is no limit.
    weight_decay: decoupled, as in AdamW. patience: stop after so many epochs without a better one; None
    is never. keep: which epoch is best, that of the highest validation 'bleu' (corpus BLEU-4 of greedy
    captions; of two alike the one with the lower loss), of the highest 'exercise' BLEU (the mean over all stored
    references), or of the lowest validation 'loss'. val_part: the
    part of the validation images that decides it ('all', or a half, so that the other half can be
    reported), and val_images, how many of them at most. seed: of everything random.
    """

    epochs: int = 20
    batch_size: int = 25
    learning_rate: float = 1e-3
    lr_decay: float = 0.9
    clip_norm: float | None = 5.0
    weight_decay: float = 0.0
    patience: int | None = None
    keep: str = "bleu"
    val_part: str = "first"
    val_images: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "val_images", "patience"):
            value = getattr(self, name)
            if (value is not None or name != "patience") and (type(value) is not int or value < 1):
                raise ValueError(f"{name} must be an int of at least 1; got {value!r}")
        for name in ("learning_rate", "lr_decay", "clip_norm"):
            value = getattr(self, name)
            if (value is not None or name != "clip_norm") and not 0 < value < math.inf:
                raise ValueError(f"{name} must be above 0 and finite; got {value!r}")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay must be at least 0 and finite; got {self.weight_decay!r}")
        if type(self.seed) is not int or self.seed < 0:
            raise ValueError(f"seed must be an int of at least 0; got {self.seed!r}")
        if self.keep not in KEEP:
            raise ValueError(f"keep must be one of {', '.join(map(repr, KEEP))}; got {self.keep!r}")


class Solver:
    """Trains a captioner on the captions of a split.

    model, train: what is trained, on what. val: the split that decides which weights are best; None
    keeps the last. run: the folder that gets weights, history and checkpoints; None keeps all in memory.
    progress: shows how far it is; None is silent. `history` has the entries of history.jsonl,
    `iteration` says how many are done, `interrupted` whether the last `train` was stopped by Ctrl-C.

    Each `train` goes on where the last one stopped. After a complete one the model has the best weights.
    A loss that is not finite is a TrainingError, and the files keep what was good.
    """

    def __init__(
        self,
        model: Captioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        run: Run | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.model, self.split, self.val, self.run, self.progress = model, train, val, run, progress
        self.settings = Settings() if settings is None else settings
        s = self.settings
        self.optimiser = mg.optim.AdamW(model.parameters(), lr=s.learning_rate, weight_decay=s.weight_decay)
        self.schedule = mg.optim.ExponentialLR(self.optimiser, s.lr_decay)  # its steps are epochs
        self.epoch_length = -(-len(train) // s.batch_size)
        self.images = None if val is None else images_of_part(val, s.val_part, s.val_images, s.seed)
        self.iteration = 0
        self.history: list[Entry] = []
        self.interrupted = False
        self._best: tuple[float, float] | None = None  # (score, -loss) of the best epoch
        self._best_epoch = 0
        self._best_weights: Arrays | None = None
        self._order: tuple[int, NDArray[np.int64]] | None = None  # epoch and the order of its captions

    @property
    def total(self) -> int:
        """The iterations of all epochs."""
        return self.settings.epochs * self.epoch_length

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        epoch, rest = divmod(self.iteration, self.epoch_length)
        patience = self.settings.patience
        bored = patience is not None and self._best is not None and epoch - self._best_epoch >= patience
        return self.iteration >= self.total or (rest == 0 and bored)

    @property
    def best_entry(self) -> Entry | None:
        """The entry in the history of the best epoch so far; None before the end of the first."""
        ends = (e for e in self.history if e.get("epoch") == self._best_epoch and "loss" not in e)
        return next(ends, None)

    def train(self) -> list[Entry]:
        """Train to the end, or until Ctrl-C, which ends the running iteration first; the history."""
        self.interrupted = False
        if self.progress is not None:
            self.progress.begin(self.total, self.iteration)
        try:
            self._train()
        finally:  # an error leaves the terminal as it was
            if self.progress is not None:
                self.progress.close()
        if self.finished and self._best_weights is not None:
            self.model.load_state_dict(self._best_weights)
        if self.run is not None:
            self.run.draw_curve()
        return self.history

    def _train(self) -> None:
        with _stop_on_interrupt() as stop:
            while not self.finished and not self.interrupted:
                epoch, position = divmod(self.iteration, self.epoch_length)
                if position == 0 and not self._begin_epoch(epoch, stop):
                    self.interrupted = True  # the last checkpoint is of this very moment
                    break
                self._iterate()
                ended = self.iteration % self.epoch_length == 0
                if ended:
                    self._end_epoch()
                self.interrupted = stop.is_set()  # asked once: what stops the training is also saved
                if self.interrupted and not ended:
                    self.save_checkpoint()

    def _begin_epoch(self, epoch: int, stop: threading.Event) -> bool:
        """Prepare an epoch, counted from 0; False if it was stopped."""
        return True

    def _iterate(self) -> None:
        s = self.settings
        epoch, position = divmod(self.iteration, self.epoch_length)
        rows = self._order_of(epoch)[position * s.batch_size : (position + 1) * s.batch_size]
        batch = self.split.batch(rows)
        if self.schedule.count != epoch:  # whatever ended the epoch before, and wherever a checkpoint led
            self.schedule.load_state_dict(self.schedule.state_dict() | {"count": np.array(epoch)})
        self.model.train()
        self.model.rng = np.random.default_rng([s.seed, 1, self.iteration])
        loss = self.model.loss(batch.features, batch.captions)
        value = float(loss.item())
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at iteration {self.iteration + 1} of epoch {epoch + 1}: "
                "try a smaller learning rate, or a smaller clip norm"
            )
        self.optimiser.zero_grad()
        loss.backward()
        if s.clip_norm is not None:
            mg.optim.clip_grad_norm(self.model.parameters(), s.clip_norm)
        self.optimiser.step()
        self.iteration += 1
        self._log({"iteration": self.iteration, "epoch": epoch + 1, "loss": value})
        if self.progress is not None:
            self.progress.update(self.iteration, loss=value)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            rng = np.random.default_rng([self.settings.seed, 0, epoch])
            self._order = epoch, rng.permutation(len(self.split))
        return self._order[1]

    def _end_epoch(self) -> None:
        epoch = self.iteration // self.epoch_length
        entry: Entry = {"epoch": epoch, "iteration": self.iteration, "learning_rate": self.optimiser.lr}
        key = (float(epoch), 0.0)  # without validation the last epoch is the best
        if self.val is not None and self.images is not None:
            loss = mean_loss(self.model, self.val, self.images)
            bleu, exercise = self._bleu(self.val, self.images)
            entry |= {"val_loss": loss, "val_bleu": bleu, "val_exercise_bleu": exercise}
            key = {"bleu": (bleu, -loss), "exercise": (exercise, -loss), "loss": (-loss, bleu)}[self.settings.keep]
        self._log(entry)
        if self._best is None or key > self._best:
            self._best, self._best_epoch = key, epoch
            self._best_weights = self.model.state_dict()  # copies
            if self.run is not None:
                self.run.save_best(self._best_weights)
        self.save_checkpoint()
        if self.progress is not None:
            self.progress.say(_summary(entry, self.settings.epochs, best=self._best_epoch == epoch))

    def _bleu(self, val: Split, images: NDArray[np.int64]) -> tuple[float, float]:
        """Corpus BLEU-4 and exercise BLEU of greedy captions."""
        said = captions_of(self.model, val, images, greedy)
        corpus = corpus_bleu([val.references(int(i)) for i in images], said)["BLEU-4"]
        return corpus, mean_exercise_bleu(val, images, said)

    def _log(self, entry: Entry) -> None:
        self.history.append(entry)
        if self.run is not None:
            self.run.log(entry)

    # Checkpoints -------------------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Write where the training stands to the run folder, if there is one."""
        if self.run is None:
            return
        model, optimiser = self.model.state_dict(), self.optimiser.state_dict()
        held = Checkpoint(self.iteration, self._best_epoch, self._best, model, optimiser)
        self.run.save_checkpoint(held.arrays())

    def resume(self) -> None:
        """Go back to the checkpoint of the run folder; the next `train` goes on from there.

        A missing, damaged or foreign checkpoint is a RunError, and nothing has changed.
        """
        if self.run is None:
            raise RunError("resume: this solver has no run folder")
        arrays = self.run.load_checkpoint()
        path = self.run.folder / "checkpoint.safetensors"
        model, optimiser = self.model.state_dict(), self.optimiser.state_dict()
        try:
            held = Checkpoint.of(arrays)
            self.model.load_state_dict(held.model)
            self.optimiser.load_state_dict(held.optimiser)
            weights = None if held.best is None else self.run.load_model().state_dict()
        except (KeyError, ValueError, TypeError) as error:
            self.model.load_state_dict(model)
            self.optimiser.load_state_dict(optimiser)
            if isinstance(error, RunError):
                raise
            raise RunError(f"{path}: does not fit the run: {error}") from error
        self.history = self.run.cut_history(held.iteration)
        self.iteration, self._best_epoch, self._best = held.iteration, held.best_epoch, held.best
        self._best_weights = weights


def _summary(entry: Entry, epochs: int, best: bool) -> str:
    text = f"epoch {entry['epoch']}/{epochs}"
    if "val_loss" in entry:
        text += f"  validation loss {entry['val_loss']:.3f}, BLEU-4 {entry['val_bleu']:.4f}, "
        text += f"exercise BLEU {entry['val_exercise_bleu']:.4f}"
        text += "  (best so far)" if best else ""
    return text


@contextlib.contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that no update of the weights is cut in half; a second one is as ever."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only there signals can be handled
        yield stop
        return
    previous = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: Any) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, handle)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, previous)
