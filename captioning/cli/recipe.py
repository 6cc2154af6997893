"""The command `recipe`: a whole training, in stages, by a settings file."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from captioning.cli.options import add_command, check_least
from captioning.cli.recipe_steps import APART, check_judging, check_sources, judging_line, parsed, steps_of
from captioning.cli.training_options import at_least_one
from captioning.data.splits import PARTS
from captioning.recipes import RECIPES, read_recipe

__all__ = ["add_recipe"]

_PART = "second"  # of the validation images

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
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of every stage; of a stage's further runs "
                        f"it is {APART} higher each (0)")  # fmt: skip
    parser.add_argument("--threads", type=at_least_one, metavar="N", help="compute with N threads (as train does)")
    parser.add_argument("--part", choices=PARTS, default=_PART, help="of the validation images that the "
                        "result is judged on; the first half decides which weights are kept (second)")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _recipe(options: argparse.Namespace) -> int:
    check_least("--seed", options.seed, 0)
    recipe = read_recipe(options.recipe)
    steps = steps_of(recipe, options)
    judge = judging_line(recipe, steps[-1].folder, options)
    stages = [parsed(step.left() or step.line, step.where) for step in steps]  # a mistake in a later stage is told now
    check_judging(parsed(judge, recipe.where), recipe.where, stages[0])
    check_sources(steps)
    lines = [*((step.where, line) for step in steps if (line := step.left()) is not None), (recipe.where, judge)]
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for number, (where, line) in enumerate(lines, 1):
        if not options.quiet:
            print(f"step {number} of {len(lines)}: captioning {' '.join(line)}", file=sys.stderr, flush=True)
        chosen = parsed(line, where)
        chosen.go_on = _own_line(options)  # not that of the stage, which would leave out the stages after it
        try:
            status: int = chosen.command(chosen)
        except ValueError as error:  # of what only the stage itself knows, such as how many iterations it has
            error.args = (f"{where}: {error}",)
            raise
        if status:
            return status
        check_sources(steps)  # a training that went on has other weights
    return 0


def _own_line(options: argparse.Namespace) -> str:
    """The command line of the recipe itself, which goes on where it was stopped."""
    words = ["captioning", "recipe", options.recipe, "--out", options.out]
    for name, usual in (("data", None), ("seed", 0), ("threads", None), ("part", _PART)):
        if (value := getattr(options, name)) != usual:
            words += [f"--{name}", str(value)]
    return shlex.join(words + (["--quiet"] if options.quiet else []))
