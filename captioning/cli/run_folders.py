"""How `train`, `refine` and `reinforce` train in a run folder: in a new one, or with --resume in one that exists."""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import minigrad as mg
from captioning.data.dataset import CaptionData
from captioning.data.splits import LONGEST_LEARNT
from captioning.ranks import threads
from captioning.training.run_features import projection_arrays
from captioning.training.run_files import RunError, TrainingError
from captioning.training.run_folder import Run
from captioning.training.schedules import stop_on_signals
from captioning.training.settings import Settings
from captioning.training.solver import CHECKPOINT_EVERY, Solver
from minigrad.parallel.communicators import launch_of

__all__ = ["DATA_DEFAULTS", "Trainer", "run_to_resume", "settings_to_resume", "train_in_folder"]

DATA_DEFAULTS: dict[str, Any] = {
    "pca": None, "max_train": None, "regions": False, "captions": "stored", "max_words": LONGEST_LEARNT,
}  # fmt: skip
"""How a data set is read for a training, unless told otherwise: arguments of `open_captions`."""
_FURTHER = {"refinement": "refine", "reinforcement": "reinforce"}
"""The keys of settings.json that say that a run was trained further, and the command that did it."""
_NEWER = {"validate_every", "schedule", "cosine_epochs", "warmup", "beta2", "label_smoothing", "scheduled_sampling",
          "average", "buckets"}  # fmt: skip
"""Settings that older runs do not record; they did what the defaults say."""
_OF_MODEL = {"hidden_size": "hidden", "wordvec_size": "wordvec", "cell_type": "cell", "picture_size": "picture",
             "looking_size": "looking", "kind": "model"}  # fmt: skip
"""The options of a model's settings that are named otherwise."""


@dataclass(frozen=True)
class Trainer:
    """A way to train. name: of the command; key: of what settings.json records of it, None for `train`.

    free: the option that a resumed run may change. kinds: the dataclasses of its own settings. solver: makes the
    solver of model, splits, settings and instances of `kinds`. defaults: of options, where they differ from the
    dataclasses.
    """

    name: str
    key: str | None
    free: str
    solver: Callable[..., Solver]
    kinds: tuple[Any, ...]
    defaults: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that options can change, with their defaults."""
        fields = (field for kind in (Settings, *self.kinds) for field in dataclasses.fields(kind))
        return {field.name: field.default for field in fields} | self.defaults

    def settings_from(self, values: dict[str, Any]) -> list[Any]:
        """Return instances of `Settings` and of `kinds` with these values; a ValueError if one makes no sense."""
        return [
            kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
            for kind in (Settings, *self.kinds)
        ]


def run_to_resume(options: argparse.Namespace, comm: Any, stack: ExitStack) -> tuple[Run | None, int]:
    """Return the run to resume, None for a new one, and the number of shards; compute with the run's threads.

    Rank 0 locks the run until the stack is closed. A resumed run keeps its number of threads and shards unless options
    change them, so that its bits are those of an unbroken training.
    """
    run = Run.open(options.out) if options.resume else None
    if comm.rank == 0:
        if run is None:
            Run.check_new(options.out)
        else:
            stack.enter_context(run)
    began = {} if run is None else {"shards": 1} | run.settings
    now = {"threads": options.threads or began.get("threads") or mg.get_num_threads(),
           "shards": options.shards or began.get("shards") or comm.size,
           "products": mg.runtime.signature()}  # fmt: skip
    if now["shards"] < comm.size:
        raise ValueError(f"{comm.size} ranks need as many shards; got {now['shards']}: start at most {now['shards']}, "
                         f"or use --shards {comm.size}")  # fmt: skip
    for name, value in now.items():
        if comm.rank == 0 and began.get(name) not in (None, value):
            keep = "" if name == "products" else f"; --{name} {began[name]} keeps them the same"
            print(f"{options.out}: was trained with {name} {began[name]} so far, and goes on with {value}: its weights "
                  f"will differ in their last digits from those of an unbroken training{keep}",
                  file=sys.stderr)  # fmt: skip
    stack.enter_context(threads(now["threads"]))
    return run, now["shards"]


def settings_to_resume(run: Run, trainer: Trainer, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run to resume, with the given value of `trainer.free`; other given ones must agree."""
    model, training, data = run.settings["model"], run.settings["training"], run.settings["data"]
    training = {f.name: f.default for f in dataclasses.fields(Settings) if f.name in _NEWER} | training
    began = next((key for key in _FURTHER if key in run.settings), None)
    right = "train" if began is None else _FURTHER[began]
    if right != trainer.name:
        here = shlex.quote(str(run.folder))
        raise RunError(f"{run.folder}: goes on with: captioning {right} --out {here} --resume")
    missing = [f.name for f in dataclasses.fields(Settings) if f.name not in training]
    missing += [key for key in ("pca", "max_train") if key not in data]
    if missing:
        raise RunError(f"{run.folder / 'settings.json'}: the settings {', '.join(missing)} are missing")
    of_model = {"kind": "source", "feature_dropout": 0.0} | model
    known = {**DATA_DEFAULTS, **data, **training, **run.settings.get(began or "", {})}
    known |= {_OF_MODEL.get(key, key): value for key, value in of_model.items()}
    changed = [key for key, value in given.items() if key != trainer.free and known.get(key) != value]
    if changed:
        told = ", ".join(f"--{key.replace('_', '-')} {given[key]} (the run has {known.get(key)})" for key in changed)
        raise RunError(f"{run.folder}: --resume keeps the run's settings, only --{trainer.free} may change; got {told}")
    cosine = training["schedule"] == "cosine" and training["cosine_epochs"] is None
    if given.get(trainer.free, known.get(trainer.free)) != known.get(trainer.free) and (
        cosine or training["scheduled_sampling"] > 0
    ):
        raise RunError(
            f"{run.folder}: --{trainer.free} cannot change on the way, since what was done so far went by the end (a "
            "cosine of the learning rate, or a share of sampled words): begin a new run: another --out, without "
            "--resume"
        )
    return known | given


