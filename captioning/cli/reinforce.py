"""The command `reinforce`: a trained captioner learns from how its own captions score."""

from __future__ import annotations

import argparse
import functools
from typing import Any

from captioning.cli.further_training import Further, train_further
from captioning.cli.options import add_command, add_data
from captioning.cli.training_options import add_run, add_training, defaults_of
from captioning.training.self_critical import Drawing, SelfCritical
from captioning.training.settings import Settings

__all__ = ["add_reinforce"]

EXAMPLE = """example:
  captioning reinforce RUN --out BETTER
  captioning reinforce --out BETTER --resume    # goes on where it was stopped or killed"""

REINFORCE = Further(
    name="reinforce",
    key="reinforcement",
    free="epochs",
    defaults={
        "epochs": 8, "batch_size": 50, "learning_rate": 2e-4, "schedule": "cosine", "warmup": 50, "beta2": 0.98,
        "clip_norm": 1.0, "average": 0.99, "keep": "cider",
    },
    kinds=(Drawing,),
    solver=SelfCritical,
)  # fmt: skip


def add_reinforce(commands: Any) -> None:
    """The command `reinforce`."""
    parser = add_command(
        commands, "reinforce", "train a run's captioner further by self-critical training: of each picture it says "
        "several captions, and those whose CIDEr-D is higher than the others' become likelier; leaves a run folder of "
        "its own", _reinforce, EXAMPLE,
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="?", help="the run to start from (not with --resume)")
    add_data(parser, "the one that the run")
    add_run(parser, "--epochs")
    option = functools.partial(parser.add_argument, default=argparse.SUPPRESS)
    d = defaults_of(Settings, Drawing) | REINFORCE.defaults
    option("--epochs", type=int, metavar="N", help=f"how often each picture is captioned ({d['epochs']})")
    option("--drafts", type=int, metavar="N", help="how many captions are drawn of each picture, at least 2 "
           f"({d['drafts']})")  # fmt: skip
    option("--longest", type=int, metavar="N", help="words of a drawn caption, its end counted as one "
           f"({d['longest']})")  # fmt: skip
    option("--dropout", type=float, metavar="X", help="share of entries that are dropped while it learns (as the run "
           "was trained)")  # fmt: skip
    add_training(parser, d, of_captions=False)


def _reinforce(options: argparse.Namespace) -> int:
    return train_further(options, REINFORCE)
