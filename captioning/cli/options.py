"""What the commands of the command line share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["CommandParser", "add_command", "add_data"]


class CommandParser(argparse.ArgumentParser):
    """A parser that says a mistake in one line, and where more is said."""

    def error(self, message: str) -> NoReturn:
        """End the process with status 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (usage: {self.prog} --help)\n")


def add_command(
    commands: Any, name: str, text: str, function: Callable[[Any], int], example: str = ""
) -> argparse.ArgumentParser:
    """A command that calls `function` with its options and ends with the status that it returns.

    text: what it does, in the list of commands and in its help. example: command lines and what they are for, shown as
    they are at the end of its help.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", formatter_class=_Help,
        epilog=f"example:\n{_indented(example)}" if example else None,
    )  # fmt: skip
    parser.set_defaults(command=function)
    return parser


class _Help(argparse.HelpFormatter):
    """Fills the description's lines, and leaves those of an example alone."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith("example:\n") else super()._fill_text(text, width, indent)


def _indented(example: str) -> str:
    return "\n".join(f"  {line}" for line in example.strip().splitlines())


def add_data(parser: argparse.ArgumentParser, besides: str = "") -> None:
    """The option --data. besides: more words on its default."""
    parser.add_argument("--data", metavar="DIR", help="folder of the data set, in the CS231n MS-COCO layout "
                        f"(default: the one that CAPTIONING_DATA names{besides})")  # fmt: skip
