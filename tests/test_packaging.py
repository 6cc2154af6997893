"""The packages, their data, versions and requirements, and messages about what to install."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from minigrad.runtime import extras

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
PACKAGES = ("minigrad", "captioning", "theory")
WEIGHTS = tomllib.loads((ROOT / "weights" / "flickr8k" / "pyproject.toml").read_text())["project"]


def name_of(requirement):
    """The package that a requirement asks for."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def test_every_extra_that_is_asked_for_exists_and_brings_what_is_missing():
    asked = set()
    for path in (p for package in (*PACKAGES, "benchmarks") for p in (ROOT / package).rglob("*.py")):
        asked |= set(re.findall(r"""(?:require|_package)\("(\w+)[\w.]*", "(\w+)"\)""", path.read_text()))
        asked |= {found[::-1] for found in re.findall(r"how_to_install\(['\"](\w+)['\"], ['\"](\w+)", path.read_text())}
    asked -= {("json", "caption"), ("no_such_module", "caption")}  # the doctest's
    assert len(asked) >= 6
    for module, extra in asked:
        distribution = extras._DISTRIBUTIONS.get(module, module)
        assert distribution in {name_of(requirement) for requirement in EXTRAS[extra]}, f"{extra} lacks {module}"


def test_every_requirement_is_pinned():
    pinned = {name_of(line) for line in (ROOT / "constraints.txt").read_text().split()}
    several = [*EXTRAS.values(), *PROJECT["dependency-groups"].values(), PROJECT["project"]["dependencies"]]
    asked = {name_of(r) for requirements in several for r in requirements if isinstance(r, str)} | {"pip"}
    assert asked - pinned == {WEIGHTS["name"]}  # which comes from the checkout


def test_the_weights_are_a_package_of_their_own_with_their_own_licence():
    assert (PROJECT["project"]["license"], WEIGHTS["license"]) == ("MIT", "LicenseRef-Flickr8k")
    assert WEIGHTS["dependencies"] == []
    (asked,) = (Requirement(r) for r in EXTRAS["caption"] if name_of(r) == WEIGHTS["name"])
    assert WEIGHTS["version"] in asked.specifier


def test_the_makefile_knows_every_group():
    (groups,) = re.findall(r"^GROUPS = (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(groups.split()) == set(PROJECT["dependency-groups"])


def test_hooks_have_the_pinned_versions():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    config = (ROOT / ".pre-commit-config.yaml").read_text()
    hooks = re.findall(
        r"/(ruff|mypy|codespell|zizmor)\S*\n    rev: v(.*)$", config.replace("mirrors-", ""), re.MULTILINE
    )
    assert dict(hooks) == {name: pinned[name] for name in ("ruff", "mypy", "codespell", "zizmor")}
    packages = dict(p.split("==") for p in re.search(r"additional_dependencies: \[(.*)\]", config)[1].split(", "))
    assert packages.items() <= pinned.items()


def test_every_folder_of_modules_is_a_package_and_every_other_file_is_its_data():
    data = PROJECT["tool"]["setuptools"]["package-data"]
    listed = {file for package, patterns in data.items() for pattern in patterns
              for file in ROOT.joinpath(*package.split(".")).glob(pattern)}  # fmt: skip
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert path in listed or (path.suffix == ".py" and (path.parent / "__init__.py").exists()), path


def test_messages_and_pages_name_the_distribution_and_not_the_other_project_of_the_index():
    pages = [ROOT / "README.md", *ROOT.glob("docs/*.md")]
    found = [page.name for page in pages if re.search(r"pip install[^\n`]*\bminigrad(?![\w-])(?!\.)", page.read_text())]
    files = [p for package in (*PACKAGES, "benchmarks", "examples") for p in (ROOT / package).rglob("*.py")]
    found += [path.name for path in files if "pip install" in path.read_text()]
    assert found == ["extras.py"]
