"""The training loop: it trains in epochs of minibatches, keeps the best weights, and can stop and resume exactly.

Random numbers depend only on the seed and the iteration. `default_rng([seed, 0, e])` draws the order of the captions in
epoch e, and `default_rng([seed, 1, i])` the dropout of iteration i. So checkpoints need no random state. A resumed run
is bit-identical to an uninterrupted one on the same machine with the same number of threads.

A batch may be split into shards, whose gradients are summed in order (`minigrad.parallel`). Then `default_rng([seed, 1,
i, s])` draws the dropout of shard s. The result is bit-identical for any number of ranks that share the shards. All
ranks have the same weights and make the same decisions; only rank 0 has the run folder.

The solver writes a checkpoint after each validation, after each interval of `checkpoint_every`, and when it stops. It
writes the best weights just before their checkpoint. If the process dies between the two, the resumed run reproduces
these weights. A checkpoint is a flat dict of arrays:

| entries | meaning |
|---|---|
| `solver/iteration` | the number of finished iterations |
| `solver/best_iteration`, `solver/best` | the iteration of the best validation (0: none yet), and its two scores |
| `model/…`, `optimiser/…`, `average/…` | the `state_dict` of the model, the optimiser, and the average if any |

Older checkpoints have `solver/best_epoch` instead of `solver/best_iteration`.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.data.splits import FEW_IMAGES, ReadAhead, Split, images_of_part
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import captions_of, mean_exercise_bleu, mean_loss
from captioning.models.kinds import AnyCaptioner
from captioning.progress import Progress
from captioning.scoring.cider import cider_d
from captioning.scoring.metrics import corpus_bleu
from captioning.training.run_files import Entry, RunError, TrainingError
from captioning.training.run_folder import Run
from captioning.training.settings import Clock, Settings, Stop, epoch_order, learning_rate, reductions, stop_on_signals
from minigrad import Tensor
from minigrad.parallel.communicators import ALONE
from minigrad.parallel.data_parallel import DataParallel

__all__ = ["AHEAD", "CHECKPOINT_EVERY", "Solver", "with_own_words"]

AHEAD = 2
"""How many batches to read ahead, if features are not in memory."""

CHECKPOINT_EVERY = "5m"
"""The default interval between checkpoints."""

_MUCH_HIGHER = 1.5  # times the validation loss at the start
_KEEP_SCORES = {
    "bleu": ("BLEU-4", "val_bleu", ".4f"), "cider": ("CIDEr-D", "val_cider", ".4f"),
    "exercise": ("exercise BLEU", "val_exercise_bleu", ".4f"), "loss": ("validation loss", "val_loss", ".3f"),
}  # fmt: skip
"""For each value of `keep`, the score that decides: its name, its key in a validation, and its format."""


class Solver:
    """Trains a captioner on the captions of a split.

    val: the split that decides which weights are best; None keeps the final weights. run: the folder for weights,
    history and checkpoints; None writes nothing. progress: None prints nothing. checkpoint_every: the interval between
    checkpoints, as `parse_interval` reads it. shards: the number of parts of a batch. comm: the ranks that train
    together. All ranks create a solver from the same data and settings; only rank 0 passes a run. Then all ranks call
    `synchronise`.

    `history` has the entries of history.jsonl. `iteration` is the number of finished iterations. `interrupted` is True
    if the last `train` was stopped, and `stopped_by` is the number of the signal that stopped it.

    `train` continues where the last call stopped. When all epochs are done, the model has the best weights. A loss that
    is not finite raises a TrainingError; the files then keep the last good state.
    """

    FIGURES: tuple[str, ...] = ()
    """Names of the extra values that `_loss` returns for the history, each a mean over its rows."""

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
        self.model, self.split, self.val, self.run = model, train, val, run
        self.progress = progress or Progress(enabled=False)
        self.settings = s = settings or Settings()
        self.optimiser = mg.optim.AdamW(
            model.parameters(), lr=s.learning_rate, betas=(0.9, s.beta2), weight_decay=s.weight_decay
        )
        self.average = None if s.average is None else mg.optim.EMA(model, s.average)
        self.epoch_length = -(-len(train) // s.batch_size)
        self.images = None if val is None else images_of_part(val, s.val_part, s.val_images, s.seed)
        self.iteration = 0
        self.history: list[Entry] = []
        self.interrupted = False
        self.stopped_by: int | None = None
        self.shards, self.comm = shards, comm
        self._clock = Clock(checkpoint_every)
        self._best: tuple[float, float] | None = None  # the two scores of the best validation
        self._best_iteration = 0
        self._best_weights: dict[str, NDArray[Any]] | None = None
        self._signal: int | None = None  # a signal that any rank had received at the last exchange
        self._reductions = 0  # of the learning rate by the schedule `plateau`
        self._order: tuple[int, NDArray[np.int64]] | None = None  # an epoch and the order of its captions
        self._upcoming: list[NDArray[np.int64]] = []  # the rows of this rank's next shards
        self._ahead: ReadAhead = ReadAhead(self._read, threaded=not train.features.cached)

    @cached_property
    def parallel(self) -> DataParallel:
        """Splits batches into shards. All ranks create it together, once each has a solver."""
        return DataParallel(self.model, self.shards, self.comm)

    @property
    def total(self) -> int:
        """The number of iterations in all epochs."""
        return self.settings.epochs * self.epoch_length

    @property
    def finished(self) -> bool:
        """Return whether all epochs are done, or `patience` has run out."""
        epoch, rest = divmod(self.iteration, self.epoch_length)
        patience, best_epoch = self.settings.patience, -(-self._best_iteration // self.epoch_length)
        impatient = patience is not None and self._best is not None and epoch - best_epoch >= patience
        return self.iteration >= self.total or (rest == 0 and impatient)

    @property
    def best_entry(self) -> Entry | None:
        """The history entry of the best validation so far; None before the first."""
        return _validation_at(self.history, self._best_iteration)

    def train(self, max_iterations: int | None = None) -> list[Entry]:
        """Train to the last epoch, and return the history. Ctrl-C or SIGTERM stops it after the current iteration.

        max_iterations: stop when this many iterations in total are done.
        """
        limit = self.limit(max_iterations)
        self.interrupted, self.stopped_by = False, None
        with contextlib.nullcontext() if self.run is None else self.run:
            self.progress.begin(self.total, self.iteration)
            try:
                with np.errstate(all="ignore"):  # divergence is reported once, by a loss that is not finite
                    self._train(limit)
            finally:  # restores the terminal after an error
                self.progress.close()
            if self.finished and self._best_weights is not None:
                self.model.load_state_dict(self._best_weights)
            if self.run is not None:
                self.run.check_there()
                self.run.draw_curve()
        return self.history

    def limit(self, max_iterations: int | None) -> int:
        """Return the iteration at which `train` stops; raise a ValueError if it is below 1 or already passed."""
        if max_iterations is None:
            return self.total
        if type(max_iterations) is not int or max_iterations < 1:
            raise ValueError(f"max_iterations must be an int of at least 1; got {max_iterations!r}")
        if max_iterations < self.iteration:
            raise ValueError(f"max_iterations must be at least {self.iteration}, the number done; got {max_iterations}")
        return max_iterations

    def _train(self, limit: int) -> None:
        with stop_on_signals() as stop, self._ahead:
            self._clock.restart(self.iteration)
            self.interrupted = self.iteration >= limit and not self.finished
            while not self.finished and not self.interrupted:
                epoch, position = divmod(self.iteration, self.epoch_length)
                if position == 0 and not self._begin_epoch(epoch, stop):
                    self.interrupted = True  # the last checkpoint has this state
                    break
                self._iterate(stop)
                every = self.settings.validate_every if self.val is not None else None
                ends = self.iteration % self.epoch_length == 0 or (every and self.iteration % every == 0)
                if ends:
                    self._validate_and_save()
                reached = self.iteration >= limit and not self.finished
                # All ranks must stop at the same iteration, so they use the signals that they have exchanged. Read the
                # signal once, so that every stop also writes a checkpoint.
                signalled = stop.is_set() if self.comm.size == 1 else self._signal is not None
                self.interrupted = signalled or reached
                if not ends and (self.interrupted or self._clock.is_due(self.iteration)):
                    self.save_checkpoint()
            self.stopped_by = stop.signal if self.comm.size == 1 else self._signal

    def _begin_epoch(self, epoch: int, stop: Stop) -> bool:
        """Prepare an epoch, counted from 0; return False if training should stop."""
        return True

    def _iterate(self, stop: Stop) -> None:
        s, i = self.settings, self.iteration
        epoch, position = divmod(i, self.epoch_length)
        self.optimiser.lr = learning_rate(s, i, self.epoch_length, self._reductions)
        self.model.train()
        order = self._order_of(epoch)
        starts = range(position * s.batch_size, min((position + 1 + AHEAD) * s.batch_size, len(order)), s.batch_size)
        batches = [order[start : start + s.batch_size] for start in starts]
        self._upcoming = [part.rows for batch in batches for part in self.parallel.own(batch)]
        found = np.zeros((self.shards, 1 + len(self.FIGURES)))
        for part in self.parallel.parts(batches[0]):
            self._upcoming = self._upcoming[1:]
            loss, figures = self._loss(part.rows, self._rng_of(1, i, part.number))
            share_of_loss = loss if part.share == 1 else part.share * loss
            found[part.number] = [share_of_loss.item(), *(part.share * figures[name] for name in self.FIGURES)]
            share_of_loss.backward()
        value, *means = [math.fsum(column) for column in self._sum_over_shards(found, stop).T.tolist()]
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
        figures = dict(zip(self.FIGURES, means, strict=True))
        self._log({"iteration": self.iteration, "epoch": epoch + 1, "loss": value, **figures})
        self.progress.update(self.iteration, **(figures or {"loss": value}))

    def _sum_over_shards(self, numbers: NDArray[Any], stop: Stop) -> NDArray[np.float64]:
        """Sum over all ranks the numbers that each rank fills in for its shards; record a signal of any rank."""
        gathered = mg.parallel.gather(self.comm, [stop.signal or 0, *numbers.ravel()])
        self._signal = int(gathered[:, 0].max()) or None
        return np.asarray(gathered[:, 1:].sum(axis=0)).reshape(numbers.shape)

    def _rng_of(self, kind: int, number: int, shard: int) -> np.random.Generator:
        """Return a shard's random generator. kind, number: its purpose, such as 1 and the iteration."""
        seed = [self.settings.seed, kind, number]
        return np.random.default_rng(seed if self.shards == 1 else [*seed, shard])

    def _loss(self, rows: NDArray[np.int64], rng: np.random.Generator) -> tuple[Tensor, Entry]:
        """Return the mean loss of some rows of the order, and the values of FIGURES. rng: the random generator."""
        s, batch = self.settings, self._batch(rows)
        self.model.rng = rng
        read = None
        if s.scheduled_sampling:
            share = s.scheduled_sampling * self.iteration / self.total
            read = with_own_words(self.model, batch.features, batch.captions, share, rng)
        return self.model.loss(batch.features, batch.captions, s.label_smoothing, read), {}

    def _batch(self, rows: NDArray[np.int64]) -> Any:
        """Return the data of a shard's rows. A thread reads the next rows in the background."""
        return self._ahead.read(rows, self._upcoming)

    def _read(self, rows: NDArray[np.int64]) -> Any:
        """Return the data of rows of the order; may run in a thread."""
        return self.split.batch(rows)

    def _order_of(self, epoch: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != epoch:
            s, captions = self.settings, self.split.captions
            lengths = (captions != self.split.vocabulary.null).sum(axis=1)
            rng = np.random.default_rng([s.seed, 0, epoch])
            self._order = epoch, epoch_order(lengths, s.batch_size, s.buckets, rng)
        return self._order[1]

    def _count_reductions(self) -> int:
        """Count in the history how often the schedule `plateau` has reduced the learning rate."""
        if self.settings.schedule != "plateau":
            return 0
        ends = [e for e in self.history if "val_loss" in e and e["iteration"] % self.epoch_length == 0]
        return reductions([self._key(entry) for entry in ends])

    def validate(self) -> Entry:
        """Return the scores of the current weights on the validation images, or an empty dict if there are none."""
        if self.val is None or self.images is None:
            return {}
        loss = mean_loss(self.model, self.val, self.images, comm=self.comm)
        entry = {"val_loss": loss, **self._caption_scores(self.val, self.images)}
        return dict(zip(entry, mg.parallel.gather(self.comm, list(entry.values()))[0].tolist(), strict=True))

    def _caption_scores(self, val: Split, images: NDArray[np.int64]) -> Entry:
        """Return corpus BLEU-4, CIDEr-D and exercise BLEU of greedy captions."""
        captions = captions_of(self.model, val, images, greedy, comm=self.comm, shards=self.shards)
        references = [val.references(int(i)) for i in images]
        return {
            "val_bleu": corpus_bleu(references, captions)["BLEU-4"],
            "val_cider": cider_d(references, captions)[0],
            "val_exercise_bleu": mean_exercise_bleu(val, images, captions),
        }

    def _validate_and_save(self) -> None:
        """Validate, keep the weights if they are the best, and write a checkpoint."""
        epoch = -(-self.iteration // self.epoch_length)
        entry: Entry = {"epoch": epoch, "iteration": self.iteration, "learning_rate": self.optimiser.lr}
        with contextlib.nullcontext() if self.average is None else self.average.applied():
            entry |= self.validate()
            self._log(entry)
            self._reductions = self._count_reductions()
            key = self._key(entry)
            if self._best is None or key > self._best:
                self._best, self._best_iteration = key, self.iteration
                self._best_weights = self.model.state_dict()  # copies
                if self.run is not None:
                    self.run.save_best(self._best_weights)
        self.save_checkpoint()
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
        """Return the sort key of a validation (higher is better), or the epoch if there are no validations."""
        if "val_loss" not in entry:
            return float(entry["epoch"]), 0.0
        keep, loss = self.settings.keep, entry["val_loss"]
        return (-loss, entry["val_bleu"]) if keep == "loss" else (entry[_KEEP_SCORES[keep][1]], -loss)

    def _log(self, entry: Entry) -> None:
        self.history.append(entry)
        if self.run is not None:
            self.run.entries.add(entry)

    # Continuing from another run -------------------------------------------------------------------

    def start_of(self, run: Run) -> dict[str, Any]:
        """Score the starting weights on the validation images, and return what settings.json records about them.

        `start` is the name of its folder, `start_weights` the checksum of its weights, and `start_scores` its scores on
        the validation images of this run.
        """
        scores = self.validate()
        if scores:
            name, key, form = _KEEP_SCORES[self.settings.keep]
            self.progress.say(f"starts from {run.name}: {name} {scores[key]:{form}}")
        return {"start": Path(run.name).name, "start_weights": run.weights_checksum(), "start_scores": scores}

    def few_images_warning(self) -> str | None:
        """Return a warning if scores of too few validation images decide which weights are kept, or None."""
        if self.images is None or len(self.images) >= FEW_IMAGES or self.settings.keep == "loss":
            return None
        images = f"{len(self.images)} validation image{'s decide' if len(self.images) > 1 else ' decides'}"
        return (
            f"only {images} which weights are kept, so their {_KEEP_SCORES[self.settings.keep][0]} is unreliable. Use "
            f"at least {FEW_IMAGES} with --val-part and --val-images, or use --keep loss."
        )

    def warnings_since(self, start: Mapping[str, Any]) -> list[str]:
        """Return warnings if the kept weights are no better than the starting weights, or have a much higher loss.

        start: the result of `start_of`.
        """
        scores, best = start.get("start_scores"), self.best_entry
        if not scores or best is None or "val_loss" not in best:
            return []
        name, key, form = _KEEP_SCORES[self.settings.keep]
        on = f"on the same {0 if self.images is None else len(self.images)} validation images"
        warnings = []
        if self._key(best) <= self._key(scores):
            warnings.append(f"did not improve on its start, {start['start']}: {name} was {scores[key]:{form}} and is "
                          f"now {best[key]:{form}} {on}")  # fmt: skip
        if best["val_loss"] > _MUCH_HIGHER * scores["val_loss"]:
            warnings.append(f"predicts human captions much worse than its start, {start['start']}: the validation loss "
                          f"was {scores['val_loss']:.3f} and is now {best['val_loss']:.3f} {on}. Train less, or use a "
                          "smaller --learning-rate.")  # fmt: skip
        return warnings

    # Checkpoints -------------------------------------------------------------------------------

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the checkpoint, as the docstring of this module describes it."""
        state = {
            "solver/iteration": np.array(self.iteration),
            "solver/best_iteration": np.array(self._best_iteration),
            "solver/best": np.array((math.nan, math.nan) if self._best is None else self._best),
        }
        for part, owner in self._owners().items():
            state |= {f"{part}/{name}": array for name, array in owner.state_dict().items()}
        return state

    def _owners(self) -> dict[str, Any]:
        """The objects whose state a checkpoint holds."""
        owners = {"model": self.model, "optimiser": self.optimiser, "average": self.average}
        return {part: owner for part, owner in owners.items() if owner is not None}

    def _load(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Load a checkpoint, without the history and the best weights."""
        if "solver/best_epoch" in state:
            best_iteration = int(state["solver/best_epoch"]) * self.epoch_length
        else:
            best_iteration = int(state["solver/best_iteration"])
        first, second = state["solver/best"].tolist()
        iteration = int(state["solver/iteration"])
        for part, owner in self._owners().items():
            own = {name.removeprefix(f"{part}/"): a for name, a in state.items() if name.startswith(f"{part}/")}
            owner.load_state_dict(own)
        self._best = None if best_iteration == 0 else (first, second)
        self.iteration, self._best_iteration = iteration, best_iteration

    def save_checkpoint(self) -> None:
        """Write the training state to the run folder, if there is one."""
        if self.run is not None:
            self.run.save_checkpoint(self.state())
        self._clock.restart(self.iteration)  # afterwards, because writing may take longer than the interval

    def resume(self) -> None:
        """Load the checkpoint of the run folder, from which the next `train` continues.

        Raises a RunError, and changes nothing, if the checkpoint is missing, damaged, from another run, or beyond the
        last epoch.
        """
        if self.run is None:
            raise RunError("resume: this solver has no run folder")
        state, before, path = self.run.load_checkpoint(), self.state(), self.run.folder / "checkpoint.safetensors"
        try:
            self._load(state)
            if self.iteration > self.total:
                done = self.iteration / self.epoch_length
                raise RunError(
                    f"{self.run.folder}: has already trained {done:.4g} epochs, more than the requested "
                    f"{self.settings.epochs}; pass a larger number, or use the run as it is"
                )
            weights = None if self._best is None else self.run.load_model().state_dict()
            self._check_history(self.run)
            self._load_split(self.iteration)
        except (KeyError, ValueError, TypeError) as error:
            self._load(before)
            if isinstance(error, RunError):
                raise
            raise RunError(f"{path}: does not fit the run: {error}") from error
        self.history = self.run.entries.cut(self.iteration)
        self._reductions = self._count_reductions()
        self._best_weights = weights

    def synchronise(self) -> None:
        """Broadcast the state of rank 0, at the beginning or after `resume`. Every rank must call this.

        Raises:
            ValueError: if they have different models.
        """
        comm, state = self.comm, self.state()
        mg.parallel.broadcast_arrays(state.values(), 0, comm)
        history = mg.parallel.broadcast_bytes(json.dumps(self.history).encode(), 0, comm)
        has_best = mg.parallel.broadcast_bytes(b"" if self._best_weights is None else b"1", 0, comm)
        best = self._best_weights or self.model.state_dict()
        if has_best:
            mg.parallel.broadcast_arrays(best.values(), 0, comm)
        if comm.rank:
            self._load(state)
            self.history, self._best_weights = json.loads(history), best if has_best else None
            self._reductions = self._count_reductions()
        captions = self._captions_to_share()
        if captions is not None:
            mg.parallel.broadcast_arrays([captions], 0, comm)
            self._use_captions(captions)

    def _load_split(self, iteration: int) -> None:
        """Load the captions of an iteration, if the solver regenerates its captions."""

    def _captions_to_share(self) -> NDArray[np.int32] | None:
        """Return the regenerated captions, or an array to receive them; None if the captions are the split's own."""
        return None

    def _use_captions(self, captions: NDArray[np.int32]) -> None:
        """Train on these captions."""

    def _check_history(self, run: Run) -> None:
        """Raise a RunError unless the history has the best validation, to print its scores at the end."""
        needed = {"epoch"} if self.val is None else {"epoch", "val_loss", "val_bleu", "val_exercise_bleu"}
        needed |= {"val_cider"} if self.val is not None and self.settings.keep == "cider" else set()
        best = _validation_at(run.entries.until(self.iteration), self._best_iteration)
        if self._best is not None and (best is None or not needed <= best.keys()):
            raise RunError(
                f"{run.folder / 'history.jsonl'}: has no entry for the epoch whose weights were kept: restore "
                "the file, or start a new run with another --out and without --resume"
            )


def with_own_words(
    model: Any, features: NDArray[Any], captions: NDArray[np.integer], share: float, rng: np.random.Generator
) -> NDArray[np.integer]:
    """Replace a share of the words of captions (N,T) with the model's predictions, for scheduled sampling.

    Otherwise a model reads only human words in training and never its own. `<START>`, `<END>` and the padding stay. The
    targets are still the human captions, so pass the result as `read` only. Sources: S. Bengio et al., Scheduled
    sampling for sequence prediction with recurrent neural networks (2015); D. Duckworth et al., Parallel scheduled
    sampling (2019), for the pass that predicts all words at once.
    """
    v = model.vocabulary
    with mg.no_grad():
        scores, _ = model.scores(features, captions)
    scores.data[:, [v.null, v.start, v.end, v.unk]] = -np.inf
    counts = captions[:, 1:] != v.null  # the targets that have scores, row by row
    likeliest = captions[:, 1:].copy()
    likeliest[counts] = scores.data.argmax(axis=1)
    replaced = counts & (captions[:, 1:] != v.end) & (rng.random(counts.shape) < share)
    mixed = captions.copy()
    mixed[:, 1:][replaced] = likeliest[replaced]
    return mixed


def _validation_at(history: list[Entry], iteration: int) -> Entry | None:
    """Return the entry of the validation after an iteration."""
    return next((e for e in history if e.get("iteration") == iteration and "loss" not in e), None)
