"""The command `refine`: a trained captioner learns from captions that it writes itself."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from captioning.cli.further_training import Further, train_further
from captioning.cli.options import add_command, add_data
from captioning.cli.training_options import add_run, add_training, defaults_of
from captioning.training.refinement import Consensus, Refinement, Rounds
from captioning.training.settings import Settings

__all__ = ["add_refine"]

REFINE = Further(
    name="refine",
    key="refinement",
    free="rounds",
    defaults={"batch_size": 50, "learning_rate": 3e-4, "lr_decay": 1.0, "keep": "exercise"},
    kinds=(Rounds, Consensus),
    solver=Refinement,
)

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
    d = defaults_of(Settings, Rounds, Consensus) | REFINE.defaults
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
    return train_further(options, REFINE)
