"""Another checkout of minigrad as a rival: it is that one's code that runs, and nothing else of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from benchmarks.against import Checkout, beside
from benchmarks.cli import main
from benchmarks.driver import Driver, Plan
from benchmarks.job import load
from benchmarks.results import Results

ROOT = Path(__file__).resolve().parents[2]
FAKES = "tests.benchmarks.fakes"


@pytest.fixture
def other(tmp_path):
    """A checkout that differs from this one by a mark, and whose benchmarks nobody may use."""
    folder = tmp_path / "before"
    shutil.copytree(ROOT / "minigrad", folder / "minigrad", ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "minigrad" / "__init__.py").open("a") as file:
        file.write("\nMARK = 2.0\n")
    (folder / "benchmarks").mkdir()
    (folder / "benchmarks" / "__init__.py").write_text("raise RuntimeError('these are the other benchmarks')\n")
    return folder


def measured(folder, name, tmp_path):
    case = beside(next(case for case in load(FAKES) if case.name == name), [Checkout.at(str(folder))])
    driver = Driver(Plan.quickest(), tmp_path)
    try:
        return driver.measure(FAKES, case, 1)
    finally:
        driver.close()


@pytest.mark.parametrize("name", ["whose", "whose, in new processes", "whose, in what it starts"])
def test_a_process_of_its_own_has_the_other_code(other, name, tmp_path, monkeypatch):
    monkeypatch.chdir(other)  # nor does it matter where the command is given
    ours, theirs = measured(other, name, tmp_path).rivals
    assert (ours.name, ours.values) == ("minigrad", [1.0, 1.0])
    assert (theirs.name, theirs.values, theirs.failed) == ("minigrad at before", [2.0, 2.0], "")


def test_nothing_is_timed_if_the_code_is_not_that_of_the_checkout(tmp_path):
    folder = tmp_path / "linked"
    folder.mkdir()
    (folder / "minigrad").symlink_to(ROOT / "minigrad", target_is_directory=True)
    _, theirs = measured(folder, "whose", tmp_path).rivals
    assert not theirs.values
    assert "minigrad was imported from" in theirs.failed


def test_one_that_computes_something_else_is_not_timed(other, tmp_path):
    with (other / "minigrad" / "__init__.py").open("a") as file:
        file.write("\nRESULT = 2.0\n")
    _, theirs = measured(other, "whose", tmp_path).rivals
    assert not theirs.values
    assert theirs.failed.startswith("disagrees with minigrad, and was not timed: x differs")


def test_the_command_shows_it_in_tables_and_json(other, tmp_path, capsys):
    path = tmp_path / "results.json"
    words = ["overhead", "--quick", "--threads", "1", "--against", str(other), "--alone", "--json", str(path)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "| minigrad at before |" in said
    assert "PyTorch |" not in said
    for row in Results.load(path).rows:
        assert [rival.name for rival in row.rivals] == ["minigrad", "minigrad at before"]
        assert [len(rival.values) for rival in row.rivals] == [2, 2]
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == said


def test_its_name_has_its_commit(other):
    git = ["git", "-C", str(other), "-c", "user.name=A", "-c", "user.email=a@b.example"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "As it was"]):
        subprocess.run([*git, *words], check=True, capture_output=True)
    said = subprocess.run([*git, "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True).stdout
    assert Checkout.at(str(other)).name == f"minigrad at before ({said.strip()})"


def test_rivals_of_a_case(other):
    case = load("overhead")[0]
    one = Checkout.at(str(other))
    assert [r.name for r in beside(case, [one]).rivals] == ["minigrad", "minigrad at before", "PyTorch"]
    assert [r.name for r in beside(case, [one], alone=True).rivals] == ["minigrad", "minigrad at before"]
    assert len({r.name for r in beside(case, [one, one], alone=True).rivals}) == 3
    assert beside(case, []) == case


def test_a_folder_without_minigrad_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["overhead", "--against", str(tmp_path)])
    assert f"{tmp_path} is not a minigrad checkout: it has no minigrad/__init__.py" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="--alone needs --against"):
        main(["overhead", "--alone"])
