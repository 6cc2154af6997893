"""`theory mutate` plants errors, and shows which of them `theory check` notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import theory
from tests.theory.wrong_formulas import WRONG
from theory.cli import main
from theory.mutation import CHANGES_NOTHING, NOTICED, Mutant, Outcome, failure, plant
from theory.registry import MUTANTS

FEW = ["--examples", "5"]
SAMPLE = ["a loop violates no order", "NaN agrees with NaN", "XOR adds"]
XOR = Mutant("3-1", "parity/units.py", "h + x - 2 * h * x", "h + x", "XOR adds", "xor_unit(1, 1)")
LOOP = next(mutant for mutant in MUTANTS if mutant.error == "a loop violates no order")
MISSED = Mutant("2-2", "parity/units.py", "h + x - 2 * h * x", "h + x", "not a part of 2-2", "xor_unit(1, 1)")
NOTHING = Mutant("2-2", "parity/units.py", "h + x - 2 * h * x", "x + h - 2 * h * x", "a sum has any order")


def formulas():
    """The wrong formulas of every claim as mutants."""
    for (number, file), pairs in WRONG.items():
        yield from (Mutant(number, file, old, new, f"{old} becomes {new}") for old, new in pairs)


def pytest_generate_tests(metafunc):
    """Take a sample; with --full, all errors and wrong formulas."""
    if "mutant" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full")
        sample = [*(mutant for mutant in MUTANTS if mutant.error in SAMPLE), XOR]
        metafunc.parametrize("mutant", [*MUTANTS, *formulas()] if full else sample, ids=lambda mutant: mutant.error)


@pytest.mark.slow
def test_an_error_is_noticed(mutant, full):
    if mutant in MUTANTS and not mutant.example:
        pytest.skip(mutant.error)
    assert failure(mutant.number, mutant.sources(), [] if full else FEW)


def test_every_error_can_be_planted():
    for mutant in [*MUTANTS, *formulas()]:
        for file, source in mutant.sources().items():
            compile(source, file, "exec")


@pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
def test_every_error_changes_its_example():
    for mutant in MUTANTS:
        if mutant.example:
            results = mutant.results()
            assert not {"NameError", "SyntaxError"} & {*results}, mutant.error
            assert len("".join(results)) < 90, f"choose a shorter example for: {mutant.error}"


def test_every_claim_has_an_error():
    assert {mutant.number for mutant in MUTANTS} == {number.replace(" ", "-") for number in theory.CLAIMS}


@pytest.mark.parametrize(("old", "example", "problem"), [
    ("no such text", "1", "'no such text' 0 times"),
    ("return h", "1", "'return h' 2 times"),
    ("h + x - 2 * h * x", "xor_unit(0, 0)", "does not change its example: xor_unit(0, 0) is 0"),
])  # fmt: skip
def test_an_error_that_cannot_be_planted(old, example, problem):
    with pytest.raises(ValueError, match="the error 'wrong' of claim 3-1 ") as error:
        Mutant("3-1", "parity/units.py", old, "h + x", "wrong", example).results()
    assert problem in str(error.value)


def test_an_error_that_cannot_run():
    with pytest.raises(ValueError, match=r"theory check 2-2 cannot run with .*parity/units.py: SyntaxError: "):
        failure("2-2", {"parity/units.py": "x = ="}, FEW)


def test_a_claim_that_fails_without_an_error(monkeypatch):
    monkeypatch.setattr("theory.mutation.failure", lambda *arguments: "lemma: refuted")
    with pytest.raises(ValueError, match="claim 2-2 is not as expected without an error: lemma: refuted"):
        next(plant([LOOP]))


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr("theory.cli.MUTANTS", [LOOP, NOTHING, MISSED, XOR])
    files = [Path(theory.__file__).parent / file for file in (LOOP.file, MISSED.file)]
    before = [file.read_bytes() for file in files]
    assert main(["mutate", "2-2", *FEW]) == 1
    out, err = capsys.readouterr()
    assert [file.read_bytes() for file in files] == before
    blocks = out.split("\n\n")
    assert blocks[0].splitlines()[:3] == [
        "2-2  a loop violates no order: noticed",
        f"     theory/ordering/proofs.py: {LOOP.old}  becomes  {LOOP.new}",
        f"     example: {LOOP.example} is ('a', 'a'), and StopIteration with the error",
    ]
    assert blocks[0].splitlines()[3:] == ["     the contradiction: broken"]
    assert [block.split("\n")[0] for block in blocks[1:3]] == [
        "2-2  a sum has any order: changes no result", "2-2  not a part of 2-2: NOT noticed",
    ]  # fmt: skip
    assert blocks[3].startswith("1 of 2 errors are noticed, in ")
    assert [line.rpartition(",")[0] for line in err.splitlines()] == [block.split("\n")[0] for block in blocks[:3]]


def test_json(monkeypatch, capsys):
    outcome = Outcome(XOR, NOTICED, "unit: refuted", ("0", "2"), 1.5)
    monkeypatch.setattr("theory.cli.plant", lambda mutants, options: [outcome, Outcome(NOTHING, CHANGES_NOTHING)])
    assert main(["mutate", "--json", "--quiet", "3-1"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert (content["noticed"], content["counted"]) == (1, 1)
    assert content["errors"][0] == {
        "number": "3-1", "file": XOR.file, "old": XOR.old, "new": XOR.new, "error": "XOR adds", "example": XOR.example,
        "results": ["0", "2"], "verdict": "noticed", "by": "unit: refuted", "seconds": 1.5,
    }  # fmt: skip


def test_a_claim_without_errors(monkeypatch, capsys):
    monkeypatch.setattr("theory.cli.MUTANTS", [XOR])
    assert main(["mutate", "2-2"]) == 2
    assert capsys.readouterr().err == "theory: theory has no errors to plant in 2-2\n"
