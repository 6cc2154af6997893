"""The command `recipe`: train in stages, as a TOML file describes them.

The stages become command lines of `train`, `refine`, `reinforce` and `average`, and one of `evaluate`. All are checked
before the first one starts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from captioning.cli.decoding import decoding_of
from captioning.cli.evaluate import EVALUATE
from captioning.cli.options import Command, CommandParser, check_output, data_folder, make_parser
from captioning.cli.runs import AVERAGE
from captioning.cli.train import REFINE, REINFORCE, TRAIN, TRAINERS
from captioning.data.dataset import open_captions
from captioning.data.splits import images_of_part
from captioning.decoding.batches import length_for
from captioning.decoding.beam_search import Beam
from captioning.recipes import RECIPES, Recipe, Stage, read_recipe
from captioning.training.run_folder import Run

__all__ = ["RECIPE"]

_SEED_STEP = 1000  # between the seeds of the runs of a stage, so that recipes with close seeds share none


@dataclass(frozen=True)
class _Step:
    """A command of a recipe that makes a run folder.

    where: the file and the stage, for errors. line: the command line. resume: the command line if the folder exists, or
    None if it is then complete. It has all options too, so that a run with other options is refused. sources: the runs
    that it starts from, or averages.
    """

    where: str
    folder: Path
    line: list[str]
    resume: list[str] | None
    sources: tuple[Path, ...] = ()

    def remaining(self) -> list[str] | None:
        """Return the command line that is left to run, or None."""
        return self.resume if self.folder.exists() else self.line


def _recipe(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    steps = _steps_of(recipe, options)
    stages = [_parsed(step.remaining() or step.line, step.where) for step in steps]
    evaluation = ["evaluate", str(steps[-1].folder), "--part", options.part, *_shared(options), *recipe.evaluate]
    _check_evaluation(_parsed(evaluation, recipe.where), recipe.where, stages[0])
    _check_sources(steps)
    lines = [
        *((step.where, line) for step in steps if (line := step.remaining()) is not None),
        (recipe.where, evaluation),
    ]
    Path(options.out).mkdir(parents=True, exist_ok=True)
    for number, (where, line) in enumerate(lines, 1):
        if not options.quiet:
            print(f"step {number} of {len(lines)}: captioning {' '.join(line)}", file=sys.stderr, flush=True)
        chosen = _parsed(line, where)
        chosen.recipe_line = ["captioning", *options.line]  # for the message how to continue
        try:
            status: int = chosen.command(chosen)
        except ValueError as error:  # found only by the stage itself
            error.args = (f"{where}: {error}",)
            raise
        if status:
            return status
        _check_sources(steps)  # a resumed run has new weights
    return 0


def _steps_of(recipe: Recipe, options: argparse.Namespace) -> list[_Step]:
    """Return the steps of all stages. A stage of several runs has one step for each, and one that averages them."""
    steps: list[_Step] = []
    for number, stage in enumerate(recipe.stages, 1):
        result = Path(options.out) / f"{number}-{stage.command}"
        start = (steps[-1].folder,) if steps else ()
        folders = [result] if stage.runs == 1 else [Path(f"{result}-{k}") for k in range(1, stage.runs + 1)]
        steps += [_training(stage, start, folder, k, options) for k, folder in enumerate(folders)]
        if stage.runs > 1:
            line = ["average", *map(str, folders), "--out", str(result)]
            steps.append(_Step(stage.where, result, line, None, tuple(folders)))
    return steps


def _training(stage: Stage, start: tuple[Path, ...], folder: Path, run: int, options: argparse.Namespace) -> _Step:
    how = ["--out", str(folder), *_shared(options), *stage.options, "--seed", str(options.seed + _SEED_STEP * run)]
    how += [] if options.threads is None else ["--threads", str(options.threads)]
    return _Step(stage.where, folder, [stage.command, *map(str, start), *how], [stage.command, "--resume", *how], start)


def _shared(options: argparse.Namespace) -> list[str]:
    words = [] if options.data is None else ["--data", options.data]
    return words + (["--quiet"] if options.quiet else [])


class _Parser(CommandParser):
    """A parser that raises errors as ValueErrors, so that the caller can add the file and the stage."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(" ".join(message.split()))


def _parsed(line: list[str], where: str) -> argparse.Namespace:
    """Return the options of a command line; raise a ValueError that begins with `where` for an error in them."""
    try:
        options = make_parser((TRAIN, REFINE, REINFORCE, AVERAGE, EVALUATE), _Parser).parse_args(line)
        if (trainer := TRAINERS.get(options.name)) is not None:
            trainer.settings_from(trainer.settings | vars(options))
    except ValueError as error:
        raise ValueError(f"{where}: {error} (see captioning {line[0]} --help)") from error
    return options


def _check_evaluation(options: argparse.Namespace, where: str, first: argparse.Namespace) -> None:
    """Raise a ValueError if the result of the recipe cannot be evaluated on the data set of the first training.

    Otherwise errors such as an unknown word would be reported only after all stages.
    """
    run = Run.open(first.out) if Path(first.out).exists() else None
    regions = vars(first).get("model") == "attention"
    with open_captions(data_folder(first, run), pca=vars(first).get("pca"), regions=regions) as data:
        try:
            if options.out is not None:
                check_output(options.out, ".json")
            split = data[options.split]
            images_of_part(split, options.part, options.max_images, options.seed)
            decoding = decoding_of(options, Beam() if run is None else run.beam)
            decoding.check(split, options.max_length or length_for(split))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def _check_sources(steps: Sequence[_Step]) -> None:
    """Raise a ValueError if an existing run was made from other weights than its sources have now.

    Runs of older versions do not record their sources, and are not checked.
    """
    for step in steps:
        known = Run.open(step.folder).start_checksums() if step.sources and step.folder.exists() else None
        now = [Run.open(source).weights_checksum() if source.exists() else None for source in step.sources]
        if known is not None and known != now:
            raise ValueError(f"{step.folder} exists, but was made from older weights of "
                             f"{' and '.join(map(str, step.sources))}. Move it and the runs made from it "
                             "away.")  # fmt: skip


RECIPE = Command(
    "recipe", "run a training recipe with several stages, and print the scores of the result", _recipe,
    {
        "recipe": {"metavar": "RECIPE", "help": "a TOML file, or a bundled one: "
                   f"{', '.join(RECIPES)}"},
        "--data": {"help": "data set folder in the CS231n MS-COCO layout (default: $CAPTIONING_DATA)"},
        "--out": {"metavar": "RUNS", "help": "the folder for the run folders of the stages; existing runs are "
                  "resumed"},
        "--seed": {"help": f"random seed for all stages; each additional run of a stage adds {_SEED_STEP}"},
        "--threads": {"help": "number of threads (default: as in train)"},
        "--part": {"default": "second", "help": "evaluate the result on this part of the validation images; the "
                   "first half decides which weights are kept"},
        "--quiet": {},
    },
    """example:
  captioning recipe flickr8k --data flickr8k --out RUNS --seed 1
    creates RUNS/1-train and RUNS/2-reinforce; run the same command to resume an
    interrupted recipe""",
)  # fmt: skip
