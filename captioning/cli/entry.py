"""The command line `captioning`: its commands, each in the module of its name.

Results go to standard output, progress and errors to standard error. A user's mistake is one line and
exit status 2; Ctrl-C leaves a checkpoint of a training and exit status 130, SIGTERM the same and 143.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import minigrad as mg
from captioning.cli.average import add_average
from captioning.cli.calibrate import add_calibrate
from captioning.cli.caption import add_caption
from captioning.cli.demo import add_demo
from captioning.cli.download import add_download
from captioning.cli.evaluate import add_evaluate
from captioning.cli.export import add_export
from captioning.cli.options import CommandParser
from captioning.cli.prepare import add_prepare
from captioning.cli.recipe import add_recipe
from captioning.cli.refine import add_refine
from captioning.cli.regions import add_regions
from captioning.cli.reinforce import add_reinforce
from captioning.cli.report import add_report
from captioning.cli.sample import add_sample
from captioning.cli.serve import add_serve
from captioning.cli.train import add_train
from captioning.command import MISTAKES, run_command
from minigrad.parallel.communicators import launch_of

__all__ = ["main"]

ON_RANKS = ("prepare", "train", "refine", "reinforce", "evaluate", "sample", "caption")
"""The commands that share their work among processes that MPI has started."""

_AND_RANKS = f"{', '.join(ON_RANKS[:-1])} and {ON_RANKS[-1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default); the exit status. Without a command it says what there is."""
    parser = _bare_parser()

    def run(options: argparse.Namespace) -> int:
        if options.name is None:
            parser.print_help()
            return 0
        if _is_one_too_many(options.name):
            return 2
        with mg.parallel.watched():
            status: int = options.command(options)
        return status

    return run_command(parser, arguments, run, (*MISTAKES, IndexError), _filled)


def _is_one_too_many(command: str) -> bool:
    """Whether a launcher started several processes of a command that is one, and this is not the first of them.

    The first raises a ValueError.
    """
    launch = launch_of()
    if launch is None or launch.size == 1 or command in ON_RANKS:
        return False
    if launch.rank == 0:
        raise ValueError(f"{launch.by} started {launch.size} of it, and it works in one process: start it by itself; "
                         f"on several ranks work {_AND_RANKS}")  # fmt: skip
    return True


def _filled(parser: CommandParser) -> None:
    with mg.parallel.watched():
        _add_commands(parser)


def _parser() -> CommandParser:
    parser = _bare_parser()
    _add_commands(parser)
    return parser


def _bare_parser() -> CommandParser:
    return CommandParser(
        prog="captioning", description="Train image captioners on minigrad, and let them caption.",
        epilog="A first one, in 90 seconds, without any data: captioning demo --quick. "
        "What a command does: captioning COMMAND --help. On several processors: mpiexec -n N captioning COMMAND, of "
        f"{_AND_RANKS}.",
    )  # fmt: skip


def _add_commands(parser: CommandParser) -> None:
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    commands = parser.add_subparsers(title="commands", dest="name", metavar="COMMAND")
    add_caption(commands)
    add_serve(commands)
    add_prepare(commands)
    add_download(commands)
    add_train(commands)
    add_refine(commands)
    add_reinforce(commands)
    add_average(commands)
    add_recipe(commands)
    add_evaluate(commands)
    add_sample(commands)
    add_calibrate(commands)
    add_report(commands)
    add_regions(commands)
    add_export(commands)
    add_demo(commands)
