"""The command `theory`: its table, its exit status, claims of one's own, and what it refuses."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

from theory import CLAIMS
from theory.cli import main

FEW = ["--examples", "5", "--quiet"]
FAST = "2-2"  # a claim that is checked in no time

OWN = """
from hypothesis import strategies as st
from theory import claim, require

@claim("own", "numbers are small", st.integers(0, 1000))
def small(x):
    require(x < {bound}, f"{{x}} is not")
"""


@pytest.fixture
def own(tmp_path):
    """A file that registers a claim; the registry is as before afterwards."""
    before = dict(CLAIMS)

    def write(bound):
        path = tmp_path / "mine.py"
        path.write_text(OWN.format(bound=bound))
        return str(path)

    yield write
    CLAIMS.clear()
    CLAIMS.update(before)


def test_without_a_command_it_prints_a_table(capsys, monkeypatch):
    only = {number: CLAIMS[number] for number in ("1-1", FAST)}
    monkeypatch.setattr("theory.cli.CLAIMS", only)
    assert main(FEW) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == ["claim", "verdict", "cases"]
    assert lines[2].startswith("1-1    false as printed")
    assert lines[3].strip() == "refuted: the matrix has 8 columns"
    assert lines[4].startswith("2-2    holds")
    assert lines[-1].endswith("every verdict is the expected one.")


def test_check_says_every_proposition(capsys):
    assert main(["check", "1-1", *FEW]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "NOT [printed]" in out
    assert "counterexample: " in out
    assert "verdict: false as printed" in out
    assert "corrected: " in out


def test_progress_goes_to_standard_error(capsys):
    assert main(["check", FAST, "--examples", "5"]) == 0
    assert f"{FAST}  " in capsys.readouterr().err


def test_a_terminal_has_a_bar_that_leaves_the_lines_alone(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert main(["check", FAST, "--examples", "5"]) == 0
    drawn = terminal.getvalue()
    propositions = CLAIMS[FAST].propositions
    assert f"0/{len(propositions)}" in drawn
    for proposition in propositions:
        assert f"{FAST}  {proposition.name}: " in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor, hidden below the bar, is there again
    assert "\x1b" not in capsys.readouterr().out


def test_json_is_one_object_and_nothing_else(capsys):
    assert main(["check", FAST, "--json", "--examples", "5"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["as_expected"] is True
    assert [claim["number"] for claim in content["claims"]] == [FAST]
    assert content["claims"][0]["cases"] > 0


def test_options_may_stand_before_the_command(capsys):
    assert main(["--json", *FEW, "check", FAST]) == 0
    before = json.loads(capsys.readouterr().out)
    assert main(["check", FAST, "--json", *FEW]) == 0
    after = json.loads(capsys.readouterr().out)
    assert before["claims"][0]["cases"] == after["claims"][0]["cases"]


def test_a_claim_of_ones_own(own, capsys):
    assert main(["check", "own", "--load", own(2000), *FEW]) == 0
    assert "verdict: holds" in capsys.readouterr().out


def test_a_verdict_that_is_not_expected_is_status_1(own, capsys):
    assert main(["--load", own(42), "check", "own", "--examples", "300", "--quiet"]) == 1
    out = capsys.readouterr().out
    assert "false as printed (expected: holds)" in out
    assert "counterexample: 42: 42 is not" in out
    assert "NOT every verdict" in out


@pytest.mark.parametrize("number", list(CLAIMS))
def test_show(number, capsys):
    assert main(["show", number]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{number}  {CLAIMS[number].title}\n\n")
    assert len(out.splitlines()) > 3


def test_figures(tmp_path, capsys):
    assert main(["figures", FAST, "--out", str(tmp_path / "new"), "--format", "png"]) == 0
    path = tmp_path / "new" / f"claim-{FAST}.png"
    assert capsys.readouterr().out == f"{path}\n"
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(("arguments", "part"), [
    (["check", "9-9"], "there is no claim 9-9; there are 1-1"),
    (["show", "9-9"], "there is no claim 9-9"),
    (["check", "1-1", "--examples", "0"], "--examples must be at least 1; got 0"),
    (["figures", "no-figure", "--out", "nowhere"], "there is no claim no-figure"),
    (["check", "--load", "no-such-file.py"], "no-such-file.py"),
    (["figures", "1-1", "--out", "/dev/null"], "--out: /dev/null is a device, not a folder"),
    (["figures", "1-1", "--out", "/dev/null/new"], "--out: /dev/null is a device, not a folder"),
    (["figures", "1-1", "--out", __file__], f"--out: {__file__} is a file, not a folder"),
    (["document", "--out", "/dev/null"], "--out: /dev/null is a device, not a folder"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(arguments, part, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("theory: ")
    assert part in err


@pytest.mark.parametrize("command", [[], ["check"], ["show"], ["figures"], ["document"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([*command, "--help"])
    assert exit_.value.code == 0
    assert "usage: theory" in capsys.readouterr().out


def test_a_name_with_a_space_needs_no_quotes(capsys):
    assert main(["show", "3-1-alt"]) == 0
    assert capsys.readouterr().out.startswith("3-1 alt  ")


def test_a_claim_without_a_figure_is_said(own, tmp_path, capsys):
    assert main(["figures", "own", "--load", own(2000), "--out", str(tmp_path / "new")]) == 2
    assert capsys.readouterr().err == "theory: claim own has no figure\n"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("content", "part"), [("1 / 0", "ZeroDivisionError: division"), ("x = =", "SyntaxError")])
def test_a_file_that_cannot_be_run_is_said(content, part, tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(content)
    assert main(["--load", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"theory: {path}: {part}")
    assert len(err.splitlines()) == 1


def test_a_checker_that_breaks_is_said_with_its_example(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text("from theory import claim\n@claim('own', 'it divides', [1, 0])\ndef divides(x):\n    1 / x\n")
    before = dict(CLAIMS)
    try:
        assert main(["check", "own", "--load", str(path), "--quiet"]) == 1
    finally:
        CLAIMS.clear()
        CLAIMS.update(before)
    out = capsys.readouterr().out
    assert "BROKEN [printed] it divides" in out
    assert "example: 0: the checker broke: ZeroDivisionError: division by zero" in out
    assert "own    broken (expected: holds)" in out


def test_python_m_theory():
    command = [sys.executable, "-m", "theory", "check", FAST, *FEW]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "verdict: holds" in done.stdout
