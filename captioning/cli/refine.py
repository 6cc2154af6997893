"""The command `refine`: a trained captioner learns from captions that it writes itself."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from typing import Any

from captioning.cli.options import add_command, add_data, data_folder
from captioning.cli.resuming import (
    check_data,
    run_to_resume,
    settings_to_resume,
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
from captioning.data.dataset import CaptionData, open_captions
from captioning.progress import Progress
from captioning.training.consensus_targets import Consensus
from captioning.training.errors import RunError
from captioning.training.refinement import Refinement, Rounds
from captioning.training.run_folder import Run
from captioning.training.run_settings import check_fields, settings_of
from captioning.training.settings import Settings

__all__ = ["add_refine"]

REFINE_DEFAULTS: dict[str, Any] = {"batch_size": 50, "learning_rate": 3e-4, "lr_decay": 1.0, "keep": "exercise"}

EXAMPLE = """example:
  captioning refine RUN --out BETTER
  captioning refine --out BETTER --resume    # goes on where it was stopped or killed"""


def add_refine(commands: Any) -> None:
    """The command `refine`."""
    parser = add_command(
        commands, "refine", "train a run's captioner further, on those of its own captions that agree best with what "
        "people say of a picture and of pictures like it; leaves a run folder of its own", _refine,
        EXAMPLE,
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run to start from (not with --resume)")
    add_data(parser, "the one that the run")
    add_run(parser, "--rounds")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = defaults_of(Settings, Rounds, Consensus) | REFINE_DEFAULTS
    option("--rounds", type=int, metavar="N", help=f"how often new captions are written to learn from ({d['rounds']})")
    option("--round-epochs", type=int, metavar="N", help="how often the captions of a round are learnt from "
           f"({d['round_epochs']})")  # fmt: skip
    option("--drafts", type=int, metavar="N", help="how many captions are drawn for each picture, of which the best "
           f"are chosen ({d['drafts']})")  # fmt: skip
    option("--temperature", type=float, metavar="X", help="temperature at which these captions are drawn, above 0; the "
           f"lower, the more alike they are ({d['temperature']})")  # fmt: skip
    option("--neighbours", type=int, metavar="N", help="how many of the pictures most like a picture have a say in "
           f"which of its captions are the best ({d['neighbours']})")  # fmt: skip
    option("--width", type=float, metavar="X", help="how fast a neighbour's say falls with its unlikeness, above 0: "
           f"the smaller, the more the nearest count ({d['width']})")  # fmt: skip
    option("--human-weight", type=float, metavar="X", help="share of the picture's own human captions in that say, "
           f"from 0 to 1; those of its neighbours have the rest ({d['human_weight']})")  # fmt: skip
    option("--best", type=int, metavar="N", help="how many of a picture's captions are chosen to learn from "
           f"({d['best']})")  # fmt: skip
    add_training(parser, d)


def _refine(options: argparse.Namespace) -> int:
    given = given_settings(options)
    if options.resume == (options.run is not None):
        raise ValueError("refine needs the run to start from, or --resume with --out alone")
    with run_to_resume(options) as run, with_threads(options, run):
        if run is not None:
            given = settings_to_resume(run, given, free="rounds")
            where = f"{run.folder / 'settings.json'}: refinement"
            check_fields(where, run.settings["refinement"], Rounds, Consensus)
        start = Run.open(options.run) if run is None else run
        chosen = REFINE_DEFAULTS | given
        training, rounds, consensus = (dataclass_from(kind, chosen) for kind in (Settings, Rounds, Consensus))
        of_data = {key: start.settings["data"].get(key, default) for key, default in DATA_DEFAULTS.items()}
        drawn_by = start.settings["data"].get("seed", start.settings["training"].get("seed", 0))
        with open_captions(data_folder(options, start), of_data["pca"], of_data["max_train"], drawn_by) as data:
            start.check_fits(data.train)
            _check_as_many(start, data)
            model = start.load_model() if run is None else run.new_model(rng=0)
            progress = Progress(enabled=not options.quiet)
            solver = Refinement(
                model, data.train, data.val, training, rounds, consensus, progress=progress,
                checkpoint_every=options.checkpoint_every,
            )  # fmt: skip
            check_data(data, progress)
            settings = settings_of(model, solver.settings, data, **of_data, seed=drawn_by)
            settings["refinement"] = {"start": start.folder.name} if run is None else dict(run.settings["refinement"])
            settings["refinement"] |= dataclasses.asdict(rounds) | dataclasses.asdict(consensus)
            return train_in_folder(solver, run, settings, data, options)


def _check_as_many(run: Run, data: CaptionData) -> None:
    was, now = run.settings["data"].get("train_captions"), len(data.train)
    if was != now:
        raise RunError(f"{run.folder}: was trained on {was} captions; {data.folder} has {now}: it is another data set")
