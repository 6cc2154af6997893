"""The command `theory`: its table, its exit status, your own claims, and its errors."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from theory import CLAIMS
from theory.cli import _FEW, main

FEW = ["--examples", "5", "--quiet"]
FAST = "2-2"  # a claim that takes little time

OWN = """
from hypothesis import strategies as st
from theory import claim, require

@claim("own", "numbers are small", st.integers(0, 1000))
def small(x):
    require(x < {bound}, f"{{x}} is not")
"""


@pytest.fixture
def own(tmp_path):
    """A function that writes a file of claims; afterwards the registry is restored."""
    before = dict(CLAIMS)

    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return str(path)

    yield write
    CLAIMS.clear()
    CLAIMS.update(before)


def test_the_claim_of_the_page_holds(own, capsys):
    page = (Path(__file__).parents[2] / "docs" / "theory" / "own-claim.md").read_text(encoding="utf-8")
    assert main(["check", "odd", "--load", own(re.search(r"```python\n(.*?)```", page, re.S)[1])]) == 0
    assert "no counterexample in 100 examples" in capsys.readouterr().out


def test_without_a_command_it_prints_a_table(capsys, monkeypatch):
    monkeypatch.setattr("theory.cli.CLAIMS", {number: CLAIMS[number] for number in ("1-1", FAST)})
    assert main(FEW) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0].split() == ["claim", "statement", "as", "printed", "more", "generally", "cases"]
    assert lines[2].startswith("1-1    no counterexample  matrix: refuted")
    assert lines[3].strip() == "refuted: the matrix has 8 columns"
    assert lines[4].startswith("2-2    no counterexample")


def test_check_prints_every_proposition(capsys):
    assert main(["check", "1-1", *FEW]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert {p.statement for p in CLAIMS["1-1"].propositions if p.statement not in out} == set()
    for part in ("smallest counterexample: ", "statement: no counterexample; printed matrix: refuted", "corrected: "):
        assert part in out


def test_the_table_comes_before_the_details(capsys):
    assert main(["check", "1-1", *FEW]) == 0
    out = capsys.readouterr().out
    details = [out.index(proposition.statement) for proposition in CLAIMS["1-1"].propositions]
    assert 0 == out.index("claim ") < out.index("every verdict is as expected") < min(details)


def test_without_a_command_only_unexpected_results_come_before_the_table(own, capsys):
    for number in set(CLAIMS) - {FAST}:
        del CLAIMS[number]
    assert main(["--load", own(OWN.format(bound=42)), "--examples", "300"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "numbers are small" in line
    assert "unexpected" in line


def test_progress_goes_to_standard_error(capsys):
    assert main(["check", FAST, "--examples", "5"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{FAST}  {p.name}" for p in CLAIMS[FAST].propositions]


def test_a_terminal_has_a_progress_bar(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert main(["check", FAST, "--examples", "5"]) == 0
    drawn = terminal.getvalue()
    assert f"0/{len(CLAIMS[FAST].propositions)}" in drawn
    assert all(f"{FAST}  {p.name}: " in drawn for p in CLAIMS[FAST].propositions)
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor is visible again
    assert "\x1b" not in capsys.readouterr().out


def test_json_is_one_object_and_options_may_stand_before_the_command(capsys):
    for arguments in (["--json", *FEW, "check", FAST], ["check", FAST, "--json", *FEW]):
        assert main(arguments) == 0
        content = json.loads(capsys.readouterr().out)
        assert content["as_expected"] is True
        assert [claim["number"] for claim in content["claims"]] == [FAST]
        assert content["claims"][0]["cases"] > 0


@pytest.mark.parametrize("command", [["show", FAST], ["figures", FAST], ["document"]])
@pytest.mark.parametrize("option", [["--json"], ["--quiet"], ["--seed", "0"], ["--examples", "5"]])
def test_options_that_a_command_does_not_use_are_refused(command, option, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*option, *command]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert f"theory: {option[0]} " in err
    with pytest.raises(SystemExit, match="2"):
        main([*command, *option])
    assert list(tmp_path.iterdir()) == []


def test_your_own_claim(own, capsys):
    assert main(["check", "own", "--load", own(OWN.format(bound=2000)), *FEW]) == 0
    assert "verdict: statement: no counterexample" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "parts"), [
    (OWN.format(bound=42),
     ["refuted: numbers are small (unexpected)", "counterexample found: 42: 42 is not", "NOT every"]),
    ("from theory import claim\n@claim('own', 'it divides', [1, 0])\ndef divides(x):\n    1 / x\n",
     ["BROKEN [printed] it divides", "example: 0: the checker broke: ZeroDivisionError",
      "broken: it divides (unexpected)"]),
])  # fmt: skip
def test_an_unexpected_verdict_has_status_1(text, parts, own, capsys):
    assert main(["--load", own(text), "check", "own", "--examples", "300", "--quiet"]) == 1
    out = capsys.readouterr().out
    assert [part for part in parts if part not in out] == []


def test_figures_are_a_gallery_of_verdicts(tmp_path, capsys):
    path = tmp_path / "new" / "claim-1-1.png"
    assert main(["figures", "1-1", FAST, "--out", str(path.parent), "--format", "png"]) == 0
    assert capsys.readouterr().out.split() == [
        str(path.with_name(name)) for name in (path.name, f"claim-{FAST}.png", "index.html")
    ]
    assert path.read_bytes().startswith(b"\x89PNG")
    page = path.with_name("index.html").read_text(encoding="utf-8")
    for part in (
        'src="claim-1-1.png" alt="1-1 A convolution is a matrix',
        f"from {_FEW} examples",
        "1-1 A convolution is a matrix",
        "printed matrix: refuted",
        f'src="claim-{FAST}.png"',
    ):
        assert part in page


def test_pages_cannot_show_pdf(tmp_path):
    assert main(["figures", FAST, "--out", str(tmp_path), "--format", "pdf"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == [f"claim-{FAST}.pdf"]


def test_document_writes_pages_and_pictures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("theory.page.CLAIMS", {number: CLAIMS[number] for number in ("1-1", FAST)})
    assert main(["document", "--out", str(tmp_path / "new")]) == 0
    texts = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "new").glob("*.md")}
    assert texts.keys() == {"index", "claim-1-1", "claim-2-2"}
    card, other = texts["index"].partition('<div class="claims">\n\n')[2].split("\n\n")[:2]
    assert card == (
        "[![](claim-1-1.svg)<br>1-1 A convolution is a matrix](claim-1-1.md) *no counterexample* <br>"
        "printed matrix: `A of 4x8`: a matrix of 4x8 cannot be applied to the 9 entries of vec(X)"
    )
    assert other.endswith(" *no counterexample*")
    for part in (
        "# 1-1 A convolution is a matrix *no counterexample*",
        "**Statement: no counterexample; printed matrix: refuted;",
        "**What holds:** $A$ is 4x9;",
        r"*printed matrix*: The printed 4x8 matrix can multiply $\mathrm{vec}(X)$",
        "<details><summary>Answer</summary>\n\n`A of 4x8` (smallest): a matrix",
        "- *general* (100 examples): A vec(x) = vec(conv2d(x))",
        '<div data-figure="convolution"></div>',
    ):
        assert part in texts["claim-1-1"]
    for part in ("](claim-2-2.svg)", "theory certify 2-2 --out", "<details><summary>Answer</summary>\n\nOne edge"):
        assert part in texts["claim-2-2"]
    assert "prefers-color-scheme: dark" in (tmp_path / "new" / "claim-2-2.svg").read_text("utf-8")


@pytest.mark.parametrize(("arguments", "part"), [
    (["check", "9-9"], "unknown claim 9-9; the claims are 1-1"),
    (["check", "1-1", "--examples", "0"], "--examples must be at least 1; got 0"),
    (["check", "--load", "no-such-file.py"], "no-such-file.py"),
    (["figures", "1-1", "--out", "/dev/null/new"], "/dev/null"),
    (["figures", "1-1", "--out", __file__], __file__),
    (["document", "--out", "/dev/null"], "/dev/null"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_status_2(arguments, part, capsys):
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("theory: ")
    assert part in err


@pytest.mark.parametrize(("text", "part"), [
    ("1 / 0", "mine.py: ZeroDivisionError: division"), ("x = =", "mine.py: SyntaxError"),
    (OWN.format(bound=2000), "claim own has no figure"),
])  # fmt: skip
def test_a_mistake_in_a_loaded_file(text, part, own, tmp_path, capsys):
    assert main(["figures", "own", "--load", own(text), "--out", str(tmp_path / "new")]) == 2
    err = capsys.readouterr().err
    assert part in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_a_name_with_a_space_needs_no_quotes(capsys):
    assert main(["show", "3-1-alt"]) == 0
    assert capsys.readouterr().out.startswith("3-1 alt  ")


def test_python_m_theory():
    command = [sys.executable, "-m", "theory", "check", FAST, *FEW]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "verdict: statement: no counterexample" in out
