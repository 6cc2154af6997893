"""A run folder for `train`, `refine` and `reinforce`: a new one, or with --resume one that is there to go on with."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import minigrad as mg
from captioning.cli.options import threads
from captioning.cli.training_options import DATA_DEFAULTS
from captioning.data.dataset import CaptionData
from captioning.progress import Progress
from captioning.training.errors import RunError, TrainingError
from captioning.training.run_features import projection_arrays
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import CHECKPOINT_EVERY, Solver
from captioning.training.stopping import stop_on_signals
from minigrad.parallel.communicators import ALONE, launch_of

__all__ = ["FURTHER", "check_data", "check_shards", "how_ranks_go_on", "run_to_resume", "settings_to_resume",
           "shards_for", "train_in_folder", "with_threads"]  # fmt: skip

_NEWER = {"validate_every", "schedule", "cosine_epochs", "warmup", "beta2", "label_smoothing", "scheduled_sampling",
          "average", "buckets"}  # fmt: skip
_SINCE = {field.name: field.default for field in dataclasses.fields(Settings) if field.name in _NEWER}
"""Settings that older runs do not speak of, and what they did."""
FURTHER = {"refinement": "refine", "reinforcement": "reinforce"}
"""What settings.json has of a run that was trained further, and the command that did it."""
_OF_MODEL = {"hidden_size": "hidden", "wordvec_size": "wordvec", "cell_type": "cell", "picture_size": "picture",
             "looking_size": "looking", "kind": "model"}  # fmt: skip
"""What options call a model's settings, where they are not called alike."""


@contextmanager
def run_to_resume(options: argparse.Namespace, comm: Any = ALONE) -> Iterator[Run | None]:
    """With --resume the run, held for this process alone; without it None, if a new run can be made.

    Of several ranks it is rank 0 that holds it; the others only read its settings.
    """
    if not options.resume:
        if comm.rank == 0:
            Run.check_new(options.out)
        yield None
        return
    run = Run.open(options.out)
    with run if comm.rank == 0 else nullcontext():
        yield run


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


@contextmanager
def with_threads(
    options: argparse.Namespace, run: Run | None, fair: int | None = None, told: bool = True
) -> Iterator[None]:
    """Compute with the threads that are asked for; a resumed run with those that it began with, to be the same bits.

    fair: how many they are if nobody asks for a number; as many as are set by default. told: whether this process says
    that the bits will differ.
    """
    fair = mg.get_num_threads() if fair is None else fair
    began = None if run is None else run.settings.get("threads")
    number = options.threads or began or fair
    if told:
        _tell_of_products(options, run)
        _tell_of_threads(options, number, began, fair)
    with threads(number):
        yield


def _tell_of_threads(options: argparse.Namespace, number: int, began: int | None, fair: int) -> None:
    """Say it if a run goes on with other threads than it began with, or than are set here."""
    if began is not None and number != began:
        print(f"{options.out}: was trained with {_threads(began)} so far, and goes on with {number}: its weights will "
              "differ in their last digits from those of an unbroken training; "
              f"--threads {began} keeps them the same", file=sys.stderr)  # fmt: skip
    elif number != fair and options.threads is None and not options.quiet:
        print(f"{options.out}: goes on with {_threads(number)}, as it began, so that the weights are the same to the "
              f"bit; --threads {fair} takes as many as are set here", file=sys.stderr)  # fmt: skip


def _tell_of_products(options: argparse.Namespace, run: Run | None) -> None:
    """Warn if products of matrices were computed in another way when the run began."""
    began = None if run is None else run.settings.get("products")
    if began not in (None, mg.runtime.signature()):
        print(f"{options.out}: its products of matrices were computed in another way so far ({began}) than now "
              f"({mg.runtime.signature()}): its weights will differ in their last digits from those of an unbroken "
              "training", file=sys.stderr)  # fmt: skip