def train_in_folder(
    solver: Solver,
    run: Run | None,
    settings: dict[str, Any],
    data: CaptionData,
    options: argparse.Namespace,
    start: Run | None,
) -> int:
    """Train in a new run folder, or go on in `run`; print how it ended; return the exit status.

    start: the run whose captioner a new one trains further. Nothing is written before everything has been checked.
    """
    comm = solver.comm
    hint = f"; if {options.out} is there, its last checkpoint is whole, go on with: {_how_to_go_on(options)}"
    with mg.parallel.agreed(comm):
        if comm.rank == 0:
            run = solver.run = _begun(solver, run, settings, data, options, start)
    with mg.parallel.together(comm, hint, alike=(TrainingError,)):
        try:
            solver.synchronise()
        except ValueError as error:  # what rank 0 has does not fit; all ranks find it
            raise TrainingError(str(error)) from error
    # a rank that others have stopped may get the signal a little later than they did
    with stop_on_signals() if comm.size > 1 else nullcontext():
        with mg.parallel.together(comm, hint, alike=(TrainingError,)):
            _train(solver, options)
        status = 0 if solver.finished or solver.stopped_by is None else 128 + solver.stopped_by
        if run is not None and comm.rank == 0:
            _report(solver, run, options)
        return status


def _begun(
    solver: Solver,
    run: Run | None,
    settings: dict[str, Any],
    data: CaptionData,
    options: argparse.Namespace,
    start: Run | None,
) -> Run:
    """Return the run folder: a new one, or the one to resume with its checkpoint loaded."""
    if run is None:
        solver.limit(options.max_iterations)
        regions = projection_arrays(data, start)
        return Run.create(options.out, settings, data.vocabulary, solver.state(), regions=regions)
    run.check_same_data(settings["data"])
    if "fingerprint" not in run.settings["data"]:
        print(f"{run.folder}: was saved without a fingerprint of its data, so nobody can tell whether {data.folder} "
              "is what it was trained on; from now on it has one", file=sys.stderr)  # fmt: skip
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


def _how_to_go_on(options: argparse.Namespace) -> str:
    """Return the command line that continues: of a recipe its own, or one that resumes the run."""
    recipe: list[str] | None = vars(options).get("recipe_line")
    if recipe is not None:
        return shlex.join(recipe)
    launch = launch_of()
    words = ["mpiexec", "-n", str(launch.size)] if launch is not None and launch.size > 1 else []
    words += ["captioning", options.name, "--out", options.out, "--resume"]
    if options.checkpoint_every != CHECKPOINT_EVERY:
        words += ["--checkpoint-every", options.checkpoint_every]
    return shlex.join(words)


def _report(solver: Solver, run: Run, options: argparse.Namespace) -> None:
    """Print how a training ended."""
    if not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; "
              f"go on with: {_how_to_go_on(options)}", file=sys.stderr)  # fmt: skip
        return
    best = solver.best_entry
    assert best is not None  # a resumed training has looked
    within = best["iteration"] % solver.epoch_length
    kept = f"iteration {best['iteration']}, in epoch {best['epoch']}" if within else f"epoch {best['epoch']}"
    cider = f"CIDEr-D {best['val_cider']:.4f}, " if "val_cider" in best else ""  # which older validations lack
    print(f"trained {solver.iteration} iterations; kept {kept}: "
          f"validation loss {best['val_loss']:.3f} a caption, BLEU-4 {best['val_bleu']:.4f}, "
          f"{cider}exercise BLEU {best['val_exercise_bleu']:.4f} "
          f"({solver.settings.val_part} images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    start: dict[str, Any] = next((run.settings[key] for key in _FURTHER if key in run.settings), {})
    if (told := solver.no_better_than(start)) is not None:
        print(f"{run.folder}: {told}")
