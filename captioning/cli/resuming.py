"""A run folder for `train` and `refine`: a new one, or with --resume one that is there to go on with."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

from captioning.cli.training_options import DATA_DEFAULTS
from captioning.data.dataset import CaptionData
from captioning.training.run_folder import Run, RunError
from captioning.training.solver import Settings, Solver

__all__ = ["begin_run", "data_folder", "report_training", "resume_run", "settings_to_resume"]


def begin_run(solver: Solver, folder: str, settings: dict[str, Any], data: CaptionData) -> Run:
    """A new run folder with the first checkpoint; not made before everything that could be refused was checked."""
    run = solver.run = Run.create(folder, settings, data.vocabulary)
    solver.save_checkpoint()
    return run


def resume_run(solver: Solver, run: Run, settings: dict[str, Any], data: CaptionData) -> Run:
    """Take the checkpoint of a run, and write down the settings that changed."""
    run.check_fits(data.train)
    run.check_same_data(settings["data"])
    if "fingerprint" not in run.settings["data"]:
        print(f"{run.folder}: was saved without a fingerprint of its data, so nobody can tell whether {data.folder} "
              "is what it was trained on; from now on it has one", file=sys.stderr)  # fmt: skip
    solver.run = run
    solver.resume()
    run.settings |= settings
    run.write_settings()
    return run


def data_folder(options: argparse.Namespace, run: Run | None) -> str | None:
    """The data's folder: the one that is named; of a run to resume the one that it was trained on, if it is there."""
    remembered = None if run is None else run.settings["data"].get("folder")
    if options.data is not None or remembered is None:
        named: str | None = options.data
        return named
    if Path(remembered).is_dir():
        return str(remembered)
    if os.environ.get("CAPTIONING_DATA"):
        return None
    raise RunError(f"{options.out}: was trained on the data in {remembered}, which is no folder any more: "
                   "say by --data DIR where it is now")  # fmt: skip


def settings_to_resume(run: Run, given: dict[str, Any], free: str) -> dict[str, Any]:
    """The settings of a run to resume, with those of `free` that were asked for; anything else must agree."""
    model, training, data = (run.settings[key] for key in ("model", "training", "data"))
    command = "refine" if "refinement" in run.settings else "train"
    if (command == "refine") != (free == "rounds"):
        raise RunError(f"{run.folder}: goes on with: captioning {command} --out {run.folder} --resume")
    missing = [f.name for f in dataclasses.fields(Settings) if f.name not in training]
    missing += [key for key in DATA_DEFAULTS if key not in data]
    if missing:
        raise RunError(f"{run.folder / 'settings.json'}: the settings {', '.join(missing)} are missing")
    known = {**data, **training, **run.settings.get("refinement", {})}
    known |= {"cell": model["cell_type"], "hidden": model["hidden_size"], "wordvec": model["wordvec_size"],
              "dropout": model["dropout"], "forget_bias": model["forget_bias"],
              "feature_dropout": model.get("feature_dropout", 0.0)}  # fmt: skip
    changed = [key for key, value in given.items() if key != free and known.get(key) != value]
    if changed:
        told = ", ".join(f"--{key.replace('_', '-')} {given[key]} (the run has {known.get(key)})" for key in changed)
        raise RunError(f"{run.folder}: --resume keeps the run's settings, only --{free} may change; got {told}")
    return known | given


def report_training(solver: Solver, run: Run, command: str) -> int:
    """Print how a training ended; the exit status."""
    if solver.interrupted and not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; "
              f"go on with: captioning {command} --out {run.folder} --resume", file=sys.stderr)  # fmt: skip
        return 130
    best = solver.best_entry
    if (
        best is None or not {"val_loss", "val_bleu", "val_exercise_bleu"} <= best.keys()
    ):  # a run that is finished has ended an epoch
        raise RunError(f"{run.folder / 'history.jsonl'}: has no entry of the epoch whose weights were kept")
    print(f"trained {solver.iteration} iterations; kept epoch {best['epoch']}: "
          f"validation loss {best['val_loss']:.3f}, BLEU-4 {best['val_bleu']:.4f}, "
          f"exercise BLEU {best['val_exercise_bleu']:.4f} ({solver.settings.val_part} images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    return 0