def shards_for(options: argparse.Namespace, run: Run | None, comm: Any) -> int:
    """Into how many shards batches are cut: as asked for, as the run began, or as many as there are ranks.

    Raises:
        ValueError: if there are fewer than ranks.
    """
    began = None if run is None else run.settings.get("shards", 1)
    number: int = options.shards or began or comm.size
    if number < comm.size:
        who = "the run has" if began else "there are to be"
        anew = " goes on with weights that differ in their last digits" if began else ""
        raise ValueError(f"{_ranks(comm.size)} need as many shards, and {who} {number}: start at most "
                         f"{_ranks(number)}, or --shards {comm.size}{anew}")  # fmt: skip
    if began not in (None, number) and comm.rank == 0:
        print(f"{options.out}: its batches were cut into {began} shard{'s' if began != 1 else ''} so far, and are into "
              f"{number} from now on: its weights will differ in their last digits, and by other dropout, from those "
              f"of an unbroken training; --shards {began} keeps them the same", file=sys.stderr)  # fmt: skip
    return number


def check_shards(shards: int, training: Settings) -> None:
    """Raise a ValueError if some shards of each batch would be without rows."""
    if shards > training.batch_size:
        raise ValueError(f"batches of {training.batch_size} cannot be cut into {shards} shards: "
                         f"a larger --batch-size, or fewer ranks or --shards")  # fmt: skip


def _ranks(number: int) -> str:
    return f"{number} rank{'s' if number > 1 else ''}"


def check_data(data: CaptionData, progress: Progress) -> None:
    """Read all data once, so that damage is found before there is a run folder; say what may not have been meant."""
    for line in data.check(progress):
        progress.say(line)


def train_in_folder(
    solver: Solver,
    run: Run | None,
    settings: dict[str, Any],
    data: CaptionData,
    options: argparse.Namespace,
    start: Run | None = None,
) -> int:
    """Train in a new run folder, or go on in one that `run_to_resume` gave; print how it ended; the exit status.

    start: the run whose captioner a new one trains further.

    Nothing is written before everything that could be refused was looked at.
    """
    comm = solver.comm
    with mg.parallel.agreed(comm):
        if comm.rank == 0:
            run = solver.run = _begun(solver, run, settings, data, options, start)
    with mg.parallel.together(comm, how_ranks_go_on(options), alike=(TrainingError,)):
        _synchronise(solver)
    with _late_signals_ignored(comm):
        with mg.parallel.together(comm, how_ranks_go_on(options), alike=(TrainingError,)):
            _train(solver, options)
        if comm.rank:
            return _status(solver)
        assert run is not None
        return _report(solver, run, options)


def _late_signals_ignored(comm: Any) -> AbstractContextManager[Any]:
    """The context in which a rank that others have stopped may get the signal a little later than they did."""
    return stop_on_signals() if comm.size > 1 else nullcontext()


def _synchronise(solver: Solver) -> None:
    """Give all ranks what rank 0 has. If that does not fit what another one has, all of them find it."""
    try:
        solver.synchronise()
    except ValueError as error:
        raise TrainingError(str(error)) from error


def _begun(
    solver: Solver,
    run: Run | None,
    settings: dict[str, Any],
    data: CaptionData,
    options: argparse.Namespace,
    start: Run | None,
) -> Run:
    """The run folder, made, or with its checkpoint loaded."""
    if run is None:
        solver.limit(options.max_iterations)
        regions = projection_arrays(data, start)
        return Run.create(options.out, settings, data.vocabulary, solver.state(), regions=regions)
    _check_resumable(run, settings, data)
    solver.run = run
    solver.resume()
    solver.limit(options.max_iterations)
    run.settings |= settings
    run.write_settings()
    return run


def _train(solver: Solver, options: argparse.Namespace) -> None:
    """Train; an error says how to go on."""
    try:
        solver.train(options.max_iterations)
    except TrainingError as error:
        anew = f"to begin anew remove {shlex.quote(options.out)}, or name another --out"
        raise TrainingError(f"{error}; {anew}") from error
    except OSError as error:
        if solver.run is not None:
            solver.run.check_there()
        raise RunError(f"{error}; the last checkpoint is whole, go on with: {_how_to_go_on(options)}") from error


def _check_resumable(run: Run, settings: dict[str, Any], data: CaptionData) -> None:
    run.check_fits(data.train)
    run.check_same_data(settings["data"])
    if "fingerprint" not in run.settings["data"]:
        print(f"{run.folder}: was saved without a fingerprint of its data, so nobody can tell whether {data.folder} "
              "is what it was trained on; from now on it has one", file=sys.stderr)  # fmt: skip


