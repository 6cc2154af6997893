"""The commands `train`, `refine` and `reinforce`: train a new captioner, or that of a run further."""

from __future__ import annotations

import argparse
import dataclasses
from contextlib import ExitStack
from typing import Any

import minigrad as mg
from captioning.cli.options import TRAINING, Command, data_folder, unchanged
from captioning.cli.run_folders import DATA_DEFAULTS, Trainer, run_to_resume, settings_to_resume, train_in_folder
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.features import FeaturesAndRegions
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.kinds import AnyCaptioner, check_memory, new_captioner
from captioning.progress import Progress
from captioning.ranks import on_ranks
from captioning.training.refinement import Consensus, Refinement, Rounds
from captioning.training.run_features import whole_extractor
from captioning.training.run_files import TrainingError, check_fields, settings_of
from captioning.training.run_folder import Run
from captioning.training.self_critical import Drawing, SelfCritical
from captioning.training.solver import Solver

__all__ = ["REFINE", "REINFORCE", "TRAIN", "TRAINERS"]

_FEW_IMAGES = 20
_STANDARD_ROWS = 2000  # pictures from which an attention captioner takes the scales of features

TRAINERS = {
    "train": Trainer("train", None, "epochs", Solver, (), {
        "model": "source", "cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.5, "feature_dropout": 0.0,
        "forget_bias": 0.0, "picture": 512, "looking": 256, "heads": 4, **DATA_DEFAULTS,
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
    trainer = TRAINERS[options.name]
    with mg.parallel.agreed(comm):
        solver, run, start, settings, data = _prepared(options, trainer, comm, stack)
    if trainer.key is not None and run is None:
        assert start is not None
        with mg.parallel.together(comm):  # which validates
            began = solver.start_of(start)
        settings[trainer.key] = began | settings.get(trainer.key, {})
    return train_in_folder(solver, run, settings, data, options, start)


def _prepared(
    options: argparse.Namespace, trainer: Trainer, comm: Any, stack: ExitStack
) -> tuple[Solver, Run | None, Run | None, dict[str, Any], CaptionData]:
    """Return what `train_in_folder` trains. Each rank prepares its own; rank 0 checks all data, and speaks."""
    first = comm.rank == 0
    if trainer.key is not None and options.resume == (options.run is not None):
        raise ValueError(f"{trainer.name} needs the run to start from, or --resume with --out alone")
    run, shards = run_to_resume(options, comm, stack)
    given = {name: value for name, value in vars(options).items() if name in trainer.settings}
    start = run if run is not None or trainer.key is None else Run.open(options.run)
    if run is not None:
        given = settings_to_resume(run, trainer, given)
        if trainer.key is not None:
            where = f"{run.folder / 'settings.json'}: {trainer.key}"
            check_fields(where, run.settings[trainer.key], *trainer.kinds)
    chosen = trainer.settings | given
    training, *own = trainer.settings_from(chosen)
    if shards > training.batch_size:
        raise ValueError(f"batches of {training.batch_size} cannot be cut into {shards} shards: "
                         f"a larger --batch-size, or fewer ranks or --shards")  # fmt: skip
    if start is None or trainer.key is None:
        seed = training.seed
        of_data = {key: chosen[key] for key in DATA_DEFAULTS} | {"regions": chosen["model"] == "attention"}
    else:
        seed = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
        of_data = {key: start.settings["data"].get(key, default) for key, default in DATA_DEFAULTS.items()}
    data = stack.enter_context(open_captions(data_folder(options, start), seed=seed, **of_data))
    progress = Progress(enabled=first and not options.quiet)
    if start is not None:
        start.check_fits(data.train)
        start.check_as_many(len(data.train), data.folder)
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
    for line in data.check(progress):  # all data once, so that damage is found before there is a run folder
        progress.say(line)
    if start is None:
        _say_what_may_not_be_meant(data, solver, chosen["pca"], progress)
    recorded = of_data | ({"pca": data.pca} if trainer.key is None else {"seed": seed})
    settings = settings_of(model, solver.settings, data, **recorded) | {"shards": shards}
    if trainer.key is not None:
        settings[trainer.key] = {} if run is None else dict(run.settings[trainer.key])
        for each in own:
            settings[trainer.key] |= dataclasses.asdict(each)
    return solver, run, start, settings, data


def _say_what_may_not_be_meant(data: CaptionData, solver: Solver, pca: bool | None, progress: Progress) -> None:
    """Say that reduced features cannot be computed of new photos, and that BLEU of a few images is chance."""
    if pca is None and data.pca and (known := whole_extractor(data)) is not None:
        progress.say(
            f"reads the reduced features, of {data.train.features.shape[1]} columns, which cannot be had of new "
            f"photos; --no-pca reads the whole ones, of {known}, so that `captioning caption` can use the run"
        )
    number = _FEW_IMAGES if solver.images is None else len(solver.images)
    if number < _FEW_IMAGES and solver.settings.keep != "loss":
        who = "1 image decides" if number == 1 else f"{number} images decide"
        progress.say(f"only {who} by BLEU which weights are best, which is much by chance: --keep loss is wiser")


def _new_model(data: CaptionData, chosen: dict[str, Any], seed: int) -> AnyCaptioner:
    settings = {
        "kind": chosen["model"],
        "feature_size": data.train.features.shape[1],
        "wordvec_size": chosen["wordvec"],
        "hidden_size": chosen["hidden"],
        "cell_type": chosen["cell"],
        "dropout": chosen["dropout"],
    }
    if isinstance(data.train.features, FeaturesAndRegions):
        settings |= {"places": data.train.features.grid, "heads": chosen["heads"]}
        settings |= {"picture_size": chosen["picture"], "looking_size": chosen["looking"]}
    else:
        settings |= {name: chosen[name] for name in ("forget_bias", "feature_dropout")}
    try:
        if min(chosen["wordvec"], chosen["hidden"]) > 0:
            check_memory(len(data.vocabulary), settings)
        model = new_captioner(data.vocabulary, settings, seed)
    except MemoryError as error:
        told = f"--hidden {chosen['hidden']} and --wordvec {chosen['wordvec']}"
        raise ValueError(f"a captioner with {told} is too large for the memory here: {error}") from error
    if isinstance(model, AttentionCaptioner):
        model.standardise(data.train.features[:_STANDARD_ROWS])
    return model


_train = on_ranks(_train_on_rank, (TrainingError,))

TRAIN = Command(
    "train", "train a captioner and leave a run folder", _train,
    {
        "--data": {}, "--out": {"help": "the run folder to make (or to resume)"},
        **unchanged(
            "--model", "--cell", "--hidden", "--wordvec", "--dropout", "--feature-dropout", "--forget-bias",
            "--picture", "--looking", "--heads", "--scheduled-sampling", "--captions", "--max-words", "--epochs",
            "--max-train", "--pca", *TRAINING, "--label-smoothing", "--buckets",
        ),
    },
    """example:
  captioning train --data flickr8k --out RUN --epochs 12 --batch-size 50
  captioning train --out RUN --resume    # continues where it was stopped or killed
  captioning evaluate RUN                # how good it is on other images""",
    TRAINERS["train"].settings,
)  # fmt: skip

_START = {"nargs": "?", "help": "the run to start from (not with --resume)"}

REFINE = Command(
    "refine", "train a run's captioner further, on those of its own captions that agree best with what people say of "
    "a picture and of pictures like it; leaves a run folder of its own", _train,
    {
        "run": _START, "--data": {}, "--out": {"help": "the run folder to make (or to resume)"},
        "--rounds": {"type": int, "metavar": "N", "help": "how often new captions are written to learn from"},
        "--round-epochs": {"type": int, "metavar": "N", "help": "epochs over the captions of a round"},
        "--drafts": {},
        "--temperature": {"help": "temperature at which these captions are drawn, above 0; the lower, the more alike "
                          "they are"},
        "--neighbours": {"group": None, "help": "how many of the most similar pictures help to choose the best of its "
                         "captions"},
        "--width": {"type": float, "metavar": "X", "help": "how fast the weight of a neighbour falls with its "
                    "distance, above 0: the smaller, the more the nearest count"},
        "--human-weight": {"type": float, "metavar": "X", "help": "weight of the picture's own human captions, from 0 "
                           "to 1; those of its neighbours have the rest"},
        "--best": {"type": int, "metavar": "N", "help": "how many of a picture's captions are chosen to learn from"},
        **unchanged(*TRAINING, "--label-smoothing", "--buckets"),
    },
    """example:
  captioning refine RUN --out BETTER
  captioning refine --out BETTER --resume    # continues where it was stopped or killed""",
    TRAINERS["refine"].settings,
)  # fmt: skip

REINFORCE = Command(
    "reinforce", "train a run's captioner further by self-critical training: it draws several captions of each "
    "picture, and those whose CIDEr-D is higher than the others' become likelier; leaves a run folder of its own",
    _train,
    {
        "run": _START, "--data": {}, "--out": {"help": "the run folder to make (or to resume)"},
        "--epochs": {"help": "how often each picture is captioned"}, "--drafts": {},
        "--longest": {"type": int, "metavar": "N", "help": "words of a drawn caption, its end counted as one"},
        "--dropout": {"help": "dropout while it learns (as the run was trained)"},
        **unchanged(*TRAINING), "--batch-size": {"help": "pictures in an iteration"},
    },
    """example:
  captioning reinforce RUN --out BETTER
  captioning reinforce --out BETTER --resume    # continues where it was stopped or killed""",
    TRAINERS["reinforce"].settings,
)  # fmt: skip
