"""The command line `captioning`.

Results go to standard output, progress and errors to standard error. An error is one line, with exit status 2. Ctrl-C
and SIGTERM save a checkpoint of a training run, with exit status 130 and 143.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import minigrad as mg
from captioning.cli.caption import CAPTION
from captioning.cli.compare import COMPARE
from captioning.cli.data_sets import DOWNLOAD, PREPARE
from captioning.cli.demo import DEMO
from captioning.cli.evaluate import EVALUATE, REPORT, SAMPLE, SCORE
from captioning.cli.options import CommandParser, make_parser
from captioning.cli.recipe import RECIPE
from captioning.cli.runs import AVERAGE, CALIBRATE, EXPORT, REGIONS
from captioning.cli.serve import SERVE
from captioning.cli.train import REFINE, REINFORCE, TRAIN
from captioning.command import MISTAKES, run_command
from minigrad.parallel.communicators import launch_of

__all__ = ["COMMANDS", "main"]

COMMANDS = (CAPTION, SERVE, PREPARE, DOWNLOAD, TRAIN, REFINE, REINFORCE, AVERAGE, RECIPE, EVALUATE, SCORE, COMPARE,
            SAMPLE, CALIBRATE, REPORT, REGIONS, EXPORT, DEMO)  # fmt: skip
_PARALLEL = ("prepare", "train", "refine", "reinforce", "evaluate", "sample", "caption")
_PARALLEL_TEXT = f"{', '.join(_PARALLEL[:-1])} and {_PARALLEL[-1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default) and return the exit status. Without a command, print the help."""
    with mg.parallel.watched():
        parser = _parser()

    def run(options: argparse.Namespace) -> int:
        if options.name is None:
            parser.print_help()
            return 0
        launch = launch_of()
        if launch is not None and launch.size > 1 and options.name not in _PARALLEL:
            if launch.rank:
                return 2
            raise ValueError(f"{launch.by} started {launch.size} processes, but this command uses one: run it without "
                             f"{launch.by}; {_PARALLEL_TEXT} can use several")  # fmt: skip
        options.line = sys.argv[1:] if arguments is None else list(arguments)
        with mg.parallel.watched():
            status: int = options.command(options)
        return status

    return run_command(parser, arguments, run, (*MISTAKES, IndexError))


def _parser() -> CommandParser:
    parser = make_parser(
        COMMANDS, description="Train image captioners with minigrad, and caption photos.",
        epilog="To start without any data, run captioning demo --quick, which takes about a minute. captioning COMMAND "
        f"--help explains a command. mpiexec -n N captioning COMMAND uses several processors, for {_PARALLEL_TEXT}.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    return parser
