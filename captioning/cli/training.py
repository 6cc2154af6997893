"""The commands that train: `train` from human captions, `refine` from captions that the model writes itself."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import os
import sys
from pathlib import Path
from typing import Any

from captioning.cli.options import add_command, add_data
from captioning.data.hdf5 import CaptionData, open_captions
from captioning.models.captioner import Captioner
from captioning.models.cells import CELLS
from captioning.scoring.evaluation import PARTS
from captioning.training.consensus import Consensus
from captioning.training.progress import Progress
from captioning.training.refinement import Refinement, Rounds
from captioning.training.run import Run, RunError, settings_of
from captioning.training.solver import KEEP, Settings, Solver

__all__ = ["add_refine", "add_train"]

MODEL_DEFAULTS: dict[str, Any] = {
    "cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.0, "feature_dropout": 0.0, "forget_bias": 0.0,
}  # fmt: skip
DATA_DEFAULTS: dict[str, Any] = {"pca": True, "max_train": None}
REFINE_DEFAULTS: dict[str, Any] = {"batch_size": 50, "learning_rate": 3e-4, "lr_decay": 1.0, "keep": "exercise"}
_NOT_SETTINGS = {"name", "command", "data", "out", "resume", "quiet", "run"}


def _defaults(*classes: Any) -> dict[str, Any]:
    return {field.name: field.default for kind in classes for field in dataclasses.fields(kind)}


def _make(kind: Any, given: dict[str, Any]) -> Any:
    """A dataclass from those of the given values that are its fields."""
    return kind(**{field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given})


# Options ---------------------------------------------------------------------------------------
# Those without a default here take it from a dataclass, from *_DEFAULTS or, with --resume, from the run.


def add_train(commands: Any) -> None:
    """The command `train`."""
    parser = add_command(commands, "train", "train a captioner and leave a run folder", _train)
    add_data(parser, "; with --resume: the one that the run was trained on, if it is there")
    _add_run(parser, "--epochs")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = _defaults(Settings) | MODEL_DEFAULTS
    option("--cell", choices=list(CELLS), help=f"recurrent cell ({d['cell']})")
    option("--hidden", type=int, metavar="N", help=f"size of the hidden state ({d['hidden']})")
    option("--wordvec", type=int, metavar="N", help=f"size of the word vectors ({d['wordvec']})")
    option("--dropout", type=float, metavar="X", help=f"share of word vectors and states dropped ({d['dropout']})")
    option("--feature-dropout", type=float, metavar="X", help=f"share of features dropped ({d['feature_dropout']})")
    option("--forget-bias", type=float, metavar="X", help=f"first bias of the forget gate ({d['forget_bias']})")
    option("--epochs", type=int, metavar="N", help=f"how often each caption is seen ({d['epochs']})")
    option("--max-train", type=int, metavar="N", help="use so many training captions, drawn by the seed (all)")
    option("--pca", action=argparse.BooleanOptionalAction, help="reduced features, or whole ones (reduced)")
    _add_training(parser, d)


def add_refine(commands: Any) -> None:
    """The command `refine`."""
    parser = add_command(
        commands, "refine", "train a run's captioner further, on those of its own captions that agree best with what "
        "people say of a picture and of pictures like it; leaves a run folder of its own", _refine
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run to start from (not with --resume)")
    add_data(parser, "; with --resume: the one that the run was trained on, if it is there")
    _add_run(parser, "--rounds")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = _defaults(Settings, Rounds, Consensus) | REFINE_DEFAULTS
    option("--rounds", type=int, metavar="N", help=f"how often new captions are written ({d['rounds']})")
    option("--round-epochs", type=int, metavar="N", help=f"epochs on the captions of a round ({d['round_epochs']})")
    option("--drafts", type=int, metavar="N", help=f"captions to choose from for each picture ({d['drafts']})")
    option("--temperature", type=float, metavar="X", help=f"at which they are drawn ({d['temperature']})")
    option("--neighbours", type=int, metavar="N", help="so many pictures like it have a say in which are best "
           f"({d['neighbours']})")  # fmt: skip
    option("--width", type=float, metavar="X", help="of their weights: the smaller, the more the nearest count "
           f"({d['width']})")  # fmt: skip
    option("--human-weight", type=float, metavar="X", help="how much the picture's own captions count, those of its "
           f"neighbours counting the rest ({d['human_weight']})")  # fmt: skip
    option("--best", type=int, metavar="N", help=f"how many of the drafts are learnt from ({d['best']})")
    _add_training(parser, d)


def _add_run(parser: argparse.ArgumentParser, free: str) -> None:
    parser.add_argument("--out", metavar="RUN", required=True, help="the run folder to make (or to resume)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN, exactly where it stopped; "
                        f"its settings hold, and only {free} may be changed")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _add_training(parser: argparse.ArgumentParser, d: dict[str, Any]) -> None:
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    option("--batch-size", type=int, metavar="N", help=f"captions in an iteration ({d['batch_size']})")
    option("--learning-rate", type=float, metavar="X", help=f"Adam's learning rate ({d['learning_rate']})")
    option("--lr-decay", type=float, metavar="X", help=f"times which, after every epoch ({d['lr_decay']})")
    option("--clip-norm", type=_limit, metavar="X",
           help=f"largest norm of the gradient, or 'none' ({d['clip_norm']})")  # fmt: skip
    option("--weight-decay", type=float, metavar="X", help=f"decoupled, as in AdamW ({d['weight_decay']})")
    option("--patience", type=int, metavar="N", help="stop after N epochs without a better one (never)")
    option("--keep", choices=KEEP, help="keep the epoch with the highest validation BLEU-4, the highest exercise BLEU "
           f"or the lowest validation loss ({d['keep']})")  # fmt: skip
    option("--val-part", choices=PARTS, help="the validation images that decide which epoch is kept "
           f"({d['val_part']} half)")  # fmt: skip
    option("--val-images", type=int, metavar="N", help=f"at most so many of them ({d['val_images']})")
    option("--seed", type=int, metavar="N", help=f"of everything random ({d['seed']})")


def _limit(text: str) -> float | None:
    return None if text == "none" else float(text)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(options).items() if name not in _NOT_SETTINGS}


# train -----------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> int:
    given = _given(options)
    run = Run.open(options.out) if options.resume else None
    if run is not None:
        given = _to_resume(run, given, free="epochs")
    training = _make(Settings, given)
    chosen = {**MODEL_DEFAULTS, **DATA_DEFAULTS, **given}
    with open_captions(_folder(options, run), chosen["pca"], chosen["max_train"], training.seed) as data:
        progress = Progress(enabled=not options.quiet)
        model = _new_model(data, chosen, training.seed) if run is None else run.new_model(rng=training.seed)
        solver = Solver(model, data.train, data.val, training, progress=progress)
        settings = settings_of(model, training, data, pca=chosen["pca"], max_train=chosen["max_train"])
        run = _begin(solver, options.out, settings, data) if run is None else _go_on(solver, run, settings, data)
        solver.train()
    return _report_training(solver, run, "train")


def _new_model(data: CaptionData, chosen: dict[str, Any], seed: int) -> Captioner:
    try:
        return Captioner(
            data.vocabulary,
            data.train.features.shape[1],
            chosen["wordvec"],
            chosen["hidden"],
            chosen["cell"],
            chosen["dropout"],
            forget_bias=chosen["forget_bias"],
            feature_dropout=chosen["feature_dropout"],
            rng=seed,
        )
    except MemoryError as error:
        sizes = f"--hidden {chosen['hidden']} and --wordvec {chosen['wordvec']}"
        raise ValueError(f"a captioner with {sizes} is too large for the memory here: {error}") from error


# refine ----------------------------------------------------------------------------------------


def _refine(options: argparse.Namespace) -> int:
    given = _given(options)
    if options.resume == (options.run is not None):
        raise ValueError("refine needs the run to start from, or --resume with --out alone")
    run = Run.open(options.out) if options.resume else None
    if run is not None:
        given = _to_resume(run, given, free="rounds")
    start = Run.open(options.run) if run is None else run
    chosen = REFINE_DEFAULTS | given
    rounds, consensus = _make(Rounds, chosen), _make(Consensus, chosen)
    of_data = {key: start.settings["data"].get(key, default) for key, default in DATA_DEFAULTS.items()}
    drawn_by = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
    with open_captions(_folder(options, run), of_data["pca"], of_data["max_train"], drawn_by) as data:
        start.check_fits(data.train)
        _check_as_many(start, data)
        model = start.load_model() if run is None else run.new_model(rng=0)
        progress = Progress(enabled=not options.quiet)
        solver = Refinement(model, data.train, data.val, _make(Settings, chosen), rounds, consensus, progress=progress)
        settings = settings_of(model, solver.settings, data, **of_data, seed=drawn_by)
        settings["refinement"] = {"start": start.folder.name} if run is None else dict(run.settings["refinement"])
        settings["refinement"] |= dataclasses.asdict(rounds) | dataclasses.asdict(consensus)
        run = _begin(solver, options.out, settings, data) if run is None else _go_on(solver, run, settings, data)
        solver.train()
    return _report_training(solver, run, "refine")


# What they share -------------------------------------------------------------------------------


def _begin(solver: Solver, folder: str, settings: dict[str, Any], data: CaptionData) -> Run:
    """Leave a run folder; all is well by now."""
    run = solver.run = Run.create(folder, settings, data.vocabulary)
    solver.save_checkpoint()
    return run


def _go_on(solver: Solver, run: Run, settings: dict[str, Any], data: CaptionData) -> Run:
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


def _folder(options: argparse.Namespace, run: Run | None) -> str | None:
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


def _to_resume(run: Run, given: dict[str, Any], free: str) -> dict[str, Any]:
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


def _check_as_many(run: Run, data: CaptionData) -> None:
    was, now = run.settings["data"].get("train_captions"), len(data.train)
    if was != now:
        raise RunError(f"{run.folder}: was trained on {was} captions; {data.folder} has {now}: it is another data set")


def _report_training(solver: Solver, run: Run, command: str) -> int:
    if solver.interrupted and not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; "
              f"go on with: captioning {command} --out {run.folder} --resume", file=sys.stderr)  # fmt: skip
        return 130
    best = solver.best_entry
    assert best is not None  # a run that is finished has ended an epoch
    print(f"trained {solver.iteration} iterations; kept epoch {best['epoch']}: "
          f"validation loss {best['val_loss']:.3f}, BLEU-4 {best['val_bleu']:.4f}, "
          f"exercise BLEU {best['val_exercise_bleu']:.4f} ({solver.settings.val_part} images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    return 0
