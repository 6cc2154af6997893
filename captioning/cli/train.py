"""The commands `train`, `refine` and `reinforce`: train a new captioner, or continue training that of a run.

With --resume they continue in an existing run folder, otherwise they create a new one.
"""

from __future__ import annotations

import argparse
import dataclasses
import shlex
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.cli.options import TRAINING, Command, data_folder, naming_options, unchanged
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.features import FeaturesAndRegions
from captioning.data.splits import LONGEST_LEARNT, PARTS
from captioning.decoding.beam_search import Beam
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.kinds import AnyCaptioner, check_memory, new_captioner
from captioning.progress import Progress
from captioning.ranks import on_ranks, threads
from captioning.training.refinement import Consensus, Refinement, Rounds
from captioning.training.run_features import projection_arrays, whole_extractor
from captioning.training.run_files import RunError, TrainingError, check_fields, settings_of
from captioning.training.run_folder import Run
from captioning.training.self_critical import Drawing, SelfCritical
from captioning.training.settings import Settings, stop_on_signals
from captioning.training.solver import CHECKPOINT_EVERY, Solver
from minigrad.parallel.communicators import launch_of

__all__ = ["REFINE", "REINFORCE", "TRAIN", "TRAINERS"]

_STANDARD_ROWS = 2000  # images from which an attention captioner takes the scales of features
_DATA_DEFAULTS: dict[str, Any] = {
    "pca": None, "max_train": None, "regions": False, "captions": "stored", "max_words": LONGEST_LEARNT,
}  # fmt: skip
"""Default arguments of `open_captions` for a training run."""
_FURTHER = {"fine_tuning": "train", "refinement": "refine", "reinforcement": "reinforce"}
"""The command for each key of settings.json that marks a run that started from another one."""
_NEWER = {"validate_every", "schedule", "cosine_epochs", "warmup", "beta2", "label_smoothing", "scheduled_sampling",
          "average", "buckets"}  # fmt: skip
"""Settings that older runs do not record; they used the defaults."""
_MODEL_OPTIONS = {"hidden_size": "hidden", "wordvec_size": "wordvec", "cell_type": "cell", "picture_size": "picture",
                  "looking_size": "attention_size", "kind": "model"}  # fmt: skip
"""The options of model settings whose names differ."""


