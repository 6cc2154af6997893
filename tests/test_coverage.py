"""docs/coverage.md is what the registry, the tests and the sweeps say now."""

from __future__ import annotations

import json

import numpy as np
import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES, Primitive
from tests.coverage import __main__ as command
from tests.coverage import page as coverage
from tests.sweeps.figures import FIGURES
from tests.sweeps.sweep import SWEEPS, run
from tests.test_registry import DIFFERENTIABLE


def test_the_page_is_what_the_generator_gives():
    assert command.PAGE.read_text(encoding="utf-8") == coverage.text(), f"stale: {coverage.AGAIN}"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(command, "PAGE", tmp_path / "coverage.md")
    return tmp_path / "coverage.md"


def test_a_stale_page_is_told_and_written_anew(elsewhere, capsys):
    assert command.main(["--check"]) == 1
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0
    elsewhere.write_text(elsewhere.read_text(encoding="utf-8").replace("| [tanh]", "| [tank]"), encoding="utf-8")
    assert command.main(["--check"]) == 1
    said = "coverage.md is not what the registry and the tests say: python -m tests.coverage"
    assert capsys.readouterr().out.splitlines() == [said, said]


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_primitive_has_a_line(name):
    assert f"| [{name}](" in command.PAGE.read_text(encoding="utf-8")


def test_links_lead_to_files():
    links = {line.split("](")[1].split(")")[0] for line in coverage.text().splitlines() if line.startswith("| [")}
    assert links
    assert all((command.PAGE.parent / link).is_file() for link in links)


def record(**declared):
    def forward(x):
        return x, ()

    return Primitive(forward, **declared)


def test_how_a_rule_is_differentiated_is_read_from_the_record():
    plain, derived = record(residuals=("x",)), record(residuals=("x", "derived"))
    assert [coverage.second_order(r) for r in (plain, derived)] == ["VJP", "none"]
    derived.reference = lambda x: x
    assert coverage.second_order(derived) == "reference"
    derived.vjp_on_tensors = lambda g, needs, *residuals: (g,)
    assert coverage.second_order(derived) == "rule of its own"
    assert coverage.cotangents(plain) == "one by one"
    assert coverage.cotangents(record(entrywise=True)) == "together"
    plain.batched_vjp = lambda g, needs, *residuals: (g,)
    assert coverage.cotangents(plain) == "together"


def test_primitives_of_examples_are_not_the_engines(monkeypatch):
    """Examples in docstrings run in the modules that they explain, and declare primitives there."""
    before, cube = coverage.engines_own(), record()
    assert {"variable", "derivative"} <= {r.name for r in before}
    cube.module = "minigrad.primitives"
    monkeypatch.setitem(PRIMITIVES, "minigrad.primitives.forward", cube)
    assert coverage.engines_own() == before


def test_what_a_function_meets():
    assert coverage.met(lambda x: mg.lstm_cell(mg.tanh(x) * 2, np.ones((1, 1))), np.ones((1, 4))) == {
        "lstm_cell", "multiply", "tanh",
    }  # fmt: skip
    assert coverage.met(lambda x: mg.exp(x.data), 1.0) == set()


def test_peers_are_those_of_the_tests():
    numpy, pytorch = coverage.compared_with("numpy"), coverage.compared_with("pytorch")
    assert {"exp", "cumsum", "getitem", "flip", "linear_map"} <= numpy
    assert {"exp", "gelu", "conv2d", "lstm", "embedding", "softmax"} <= pytorch
    assert "gelu" not in numpy
    assert "linear_map" not in pytorch


def test_figures_are_of_primitives_that_a_sweep_still_has():
    """All that was measured is a primitive, and what a small sweep meets is among it."""
    figures = json.loads(FIGURES.read_text())["primitives"]
    assert figures.keys() <= set(DIFFERENTIABLE)
    assert run("alignments").reaches.keys() | run("dropout").reaches.keys() <= figures.keys()
    assert all(0 <= found["worst"] < max(bound for *_, bound in SWEEPS.values()) for found in figures.values())
