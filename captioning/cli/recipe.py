"""The command `recipe`: a whole training, in stages, by a settings file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from captioning.cli.evaluate import add_evaluate
from captioning.cli.options import CommandParser, add_command
from captioning.cli.refine import add_refine
from captioning.cli.reinforce import add_reinforce
from captioning.cli.train import add_train
from captioning.recipes import RECIPES, Recipe, read_recipe

__all__ = ["add_recipe"]

EXAMPLE = """example:
  captioning recipe flickr8k --data flickr8k --out RUNS --seed 1
    leaves RUNS/1-train and RUNS/2-reinforce; the same line again goes on where
    it was stopped"""


def add_recipe(commands: Any) -> None:
    """The command `recipe`."""
    parser = add_command(
        commands, "recipe", "carry out a training in stages by a settings file, and say how good its result is",
        _recipe, EXAMPLE,
    )  # fmt: skip
    parser.add_argument("recipe", metavar="RECIPE", help=f"a TOML file, or one that comes with the package: "
                        f"{', '.join(RECIPES)}")  # fmt: skip
    parser.add_argument("--data", metavar="DIR", help="folder of the data set, in the CS231n MS-COCO layout "
                        "(that of CAPTIONING_DATA)")  # fmt: skip
    parser.add_argument("--out", metavar="RUNS", required=True, help="the folder that gets a run folder for each "
                        "stage; what is there already is gone on with")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every stage (0)")
    parser.add_argument("--threads", metavar="N", help="compute with N threads (as train does)")
    parser.add_argument("--part", default="second", help="of the validation images that the result is judged on; the "
                        "first half decides which weights are kept (second)")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _recipe(options: argparse.Namespace) -> int:
    recipe, parser = read_recipe(options.recipe), _stages_parser()
    lines = _command_lines(recipe, options)
    for line in [*_as_new(recipe, options), lines[-1]]:
        parser.parse_args(line)  # a mistake in a later stage is told now
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(lines, 1):
        if not options.quiet:
            print(f"stage {number} of {len(lines)}: captioning {' '.join(line)}", file=sys.stderr, flush=True)
        chosen = parser.parse_args(line)
        status: int = chosen.command(chosen)
        if status:
            return status
    return 0


def _stages_parser() -> CommandParser:
    parser = CommandParser(prog="captioning")
    commands = parser.add_subparsers(dest="name")
    for add in (add_train, add_refine, add_reinforce, add_evaluate):
        add(commands)
    return parser


def _folders(recipe: Recipe, out: str) -> list[Path]:
    return [Path(out) / f"{number}-{stage.command}" for number, stage in enumerate(recipe.stages, 1)]


def _shared(options: argparse.Namespace) -> list[str]:
    words = [] if options.data is None else ["--data", options.data]
    return words + (["--quiet"] if options.quiet else [])


def _as_new(recipe: Recipe, options: argparse.Namespace) -> list[list[str]]:
    """The command lines of all stages, of which nothing is there yet."""
    folders, lines = _folders(recipe, options.out), []
    for k, stage in enumerate(recipe.stages):
        start = [] if k == 0 else [str(folders[k - 1])]
        threads = [] if options.threads is None else ["--threads", options.threads]
        own = [*stage.options, "--seed", str(options.seed), *threads]
        lines.append([stage.command, *start, "--out", str(folders[k]), *_shared(options), *own])
    return lines


def _command_lines(recipe: Recipe, options: argparse.Namespace) -> list[list[str]]:
    """The command lines that are left to do: a stage whose folder is there goes on, and the last judges the result."""
    lines = _as_new(recipe, options)
    for k, folder in enumerate(_folders(recipe, options.out)):
        if folder.exists():
            seed = ["--seed", str(options.seed)]  # refused if the run has another
            lines[k] = [recipe.stages[k].command, "--out", str(folder), "--resume", *_shared(options), *seed]
    result = str(_folders(recipe, options.out)[-1])
    return [*lines, ["evaluate", result, "--part", options.part, *_shared(options), *recipe.evaluate]]