@dataclass(frozen=True)
class Trainer:
    """A training command: `train`, `refine` or `reinforce`.

    name: the command. key: the key of its settings in settings.json; None for a new captioner. free: the option that
    may change when a run is resumed. solver: makes the solver from the model, the splits, the settings, and an instance
    of each of `kinds`, the dataclasses of its own settings. defaults: defaults of options that differ from those of the
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
        """Return instances of `Settings` and of `kinds` with these values; a ValueError names a wrong option."""
        with naming_options():
            return [
                kind(**{field.name: values[field.name] for field in dataclasses.fields(kind) if field.name in values})
                for kind in (Settings, *self.kinds)
            ]


TRAINERS = {
    "train": Trainer("train", None, "epochs", Solver, (), {
        "model": "source", "cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.5, "feature_dropout": 0.0,
        "forget_bias": 0.0, "picture": 512, "attention_size": 256, "heads": 4, **_DATA_DEFAULTS,
    }),
    "fine-tune": Trainer("train", "fine_tuning", "epochs", Solver, (), {
        "learning_rate": 3e-4, "keep": "loss", "dropout": None, "max_train": None, "captions": None, "max_words": None,
    }),
    "refine": Trainer("refine", "refinement", "rounds", Refinement, (Rounds, Consensus), {
        "batch_size": 50, "learning_rate": 3e-4, "lr_decay": 1.0, "keep": "exercise",
    }),
    "reinforce": Trainer("reinforce", "reinforcement", "epochs", SelfCritical, (Drawing,), {
        "epochs": 8, "batch_size": 50, "learning_rate": 2e-4, "schedule": "cosine", "warmup": 50, "beta2": 0.98,
        "clip_norm": 1.0, "average": 0.99, "keep": "cider", "dropout": None,
    }),
}  # fmt: skip


def _train_on_rank(options: argparse.Namespace, comm: Any, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        mg.runtime.keep_memory()
        trainer = _trainer_of(options)
        solver, run, start, settings, data = _prepare(options, trainer, comm, stack)
    if trainer.key is not None and start is not None and run is None:
        with mg.parallel.together(comm):  # all ranks validate
            record = solver.start_of(start)
        settings[trainer.key] = record | settings.get(trainer.key, {})
    how_to_resume = _resume_command(options)
    hint = f". If {options.out} exists, its last checkpoint is intact. Resume with: {how_to_resume}"
    with mg.parallel.agreed(comm):
        if comm.rank == 0:
            run = solver.run = _open_folder(solver, run, settings, data, options, start)
    with mg.parallel.together(comm, hint, alike=(TrainingError,)):
        try:
            solver.synchronise()
        except ValueError as error:  # all ranks find that the state of rank 0 does not fit
            raise TrainingError(str(error)) from error
    with stop_on_signals() if comm.size > 1 else nullcontext():  # a rank may receive the signal after the others
        with mg.parallel.together(comm, hint, alike=(TrainingError,)):
            try:
                solver.train(options.max_iterations)
            except TrainingError as error:
                anew = f"To start over, remove {shlex.quote(options.out)} or choose another --out."
                raise TrainingError(f"{error}. {anew}") from error
            except OSError as error:
                if solver.run is not None:
                    solver.run.check_there()
                raise RunError(f"{error}. The last checkpoint is intact. Resume with: {how_to_resume}") from error
        if run is not None and comm.rank == 0:
            _report(solver, run, how_to_resume)
        return 0 if solver.finished or solver.stopped_by is None else 128 + solver.stopped_by


def _trainer_of(options: argparse.Namespace) -> Trainer:
    """Return the trainer of a command; `train --start` fine-tunes, and so does --resume of such a run."""
    fine_tunes = options.name == "train" and (
        options.run is not None or (options.resume and "fine_tuning" in Run.open(options.out).settings)
    )
    trainer = TRAINERS["fine-tune" if fine_tunes else options.name]
    kept = [name for name in TRAINERS[options.name].settings if name in vars(options) and name not in trainer.settings]
    if kept:
        raise ValueError(f"--{kept[0].replace('_', '-')} cannot change in fine-tuning, which keeps the model and the "
                         "kind of features of the run that it starts from. Leave the option out.")  # fmt: skip
    return trainer


def _prepare(
    options: argparse.Namespace, trainer: Trainer, comm: Any, stack: ExitStack
) -> tuple[Solver, Run | None, Run | None, dict[str, Any], CaptionData]:
    """Return the solver, the run to resume, the run to start from, the content of settings.json, and the data.

    Each rank prepares its own solver. Only rank 0 checks all data, prints, and returns settings.
    """
    first = comm.rank == 0
    if trainer.key is not None and options.resume == (options.run is not None):
        raise ValueError(f"{trainer.name} needs either the run to start from, or --resume with only --out")
    run, shards = _run_to_resume(options, comm, stack)
    given = {name: value for name, value in vars(options).items() if name in trainer.settings}
    start = run if run is not None or trainer.key is None else Run.open(options.run)
    if run is not None:
        given = _settings_to_resume(run, trainer, given)
        if trainer.key is not None:
            where = f"{run.folder / 'settings.json'}: {trainer.key}"
            check_fields(where, run.settings[trainer.key], *trainer.kinds)
    chosen = trainer.settings | given
    training, *own = trainer.settings_from(chosen)
    if shards > training.batch_size:
        raise ValueError(f"batches of {training.batch_size} cannot be split into {shards} shards: "
                         f"use a larger --batch-size, or fewer ranks or --shards")  # fmt: skip
    if start is None or trainer.key is None:
        seed = training.seed
        data_settings = {key: chosen[key] for key in _DATA_DEFAULTS} | {"regions": chosen["model"] == "attention"}
    else:
        seed = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
        data_settings = {key: start.settings["data"].get(key, default) for key, default in _DATA_DEFAULTS.items()}
        if trainer.name == "train":  # on other data, of which it chooses captions itself
            seed = training.seed
            data_settings |= {"max_train": None} | {key: given[key] for key in _DATA_DEFAULTS if key in given}
    data = stack.enter_context(open_captions(data_folder(options, start), seed=seed, **data_settings))
    progress = Progress(enabled=first and not options.quiet)
    if start is not None:
        start.check_fits(data.train)
    if run is not None:
        model = run.new_model(rng=0 if trainer.key else training.seed)
    elif start is not None:
        model = start.load_model()
        model.dropout = given.get("dropout", model.dropout)
    else:
        model = _new_model(data, chosen, training.seed)
    solver = trainer.solver(model, data.train, data.val, training, *own, progress=progress,
                            checkpoint_every=options.checkpoint_every, shards=shards, comm=comm)  # fmt: skip
    if not first:
        return solver, run, start, {}, data
    for line in data.check(progress):  # find damage before there is a run folder
        progress.say(line)
    if start is None and chosen["pca"] is None and data.pca and (known := whole_extractor(data)) is not None:
        progress.say(
            f"uses the reduced features ({data.train.features.shape[1]} columns), which cannot be computed for new "
            f"photos; with --no-pca, the features of {known}, `captioning caption` can use the run"
        )
    if run is None and (warning := solver.few_images_warning()) is not None:
        progress.say(warning)
    recorded = data_settings | ({"pca": data.pca} if trainer.key is None else {"seed": seed})
    settings = settings_of(model, solver.settings, data, **recorded) | {"shards": shards}
    settings["decoding"] = dataclasses.asdict(Beam() if start is None else start.beam)
    if trainer.key is not None:
        settings[trainer.key] = {} if run is None else dict(run.settings[trainer.key])
        for each in own:
            settings[trainer.key] |= dataclasses.asdict(each)
    return solver, run, start, settings, data


def _run_to_resume(options: argparse.Namespace, comm: Any, stack: ExitStack) -> tuple[Run | None, int]:
    """Return the run to resume, or None for a new one, and the number of shards; set the number of threads.

    Rank 0 locks the run until the stack is closed. Unless options say otherwise, a resumed run keeps its number of
    threads and shards, because another number changes the last bits of the weights.
    """
    run = Run.open(options.out) if options.resume else None
    if comm.rank == 0:
        if run is None:
            if (Path(options.out) / "checkpoint.safetensors").is_file():
                raise RunError(f"{options.out}: already exists: choose another --out, or resume this run with --resume")
            Run.check_new(options.out)
        else:
            stack.enter_context(run)
    before = {} if run is None else {"shards": 1} | run.settings
    now = {"threads": options.threads or before.get("threads") or mg.get_num_threads(),
           "shards": options.shards or before.get("shards") or comm.size,
           "products": mg.runtime.signature()}  # fmt: skip
    if now["shards"] < comm.size:
        raise ValueError(f"{comm.size} ranks need at least as many shards, but there are {now['shards']}: start at "
                         f"most {now['shards']}, or use --shards {comm.size}")  # fmt: skip
    for name, value in now.items():
        if comm.rank == 0 and before.get(name) not in (None, value):
            keep = "" if name == "products" else f"; --{name} {before[name]} keeps them the same"
            print(f"{options.out}: was trained with {name} {before[name]} and continues with {value}, so its "
                  f"weights will differ in their last digits from those of an uninterrupted training run{keep}",
                  file=sys.stderr)  # fmt: skip
    stack.enter_context(threads(now["threads"]))
    return run, now["shards"]


def _settings_to_resume(run: Run, trainer: Trainer, given: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a run to resume. A given setting must be the run's, except that of `trainer.free`."""
    model, training, data = run.settings["model"], run.settings["training"], run.settings["data"]
    training = {f.name: f.default for f in dataclasses.fields(Settings) if f.name in _NEWER} | training
    key = next((key for key in _FURTHER if key in run.settings), None)
    command = "train" if key is None else _FURTHER[key]
    if command != trainer.name:
        line = shlex.join(["captioning", command, "--out", str(run.folder), "--resume"])
        raise RunError(f"{run.folder}: was made by captioning {command}. Resume it with: {line}")
    missing = [f.name for f in dataclasses.fields(Settings) if f.name not in training]
    missing += [name for name in ("pca", "max_train") if name not in data]
    if missing:
        raise RunError(f"{run.folder / 'settings.json'}: the settings {', '.join(missing)} are missing")
    known = {**_DATA_DEFAULTS, **data, **training, **run.settings.get(key or "", {})}
    model = {"kind": "source", "feature_dropout": 0.0} | model
    known |= {_MODEL_OPTIONS.get(name, name): value for name, value in model.items()}
    changed = [name for name, value in given.items() if name != trainer.free and known.get(name) != value]
    if changed:
        listing = ", ".join(f"--{name.replace('_', '-')} {given[name]} (the run has {known.get(name)})"
                            for name in changed)  # fmt: skip
        raise RunError(f"{run.folder}: --resume can only change --{trainer.free}; got {listing}")
    depends_on_end = (training["schedule"] == "cosine" and training["cosine_epochs"] is None) or training[
        "scheduled_sampling"
    ] > 0
    if depends_on_end and given.get(trainer.free, known.get(trainer.free)) != known.get(trainer.free):
        raise RunError(
            f"{run.folder}: --{trainer.free} cannot change when you resume, because the cosine of the learning rate or "
            "the share of sampled words depends on it: start a new run with another --out and without --resume"
        )
    return known | given


