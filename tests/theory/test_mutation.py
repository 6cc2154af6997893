"""`theory mutate` plants errors, and shows which of them `theory check` notices."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.theory.wrong_formulas import WRONG

import theory
from theory.cli import main
from theory.mutation import Mutant, failures, plant
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
    assert failures(mutant.number, mutant.sources(), [] if full else FEW)


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
    with pytest.raises(ValueError, match=r"theory check 2-2 cannot run with .*parity/units.pySyntaxError: "):
        failures("2-2", {"parity/units.py": "x = ="}, FEW)


def test_a_claim_that_fails_without_an_error(monkeypatch):
    monkeypatch.setattr("theory.mutation.failures", lambda *arguments: ["lemma: refuted"])
    with pytest.raises(ValueError, match="claim 2-2 is not as expected without an error: lemma: refuted"):
        next(plant([LOOP]))


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr("theory.cli.MUTANTS", [LOOP, NOTHING, XOR])
    units = Path(theory.__file__).parent / "parity" / "units.py"
    before = units.read_bytes()
    assert main(["mutate", *FEW]) == 0
    out, err = capsys.readouterr()
    assert units.read_bytes() == before
    assert out.startswith("2-2  a loop violates no order: noticed\n     theory/ordering/proofs.py: ")
    for part in ("becomes", "example: xor_unit(1, 1) is 0, and 2 with the error", "the unit: refuted",
                 "a sum has any order: changes no result", "2 of 2 errors are noticed, in "):  # fmt: skip
        assert part in out
    assert [line.split(":")[0] for line in err.splitlines()] == [
        "2-2  a loop violates no order", "2-2  a sum has any order", "3-1  XOR adds",
    ]  # fmt: skip


def test_an_error_that_is_not_noticed_has_status_1(monkeypatch, capsys):
    monkeypatch.setattr("theory.cli.MUTANTS", [MISSED, XOR])
    assert main(["mutate", "2-2", "--json", "--quiet", *FEW]) == 1
    out, err = capsys.readouterr()
    assert err == ""
    content = json.loads(out)
    assert (content["noticed"], content["counted"]) == (0, 1)
    (error,) = content["errors"]
    assert (error["verdict"], error["by"], error["results"]) == ("NOT noticed", [], ["0", "2"])


def test_a_claim_without_errors(monkeypatch, capsys):
    monkeypatch.setattr("theory.cli.MUTANTS", [XOR])
    assert main(["mutate", "2-2"]) == 2
    assert capsys.readouterr().err == "theory: theory has no errors to plant in 2-2\n"
