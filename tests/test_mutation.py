"""Mutants of the VJPs: the mutator makes what it says, kills what is wrong, and the tests leave no wrong one alive."""

from __future__ import annotations

import inspect
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from tests.mutation.accepted import ACCEPTED, ANY
from tests.mutation.campaign import Result, campaign, targets
from tests.mutation.mutants import Mutant, install, mutants
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


def target_of(label):
    (target,) = [t for t in targets() if t.label == label]
    return target


def test_every_rule_and_what_it_calls_is_a_target():
    found = {t.label: t for t in targets()}
    rules = ["elementwise.divide.vjp", "reductions.max/min.vjp"]
    helpers = ["recurrent._lstm_cell_vjp", "lookup.sum_rows", "convolution._multiply", "losses.cross_entropy_rows"]
    for label in [*rules, *helpers, "windows.Windows.pad", "backward.unbroadcast"]:
        assert label in found
    assert set(found["recurrent._lstm_cell_vjp"].primitives) == {"lstm", "lstm_cell", "lstm_step"}
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


def named(*primitives):
    return [word for name in primitives for word in ("--primitive", name)]


def test_a_sample_of_mutants_dies():
    done = run(*named("divide", "gelu", "lstm_step", "max"), "--sample", 40, "--more", 10)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all |" in done.stdout


def test_the_command_line_refuses_unknown_names():
    done = run(*named("divide", "argmax"))
    assert done.returncode == 2
    assert "no differentiable primitive is named argmax" in done.stderr


@pytest.mark.slow
def test_no_mutant_of_any_vjp_survives(full):
    """In full all of them, which takes some minutes; else a sample of those of some primitives."""
    names = sorted({name for target in targets() for name in target.primitives})
    done = run() if full else run(*named(*random.Random(1).sample(names, 6)), "--sample", 60)
    assert done.returncode == 0, done.stdout + done.stderr
