"""The command `refine`: a trained captioner learns from captions that it writes itself."""

from __future__ import annotations

import argparse
import dataclasses
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
from captioning.progress import Progress
from captioning.training.consensus_targets import Consensus
from captioning.training.refinement import Refinement, Rounds
from captioning.training.run_folder import Run, RunError, settings_of
from captioning.training.solver import Settings

__all__ = ["add_refine"]

REFINE_DEFAULTS: dict[str, Any] = {"batch_size": 50, "learning_rate": 3e-4, "lr_decay": 1.0, "keep": "exercise"}


def add_refine(commands: Any) -> None:
    """The command `refine`."""
    parser = add_command(
        commands, "refine", "train a run's captioner further, on those of its own captions that agree best with what "
        "people say of a picture and of pictures like it; leaves a run folder of its own", _refine
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run to start from (not with --resume)")
    add_data(parser, "; with --resume: the one that the run was trained on, if it is there")
    add_run(parser, "--rounds")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = defaults_of(Settings, Rounds, Consensus) | REFINE_DEFAULTS
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
    add_training(parser, d)


def _refine(options: argparse.Namespace) -> int:
    given = given_settings(options)
    if options.resume == (options.run is not None):
        raise ValueError("refine needs the run to start from, or --resume with --out alone")
    run = Run.open(options.out) if options.resume else None
    if run is not None:
        given = settings_to_resume(run, given, free="rounds")
    start = Run.open(options.run) if run is None else run
    chosen = REFINE_DEFAULTS | given
    training, rounds, consensus = (dataclass_from(kind, chosen) for kind in (Settings, Rounds, Consensus))
    of_data = {key: start.settings["data"].get(key, default) for key, default in DATA_DEFAULTS.items()}
    drawn_by = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
    with open_captions(data_folder(options, run), of_data["pca"], of_data["max_train"], drawn_by) as data:
        start.check_fits(data.train)
        _check_as_many(start, data)
        model = start.load_model() if run is None else run.new_model(rng=0)
        progress = Progress(enabled=not options.quiet)
        solver = Refinement(model, data.train, data.val, training, rounds, consensus, progress=progress)
        settings = settings_of(model, solver.settings, data, **of_data, seed=drawn_by)
        settings["refinement"] = {"start": start.folder.name} if run is None else dict(run.settings["refinement"])
        settings["refinement"] |= dataclasses.asdict(rounds) | dataclasses.asdict(consensus)
        run = begin_run(solver, options.out, settings, data) if run is None else resume_run(solver, run, settings, data)
        solver.train()
    return report_training(solver, run, "refine")


def _check_as_many(run: Run, data: CaptionData) -> None:
    was, now = run.settings["data"].get("train_captions"), len(data.train)
    if was != now:
        raise RunError(f"{run.folder}: was trained on {was} captions; {data.folder} has {now}: it is another data set")
