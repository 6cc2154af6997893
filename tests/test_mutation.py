"""Mutants of the VJPs: the mutator makes what it says, kills what is wrong, and the tests leave no wrong one alive."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import minigrad as mg
from tests.mutation.accepted import ACCEPTED, ANY
from tests.mutation.campaign import Result, _apart, campaign, coverage, targets
from tests.mutation.mutants import Mutant, announced, install, mutants
from tests.mutation.report import as_json, judge


def example(g, needs, x, a=1):
    """Not mutated."""
    if x is None:
        raise ValueError("not mutated" + "either")
    y = np.multiply(g, x.T, out=None) * 0.5
    y += a - x[:1]
    for t in reversed(range(2)):
        y[t] = 0
    return (-y / 2 if needs[0] else None, np.where(x > 0, y, 0))


EXPECTED = {
    ("if x is None:", "if x is not None:"), ("if x is None:", "if True:"), ("if x is None:", "if False:"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.add(g, x.T, out=None) * 0.5"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x, out=None) * 0.5"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x.T) * 0.5"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x.T, out=None)"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = np.multiply(g, x.T, out=None) * 0.25"),
    ("y = np.multiply(g, x.T, out=None) * 0.5", "y = -(np.multiply(g, x.T, out=None) * 0.5)"),
    ("y += a - x[:1]", "pass"), ("y += a - x[:1]", "y -= a - x[:1]"), ("y += a - x[:1]", "y = a - x[:1]"),
    ("y += a - x[:1]", "y += a + x[:1]"), ("y += a - x[:1]", "y += x[:1] - a"), ("y += a - x[:1]", "y += a"),
    ("y += a - x[:1]", "y += a - x[:2]"), ("y += a - x[:1]", "y += a - x[:]"),
    ("for t in reversed(range(2)):", "for t in range(2):"),
    ("for t in reversed(range(2)):", "for t in reversed(range(3)):"),
    ("y[t] = 0", "pass"), ("y[t] = 0", "y[t] = 1"),
    ("-y / 2 if needs[0] else None", "y / 2 if needs[0] else None"),
    ("-y / 2 if needs[0] else None", "-y / 2 if True else None"),
    ("-y / 2 if needs[0] else None", "-y * 2 if needs[0] else None"),
    ("np.where(x > 0, y, 0)", "np.where(x >= 0, y, 0)"), ("np.where(x > 0, y, 0)", "np.where(x > 0, 0, y)"),
    ("np.where(x > 0, y, 0)", "-np.where(x > 0, y, 0)"),
}  # fmt: skip


def test_mutants_are_small_mistakes():
    found = {(m.before, m.after) for m in mutants(example, "example")}
    assert found >= EXPECTED, f"missing: {EXPECTED - found}"
    assert not any("mutated" in text for pair in found for text in pair)
    assert all(before != after for before, after in found)


def test_a_mutant_names_its_line():
    lines = inspect.getsource(inspect.getmodule(example)).splitlines()
    for m in mutants(example, "example"):
        assert m.before.split("(")[0].split("[")[0].strip() in lines[m.line - 1].replace("return (", "")


def test_install_reaches_everybody_who_imported_the_function():
    alias, kept = example, example.__code__
    (dropped,) = [m for m in mutants(example, "example") if m.after == "np.where(x > 0, 0, y)"]
    x = np.ones((2, 2))
    try:
        install(example, dropped.code)
        assert not alias(x, (False,), x)[1].any()
    finally:
        install(example, kept)


def test_an_announced_function_tells_of_its_call_and_does_the_same(capsys):
    x, kept = np.ones((2, 2)), example.__code__
    expected = example(x, (True,), x)
    try:
        install(example, announced(example, "print('called')"))
        found = example(x, (True,), x)
    finally:
        install(example, kept)
    assert capsys.readouterr().out == "called\n"
    np.testing.assert_array_equal(found, expected)


def target_of(label):
    (target,) = [t for t in targets() if t.label == label]
    return target


def test_every_rule_and_what_it_calls_is_a_target():
    found = {t.label: t for t in targets()}
    rules = ["elementwise.divide.vjp", "reductions.max/min.vjp"]
    helpers = ["cells.lstm_states_vjp", "rows.sum_rows", "convolution._multiply", "cross_entropy.cross_entropy_rows"]
    for label in [*rules, *helpers, "windows.Windows.pad", "backward.unbroadcast"]:
        assert label in found
    assert set(found["cells.lstm_states_vjp"].primitives) == {"lstm", "lstm_cell", "lstm_step"}
    assert {"avg_pool2d", "max_pool2d"} <= set(found["windows.Windows.pad"].primitives)
    covered = {name for t in found.values() for name in t.primitives}
    from minigrad.primitives import PRIMITIVES

    ours = {r.name for r in PRIMITIVES.values() if r.module.startswith("minigrad.ops") and r.differentiable}
    assert covered == ours


def equivalent(g, needs, x):
    return (2 * x * g,)


def wrong(g, needs, x):
    return (x * g,)


def needless_warning(g, needs, x):
    return (2 * x * g + 0 * np.log(x * 0),)


def crash(g, needs, x):
    import os

    os._exit(3)


def endless(g, needs, x):
    while True:
        x = x[...]


def test_fates():
    """Hand-written mutants of a rule: an equivalent one survives, whatever else is wrong does not."""
    square = target_of("elementwise.square.vjp")
    rules = {equivalent: "survived", wrong: "cases", needless_warning: "cases", crash: "crash", endless: "time-out"}
    also = [(square, Mutant(square.label, 1, "the rule", rule.__name__, rule.__code__)) for rule in rules]
    results = campaign([square], examples=5, more=5, sample=0, limit=5.0, also=also, tests=False)
    assert {r.mutant.after: r.fate for r in results} == {rule.__name__: fate for rule, fate in rules.items()}


def test_a_campaign_whose_tests_fail_anyway_is_refused():
    target = target_of("elementwise.square.vjp")
    kept = target.function.__code__
    plain = mutants(target.function, target.label)
    install(target.function, wrong.__code__)
    try:
        with pytest.raises((AssertionError, mg.check.GradcheckError)):
            campaign([target], examples=5, more=0, sample=1, tests=False)
    finally:
        install(target.function, kept)
    assert plain


def elsewhere():
    """A test module with a test that runs the rule of square, and one that does not."""
    module = ModuleType("elsewhere")

    def test_runs_it():
        mg.grad(mg.ops.square)(3.0)

    def test_does_not():
        mg.grad(mg.ops.sin)(3.0)

    module.test_runs_it, module.test_does_not = test_runs_it, test_does_not
    return module


def test_coverage_names_the_tests_that_run_a_function_or_fail():
    square, module = target_of("elementwise.square.vjp"), elsewhere()
    rows, failure = _apart(coverage, module, [square])
    assert [(number, called) for number, called, _ in rows] == [(0, {square.label}), (1, set())]
    assert not failure

    def test_fails():
        warnings.warn("which is as bad", stacklevel=1)

    module.test_fails = test_fails
    assert _apart(coverage, module, [square])[1] == "test_fails: UserWarning: which is as bad"


def test_spared_mutants_are_not_run():
    square = target_of("elementwise.square.vjp")
    found = campaign([square], examples=2, more=0, tests=False, spared=lambda m: m.after.startswith("-"))
    assert found
    assert not any(r.mutant.after.startswith("-") for r in found)
    assert any(m.after.startswith("-") for m in mutants(square.function, square.label))


def test_survivors_are_accepted_new_or_stale():
    code = example.__code__

    def result(before, after, fate):
        return Result(Mutant("module.f", 7, before, after, code), fate, "", 0.1)

    results = [
        result("a", "b", "survived"),
        result("a", "c", "survived"),
        result("d", "e", "survived"),
        result("f", "g", "cases"),
    ]
    known = {
        ("module.f", "a", "b"): "why",
        ("module.f", "d", ANY): "why",
        ("module.f", "f", "g"): "why",
        ("module.h", "x", "y"): "",
    }
    verdict = judge(results, {"module.f"}, known)
    assert [r.mutant.after for r in verdict.accepted] == ["b", "e"]
    assert [r.mutant.after for r in verdict.new] == ["c"]
    assert verdict.stale == [("module.f", "f", "g")]
    assert not verdict.good
    assert judge(results[:1], {"module.f"}, {("module.f", "a", "b"): "why"}).good
    assert not judge(results[:1], None, known).stale
    assert [r["fate"] for r in as_json(results)] == ["survived"] * 3 + ["cases"]


def test_accepted_mutants_exist():
    """Each accepted entry names a part that is in the function still, and a change that the mutator makes."""
    named = {function for function, _, _ in ACCEPTED}
    found = {m.key for t in targets() if t.label in named for m in mutants(t.function, t.label)}
    found |= {(function, before, ANY) for function, before, _ in found}
    assert not ACCEPTED.keys() - found
    assert all(len(reason) > 10 for reason in ACCEPTED.values())


def run(*arguments):
    """A campaign in a fresh process: one that has used PyTorch is a bad parent."""
    command = [sys.executable, "-m", "tests.mutation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)


# Files of rules; what many rules share would be met by the tests of all of them.
FILES = ["activations", "cells", "cross_entropy", "elementwise", "indexing", "losses", "pooling", "products",
         "recurrent", "reductions", "selection", "sequences", "shaping", "temporal"]  # fmt: skip


def named(option, *names):
    return [word for name in names for word in (option, name)]


@pytest.mark.slow
def test_no_mutant_of_any_vjp_survives(full):
    """In full all of them, which takes some minutes; else a sample, each against fewer cases."""
    small = [*named("--file", *FILES), "--sample", 40, "--examples", 10, "--more", 10]
    done = run() if full else run(*small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all |" in done.stdout


def test_the_command_line_refuses_unknown_names():
    done = run(*named("--primitive", "divide", "argmax"))
    assert done.returncode == 2
    assert "no differentiable primitive is named argmax" in done.stderr
    done = run(*named("--primitive", "divide", "add"), *named("--file", "elementwise", "losses"))
    assert done.returncode == 2
    assert "no file with a rule is named losses" in done.stderr