def _new_model(data: CaptionData, chosen: dict[str, Any], seed: int) -> AnyCaptioner:
    own = (
        ("picture_size", "looking_size", "heads")
        if chosen["model"] == "attention"
        else ("forget_bias", "feature_dropout")
    )
    names = ("kind", "wordvec_size", "hidden_size", "cell_type", "dropout", *own)
    settings: dict[str, Any] = {name: chosen[_MODEL_OPTIONS.get(name, name)] for name in names}
    settings["feature_size"] = data.train.features.shape[1]
    if isinstance(data.train.features, FeaturesAndRegions):
        settings["places"] = data.train.features.grid
    try:
        if min(chosen["wordvec"], chosen["hidden"]) > 0:
            check_memory(len(data.vocabulary), settings)
        with naming_options(**{name: f"--{option.replace('_', '-')}" for name, option in _MODEL_OPTIONS.items()}):
            model = new_captioner(data.vocabulary, settings, seed)
    except MemoryError as error:
        sizes = f"--hidden {chosen['hidden']} and --wordvec {chosen['wordvec']}"
        raise ValueError(f"a captioner with {sizes} is too large for the memory here: {error}") from error
    if isinstance(model, AttentionCaptioner):
        model.standardise(data.train.features[:_STANDARD_ROWS])
    return model


