"""The command `train`: a captioner learns from human captions."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from contextlib import ExitStack
from typing import Any

import minigrad as mg
from captioning.cli.options import add_command, add_data, data_folder
from captioning.cli.ranks import on_ranks
from captioning.cli.resuming import (
    check_data,
    check_shards,
    run_to_resume,
    settings_to_resume,
    shards_for,
    train_in_folder,
    with_threads,
)
from captioning.cli.training_options import (
    DATA_DEFAULTS,
    add_run,
    add_training,
    dataclass_from,
    defaults_of,
    given_settings,
)
from captioning.cli.unused_options import check_used, check_warmup
from captioning.data.dataset import CaptionData, open_captions
from captioning.data.regions import FeaturesAndRegions
from captioning.data.whole_captions import CAPTIONS
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.kinds import MODELS, AnyCaptioner, check_memory, new_captioner
from captioning.models.recurrent_cells import CELLS
from captioning.progress import Progress
from captioning.training.run_features import whole_extractor
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.settings import Settings
from captioning.training.solver import Solver

__all__ = ["add_train"]

EXAMPLE = """example:
  captioning train --data flickr8k --out RUN --epochs 12 --batch-size 50
  captioning train --out RUN --resume    # goes on where it was stopped or killed
  captioning evaluate RUN                # how good it is on other images"""

_FEW_IMAGES = 20
STANDARD_ROWS = 2000
"""Pictures from which an attention captioner takes the scales of features."""

MODEL_DEFAULTS: dict[str, Any] = {
    "model": "source", "cell": "lstm", "hidden": 512, "wordvec": 256, "dropout": 0.5, "feature_dropout": 0.0,
    "forget_bias": 0.0, "picture": 512, "looking": 256, "heads": 4,
}  # fmt: skip


def add_train(commands: Any) -> None:
    """The command `train`."""
    parser = add_command(commands, "train", "train a captioner and leave a run folder", _train, EXAMPLE)
    add_data(parser, "with --resume the one that the run")
    add_run(parser, "--epochs")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = defaults_of(Settings) | MODEL_DEFAULTS | DATA_DEFAULTS
    option("--model", choices=list(MODELS), help="the captioner of the source, whose cell starts from a picture's "
           "features, or one with attention, which looks at the places of the picture before each word; the data set "
           f"needs …2014_regions.h5 for it ({d['model']})")  # fmt: skip
    option("--cell", choices=list(CELLS), help=f"recurrent cell ({d['cell']})")
    option("--hidden", type=int, metavar="N", help=f"size of the hidden state ({d['hidden']})")
    option("--wordvec", type=int, metavar="N", help=f"size of the word vectors ({d['wordvec']})")
    option("--dropout", type=float, metavar="X", help="share of the word vectors' and of the hidden states' entries "
           f"that are dropped in training, from 0 to below 1 ({d['dropout']})")  # fmt: skip
    option("--feature-dropout", type=float, metavar="X", help="share of the features' entries that are dropped in "
           f"training ({d['feature_dropout']})")  # fmt: skip
    option("--forget-bias", type=float, metavar="X", help="where the biases of the LSTM's forget gate start "
           f"({d['forget_bias']})")  # fmt: skip
    option("--picture", type=int, metavar="N", help="with attention: numbers that sum up the whole picture "
           f"({d['picture']})")  # fmt: skip
    option("--looking", type=int, metavar="N", help="with attention: numbers of a place that is looked at, all heads "
           f"together ({d['looking']})")  # fmt: skip
    option(
        "--heads", type=int, metavar="N", help=f"with attention: how many places are looked at at once ({d['heads']})"
    )
    option("--scheduled-sampling", type=float, metavar="X", help="share of the words read in the last epoch that are "
           f"the captioner's own, rising from 0 in the first ({d['scheduled_sampling']})")  # fmt: skip
    option("--captions", choices=CAPTIONS, help="learn from the captions as the HDF5 file stores them, perhaps cut, or "
           f"from the raw ones of captions.csv ({d['captions']})")  # fmt: skip
    option("--max-words", type=int, metavar="N", help="cut raw captions behind so many words, without teaching that "
           f"they end there ({d['max_words']})")  # fmt: skip
    option("--epochs", type=int, metavar="N", help=f"how often each caption is seen ({d['epochs']})")
    option("--max-train", type=int, metavar="N", help="use so many training captions, drawn by the seed (all)")
    option("--pca", action=argparse.BooleanOptionalAction, help="read the reduced features, "
           "…2014_vgg16_fc7_pca.h5, or the whole ones, …2014_vgg16_fc7.h5 (reduced where they are there)")  # fmt: skip
    add_training(parser, d)


def _train(options: argparse.Namespace) -> int:
    return on_ranks(functools.partial(_shared, options))


def _shared(options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack) -> int:
    with mg.parallel.agreed(comm):
        prepared = _prepared(options, comm, fair, stack)
    return train_in_folder(*prepared, options)


def _prepared(
    options: argparse.Namespace, comm: Any, fair: int, stack: ExitStack
) -> tuple[Solver, Run | None, dict[str, Any], CaptionData]:
    """What `train_in_folder` trains. Each rank prepares its own; rank 0 looks at all data, and speaks.

    fair: threads, unless told otherwise. stack: what is open until the training has ended.
    """
    first = comm.rank == 0
    given = given_settings(options)
    run = stack.enter_context(run_to_resume(options, comm))
    shards = shards_for(options, run, comm)
    stack.enter_context(with_threads(options, run, fair, told=first))
    if run is not None:
        given = settings_to_resume(run, "train", given, free="epochs")
    training = dataclass_from(Settings, given)
    check_shards(shards, training)
    chosen = {**MODEL_DEFAULTS, **DATA_DEFAULTS, **given}
    chosen["regions"] = chosen["model"] == "attention"
    if run is None:
        check_used(given, dataclasses.asdict(training) | chosen)
    how = {key: chosen[key] for key in DATA_DEFAULTS}
    data = stack.enter_context(open_captions(data_folder(options, run), seed=training.seed, **how))
    progress = Progress(enabled=first and not options.quiet)
    if chosen["pca"] is None:
        _say_out_of_reach(data, progress)
    model = _new_model(data, chosen, training.seed) if run is None else run.new_model(rng=training.seed)
    solver = Solver(model, data.train, data.val, training, progress=progress,
                    checkpoint_every=options.checkpoint_every, shards=shards, comm=comm)  # fmt: skip
    if run is None:
        check_warmup(given, solver)
    if not first:
        return solver, run, {}, data
    check_data(data, progress)
    if run is None:
        _say_if_few_decide(solver, progress)
    settings = settings_of(model, training, data, **how | {"pca": data.pca})
    return solver, run, settings | {"shards": shards}, data


def _say_out_of_reach(data: CaptionData, progress: Progress) -> None:
    """Say that reduced features cannot be had of new photos, where there are whole ones that can."""
    known = whole_extractor(data) if data.pca else None
    if known is not None:
        progress.say(
            f"reads the reduced features, of {data.train.features.shape[1]} columns, which cannot be had of new "
            f"photos; --no-pca reads the whole ones, of {known}, so that `captioning caption` can use the run"
        )


def _say_if_few_decide(solver: Solver, progress: Progress) -> None:
    """BLEU of a few images is chance, or 0 throughout; the loss tells weights apart even there."""
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
        settings |= {"places": data.train.features.grid}
        settings |= {f"{name}_size": chosen[name] for name in ("picture", "looking")} | {"heads": chosen["heads"]}
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
        model.standardise(data.train.features[:STANDARD_ROWS])
    return model
