"""The steps of a recipe: command lines of its stages and of what judges them, all read before the first is begun."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from captioning.cli.average import add_average
from captioning.cli.evaluate import add_evaluate, check_evaluation, checked_decoding
from captioning.cli.options import CommandParser, data_folder
from captioning.cli.refine import REFINE, add_refine
from captioning.cli.reinforce import REINFORCE, add_reinforce
from captioning.cli.train import MODEL_DEFAULTS, add_train
from captioning.cli.training_options import DATA_DEFAULTS, dataclass_from, given_settings
from captioning.cli.unused_options import check_used
from captioning.data.dataset import open_captions
from captioning.recipes import Recipe, Stage
from captioning.training.run_folder import Run
from captioning.training.settings import Settings

__all__ = ["APART", "Step", "check_judging", "check_sources", "judging_line", "parsed", "steps_of"]

APART = 1000
"""What lies between the seeds of a stage's runs, so that the recipe with the next seed has others."""

_FURTHER = {further.name: further for further in (REFINE, REINFORCE)}


@dataclass(frozen=True)
class Step:
    """A command of a recipe that leaves a run folder.

    where: the file and the stage, as errors name them. again: its line once the folder is there, if it may go on. That
    has all options too: a run with others, of another recipe perhaps, is refused. sources: the runs it goes on from,
    or averages.
    """

    where: str
    folder: Path
    line: list[str]
    again: list[str] | None
    sources: tuple[Path, ...] = ()

    def left(self) -> list[str] | None:
        """The line that is left to carry out: a training whose folder is there goes on, a mean that is there is."""
        return self.again if self.folder.exists() else self.line


def steps_of(recipe: Recipe, options: argparse.Namespace) -> list[Step]:
    """The steps of all stages; one of several runs has a step for each, and one that averages them."""
    steps: list[Step] = []
    for number, stage in enumerate(recipe.stages, 1):
        result = Path(options.out) / f"{number}-{stage.command}"
        start = (steps[-1].folder,) if steps else ()
        folders = [result] if stage.runs == 1 else [Path(f"{result}-{k}") for k in range(1, stage.runs + 1)]
        steps += [_training(stage, start, folder, k, options) for k, folder in enumerate(folders)]
        if stage.runs > 1:
            line = ["average", *map(str, folders), "--out", str(result)]
            steps.append(Step(stage.where, result, line, None, tuple(folders)))
    return steps


def judging_line(recipe: Recipe, judged: Path, options: argparse.Namespace) -> list[str]:
    """The line that says how good the result is."""
    return ["evaluate", str(judged), "--part", options.part, *_shared(options), *recipe.evaluate]


def _training(stage: Stage, start: tuple[Path, ...], folder: Path, run: int, options: argparse.Namespace) -> Step:
    seed = ["--seed", str(options.seed + APART * run)]
    threads = [] if options.threads is None else ["--threads", str(options.threads)]
    out, how = ["--out", str(folder)], [*_shared(options), *stage.options, *seed, *threads]
    line, again = [stage.command, *map(str, start), *out, *how], [stage.command, *out, "--resume", *how]
    return Step(stage.where, folder, line, again, start)


def _shared(options: argparse.Namespace) -> list[str]:
    words = [] if options.data is None else ["--data", options.data]
    return words + (["--quiet"] if options.quiet else [])


def parsed(line: list[str], where: str) -> argparse.Namespace:
    """The options of a line; what is wrong with them is a ValueError that begins with `where`."""
    try:
        options = _parser().parse_args(line)
        _check(line[0], options)
    except ValueError as error:
        raise ValueError(f"{where}: {error} (captioning {line[0]} --help says what there is)") from error
    return options


def check_judging(judge: argparse.Namespace, where: str, first: argparse.Namespace) -> None:
    """Raise a ValueError if the result could not be judged so, by the data set of the first training.

    Words that no caption has, or a part without images, would else be told when all is trained. The data is looked for
    where the first training will look, and errors of it are its own.
    """
    run = Run.open(first.out) if Path(first.out).exists() else None
    regions = {**MODEL_DEFAULTS, **vars(first)}["model"] == "attention"
    with open_captions(data_folder(first, run), pca=vars(first).get("pca"), regions=regions) as data:
        try:
            check_evaluation(judge, data)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def check_sources(steps: Sequence[Step]) -> None:
    """Raise a ValueError if what is there was made of other weights than its sources have now, or these are gone.

    Such a folder would else be taken for the result of a source that was trained anew. Runs of older versions do not
    know what they were made of, and are taken as they are.
    """
    outdated: dict[Path, str] = {}
    for step in steps:
        if step.folder.exists() and (why := _outdated(step, outdated)) is not None:
            outdated[step.folder] = why
    if outdated:
        folder, why = next(iter(outdated.items()))
        raise ValueError(f"{folder} is there, but {why}: move away {', '.join(map(str, outdated))}")


def _outdated(step: Step, outdated: Collection[Path]) -> str | None:
    """Why a step's folder, which is there, is not what its sources would give."""
    gone = [folder for folder in step.sources if not folder.exists()]
    if gone:
        return f"not what it {'is the mean of' if step.again is None else 'started from'}, {gone[0]}"
    run = Run.open(step.folder)
    known, is_mean = run.start_checksums() or [], "average" in run.settings
    if is_mean != (step.again is None) or (known and len(known) != len(step.sources)):
        return "was made by another recipe"
    for source, was in zip(step.sources, known, strict=False):
        if source in outdated or Run.open(source).weights_checksum() != was:
            return f"was made of other weights than {source} has now"
    return None


def _check(command: str, options: argparse.Namespace) -> None:
    """Raise a ValueError for settings that make no sense, as a training would, but before any work."""
    if command == "evaluate":
        checked_decoding(options)
    if command in ("average", "evaluate"):
        return
    further = _FURTHER.get(command)
    values = (MODEL_DEFAULTS | DATA_DEFAULTS if further is None else further.defaults) | vars(options)
    for kind in (Settings, *(() if further is None else further.kinds)):
        values |= dataclasses.asdict(dataclass_from(kind, values))
    if not getattr(options, "resume", False):  # what a run has recorded, it has
        check_used(given_settings(options), values)


class _Parser(CommandParser):
    """Says a mistake as a ValueError: who wrote the line knows the file and the stage that it is of."""

    def error(self, message: str) -> NoReturn:
        """Raise it."""
        raise ValueError(" ".join(message.split()))


def _parser() -> _Parser:
    parser = _Parser(prog="captioning")
    commands = parser.add_subparsers(dest="name")
    for add in (add_train, add_refine, add_reinforce, add_average, add_evaluate):
        add(commands)
    return parser
