"""The command line `captioning`.

Results go to standard output, progress and errors to standard error. A user's mistake is one line and exit status 2.
Ctrl-C leaves a checkpoint of a training and exit status 130, SIGTERM the same and 143.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import minigrad as mg
from captioning.cli.caption import CAPTION
from captioning.cli.demo import DEMO
from captioning.cli.download import DOWNLOAD
from captioning.cli.evaluate import EVALUATE, REPORT, SAMPLE
from captioning.cli.options import CommandParser, make_parser
from captioning.cli.prepare import PREPARE
from captioning.cli.recipe import RECIPE
from captioning.cli.runs import AVERAGE, CALIBRATE, EXPORT, REGIONS
from captioning.cli.serve import SERVE
from captioning.cli.train import REFINE, REINFORCE, TRAIN
from captioning.command import MISTAKES, run_command
from minigrad.parallel.communicators import launch_of

__all__ = ["COMMANDS", "main"]

COMMANDS = (CAPTION, SERVE, PREPARE, DOWNLOAD, TRAIN, REFINE, REINFORCE, AVERAGE, RECIPE, EVALUATE, SAMPLE, CALIBRATE,
            REPORT, REGIONS, EXPORT, DEMO)  # fmt: skip
_ON_RANKS = ("prepare", "train", "refine", "reinforce", "evaluate", "sample", "caption")
_RANKED = f"{', '.join(_ON_RANKS[:-1])} and {_ON_RANKS[-1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default); return the exit status. Without a command it prints the help."""
    with mg.parallel.watched():
        parser = _parser()

    def run(options: argparse.Namespace) -> int:
        if options.name is None:
            parser.print_help()
            return 0
        launch = launch_of()
        if launch is not None and launch.size > 1 and options.name not in _ON_RANKS:
            if launch.rank:
                return 2
            raise ValueError(f"{launch.by} started {launch.size} of it, and it works in one process: start it by "
                             f"itself; on several ranks work {_RANKED}")  # fmt: skip
        options.line = sys.argv[1:] if arguments is None else list(arguments)
        with mg.parallel.watched():
            status: int = options.command(options)
        return status

    return run_command(parser, arguments, run, (*MISTAKES, IndexError))


def _parser() -> CommandParser:
    parser = make_parser(
        COMMANDS, description="Train image captioners on minigrad, and let them caption.",
        epilog="A first one, in 90 seconds, without any data: captioning demo --quick. What a command does: captioning "
        f"COMMAND --help. On several processors: mpiexec -n N captioning COMMAND, for {_RANKED}.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    return parser
