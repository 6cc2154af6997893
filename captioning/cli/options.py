"""What the commands of the command line share."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import minigrad as mg
from captioning.command import check_writable
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from minigrad.parallel.communicators import launch_of

__all__ = ["CommandParser", "add_command", "add_data", "check_least", "check_output", "data_folder", "threads"]


class CommandParser(argparse.ArgumentParser):
    """A parser that says a mistake in one line, and where more is said."""

    def error(self, message: str) -> NoReturn:
        """End the process with status 2. Of several ranks, which all see it, the first says so."""
        launch = launch_of()
        if launch is not None and launch.rank:
            self.exit(2)
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (usage: {self.prog} --help)\n")


def add_command(
    commands: Any, name: str, text: str, function: Callable[[Any], int], example: str = ""
) -> argparse.ArgumentParser:
    """A command that calls `function` with its options and ends with the status that it returns.

    example: shown as it is at the end of the command's help.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text,
        description=textwrap.fill(text[0].upper() + text[1:] + ".", 78),
        epilog=example or None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=function)
    return parser


def add_data(parser: argparse.ArgumentParser, remembered: str) -> None:
    """The option --data, whose value is that of `data_folder`. remembered: by which run, for the help."""
    text = f"{remembered} was trained on, if it is there, or else that of CAPTIONING_DATA"
    parser.add_argument("--data", metavar="DIR", help=f"folder of the data set, in the CS231n MS-COCO layout ({text})")


def data_folder(options: argparse.Namespace, run: Run | None) -> str | None:
    """The data's folder: the one that is named; of a run the one that it was trained on, if it is there."""
    remembered = None if run is None else run.settings["data"].get("folder")
    if options.data is not None or run is None or remembered is None:
        named: str | None = options.data
        return named
    if Path(remembered).is_dir():
        return str(remembered)
    if os.environ.get("CAPTIONING_DATA"):
        return None
    raise RunError(f"{run.folder}: was trained on the data in {remembered}, which is no folder any more: "
                   "say by --data DIR where it is now")  # fmt: skip


def check_output(out: str, suffix: str) -> None:
    """Raise an error that names --out unless a file of this kind, such as '.json', can be written there.

    The name must say the kind: weights that were named by mistake would be written over.
    """
    check_writable(out)
    if Path(out).suffix.lower() != suffix:
        raise ValueError(f"--out: what is written is {suffix[1:].upper()}: the name must end in {suffix}; got {out}")


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Compute with so many threads in this context."""
    before = mg.get_num_threads()
    if number != before:
        mg.set_num_threads(number)
    try:
        yield
    finally:
        if number != before:
            mg.set_num_threads(before)


def check_least(option: str, value: int, least: int) -> None:
    """Raise a ValueError that names the option unless its value is at least so much."""
    if value < least:
        raise ValueError(f"{option} must be at least {least}; got {value}")
