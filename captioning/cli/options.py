"""What the commands of the command line share."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["CommandParser", "add_command", "add_data", "check_least"]


class CommandParser(argparse.ArgumentParser):
    """A parser that says a mistake in one line, and where more is said."""

    def error(self, message: str) -> NoReturn:
        """End the process with status 2."""
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


def add_data(parser: argparse.ArgumentParser, besides: str = "") -> None:
    """The option --data. besides: more words on its default."""
    parser.add_argument("--data", metavar="DIR", help="folder of the data set, in the CS231n MS-COCO layout "
                        f"(default: the one that CAPTIONING_DATA names{besides})")  # fmt: skip


def check_least(option: str, value: int, least: int) -> None:
    """Raise a ValueError that names the option unless its value is at least so much."""
    if value < least:
        raise ValueError(f"{option} must be at least {least}; got {value}")
