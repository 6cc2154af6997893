"""The command `recipe`: a whole training, in stages, by a settings file."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captioning.cli.average import add_average
from captioning.cli.decoding_options import decoding_of
from captioning.cli.evaluate import add_evaluate
from captioning.cli.options import CommandParser, add_command
from captioning.cli.refine import REFINE, add_refine
from captioning.cli.reinforce import REINFORCE, add_reinforce
from captioning.cli.train import add_train
from captioning.cli.training_options import dataclass_from
from captioning.recipes import RECIPES, Recipe, Stage, read_recipe
from captioning.training.settings import Settings

__all__ = ["add_recipe"]

_FURTHER = {further.name: further for further in (REFINE, REINFORCE)}
_APART = 1000  # the seeds of a stage's runs, so that the recipe with the next seed has others
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
                        f"it is {_APART} higher each (0)")  # fmt: skip
    parser.add_argument("--threads", metavar="N", help="compute with N threads (as train does)")
    parser.add_argument("--part", default=_PART, help="of the validation images that the result is judged on; the "
                        f"first half decides which weights are kept ({_PART})")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def _recipe(options: argparse.Namespace) -> int:
    recipe, parser = read_recipe(options.recipe), _stages_parser()
    steps = _steps(recipe, options)
    judge = ["evaluate", str(steps[-1].folder), "--part", options.part, *_shared(options), *recipe.evaluate]
    lines = [*_command_lines(steps), judge]
    for line in [*(step.line for step in steps), judge]:
        _check(line, parser.parse_args(line))  # a mistake in a later stage is told now
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for number, line in enumerate(lines, 1):
        if not options.quiet:
            print(f"step {number} of {len(lines)}: captioning {' '.join(line)}", file=sys.stderr, flush=True)
        chosen = parser.parse_args(line)
        chosen.go_on = _own_line(options)  # not that of the stage, which would leave out the stages after it
        status: int = chosen.command(chosen)
        if status:
            return status
    return 0


def _own_line(options: argparse.Namespace) -> str:
    """The command line of the recipe itself, which goes on where it was stopped."""
    words = ["captioning", "recipe", options.recipe, "--out", options.out]
    for name, usual in (("data", None), ("seed", 0), ("threads", None), ("part", _PART)):
        if (value := getattr(options, name)) != usual:
            words += [f"--{name}", str(value)]
    return shlex.join(words + (["--quiet"] if options.quiet else []))


def _check(line: list[str], options: argparse.Namespace) -> None:
    """Raise a ValueError for settings that make no sense, as the command itself would, but before any work."""
    further = _FURTHER.get(line[0])
    try:
        if line[0] == "evaluate":
            decoding_of(options)
        elif line[0] != "average":
            values = ({} if further is None else further.defaults) | vars(options)
            for kind in (Settings, *(() if further is None else further.kinds)):
                dataclass_from(kind, values)
    except ValueError as error:
        raise ValueError(f"captioning {' '.join(line)}: {error}") from error


def _stages_parser() -> CommandParser:
    parser = CommandParser(prog="captioning")
    commands = parser.add_subparsers(dest="name")
    for add in (add_train, add_refine, add_reinforce, add_average, add_evaluate):
        add(commands)
    return parser


@dataclass(frozen=True)
class _Step:
    """A command of a recipe that leaves a run folder. again: its line once the folder is there, if it may go on.

    That has all options too: a run with others, of another recipe perhaps, is refused. of: the runs it averages.
    """

    folder: Path
    line: list[str]
    again: list[str] | None
    of: tuple[Path, ...] = ()


def _steps(recipe: Recipe, options: argparse.Namespace) -> list[_Step]:
    """The steps of all stages; one of several runs has a step for each, and one that averages them."""
    steps: list[_Step] = []
    for number, stage in enumerate(recipe.stages, 1):
        result = Path(options.out) / f"{number}-{stage.command}"
        start = [str(steps[-1].folder)] if steps else []
        folders = [result] if stage.runs == 1 else [Path(f"{result}-{k}") for k in range(1, stage.runs + 1)]
        steps += [_training(stage, start, folder, k, options) for k, folder in enumerate(folders)]
        if stage.runs > 1:
            line = ["average", *map(str, folders), "--out", str(result)]
            steps.append(_Step(result, line, None, tuple(folders)))
    return steps


def _training(stage: Stage, start: list[str], folder: Path, run: int, options: argparse.Namespace) -> _Step:
    seed = ["--seed", str(options.seed + _APART * run)]
    threads = [] if options.threads is None else ["--threads", options.threads]
    out, how = ["--out", str(folder)], [*_shared(options), *stage.options, *seed, *threads]
    return _Step(folder, [stage.command, *start, *out, *how], [stage.command, *out, "--resume", *how])


def _shared(options: argparse.Namespace) -> list[str]:
    words = [] if options.data is None else ["--data", options.data]
    return words + (["--quiet"] if options.quiet else [])


def _command_lines(steps: Sequence[_Step]) -> list[list[str]]:
    """What is left to do: a training whose folder is there goes on, and what needs no going on is left out."""
    for step in steps:
        gone = [folder for folder in step.of if not folder.exists()]
        if gone and step.folder.exists():
            raise ValueError(f"{step.folder} is there, but not what it is the mean of, {gone[0]}: remove it, too")
    lines = [step.again if step.folder.exists() else step.line for step in steps]
    return [line for line in lines if line is not None]
