"""What the commands of the command line share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

__all__ = ["add_command", "add_data"]


def add_command(
    commands: Any, name: str, text: str, function: Callable[[Any], int], example: str = ""
) -> argparse.ArgumentParser:
    """A command that calls `function` with its options and ends with the status that it returns.

    example: a command line, shown at the end of its help.
    """
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + ".", epilog=f"example: {example}" if example else None
    )
    parser.set_defaults(command=function)
    return parser


def add_data(parser: argparse.ArgumentParser, besides: str = "") -> None:
    """The option --data. besides: more words on its default."""
    parser.add_argument("--data", metavar="DIR", help="folder of the data set, in the CS231n MS-COCO layout "
                        f"(default: the one that CAPTIONING_DATA names{besides})")  # fmt: skip
