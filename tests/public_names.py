"""List minigrad's public names, their parameters and all command-line options; compare them with another checkout.

Run it in the root of a checkout::

    python -m tests.public_names                        # print the list
    python -m tests.public_names --against ../other     # print what ../other has and this checkout lacks

The list has a line for each public name of the modules that users import, and of whatever README.md and the pages
under docs/ import or write as ``mg.name``. A parameter has up to three lines: its name, its position, and whether it
is optional. With ``--against`` the exit status is 1 if this checkout lacks anything.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

MODULES = (
    "minigrad", "minigrad.check", "minigrad.data", "minigrad.graph", "minigrad.interop", "minigrad.io",
    "minigrad.linalg", "minigrad.nn", "minigrad.nn.init", "minigrad.ops", "minigrad.optim", "minigrad.parallel",
    "minigrad.render", "captioning.cs231n",
)  # fmt: skip
PROGRAMS = ("captioning", "theory", "minigrad.runtime")

EXCLUDED = {
    r"minigrad\.primitive\(": "ways to declare a primitive may change",
    r"minigrad\.(create_graph|detect_anomaly|no_grad|profile|record|scope)\.": "users only enter these contexts",
    r"minigrad\.nn\.(ReLU|SiLU|Sigmoid|Tanh)\.forward\(": "static, and called alike",
    r"captioning( train --looking|.*(progress|strict|caption_loss|word_scores))": "see CHANGELOG.md",
    r"theory\.(Claim|Proposition)": "see CHANGELOG.md",
    r"minigrad\.nn\.\w+\.words|minigrad\.nn\.ModuleDict\.pop\(name": "not part of the interface",
    r"minigrad\.parallel\.(DataParallel\(compress|together\(watch|top_sums)": "brought nothing measurable",
    r"minigrad\.runtime (argument name|forget|show|tune) ?(-|forget|show|tune|$)": "delete the file that `show` names",
}
"""What another checkout may have although this one lacks it: a regular expression for its lines, and the reason."""


def main() -> int:
    """Print the list, or what is missing; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.public_names", description="List minigrad's public names.")
    parser.add_argument("--against", metavar="PATH", help="another checkout: print what it has and this one lacks")
    parser.add_argument("--also", metavar="NAMES", type=json.loads, default=[], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.against is None:
        print(*sorted(listed([*imported_by_pages(), *options.also])), sep="\n")
        return 0
    source = inspect.getsource(sys.modules[__name__])
    command = [sys.executable, "-c", source, "--also", json.dumps(imported_by_pages())]
    run = subprocess.run(command, cwd=options.against, stdout=subprocess.PIPE, text=True, check=True)
    here = listed([*imported_by_pages(), *imported_by_pages(Path(options.against))])
    excluded = re.compile("|".join(EXCLUDED))
    missing = [line for line in run.stdout.splitlines() if line not in here and not excluded.match(line)]
    print(*missing, f"{len(missing)} lines of {options.against} are missing", sep="\n")
    return 1 if missing else 0


def listed(documented: Iterable[str]) -> set[str]:
    """The lines for all public names and options, also for documented names that exist."""
    lines = {line for name in documented if (value := find(name)) is not None for line in described(name, value)}
    lines |= {line for name in MODULES for line in described(name, importlib.import_module(name))}
    return lines | {line for name in PROGRAMS for line in arguments(name, parser_of(name))}


def imported_by_pages(root: Path = Path()) -> list[str]:
    """The dotted names that README.md and the pages of a checkout import, or write as ``mg.name``."""
    text = "\n".join(page.read_text(encoding="utf-8") for page in [root / "README.md", *root.glob("docs/**/*.md")])
    text += "\n".join(script.read_text(encoding="utf-8") for script in root.glob("examples/*.py"))
    imports = re.findall(r"from ((?:minigrad|captioning|theory)[\w.]*) import ([\w, ]+)", text)
    names = [f"{module}.{name.split()[0]}" for module, several in imports for name in several.split(",")]
    return sorted({*names, *(f"minigrad.{name}" for name in re.findall(r"\bmg\.(\w+(?:\.\w+)*)", text))})


def find(name: str) -> Any:
    """The object with a dotted name; None if there is none."""
    module, _, attribute = name.rpartition(".")
    try:
        return importlib.import_module(name)
    except ImportError:
        return getattr(find(module), attribute, None) if module else None


def described(name: str, value: Any) -> Iterator[str]:
    """The lines for an object: itself, its parameters, and the members of a module or class."""
    yield name
    with suppress(TypeError, ValueError):  # not callable, or a built-in function
        yield from parameters(name, value)
    if inspect.ismodule(value) and name in MODULES:
        own = [m for m, v in vars(value).items() if m[0] != "_" and getattr(v, "__module__", None) == name]
        for member in getattr(value, "__all__", own):
            yield from described(f"{name}.{member}", getattr(value, member))
    elif inspect.isclass(value):
        for member in {m for m in dir(value) if hasattr(value, m)} - set(dir(object)):
            attribute = getattr(value, member)
            if not member.startswith("_"):
                yield from described(f"{name}.{member}", None if inspect.isclass(attribute) else attribute)
            elif member.endswith("__") and callable(attribute):  # an operator
                yield f"{name}.{member}"


def parameters(name: str, function: Any) -> Iterator[str]:
    """The lines for the parameters of a function or class."""
    for position, parameter in enumerate(inspect.signature(function).parameters.values()):
        facts = {
            "": parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY),
            " is optional": parameter.default is not parameter.empty,
            f" is argument {position}": parameter.kind is parameter.POSITIONAL_OR_KEYWORD,
        }
        yield from (f"{name}({parameter.name}){fact}" for fact, holds in facts.items() if holds)


def parser_of(program: str) -> argparse.ArgumentParser:
    """The parser that ``python -m program`` uses."""
    found: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *_: Any) -> Any:
        found.append(parser)
        raise SystemExit

    stopped = mock.patch.object(argparse.ArgumentParser, "parse_args", stop)
    with stopped, mock.patch("sys.argv", [program]), suppress(SystemExit), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'.*' found in sys.modules", RuntimeWarning)  # a test has imported it
        runpy.run_module(program, run_name="__main__")
    return found[0]


def arguments(program: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """The lines for the options, positional arguments, choices and subcommands of a parser."""
    for action in parser._actions:
        subcommands = action.choices if isinstance(action, argparse._SubParsersAction) else {}
        for name in action.option_strings or [f"argument {action.dest}"]:
            yield f"{program} {name}"
            yield from (f"{program} {name} {choice}" for choice in action.choices or ())
        for command, inner in subcommands.items():
            yield from arguments(f"{program} {command}", inner)


if __name__ == "__main__":
    sys.exit(main())