def _open_folder(
    solver: Solver,
    run: Run | None,
    settings: dict[str, Any],
    data: CaptionData,
    options: argparse.Namespace,
    start: Run | None,
) -> Run:
    """Return a new run folder, or the run to resume, with its checkpoint loaded. Write only after all checks."""
    if run is None:
        with naming_options():
            solver.limit(options.max_iterations)
        regions = projection_arrays(data, start)
        return Run.create(options.out, settings, data.vocabulary, solver.state(), regions=regions)
    run.check_same_data(settings["data"])
    if "fingerprint" not in run.settings["data"]:
        print(f"{run.folder}: has no fingerprint of its data, so it is unknown whether {data.folder} has the same "
              "data; the run records one now", file=sys.stderr)  # fmt: skip
    solver.run = run
    solver.resume()
    with naming_options():
        solver.limit(options.max_iterations)
    run.settings |= settings
    run.write_settings()
    return run


def _resume_command(options: argparse.Namespace) -> str:
    """Return the command line that resumes the run, or the recipe that it belongs to."""
    recipe: list[str] | None = vars(options).get("recipe_line")
    if recipe is not None:
        return shlex.join(recipe)
    launch = launch_of()
    words = ["mpiexec", "-n", str(launch.size)] if launch is not None and launch.size > 1 else []
    words += ["captioning", options.name, "--out", options.out, "--resume"]
    if options.checkpoint_every != CHECKPOINT_EVERY:
        words += ["--checkpoint-every", options.checkpoint_every]
    return shlex.join(words)


def _report(solver: Solver, run: Run, how_to_resume: str) -> None:
    """Print how a training run ended."""
    if not solver.finished:
        print(f"stopped after iteration {solver.iteration} of {solver.total}; resume with: {how_to_resume}",
              file=sys.stderr)  # fmt: skip
        return
    best = solver.best_entry
    assert best is not None  # a finished training run has a validation
    within = best["iteration"] % solver.epoch_length
    kept = f"iteration {best['iteration']}, in epoch {best['epoch']}" if within else f"epoch {best['epoch']}"
    cider = f"CIDEr-D {best['val_cider']:.4f}, " if "val_cider" in best else ""  # older validations lack it
    print(f"trained {solver.iteration} iterations; kept {kept}: "
          f"validation loss {best['val_loss']:.3f} per caption, BLEU-4 {best['val_bleu']:.4f}, "
          f"{cider}exercise BLEU {best['val_exercise_bleu']:.4f} "
          f"(greedy, on the {PARTS[solver.settings.val_part]}validation images)")  # fmt: skip
    print(f"run folder: {run.folder}")
    start: dict[str, Any] = next((run.settings[key] for key in _FURTHER if key in run.settings), {})
    for warning in solver.warnings_since(start):
        print(f"{run.folder}: {warning}")


