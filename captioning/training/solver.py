"""Training: epochs of minibatches, the best weights kept, and a stop at any time that can be resumed exactly.

What a training draws at random depends on the seed and on the iteration only: the order of the captions
in epoch e comes from `default_rng([seed, 0, e])`, the dropout of iteration i from
`default_rng([seed, 1, i])`. So there is no state of a generator to save, and a resumed run is the
uninterrupted one bit by bit (on the same machine with the same number of threads).

Each batch may be cut into shards, whose gradients are summed in their order (`minigrad.parallel`). Then the dropout of
shard s of iteration i comes from `default_rng([seed, 1, i, s])`, and how many ranks divide the shards makes no
difference to a bit. Ranks that train together come to the same weights and the same decisions; one has the run folder.

A checkpoint is written after each validation, when `checkpoint_every` is over, and at a stop. The best weights are
written just before the checkpoint that knows of them: if the process dies between the two, the resumed training comes
to the same weights again.
"""

from __future__ import annotations

import contextlib
import json
import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.splits import ReadAhead, Split, images_of_part
from captioning.decoding.stepwise import greedy
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.scoring.cider import cider_d
from captioning.scoring.evaluation import captions_of, mean_exercise_bleu, mean_loss
from captioning.scoring.metrics import corpus_bleu
from captioning.training.checkpoints import Checkpoint
from captioning.training.errors import RunError, TrainingError
from captioning.training.history import Entry
from captioning.training.intervals import Clock, Interval
from captioning.training.order import batches_from, epoch_order
from captioning.training.rates import learning_rate, reductions
from captioning.training.run_folder import Run
from captioning.training.scheduled_sampling import with_own_words
from captioning.training.settings import Settings
from captioning.training.stopping import Stop, stop_on_signals
from minigrad import Tensor
from minigrad.parallel.communicators import ALONE
from minigrad.parallel.data_parallel import DataParallel

__all__ = ["AHEAD", "CHECKPOINT_EVERY", "Solver"]

AHEAD = 2
"""How many batches are read ahead, where features stay in their file: two, since reading does not take equally long."""

CHECKPOINT_EVERY = "5m"
"""How often a checkpoint is written, unless told otherwise."""

Arrays = dict[str, NDArray[Any]]