def settings_to_resume(run: Run, command: str, given: dict[str, Any], free: str) -> dict[str, Any]:
    """The settings of a run to resume, with those of `free` that were asked for; anything else must agree.

    command: the one that was given, which must be the one that began the run.
    """
    model, training, data = run.settings["model"], _SINCE | run.settings["training"], run.settings["data"]
    began = next((key for key in FURTHER if key in run.settings), None)
    right = "train" if began is None else FURTHER[began]
    if right != command:
        here = shlex.quote(str(run.folder))
        raise RunError(f"{run.folder}: goes on with: captioning {right} --out {here} --resume")
    missing = [f.name for f in dataclasses.fields(Settings) if f.name not in training]
    missing += [key for key in ("pca", "max_train") if key not in data]
    if missing:
        raise RunError(f"{run.folder / 'settings.json'}: the settings {', '.join(missing)} are missing")
    known = {**DATA_DEFAULTS, **data, **training, **run.settings.get(began or "", {})}
    known |= {
        _OF_MODEL.get(key, key): value for key, value in {"kind": "source", "feature_dropout": 0.0, **model}.items()
    }
    changed = [key for key, value in given.items() if key != free and known.get(key) != value]
    if changed:
        told = ", ".join(f"--{key.replace('_', '-')} {given[key]} (the run has {known.get(key)})" for key in changed)
        raise RunError(f"{run.folder}: --resume keeps the run's settings, only --{free} may change; got {told}")
    if known.get(free) != given.get(free, known.get(free)) and _goes_by_the_end(training):
        raise RunError(
            f"{run.folder}: --{free} cannot change on the way, since what was done so far went by the end (a cosine "
            "of the learning rate, or a share of sampled words): begin a new run: another --out, without --resume"
        )
    return known | given


def _goes_by_the_end(training: dict[str, Any]) -> bool:
    """Whether what an iteration does depends on how many there will be."""
    cosine = training["schedule"] == "cosine" and training["cosine_epochs"] is None
    return cosine or training["scheduled_sampling"] > 0


def _how_to_go_on(options: argparse.Namespace) -> str:
    """A command line that resumes the run, from the same working folder."""
    if options.go_on is not None:
        told: str = options.go_on
        return told
    launch = launch_of()
    words = ["mpiexec", "-n", str(launch.size)] if launch is not None and launch.size > 1 else []
    words += ["captioning", options.name, "--out", options.out, "--resume"]
    if options.checkpoint_every != CHECKPOINT_EVERY:
        words += ["--checkpoint-every", options.checkpoint_every]
    return shlex.join(words)


def how_ranks_go_on(options: argparse.Namespace) -> str:
    """Return the hint behind an error of one rank; it may come before the run folder is there."""
    return f"; if {options.out} is there, its last checkpoint is whole, go on with: {_how_to_go_on(options)}"


def _status(solver: Solver) -> int:
    """The exit status: 0 where a training ended as it was asked to, else 128 and the signal."""
    return 0 if solver.finished or solver.stopped_by is None else 128 + solver.stopped_by


def _report(solver: Solver, run: Run, options: argparse.Namespace) -> int:
    """Print how a training ended; the exit status."""
    if not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; "
              f"go on with: {_how_to_go_on(options)}", file=sys.stderr)  # fmt: skip
        return _status(solver)
    best = solver.best_entry
    assert best is not None  # a resumed training has looked
    within = best["iteration"] % solver.epoch_length
    kept = f"iteration {best['iteration']}, in epoch {best['epoch']}" if within else f"epoch {best['epoch']}"
    print(f"trained {solver.iteration} iterations; kept {kept}: "
          f"validation loss {best['val_loss']:.3f} a caption, BLEU-4 {best['val_bleu']:.4f}, "
          f"{_cider(best)}exercise BLEU {best['val_exercise_bleu']:.4f} "
          f"({solver.settings.val_part} images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    start: dict[str, Any] = next((run.settings[key] for key in FURTHER if key in run.settings), {})
    if (told := solver.no_better_than(start)) is not None:
        print(f"{run.folder}: {told}")
    return 0


def _cider(entry: dict[str, Any]) -> str:
    """Of a validation that knows it: older ones do not."""
    return f"CIDEr-D {entry['val_cider']:.4f}, " if "val_cider" in entry else ""