_train = on_ranks(_train_on_rank, (TrainingError,))

TRAIN = Command(
    "train", "train a captioner, and write a run folder", _train,
    {
        "--data": {}, "--out": {"help": "the run folder to create or to resume"},
        "--start": {"dest": "run", "metavar": "RUN", "help": "fine-tune the captioner of a run, or shipped, the "
                    "Flickr8k captioner, on a data set made by `captioning prepare --like RUN`; the defaults are then "
                    "--learning-rate 3e-4, --keep loss, and the --dropout, --captions and --max-words of RUN"},
        **unchanged(
            "--model", "--cell", "--hidden", "--wordvec", "--dropout", "--feature-dropout", "--forget-bias",
            "--picture", "--attention-size", "--heads", "--scheduled-sampling", "--captions", "--max-words", "--epochs",
            "--max-train", "--pca", *TRAINING, "--label-smoothing", "--buckets",
        ),
    },
    """example:
  captioning train --data flickr8k --out RUN --epochs 12 --batch-size 50
  captioning train --out RUN --resume    # resumes an interrupted run
  captioning train --start shipped --data like-shipped --out RUN    # fine-tunes
  captioning evaluate RUN                # prints its scores on other images""",
    TRAINERS["train"].settings,
)  # fmt: skip

_START = {
    "nargs": "?",
    "help": "the run to start from, or shipped, the Flickr8k captioner (not with --resume)",
}

REFINE = Command(
    "refine", "continue training the captioner of a run on the best of its own captions. In each round, it writes "
    "several captions per image and trains on those that agree best with the human captions of the image and of "
    "similar images. The result is a new run folder", _train,
    {
        "run": _START, "--data": {}, "--out": {"help": "the run folder to create or to resume"},
        "--rounds": {"type": int, "metavar": "N", "help": "number of rounds; each writes new captions"},
        "--round-epochs": {"type": int, "metavar": "N", "help": "number of epochs per round"},
        "--drafts": {},
        "--temperature": {"help": "sampling temperature, above 0; lower values give more similar captions"},
        "--neighbours": {"group": None, "needs": {}, "help": "number of similar images to compare with"},
        "--width": {"type": float, "metavar": "X", "help": "width of the similarity kernel, above 0; "
                    "smaller values give more weight to the most similar images"},
        "--human-weight": {"type": float, "metavar": "X", "help": "weight of the human captions of the image, from "
                           "0 to 1; the captions of similar images share the rest"},
        "--best": {"type": int, "metavar": "N", "help": "number of captions per image to train on"},
        **unchanged(*TRAINING, "--label-smoothing", "--buckets"),
    },
    """example:
  captioning refine RUN --out BETTER
  captioning refine --out BETTER --resume    # resumes an interrupted run""",
    TRAINERS["refine"].settings,
)  # fmt: skip

REINFORCE = Command(
    "reinforce", "continue training the captioner of a run by self-critical training. It samples several captions per "
    "image and learns to prefer those with a higher CIDEr-D. The result is a new run folder", _train,
    {
        "run": _START, "--data": {}, "--out": {"help": "the run folder to create or to resume"},
        "--epochs": {"help": "number of epochs"}, "--drafts": {},
        "--longest": {"type": int, "metavar": "N", "help": "the maximum length of a sampled caption in "
                      "words, counting the end token"},
        "--dropout": {"help": "dropout (default: that of the run)"},
        **unchanged(*TRAINING), "--batch-size": {"help": "images per iteration"},
    },
    """example:
  captioning reinforce RUN --out BETTER
  captioning reinforce --out BETTER --resume    # resumes an interrupted run""",
    TRAINERS["reinforce"].settings,
)  # fmt: skip