class Solver:
    """Trains a captioner on the captions of a split.

    model, train: what is trained, on what. val: the split that decides which weights are best; None
    keeps the last. run: the folder that gets weights, history and checkpoints; None keeps all in memory.
    progress: shows how far it is; None is silent. checkpoint_every: between validations, as `Interval.of` reads it.
    shards: into how many each batch is cut. comm: the ranks that train together; each makes a solver, of the same data
    and settings, the run is given to rank 0 alone, and after that all call `synchronise`.
    `history` has the entries of history.jsonl, `iteration` says how many are done, `interrupted` whether the last
    `train` was stopped, and `stopped_by` the number of the signal that did it.

    Each `train` goes on where the last one stopped. After a complete one the model has the best weights.
    A loss that is not finite is a TrainingError, and the files keep what was good.
    """

    FIGURES: tuple[str, ...] = ()
    """What `_loss` tells of its rows for the history, in the mean over them."""

    def __init__(
        self,
        model: AnyCaptioner,
        train: Split,
        val: Split | None = None,
        settings: Settings | None = None,
        run: Run | None = None,
        progress: Progress | None = None,
        checkpoint_every: str = CHECKPOINT_EVERY,
        shards: int = 1,
        comm: Any = ALONE,
    ) -> None:
        self.model, self.split, self.val, self.run, self.progress = model, train, val, run, progress
        self.settings = Settings() if settings is None else settings
        s = self.settings
        betas = (0.9, s.beta2)
        self.optimiser = mg.optim.AdamW(
            model.parameters(), lr=s.learning_rate, betas=betas, weight_decay=s.weight_decay
        )
        self.average = None if s.average is None else mg.optim.EMA(model, s.average)
        self.epoch_length = -(-len(train) // s.batch_size)
        self.images = None if val is None else images_of_part(val, s.val_part, s.val_images, s.seed)
        self.iteration = 0
        self.history: list[Entry] = []
        self.interrupted = False
        self.stopped_by: int | None = None
        self.shards, self.comm = shards, comm
        self._clock = Clock(Interval.of(checkpoint_every))
        self._best: tuple[float, float] | None = None  # (score, -loss) of the best validation
        self._best_iteration = 0
        self._signal: int | None = None  # that some rank had got when all last told each other
        self._reduced = 0  # how often the learning rate of the schedule `plateau` was reduced
        self._best_weights: Arrays | None = None
        self._order: tuple[int, NDArray[np.int64]] | None = None  # epoch and the order of its captions
        self._upcoming: list[NDArray[np.int64]] = []  # what this rank computes next
        self._ahead: ReadAhead = ReadAhead(self._read, threaded=not train.features.cached)

    @cached_property
    def parallel(self) -> DataParallel:
        """What cuts batches into shards. Ranks make it together, when all of them have their solvers."""
        return DataParallel(self.model, self.shards, self.comm)

    @property
    def total(self) -> int:
        """The iterations of all epochs."""
        return self.settings.epochs * self.epoch_length

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience is at its end."""
        epoch, rest = divmod(self.iteration, self.epoch_length)
        patience, best_epoch = self.settings.patience, self._epoch_of(self._best_iteration)
        bored = patience is not None and self._best is not None and epoch - best_epoch >= patience
        return self.iteration >= self.total or (rest == 0 and bored)

    @property
    def best_entry(self) -> Entry | None:
        """The entry in the history of the best validation so far; None before the first."""
        return _entry_of(self.history, self._best_iteration)

    def _epoch_of(self, iteration: int) -> int:
        """The epoch, counted from 1, that an iteration belongs to."""
        return -(-iteration // self.epoch_length)

    def train(self, max_iterations: int | None = None) -> list[Entry]:
        """Train to the end, or until Ctrl-C or SIGTERM, which end the running iteration first; the history.

        max_iterations: stop when so many are done in all, as at Ctrl-C. Below 1 it is a ValueError, and so it is below
        what is done already.
        """
        limit = self.limit(max_iterations)
        self.interrupted, self.stopped_by = False, None
        with contextlib.nullcontext() if self.run is None else self.run:
            if self.progress is not None:
                self.progress.begin(self.total, self.iteration)
            try:
                with np.errstate(all="ignore"):  # weights that run away are told of by the loss, once
                    self._train(limit)
            finally:  # an error leaves the terminal as it was
                if self.progress is not None:
                    self.progress.close()
            if self.finished and self._best_weights is not None:
                self.model.load_state_dict(self._best_weights)
            if self.run is not None:
                self.run.check_there()
                self.run.draw_curve()
        return self.history

    def limit(self, max_iterations: int | None) -> int:
        """After how many iterations `train` would stop; its ValueErrors."""
        if max_iterations is None:
            return self.total
        if type(max_iterations) is not int or max_iterations < 1:
            raise ValueError(f"max_iterations must be an int of at least 1; got {max_iterations!r}")
        if max_iterations < self.iteration:
            raise ValueError(f"max_iterations must be at least {self.iteration}, which are done; got {max_iterations}")
        return max_iterations

    def _train(self, limit: int) -> None:
        with stop_on_signals() as stop, self._ahead:
            self._clock.restart(self.iteration)
            self.interrupted = self.iteration >= limit and not self.finished
            while not self.finished and not self.interrupted:
                epoch, position = divmod(self.iteration, self.epoch_length)
                if position == 0 and not self._begin_epoch(epoch, stop):
                    self.interrupted = True  # the last checkpoint is of this very moment
                    break
                self._iterate(stop)
                judged = self._is_to_be_judged()
                if judged:
                    self._judge()
                reached = self.iteration >= limit and not self.finished
                self.interrupted = self._is_to_stop(stop) or reached  # asked once: what stops it is also saved
                if not judged and (self.interrupted or self._clock.rings(self.iteration)):
                    self.save_checkpoint()
            self.stopped_by = stop.signal if self.comm.size == 1 else self._signal

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        """Prepare an epoch, counted from 0; False if it was stopped."""
        return True

    def _iterate(self, stop: Stop) -> None:
        s, i = self.settings, self.iteration
        epoch, position = divmod(i, self.epoch_length)
        self.optimiser.lr = learning_rate(s, i, self.epoch_length, self._reduced)
        self.model.train()
        rows = self._order_of(epoch)[position * s.batch_size : (position + 1) * s.batch_size]
        value, figures = self._gradients(rows, stop)
        if not math.isfinite(value):
            raise TrainingError(
                f"the loss is {value} at iteration {i + 1} of epoch {epoch + 1}: "
                "try a smaller learning rate, or a smaller clip norm"
            )
        if s.clip_norm is not None:
            mg.optim.clip_grad_norm(self.model.parameters(), s.clip_norm)
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        self.iteration += 1
        self._log({"iteration": self.iteration, "epoch": epoch + 1, "loss": value, **figures})
        if self.progress is not None:
            self.progress.update(self.iteration, **(figures or {"loss": value}))

    def _gradients(self, rows: NDArray[np.int64], stop: Stop) -> tuple[float, Entry]:
        """Leave the gradients of a batch on the parameters; its loss, and figures of it for the history."""
        found = np.zeros((self.shards, 1 + len(self.FIGURES)))
        self._upcoming = self._coming()
        for part in self.parallel.parts(rows):
            self._upcoming = self._upcoming[1:]
            loss, figures = self._loss(part.rows, self._rng_of(1, self.iteration, part.number))
            share_of_loss = loss if part.share == 1 else part.share * loss
            found[part.number] = [share_of_loss.item(), *(part.share * figures[name] for name in self.FIGURES)]
            share_of_loss.backward()
        value, *means = [math.fsum(column) for column in self._told(found, stop).T.tolist()]
        return value, dict(zip(self.FIGURES, means, strict=True))

    def _told(self, numbers: NDArray[Any], stop: Stop) -> NDArray[np.float64]:
        """Numbers that ranks tell each other, each those of its shards, and 0 for others; and which signal some had."""
        told = mg.parallel.gather(self.comm, [stop.signal or 0, *numbers.ravel()])
        self._signal = int(told[:, 0].max()) or None
        whole: NDArray[np.float64] = told[:, 1:].sum(axis=0).reshape(numbers.shape)
        return whole

    def _is_to_stop(self, stop: Stop) -> bool:
        """Whether to stop now. Ranks stop at the same iteration: by the signals that all of them know of."""
        return stop.is_set() if self.comm.size == 1 else self._signal is not None

    def _rng_of(self, kind: int, number: int, shard: int) -> np.random.Generator:
        """What is random in a shard. kind, number: what it is drawn for, such as 1 and the iteration."""
        seed = [self.settings.seed, kind, number]
        return np.random.default_rng(seed if self.shards == 1 else [*seed, shard])

    def _loss(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Entry]:
        """The mean loss of some rows of the order, and their FIGURES; what is random comes from `rng`."""
        s, batch = self.settings, self._batch(rows)
        self.model.rng = rng
        read = None
        if s.scheduled_sampling:
            share = s.scheduled_sampling * self.iteration / self.total
            read = with_own_words(self.model, batch.features, batch.captions, share, rng)
        return self.model.loss(batch.features, batch.captions, s.label_smoothing, read), {}

    def _coming(self) -> list[NDArray[np.int64]]:
        """The rows of this rank's shards, of the running batch and of the next ones of its epoch."""
        epoch, position = divmod(self.iteration, self.epoch_length)
        batches = batches_from(self._order_of(epoch), self.settings.batch_size, position, 1 + AHEAD)
        return [part.rows for batch in batches for part in self.parallel.own(batch)]

    def _batch(self, rows: NDArray[np.int64]) -> Any:
        """What is read of a shard's rows; while it computes, what comes next is read."""
        return self._ahead.read(rows, self._upcoming)

    def _read(self, rows: NDArray[np.int64]) -> Any:
        """What an iteration needs of rows of the order; it may be called in a thread."""
        return self.split.batch(rows)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            s, captions = self.settings, self.split.captions
            lengths = (captions != self.split.vocabulary.null).sum(axis=1)
            rng = np.random.default_rng([s.seed, 0, epoch])
            self._order = epoch, epoch_order(lengths, s.batch_size, s.buckets, rng)
        return self._order[1]

    def _count_reductions(self) -> int:
        """How often the learning rate of the schedule `plateau` was reduced, by the history, which is walked for it."""
        if self.settings.schedule != "plateau":
            return 0
        ends = [e for e in self.history if "val_loss" in e and e["iteration"] % self.epoch_length == 0]
        return reductions([self._key(entry) for entry in ends])

    def _is_to_be_judged(self) -> bool:
        """Whether this iteration ends an epoch, or is one of those after which is validated."""
        every = self.settings.validate_every
        between = self.val is not None and every is not None and self.iteration % every == 0
        return between or self.iteration % self.epoch_length == 0

    def validate(self) -> Entry:
        """The scores of the weights that the model has now, on the images that decide; nothing without such images.

        Ranks share the images, and take the scores of rank 0 all alike.
        """
        if self.val is None or self.images is None:
            return {}
        loss = mean_loss(self.model, self.val, self.images, comm=self.comm)
        entry = {"val_loss": loss, **self._of_captions(self.val, self.images)}
        return dict(zip(entry, mg.parallel.gather(self.comm, list(entry.values()))[0].tolist(), strict=True))

    def is_better(self, entry: Entry, than: Entry) -> bool:
        """Whether a validation is better than another, by what the settings keep."""
        return self._key(entry) > self._key(than)

    def _judge(self) -> None:
        """Validate, keep the weights if they are the best, and write a checkpoint."""
        epoch = self._epoch_of(self.iteration)
        entry: Entry = {"epoch": epoch, "iteration": self.iteration, "learning_rate": self.optimiser.lr}
        with contextlib.nullcontext() if self.average is None else self.average.applied():
            entry |= self.validate()
            self._log(entry)
            self._reduced = self._count_reductions()
            key = self._key(entry)
            if self._best is None or key > self._best:
                self._best, self._best_iteration = key, self.iteration
                self._best_weights = self.model.state_dict()  # copies
                if self.run is not None:
                    self.run.save_best(self._best_weights)
        self.save_checkpoint()
        if self.progress is not None:
            self.progress.say(self._summary(entry))

    def _summary(self, entry: Entry) -> str:
        text = f"epoch {entry['epoch']}/{self.settings.epochs}"
        if entry["iteration"] % self.epoch_length:
            text = f"iteration {entry['iteration']}, in {text}"
        if "val_loss" in entry:
            text += f"  validation loss {entry['val_loss']:.3f}, BLEU-4 {entry['val_bleu']:.4f}, "
            text += f"CIDEr-D {entry['val_cider']:.4f}, exercise BLEU {entry['val_exercise_bleu']:.4f}"
            text += "  (best so far)" if self._best_iteration == entry["iteration"] else ""
        return text

    def _key(self, entry: Entry) -> tuple[float, float]:
        """What decides which validation is best: the larger; without validation the last epoch is."""
        if "val_loss" not in entry:
            return float(entry["epoch"]), 0.0
        loss, bleu = entry["val_loss"], entry["val_bleu"]
        first = {"bleu": bleu, "cider": entry.get("val_cider"), "exercise": entry["val_exercise_bleu"]}
        return (-loss, bleu) if self.settings.keep == "loss" else (first[self.settings.keep], -loss)

    def _of_captions(self, val: Split, images: NDArray[np.int64]) -> Entry:
        """Corpus BLEU-4, CIDEr-D and exercise BLEU of greedy captions."""
        said = captions_of(self.model, val, images, greedy, comm=self.comm, shards=self.shards)
        references = [val.references(int(i)) for i in images]
        return {
            "val_bleu": corpus_bleu(references, said)["BLEU-4"],
            "val_cider": cider_d(references, said)[0],
            "val_exercise_bleu": mean_exercise_bleu(val, images, said),
        }

    def _log(self, entry: Entry) -> None:
        self.history.append(entry)
        if self.run is not None:
            self.run.log(entry)

    # Checkpoints -------------------------------------------------------------------------------

    def state(self) -> Arrays:
        """Where the training stands, as `captioning.training.checkpoints` describes it."""
        model, optimiser = self.model.state_dict(), self.optimiser.state_dict()
        average = {} if self.average is None else self.average.state_dict()
        return Checkpoint(self.iteration, self._best_iteration, self._best, model, optimiser, average).arrays()

    def save_checkpoint(self) -> None:
        """Write where the training stands to the run folder, if there is one."""
        if self.run is not None:
            self.run.save_checkpoint(self.state())
        self._clock.restart(self.iteration)  # now: writing may take longer than the interval

    def resume(self) -> None:
        """Go back to the checkpoint of the run folder; the next `train` goes on from there.

        A missing, damaged or foreign checkpoint is a RunError, also one from beyond the last epoch, and nothing has
        changed.
        """
        if self.run is None:
            raise RunError("resume: this solver has no run folder")
        arrays = self.run.load_checkpoint()
        path = self.run.folder / "checkpoint.safetensors"
        model, optimiser = self.model.state_dict(), self.optimiser.state_dict()
        average = {} if self.average is None else self.average.state_dict()
        try:
            held = Checkpoint.of(arrays, self.epoch_length)
            self._check_within(held.iteration)
            self._take_over(held)
            weights = None if held.best is None else self.run.load_model().state_dict()
            self._check_history(held)
            self._load_split(held.iteration)
        except (KeyError, ValueError, TypeError) as error:
            self.model.load_state_dict(model)
            self.optimiser.load_state_dict(optimiser)
            if self.average is not None:
                self.average.load_state_dict(average)
            if isinstance(error, RunError):
                raise
            raise RunError(f"{path}: does not fit the run: {error}") from error
        self.history = self.run.cut_history(held.iteration)
        self._reduced = self._count_reductions()
        self.iteration, self._best_iteration, self._best = held.iteration, held.best_iteration, held.best
        self._best_weights = weights

    def synchronise(self) -> None:
        """Let all ranks stand where rank 0 does, after `resume` or at the beginning. Every rank calls it.

        Raises:
            ValueError: if they have other models.
        """
        comm, state = self.comm, self.state()
        mg.parallel.broadcast_arrays(state.values(), 0, comm)
        history = mg.parallel.broadcast_bytes(json.dumps(self.history).encode(), 0, comm)
        has_best = mg.parallel.broadcast_bytes(b"" if self._best_weights is None else b"1", 0, comm)
        best = self._best_weights or self.model.state_dict()
        if has_best:
            mg.parallel.broadcast_arrays(best.values(), 0, comm)
        if comm.rank:
            held = Checkpoint.of(state, self.epoch_length)
            self._take_over(held)
            self.iteration, self._best_iteration, self._best = held.iteration, held.best_iteration, held.best
            self.history, self._best_weights = json.loads(history), best if has_best else None
            self._reduced = self._count_reductions()

    def _take_over(self, held: Checkpoint) -> None:
        """Load what a checkpoint has of the model, the optimiser and the average."""
        self.model.load_state_dict(held.model)
        self.optimiser.load_state_dict(held.optimiser)
        if self.average is not None:
            self.average.load_state_dict(held.average)

    def _load_split(self, iteration: int) -> None:
        """Load the captions of a training that renews them, as they were at an iteration."""

    def _check_history(self, held: Checkpoint) -> None:
        """Raise a RunError unless the history tells of the best validation, whose figures are told at the end."""
        assert self.run is not None
        needed = {"epoch"} if self.val is None else {"epoch", "val_loss", "val_bleu", "val_exercise_bleu"}
        needed |= {"val_cider"} if self.val is not None and self.settings.keep == "cider" else set()
        best = _entry_of(self.run.history(held.iteration), held.best_iteration)
        if held.best is not None and (best is None or not needed <= best.keys()):
            raise RunError(
                f"{self.run.folder / 'history.jsonl'}: has no entry of the epoch whose weights were kept: "
                "bring the file back, or begin a new run: another --out, without --resume"
            )

    def _check_within(self, iteration: int) -> None:
        if iteration > self.total:
            done = iteration / self.epoch_length
            raise RunError(
                f"{self.run.folder if self.run else ''}: has trained {done:.4g} epochs already, more than the "
                f"{self.settings.epochs} that are asked for: ask for more, or take the run as it is"
            )


def _entry_of(history: list[Entry], iteration: int) -> Entry | None:
    """The entry of the validation after an iteration."""
    return next((e for e in history if e.get("iteration") == iteration and "loss" not in e), None)
