"""Names: no module is called like something it exports, and what comments refer to is there."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("minigrad", "captioning", "theory")
MODULES = sorted(
    name
    for package in PACKAGES
    for _, name, _ in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")
    if not name.endswith("__main__")
)  # importing __main__ would run it


def public(module: ModuleType) -> set[str]:
    """What a module exports: its ``__all__``, and where it has none what it defines without an underscore."""
    defined = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
    return set(getattr(module, "__all__", {name for name in defined if not name.startswith("_")}))


@pytest.mark.parametrize("name", MODULES)
def test_no_module_is_named_like_what_it_exports(name):
    """Else `from package import name` gives the one or the other, by the order in which they were imported."""
    module = importlib.import_module(name)
    package, _, stem = name.rpartition(".")
    assert stem not in public(module), f"{name} exports {stem}"
    assert getattr(importlib.import_module(package), stem) is module, f"{package} has another {stem} than its module"


REFERENCE = re.compile(
    r":(?:mod|func|class|meth|data|attr):`~?\.?([\w.]+)`"  # what a docstring refers to
    rf"|`((?:{'|'.join(PACKAGES)}|benchmarks|tests)(?:\.\w+)+)`"  # a dotted name in backticks
)


def resolves(reference: str, module: ModuleType) -> bool:
    """Whether there is such a module or attribute: absolute, here, in this package, or exported in the whole of it."""
    for start in ("", f"{module.__name__}.", f"{module.__package__}."):
        parts = f"{start}{reference}".split(".")
        for end in range(len(parts), 0, -1):
            try:
                found = importlib.import_module(".".join(parts[:end]))
            except ImportError:
                continue
            if has(found, parts[end:]):
                return True
            break
    own = [value for value in vars(module).values() if inspect.isclass(value)]  # a method may leave out its class
    return reference in exported(module.__name__.split(".")[0]) or any(has(v, reference.split(".")) for v in own)


@functools.cache
def exported(package: str) -> set[str]:
    modules = [importlib.import_module(name) for name in MODULES if name.startswith(f"{package}.")]
    return {name for module in modules for name in public(module)}


def has(owner: object, path: list[str]) -> bool:
    for part in path:
        if not hasattr(owner, part):
            return part in getattr(owner, "__annotations__", {}) and part == path[-1]
        owner = getattr(owner, part)
    return True


@pytest.mark.parametrize("name", [*PACKAGES, *MODULES])
def test_what_comments_refer_to_is_there(name):
    module = importlib.import_module(name)
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    references = {first or second for first, second in REFERENCE.findall(text)}
    assert [r for r in sorted(references) if not resolves(r, module)] == []


PATH = re.compile(r"\b((?:docs|tests|examples|minigrad|captioning|theory|benchmarks)/[\w/]*\w\.(?:py|md|svg|json))\b")
INVENTED = {"tests/ops/test_odd.py", "docs/none.md"}  # in the tests of what reads tests and of this


@pytest.mark.parametrize("folder", [*PACKAGES, "benchmarks", "examples", "tests"])
def test_files_that_are_named_are_there(folder):
    """In comments, docstrings and messages of the code."""
    missing = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in set(PATH.findall(path.read_text(encoding="utf-8"))) - INVENTED
        if not (ROOT / name).exists()
    }
    assert missing == set()


PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_pages_name_are_there(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert [name for name in sorted(set(PATH.findall(text))) if not (ROOT / name).exists()] == []


def test_a_reference_to_nothing_is_noticed():
    module = importlib.import_module("minigrad.core")
    assert resolves("minigrad.writes", module)
    assert resolves("Node", module)
    assert resolves("tensor", module)
    assert not resolves("minigrad.kernels", module)
    assert not resolves("nothing", module)
    assert PATH.findall("see docs/none.md.") == ["docs/none.md"]
