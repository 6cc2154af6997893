"""The command `train`: a captioner learns from human captions."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from captioning.cli.options import add_command, add_data
from captioning.cli.resuming import begin_run, data_folder, report_training, resume_run, settings_to_resume
from captioning.cli.training_options import (
    DATA_DEFAULTS,
    add_run,
    add_training,
    dataclass_from,
    defaults_of,
    given_settings,
)
from captioning.data.dataset import CaptionData, open_captions
from captioning.models.captioner import Captioner
from captioning.models.recurrent_cells import CELLS
from captioning.progress import Progress
from captioning.training.run_folder import Run, settings_of
from captioning.training.solver import Settings, Solver

__all__ = ["add_train"]

MODEL_DEFAULTS: dict[str, Any] = {
    "cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.0, "feature_dropout": 0.0, "forget_bias": 0.0,
}  # fmt: skip


def add_train(commands: Any) -> None:
    """The command `train`."""
    parser = add_command(commands, "train", "train a captioner and leave a run folder", _train)
    add_data(parser, "; with --resume: the one that the run was trained on, if it is there")
    add_run(parser, "--epochs")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = defaults_of(Settings) | MODEL_DEFAULTS
    option("--cell", choices=list(CELLS), help=f"recurrent cell ({d['cell']})")
    option("--hidden", type=int, metavar="N", help=f"size of the hidden state ({d['hidden']})")
    option("--wordvec", type=int, metavar="N", help=f"size of the word vectors ({d['wordvec']})")
    option("--dropout", type=float, metavar="X", help=f"share of word vectors and states dropped ({d['dropout']})")
    option("--feature-dropout", type=float, metavar="X", help=f"share of features dropped ({d['feature_dropout']})")
    option("--forget-bias", type=float, metavar="X", help=f"first bias of the forget gate ({d['forget_bias']})")
    option("--epochs", type=int, metavar="N", help=f"how often each caption is seen ({d['epochs']})")
    option("--max-train", type=int, metavar="N", help="use so many training captions, drawn by the seed (all)")
    option("--pca", action=argparse.BooleanOptionalAction, help="read the reduced features, "
           "…2014_vgg16_fc7_pca.h5, or the whole ones, …2014_vgg16_fc7.h5 (reduced where they are there)")  # fmt: skip
    add_training(parser, d)


def _train(options: argparse.Namespace) -> int:
    given = given_settings(options)
    run = Run.open(options.out) if options.resume else None
    if run is not None:
        given = settings_to_resume(run, given, free="epochs")
    training = dataclass_from(Settings, given)
    chosen = {**MODEL_DEFAULTS, **DATA_DEFAULTS, **given}
    with open_captions(data_folder(options, run), chosen["pca"], chosen["max_train"], training.seed) as data:
        progress = Progress(enabled=not options.quiet)
        model = _new_model(data, chosen, training.seed) if run is None else run.new_model(rng=training.seed)
        solver = Solver(model, data.train, data.val, training, progress=progress)
        settings = settings_of(model, training, data, pca=data.pca, max_train=chosen["max_train"])
        run = begin_run(solver, options.out, settings, data) if run is None else resume_run(solver, run, settings, data)
        solver.train()
    return report_training(solver, run, "train")


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
