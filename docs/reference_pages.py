"""Write the pages of docs/reference: docstrings of public names, what commands print for ``--help``, ONNX operators."""

import importlib
import inspect
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sphinx.pycode import ModuleAnalyzer

import minigrad
from minigrad.interop.onnx.operators import READERS, WRITERS

ROOT = Path(__file__).parents[1]
MODULES = ("", "ops", "linalg", "nn", "nn.init", "optim", "data", "io", "check", "render", "interop", "parallel",
           "compiler", "graph", "runtime")  # fmt: skip
NN = ("module", "layers", "convolutions", "recurrent", "normalization", "transformers", "activations", "containers")
"""Files of `minigrad.nn`, in the order in which a reader needs them."""
PROGRAMS = {"captioning": "captioning", "theory": "theory", "minigrad.runtime": "python -m minigrad.runtime",
            "benchmarks": "python -m benchmarks"}  # fmt: skip


def write(folder: Path) -> None:
    """Write the pages that changed."""
    names = [f"minigrad.{name}".rstrip(".") for name in MODULES]
    pages = {"commands.md": commands_page(), "onnx.md": onnx_page(), **{f"{n}.rst": module_page(n) for n in names}}
    for file, text in pages.items():
        path = folder / file
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def module_page(name: str) -> str:
    """Return the page of a module: its docstring, and its public names under headings of the files that define them."""
    module = importlib.import_module(name)
    groups: dict[str, list[str]] = {}
    for public in sorted(module.__all__, key=place_in_nn) if module is minigrad.nn else module.__all__:
        value = getattr(module, public)
        if inspect.ismodule(value) or (module is minigrad and public in minigrad.ops.__all__):
            continue  # these have pages of their own
        home = sys.modules[value.__module__].__doc__ if callable(value) else "Constants"
        groups.setdefault(re.split("[:;,.]", home)[0], []).append(public)
    blocks = [f"{name}\n{'=' * len(name)}", f".. automodule:: {name}"]
    for title, names in groups.items():
        if sum(map(len, groups.values())) > 12:
            blocks += [f"{title}\n{'-' * len(title)}"]
        described = "".join(f"\n   {public}" for public in names if callable(getattr(module, public)))
        blocks += [f".. autosummary::\n   :nosignatures:\n{described}"] * (len(names) > 1)
        blocks += [entry(module, public) for public in names]
    return "\n\n".join(blocks) + "\n"


def place_in_nn(public: str) -> tuple[int, bool, int]:
    """Return where a name stands on the page of `minigrad.nn`: by its file, and its line there, but `Module` first."""
    value = getattr(minigrad.nn, public)
    home = value.__module__.rpartition(".")[2] if callable(value) else NN[-1]
    return NN.index(home), public != "Module", inspect.findsource(value)[1]


def entry(module, public: str) -> str:
    """Return the directive that documents a public name of a module."""
    value, name = getattr(module, public), f"{module.__name__}.{public}"
    if inspect.isclass(value):
        skipped = ", ".join(("function", *getattr(value, "_fields", ())))  # the class's docstring describes fields
        return f".. autoclass:: {name}\n   :members:\n   :exclude-members: {skipped}"
    if callable(value):
        return f".. autofunction:: {name}"
    for file in Path(module.__file__).parent.glob("*.py"):
        lines = ModuleAnalyzer.for_file(file, file.stem).find_attr_docs().get(("", public))
        if lines:
            return "\n   ".join([f".. py:data:: {name}\n", *lines])
    raise ValueError(f"{name} has no docstring")


def onnx_page() -> str:
    """Return the page of ONNX operators and of primitives that have a counterpart among them."""
    return "\n\n".join([
        "# ONNX operators",
        "`mg.import_onnx` reads these operators of opset 13 and later. Tests check them on ONNX's own test cases.",
        ", ".join(sorted(READERS)),
        "`mg.export_onnx` writes these primitives with operators of opset 18, and others as their references.",
        ", ".join(sorted(WRITERS)),
    ]) + "\n"  # fmt: skip


def commands_page() -> str:
    """Return the page of all commands: what each prints for ``--help``."""
    blocks = ["# Commands", "What each command prints for `--help`."]
    with ThreadPoolExecutor() as pool:
        for program, text in zip(PROGRAMS, pool.map(help_of, PROGRAMS), strict=True):
            blocks += [f"## {PROGRAMS[program]}", f"```text\n{text}\n```"]
            names = re.findall(r"^    ([a-z]+)\b", text.partition("\n  COMMAND\n")[2], re.MULTILINE)
            for name, text in zip(names, pool.map(help_of, [program] * len(names), names), strict=True):
                blocks += [f"### {PROGRAMS[program]} {name}", f"```text\n{text}\n```"]
    return "\n\n".join(blocks) + "\n"


def help_of(*words: str) -> str:
    """Return what a command prints for ``--help``, as text that fits the page."""
    environment = os.environ | {"COLUMNS": "84", "NO_COLOR": "1"}
    command = [sys.executable, "-m", *words, "--help"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout.strip()
