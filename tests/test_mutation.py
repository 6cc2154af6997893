"""Mutants of the rules and of the engine: what makes them, what kills them, and that the tests leave none alive."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import minigrad as mg
from tests.mutation import ledger
from tests.mutation.accepted import ACCEPTED, ANY
from tests.mutation.campaign import Settings, apart, campaign
from tests.mutation.ledger import SPARED, Ledger, Result
from tests.mutation.mutants import Mutant, announced, fingerprint, install, mutants
from tests.mutation.report import BEGIN, END, as_json, judge, numbers, spared, with_table
from tests.mutation.targets import ENGINE, Target, targets
from tests.mutation.trials import ENOUGH, LONGEST, Row, coverage, running, trials_of
from tests.test_registry import PARTIAL


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


def maker(context, scale):
    """Makes a function, as the engine does for every primitive; not mutated."""

    def made(x):
        with context:
            made.last = x * scale
        return made.last

    return made


def test_functions_that_were_made_before_take_the_mutant_too(capsys):
    made, kept = maker(nullcontext(), 2), maker.__code__
    found = {m.after: m for m in mutants(maker, "maker")}
    try:
        install(maker, found["made.last = x + scale"].code)
        assert made(5) == 7
        assert maker(nullcontext(), 2)(5) == 7
        install(maker, found["made.last = x"].code)  # which has one of its free variables less
        assert made(5) == 5
        install(maker, found["if True:"].code)
        assert made(5) == 10
        install(maker, announced(maker, "print('called')"))
        assert made(5) == 10
        assert capsys.readouterr().out == "called\n"
    finally:
        install(maker, kept)
    assert made(5) == 10
    assert not capsys.readouterr().out


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
    rules = ["elementwise.divide.vjp", "reductions.max.vjp"]
    helpers = [
        "recurrent_lstm.lstm_states_vjp",
        "numerics.sum_rows",
        "convolution._multiply",
        "recurrent_lstm._LSTM.pull",
        "recurrent_gru._GRU.bend",
        "recurrent.recurrent_pullback_vjp",
        "losses.cross_entropy_rows",
    ]
    for label in [*rules, *helpers, "windows.Windows.pad", "backward.unbroadcast"]:
        assert label in found
    second = ["activations.gelu.vjp", "reductions.sum.vjp", "linear.linear_map.vjp"]
    assert set(second) <= found.keys()
    assert set(found["recurrent_lstm.lstm_states_vjp"].primitives) == {"lstm", "lstm_cell", "lstm_step"}
    assert found["recurrent_gru._GRU.slopes"].primitives == ("gru",)
    assert {"avg_pool2d", "max_pool2d"} <= set(found["windows.Windows.pad"].primitives)
    covered = {name for t in found.values() for name in t.primitives}
    from minigrad.primitives import PRIMITIVES

    ours = {r.name for r in PRIMITIVES.values() if r.module.startswith("minigrad.ops") and r.differentiable}
    assert covered == ours - PARTIAL


FILES_OF_ENGINE = [name.rpartition(".")[2] for name in ENGINE]


def test_every_function_of_the_engine_is_a_target():
    found = {t.label: t for t in targets()}
    paths = ["calls._call_unary", "calls._call_binary", "calls._call", "backward._walk_back"]
    members = ["core.Tensor.grad", "core.Tensor.grad.setter", "observers.setting.__enter__"]
    rules = ["higher_order.variable.vjp", "rematerialisation.checkpoint.vjp_on_tensors", "transforms.derivative.vjp"]
    for label in [*paths, *members, *rules, "transforms._linearize", "primitives.Primitive.failed"]:
        assert found[label].primitives == ()
    assert {label.partition(".")[0] for label, t in found.items() if not t.primitives} == set(FILES_OF_ENGINE)
    assert len(found) == len(targets()), "two functions have one name"
    assert found["core.Tensor.item"].tests[0] == "tests.test_core"
    inner = {(m.before, m.after) for m in mutants(found["calls._call_binary"].function, "")}
    assert {("node.scope = path", "pass"), ("if right is None:", "if right is not None:")} <= inner


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
    results = campaign([square], Settings(5, 5, tests=False, limit=5.0), sample=0, also=also)
    assert {r.mutant.after: r.fate for r in results} == {rule.__name__: fate for rule, fate in rules.items()}


def test_a_campaign_whose_tests_fail_anyway_is_refused():
    target = target_of("elementwise.square.vjp")
    kept = target.function.__code__
    plain = mutants(target.function, target.label)
    install(target.function, wrong.__code__)
    try:
        with pytest.raises((AssertionError, mg.check.GradcheckError)):
            campaign([target], Settings(5, 0, tests=False), sample=1)
    finally:
        install(target.function, kept)
    assert plain


@pytest.fixture(name="elsewhere")
def made_up_tests(monkeypatch):
    """A module with a test that runs the rule of square, and one that does not."""
    module = ModuleType("elsewhere")

    @pytest.mark.parametrize("x", [3.0])
    def test_runs_it(x, tmp_path):
        assert tmp_path.is_dir()
        assert mg.grad(mg.ops.square)(x).item() == 6

    def test_does_not():
        mg.grad(mg.ops.sin)(3.0)

    def test_of_a_fixture(elsewhere):
        raise AssertionError("not run")

    module.test_runs_it, module.test_does_not, module.test_of_a_fixture = test_runs_it, test_does_not, test_of_a_fixture
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    return module


def test_coverage_names_the_tests_that_run_a_function_or_fail(elsewhere):
    square = target_of("elementwise.square.vjp")
    assert [t.name for t in trials_of(elsewhere)] == ["elsewhere::test_runs_it[0]", "elsewhere::test_does_not"]
    rows, failure = apart(coverage, "elsewhere", [square])
    assert [(row.number, row.called) for row in rows] == [(0, {square.label}), (1, set())]
    assert not failure

    def test_fails():
        warnings.warn("which is as bad", stacklevel=1)

    elsewhere.test_fails = test_fails
    assert apart(coverage, "elsewhere", [square])[1] == "elsewhere::test_fails: UserWarning: which is as bad"


def test_fixtures_of_a_module_are_known_if_they_take_no_others(monkeypatch):
    module, ended = ModuleType("test_fixtures"), []

    @pytest.fixture
    def made():
        yield 3
        ended.append(True)

    @pytest.fixture
    def given():
        return 4

    @pytest.fixture
    def taking(tmp_path):
        return tmp_path

    def test_of_own(made, given):
        assert (made, given, ended) == (3, 4, [])

    def test_of_others(taking):
        raise AssertionError("not run")

    for name, value in list(locals().items()):
        if name != "module":
            setattr(module, name, value)
    (trial,) = trials_of(module)
    trial.run()
    assert (trial.name, ended) == ("test_fixtures::test_of_own", [True])


def test_a_function_of_the_engine_meets_tests_alone(elsewhere):
    """Tests in their order where nobody looked which of them run it: here the first one that notices."""
    square = target_of("elementwise.square.vjp")
    alone = Target(square.label, square.function, (), ("elsewhere",))
    also = [(alone, Mutant(square.label, 1, "the rule", rule.__name__, rule.__code__)) for rule in (equivalent, wrong)]
    results = campaign([alone], Settings(look=False), sample=0, also=also)
    assert {r.mutant.after: (r.fate, r.by) for r in results} == {
        "equivalent": ("survived", ""),
        "wrong": ("tests", "elsewhere::test_runs_it[0]"),
    }


def test_a_campaign_goes_on_where_one_stopped(tmp_path, monkeypatch):
    square, path = target_of("elementwise.square.vjp"), tmp_path / "results" / "fates.jsonl"
    settings = Settings(2, 0, tests=False)
    first = campaign([square], settings, sample=3, ledger=Ledger(path))
    written = path.read_text()
    assert written.count("\n") == len(first) == 3
    path.write_text(written + '{"key": ["elementwise.sq')  # its writer was killed
    told = []
    everything = campaign([square], settings, ledger=Ledger(path), say=told.append)
    assert told[0] == f"{len(everything)} mutants, of which the fates of 3 are known"
    assert {r.mutant.key for r in first} < {r.mutant.key for r in everything}
    again = campaign([square], settings, ledger=Ledger(path), say=told.append)
    assert [(r.mutant, r.fate, r.by) for r in again] == [(r.mutant, r.fate, r.by) for r in everything]
    assert told[-1] == f"{len(everything)} mutants, of which the fates of {len(everything)} are known"
    monkeypatch.setattr("tests.mutation.ledger._cases_source", lambda primitives: "other cases")
    assert [Ledger(path).find(square, r.mutant) for r in again] == [None] * len(again)
    assert Ledger(path, afresh=True).find(square, again[0].mutant) is None
    assert not path.read_text()


def test_fates_are_kept_for_campaigns_elsewhere(tmp_path):
    square, settings = target_of("elementwise.square.vjp"), Settings(2, 0, tests=False)
    first, kept = campaign([square], settings, ledger=Ledger(tmp_path / "here.jsonl")), tmp_path / "kept.gz"
    work = [(square, m) for m in mutants(square.function, square.label)]
    Ledger(tmp_path / "here.jsonl").keep(work, kept)
    packed = kept.read_bytes()
    Ledger(tmp_path / "here.jsonl").keep(reversed(work), kept)
    assert kept.read_bytes() == packed
    told = []
    there = campaign([square], settings, ledger=Ledger(tmp_path / "there.jsonl", start=kept), say=told.append)
    assert told[-1] == f"{len(work)} mutants, of which the fates of {len(work)} are known"
    assert [(r.mutant.key, r.fate, r.by) for r in there] == [(r.mutant.key, r.fate, r.by) for r in first]
    assert Ledger(tmp_path / "afresh.jsonl", afresh=True, start=kept).find(square, work[0][1]) is None


@pytest.fixture(name="reread")
def fresh_texts():
    """Forgets what was read of the modules of tests, then and in the end."""
    caches = [ledger._tree, ledger._without_tests, ledger._test_source, ledger._cases_source, ledger._survivor_source]

    def forget():
        for cache in caches:
            cache.cache_clear()

    yield forget
    forget()


def test_a_fate_rests_on_the_function_and_on_what_decided_it(tmp_path, monkeypatch, reread):
    square, path = target_of("elementwise.square.vjp"), tmp_path / "fates.jsonl"
    one, two, three = mutants(square.function, square.label)[:3]
    kept = Ledger(path)
    kept.add(square, Result(one, "tests", "tests.test_trees::test_has_aux", "AssertionError", 0.1))
    kept.add(square, Result(two, "cases", "square 3", "AssertionError", 0.1))
    kept.add(square, Result(three, "survived", "", "", 0.1))

    def known(target=square):
        return [Ledger(path).find(target, mutant) is not None for mutant in (one, two, three)]

    assert known() == [True, True, True]
    assert fingerprint(equivalent) != fingerprint(wrong)
    assert known(Target(square.label, wrong, square.primitives, square.tests)) == [False, False, False]
    source = ledger._source
    for old, new, expected in [
        ("def test_has_aux():", "def test_has_aux():\n    mg.tensor(1)", [False, True, True]),
        ("def test_frozen_parameters_are_left_out():", "def test_other():", [True, True, True]),
    ]:
        monkeypatch.setattr(ledger, "_source", lambda module, old=old, new=new: source(module).replace(old, new))
        reread()
        assert known() == expected
    monkeypatch.setattr(ledger, "_source", lambda module: source(module) + "\n\ndef test_new(): ...\n")
    reread()
    assert known() == [True, True, False]
    monkeypatch.setattr(ledger, "_source", lambda module: source(module) + "\n\nCASES_TOO = 1\n")
    reread()
    assert known() == [True, False, False]


def test_coverage_is_kept_until_code_changes(tmp_path, monkeypatch):
    path, module = tmp_path / "fates.jsonl", "tests.test_trees"
    rows = [Row(0, frozenset({"f"}), 0.5), Row(2, frozenset({"f", "g"}), 1.0)]
    Ledger(path).add_coverage(module, ["f", "g", "h"], rows)
    assert Ledger(path).coverage(module, ["g", "h"]) == rows
    assert Ledger(path).coverage(module, ["g", "new"]) is None
    monkeypatch.setattr("tests.mutation.ledger._code", lambda module: "other code")
    assert Ledger(path).coverage(module, ["g"]) is None


def test_the_quick_tests_run_first_and_no_more_than_fit():
    target = Target("f", example, (), ("tests.test_trees",))
    rows = [Row(0, frozenset("f"), 3.0), Row(1, frozenset("f"), 1.0), Row(2, frozenset("g"), 0.1)]
    rows += [Row(3, frozenset("f"), ENOUGH)]
    names = [t.name for t in trials_of(importlib.import_module("tests.test_trees"))]
    found = running(target, {"tests.test_trees": rows})
    assert [(t.name, t.limit) for t in found] == [(names[1], LONGEST), (names[0], 60.0)]


def test_quick_tests_of_one_module_do_not_keep_those_of_another_away():
    modules = ("tests.test_trees", "tests.test_core", "tests.test_hooks")
    quick, slow = [Row(i, frozenset("f"), 1.5) for i in range(9)], [Row(0, frozenset("f"), 5.0)]
    covered = {"tests.test_trees": slow, "tests.test_core": quick, "tests.test_hooks": slow}
    found = [t.name.partition(".test_")[2] for t in running(Target("f", example, (), modules), covered)]
    order = [name.partition("::")[0] for name in found]
    assert order == ["trees", "core", "core", "core", "hooks", "core", "core", "core"]


def test_spared_mutants_are_not_run():
    square = target_of("elementwise.square.vjp")
    found = campaign([square], Settings(2, 0, tests=False), spared=lambda m: m.after.startswith("-"))
    assert found
    assert not any(r.mutant.after.startswith("-") for r in found)
    assert any(m.after.startswith("-") for m in mutants(square.function, square.label))


def test_mutants_that_may_survive_meet_only_the_first_round(tmp_path, monkeypatch):
    square, path = target_of("elementwise.square.vjp"), tmp_path / "fates.jsonl"
    settings = Settings(2, 0, tests=False)
    killed = campaign([square], settings, judged=lambda m: True)
    assert "cases" in {r.fate for r in killed}
    monkeypatch.setattr("tests.mutation.campaign.cases", lambda *_: [])
    survivors = campaign([square], settings, judged=lambda m: m.after.startswith("-"), ledger=Ledger(path))
    assert {r.fate for r in survivors if r.mutant.after.startswith("-")} == {SPARED}
    assert {r.fate for r in survivors if not r.mutant.after.startswith("-")} == {"survived"}
    assert path.read_text().count('"fate"') == sum(r.fate == "survived" for r in survivors)


def test_mutants_that_python_warns_of_are_made_without_a_word():
    def indexed(x):
        return (1 - x)[None]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = mutants(indexed, "indexed")
    assert any(m.after == "return 1[None]" for m in found)


def test_survivors_are_accepted_new_or_stale():
    code = example.__code__

    def result(before, after, fate):
        return Result(Mutant("module.f", 7, before, after, code), fate, "", "", 0.1)

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


def test_what_was_judged_by_itself_counts_as_equivalent_without_being_run():
    (function, before, after), reason = next((k, why) for k, why in ACCEPTED.items() if k[2] != ANY)
    mutant = Mutant(function, 7, before, after, example.__code__)
    result = spared(mutant)
    assert (result.fate, result.detail) == (SPARED, reason)
    assert spared(Mutant(function, 7, before, "another", example.__code__)) is None
    verdict = judge([result], {function}, {mutant.key: reason})
    assert (verdict.accepted, verdict.new, verdict.good) == ([result], [], True)


def test_accepted_mutants_exist():
    """Each accepted entry names a part that is in the function still, and a change that the mutator makes."""
    named = {function for function, _, _ in ACCEPTED}
    found = {m.key for t in targets() if t.label in named for m in mutants(t.function, t.label)}
    found |= {(function, before, ANY) for function, before, _ in found}
    assert not ACCEPTED.keys() - found
    assert all(len(reason) > 10 for reason in ACCEPTED.values())


def test_the_table_is_put_between_its_marks():
    square = target_of("elementwise.square.vjp")
    found = mutants(square.function, square.label)[:3]
    fates = ["cases", "tests", "survived"]
    results = [Result(m, fate, "", "", 0.1) for m, fate in zip(found, fates, strict=True)]
    rows = numbers(results, [square], judge(results, None)).splitlines()
    assert rows[2] == "| ops/elementwise.py | 1 | 3 | 1 | 1 | 0 | 0 | 0 | 0 | 1 |"
    assert with_table(f"a{BEGIN}old{END}b", "new") == f"a{BEGIN}\n\nnew\n\n{END}b"
    page = (Path(__file__).parent.parent / "docs" / "mutation.md").read_text()
    assert with_table(with_table(page, "x"), "y") == with_table(page, "y")


def run(*arguments):
    """A campaign in a fresh process: one that has used PyTorch is a bad parent."""
    command = [sys.executable, "-m", "tests.mutation", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent.parent)


# Files of rules (what many rules share would be met by the tests of all of them), and some of the engine.
FILES = ["activations", "alignment", "attentions", "convolution", "elementwise", "higher_order", "indexing",
         "linear_algebra", "losses", "products", "recurrent", "reductions", "resampling", "sequences", "shaping",
         "trees", "temporal", "transforms"]  # fmt: skip


def named(option, *names):
    return [word for name in names for word in (option, name)]


@pytest.mark.slow
def test_no_mutant_survives(full):
    """In full all of them, which takes hours; else a sample, each against fewer cases."""
    small = [*named("--file", *FILES), "--sample", 20, "--examples", 10, "--more", 10]
    done = run() if full else run(*small)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all |" in done.stdout


def test_the_command_line_refuses_unknown_names():
    done = run(*named("--primitive", "divide", "argmax"))
    assert done.returncode == 2
    assert "no differentiable primitive is named argmax" in done.stderr
    done = run(*named("--primitive", "divide", "add"), *named("--file", "elementwise", "losses"))
    assert done.returncode == 2
    assert "no file with a rule or of the engine is named losses" in done.stderr
