"""Recipes: TOML files that describe a training run in several stages, for `captioning recipe`.

Each `[[stage]]` has a `command`, "train" for the first and "refine" or "reinforce" for the others, and options of that
command without their dashes. Each stage continues the previous one. A later stage may have several `runs` from the same
start, whose weights are averaged. `[evaluate]` has options of the final evaluation. `minutes` and `about` are comments.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["RECIPES", "Recipe", "Stage", "read_recipe"]

RECIPES = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.toml"))}
"""The recipes that come with the package, by name."""

_FURTHER = ("refine", "reinforce")
_CHOSEN = ("out", "data", "start", "resume", "seed", "threads", "quiet", "max-iterations", "checkpoint-every", "part",
           "json", "help")  # fmt: skip
_MOST_RUNS = 100


@dataclass(frozen=True)
class Stage:
    """A command, its options as on a command line, `["--epochs", "9", "--no-pca"]`, and the number of runs.

    where: the file and the stage, for errors.
    """

    command: str
    options: list[str]
    runs: int = 1
    where: str = ""


@dataclass(frozen=True)
class Recipe:
    """The stages of a training run, and the options of the evaluation. where: the file and their table, for errors."""

    stages: list[Stage]
    evaluate: list[str]
    about: str = ""
    where: str = ""


def read_recipe(name: str) -> Recipe:
    """Read a recipe by its name in `RECIPES`, or from a file.

    Raises:
        ValueError: if the file is not a recipe; names the file and the problem.
        OSError: if it cannot be read.

    >>> [stage.command for stage in read_recipe("flickr8k").stages]
    ['train', 'reinforce']
    """
    path = RECIPES.get(name, Path(name))
    if name not in RECIPES and not path.is_file():
        raise ValueError(f"{name}: there is no such file or recipe; the recipes are {', '.join(RECIPES)}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: is not TOML: {error}") from error
    unknown = sorted(set(table) - {"stage", "evaluate", "about", "minutes"})
    if unknown:
        raise ValueError(f"{path}: unknown keys {', '.join(unknown)}; a recipe has stage, evaluate, about and minutes")
    stages = table.get("stage")
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ValueError(f"{path}: needs a [[stage]] for each command")
    found = [_stage(f"{path}: stage {number}", stage, number) for number, stage in enumerate(stages, 1)]
    evaluate = table.get("evaluate", {})
    if not isinstance(evaluate, dict):
        raise ValueError(f"{path}: evaluate must be a table of options")
    where = f"{path}: evaluate"
    return Recipe(found, _options(where, evaluate), str(table.get("about", "")), where)


def _stage(where: str, table: dict[str, Any], number: int) -> Stage:
    options = dict(table)
    command = options.pop("command", None)
    allowed = ("train",) if number == 1 else _FURTHER
    if command not in allowed:
        raise ValueError(f"{where}: command must be {' or '.join(map(repr, allowed))}; got {command!r}")
    runs = options.pop("runs", 1) if number > 1 else 1
    if type(runs) is not int or not 1 <= runs <= _MOST_RUNS:
        raise ValueError(f"{where}: runs must be an int from 1 to {_MOST_RUNS}; got {runs!r}")
    return Stage(command, _options(where, options), runs, where)


def _options(where: str, table: dict[str, Any]) -> list[str]:
    """Turn options into command-line arguments: true is the option alone, false the option with no- in front."""
    words: list[str] = []
    for key, value in table.items():
        if key in _CHOSEN:
            raise ValueError(f"{where}: {key} cannot be set in a recipe")
        if isinstance(value, bool):
            words.append(f"--{key}" if value else f"--no-{key}")
        elif isinstance(value, str | int | float):
            words += [f"--{key}", str(value)]
        else:
            raise ValueError(f"{where}: {key} must be a string, a number, true or false; got {value!r}")
    return words
