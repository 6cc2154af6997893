"""Nothing false holds: checks that are malformed, random, endless or empty get a verdict of their own."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st

from tests.theory.samples import a_claim, at_most
from theory import CLAIMS, Corrected, Proposition, Refuted, agree, enumerated, every, require, sampled
from theory.cli import main
from theory.page import pages
from theory.propositions import BROKEN, FLAKY, HOLDS, NO_COUNTEREXAMPLE, REFUTED, UNDECIDED
from theory.refutation import Unsound, accepts

NUMBERS = st.integers(0, 9)
DOMAINS = [NUMBERS, range(10), enumerated(range(10), 10)]


def examine(check, domain=NUMBERS, examples=30, **options):
    return Proposition("name", "statement", check, domain, **options).examine(examples, 0, 60.0)


class Strange(BaseException):
    """No Exception."""


def raising(error):
    def check(*_):
        raise error

    return check


# Errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit(), Strange("?"), RecursionError(), MemoryError()])
def test_an_exception_of_a_checker_is_no_verdict(error, domain):
    result = examine(raising(error), domain)
    assert (result.verdict, result.as_expected) == (BROKEN, False)
    assert result.message.startswith(f"the checker broke: {type(error).__name__}")
    assert not examine(raising(error), domain, false=True).as_expected


@pytest.mark.parametrize("error", [SystemExit(0), Strange("?"), KeyError("x")])
def test_an_exception_of_a_domain_is_no_verdict(error):
    fails = raising(error)
    for domain in (
        fails,
        st.integers(0, 9).map(fails),
        enumerated(fails, 1),
        enumerated([1], fails),
        enumerated([1], 1, {"x": fails}),
        sampled(NUMBERS, {"x": fails}),
        every(1).__class__(lambda number, seed: [1], certify=fails),
        sampled(NUMBERS, certify=fails),
    ):
        result = examine(at_most(9), domain)
        assert result.verdict == BROKEN
        assert f"the domain broke: {type(error).__name__}" in result.message
    result = examine(at_most(3), every(1, 2, 8), show=fails)
    assert (result.verdict, result.shown) == (BROKEN, "")
    assert "the function that shows examples broke" in result.message


def test_an_assertion_about_a_domain_is_no_refutation():
    assert examine(at_most(9), sampled(NUMBERS, {"x": raising(AssertionError("x"))})).verdict == BROKEN


@pytest.mark.parametrize("domain", DOMAINS)
def test_ctrl_c_is_no_verdict(domain):
    with pytest.raises(KeyboardInterrupt):
        examine(raising(KeyboardInterrupt()), domain)


EXITS = """
import sys
from theory import claim

@claim("own", "it exits", [1, 2])
def exits(x):
    sys.exit(0)
"""


def test_sys_exit_does_not_end_a_command(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(EXITS)
    try:
        assert main(["check", "own", "--load", str(path), "--quiet"]) == 1
    finally:
        del CLAIMS["own"]
    assert "BROKEN [printed] it exits" in capsys.readouterr().out
    path.write_text("import sys\nsys.exit(0)\n")
    assert main(["check", "2-2", "--load", str(path), "--quiet"]) == 2
    assert "mine.py: SystemExit: 0" in capsys.readouterr().err


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_plain_assert_is_no_refutation(domain):
    def check(x):
        require(x >= 0, "")
        assert x < 5, "too large"

    result = examine(check, domain)
    assert (result.verdict, result.shown) == (BROKEN, "5")
    assert result.message.startswith("the checker broke: AssertionError: too large")
    assert result.message.endswith(". Call theory.require to refute, not assert")


# require and agree ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "truthy", [1, 0, None, np.nan, "no", str.isdigit, (x for x in "a"), [False], np.array([True]), np.array(True)]
)
def test_require_accepts_bools_only(truthy):
    with pytest.raises(TypeError, match="must be a bool"):
        require(truthy, "message")
    assert examine(lambda x: require(truthy, "message")).verdict == BROKEN


def test_arrays_of_different_shapes_make_a_check_malformed():
    for wrong in (np.eye(3), np.ones(2), 1.0, np.ones((1, 2, 2))):
        with pytest.raises(Unsound, match=r"what: agree compares shapes \(.*\) and \(2, 2\)\. Pass arrays"):
            agree(wrong, np.eye(2), "what")
        with pytest.raises(Unsound):
            accepts(agree, wrong, np.eye(2), "what")
        result = examine(lambda x, wrong=wrong: agree(wrong, np.eye(2), "what"), false=True)
        assert (result.verdict, result.as_expected) == (BROKEN, False)


def test_nan_agrees_with_nothing():
    def roots(x):
        with np.errstate(invalid="ignore"):
            agree(np.sqrt(x) * np.sqrt(-x), np.sqrt(-x * x), "the product")

    assert examine(roots, st.floats(1, 9)).verdict == REFUTED
    with pytest.raises(Refuted, match=r"entry .* is nan, expected nan"):
        agree([np.inf, np.nan], [np.inf, np.nan], "what")
    agree([np.inf, np.nan], [np.inf, np.nan], "what", equal_nan=True)
    for actual, expected in (([np.nan], [1.0]), ([1.0], [np.nan]), ([np.inf], [np.nan])):
        with pytest.raises(Refuted):
            agree(actual, expected, "what", equal_nan=True)


# Premises, duplicates, mutation ----------------------------------------------------------------------


def odd_perfect(n):
    if n % 2 and sum(k for k in range(1, n) if n % k == 0) == n:
        require(False, "an odd perfect number")


@pytest.mark.parametrize(
    ("check", "domain"),
    [
        (odd_perfect, enumerated(range(1, 1000), 999)),
        (odd_perfect, st.integers(1, 999)),
        (lambda n: assume(n > 9), NUMBERS),
        (lambda n: assume(n > 9), DOMAINS[2]),
        (lambda n: agree([], [], "nothing"), NUMBERS),
        (lambda n: [][accepts(require, n < 5, "") :].clear(), NUMBERS),
        (lambda n: None, [1]),
    ],
)
def test_a_premise_that_is_never_met(check, domain):
    result = examine(check, domain, 200)
    assert (result.verdict, result.met) == (BROKEN, 0)
    assert "vacuous: none of" in result.message
    assert result.shown == ""


def test_a_premise_that_is_met_sometimes():
    def odd_squares(n):
        if n % 2:
            require(n * n % 8 == 1, "its square")

    def assumed(n):
        assume(n % 2)
        odd_squares(n)

    for check in (odd_squares, assumed):
        result = examine(check, enumerated(range(100), 100))
        assert (result.cases, result.met) == (100, 50)
        assert result.words == "holds in all 100 cases (premise met in 50)"
    assert examine(at_most(9), DOMAINS[2]).words == "holds in all 10 cases"
    result = examine(assumed, st.integers(0, 999))
    assert result.verdict == NO_COUNTEREXAMPLE
    assert result.met == 30 < result.cases
    odd = {"an odd number": lambda n: n % 2 == 1}  # of the examples that meet the premise
    result = examine(lambda n: n % 2 or require(True, ""), sampled(range(10), odd))
    assert result.verdict == BROKEN


def test_duplicates_are_not_counted():
    result = examine(at_most(1), st.tuples(st.integers(0, 1), st.integers(0, 9)).map(lambda pair: pair[0]))
    assert result.words == "no counterexample in 2 examples"
    assert examine(at_most(2), [1, 1, 2]).cases == 2


def test_a_checker_that_changes_its_example():
    changed = "the check is not sound: the checker changed its example"

    def sorts(numbers):
        numbers.sort()
        require(numbers[0] <= numbers[-1], "not sorted")

    def sorts_and_refutes(numbers):
        numbers.sort()
        require(numbers[0] > numbers[-1], "increasing")

    for check in (sorts, sorts_and_refutes):
        for domain in (lambda n: [[2, 1], [1, 2]], enumerated(lambda n: [[2, 1], [1, 2]], 2)):
            assert examine(check, domain).message == changed
    assert examine(sorts, st.lists(st.integers(), min_size=2)).message == changed
    result = examine(lambda x: require(x.sort() is None, ""), lambda n: [np.array([2.0, 1.0])])
    assert (result.verdict, result.message) == (BROKEN, changed)


# Time ------------------------------------------------------------------------------------------------


def forever(x):
    while True:
        pass


def multiplies_forever(x):
    A = np.ones((50, 50))
    while True:
        A = np.tanh(A @ A)


def catches_errors(x):
    while True:
        try:
            np.linalg.inv(np.zeros((2, 2)))
        except Exception:
            continue


def catches_the_first(x):
    try:
        forever(x)
    except BaseException:
        forever(x)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("check", [forever, multiplies_forever, catches_errors, catches_the_first])
def test_a_checker_that_never_ends_is_undecided(check, domain):
    handler, timer, started = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL), time.monotonic()
    result = Proposition("name", "statement", check, domain).examine(30, 0, 0.1)
    assert time.monotonic() - started < 5
    assert (result.verdict, result.survived, result.as_expected) == (UNDECIDED, False, False)
    assert result.message == "the time limit of 0.1 s is over after 1 examples"
    assert signal.getsignal(signal.SIGALRM) is handler
    assert signal.getitimer(signal.ITIMER_REAL) == pytest.approx(timer, abs=5)  # of pytest-timeout


def test_numpys_error_state_is_restored_after_the_time_limit():
    """np.linalg sets it for the time of a call, and may be interrupted."""

    def interrupted(x):
        np.seterr(invalid="raise")
        forever(x)

    before = np.geterr()
    assert (
        Proposition("name", "statement", interrupted, sampled([1], {"x": int})).examine(1, 0, 0.1).verdict == UNDECIDED
    )
    assert np.geterr() == before


def test_a_domain_that_never_ends_is_undecided():
    for domain in (lambda n: itertools.count(), st.integers().map(forever), sampled([1], {"x": forever})):
        assert Proposition("name", "statement", lambda x: require(True, ""), domain).examine(30, 0, 0.2).verdict == (
            UNDECIDED
        )


def test_a_counterexample_that_is_still_being_made_smaller():
    def slow(x):
        time.sleep(0.02)
        require(x < 1000, f"{x} is large")

    result = Proposition("name", "statement", slow, st.integers(2000, 10**9)).examine(30, 0, 0.5)
    assert result.verdict == REFUTED

    def late(x):
        require(time.sleep(0.2) is None and x < 0, "not negative")

    assert Proposition("name", "statement", late, [1]).examine(1, 0, 0.5).verdict == UNDECIDED  # 10 replays take 2 s


def test_outside_the_main_thread_the_clock_is_looked_at_between_examples():
    found = []

    def slow(x):
        time.sleep(0.05)
        require(True, "")

    proposition = Proposition("name", "statement", slow, range(1000))
    thread = threading.Thread(target=lambda: found.append(proposition.examine(1000, 0, 0.2)))
    thread.start()
    thread.join()
    assert found[0].verdict == UNDECIDED


def test_the_time_limit_of_the_command(tmp_path, capsys):
    path = tmp_path / "mine.py"
    path.write_text(EXITS.replace("sys.exit(0)", "while True: pass"))
    try:
        assert main(["check", "own", "--load", str(path), "--quiet", "--time-limit", "0.1"]) == 1
    finally:
        del CLAIMS["own"]
    out = capsys.readouterr().out
    assert "UNDECIDED [printed] it exits" in out
    assert "undecided: it exits (unexpected)" in out
    assert main(["check", "2-2", "--time-limit", "0"]) == 2
    assert "--time-limit must be above 0; got 0" in capsys.readouterr().err
    for without in ("inf", "1e300"):
        assert main(["check", "2-2", "--examples", "5", "--quiet", "--time-limit", without]) == 0


# Replays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [st.integers(0, 1000), range(1000), enumerated(range(1000), 1000)])
@pytest.mark.parametrize("toss", [lambda rng: rng.random() < 0.5, lambda rng: random.random() < 0.5,
                                  lambda rng: random.random() >= 0.5])  # fmt: skip
def test_a_coin_is_flaky(toss, domain):
    """Hypothesis gives each example the same state of `random`, with which a coin always falls on one side."""
    for false in (False, True):
        rng = np.random.default_rng(0)
        random.seed(0)
        result = examine(lambda x, rng=rng: require(toss(rng), "tails"), domain, 300, false=false)
        assert (result.verdict, result.as_expected) == (FLAKY, False)


def test_a_refutation_is_replayed():
    calls = []

    def check(x):
        calls.append(x)
        require(x < 7, f"{x} is not below 7")

    assert examine(check, enumerated(range(10), 10)).finding() == "smallest counterexample: 7: 7 is not below 7"
    assert calls[8:] == [7] * 10
    once = iter([False])
    result = examine(lambda x: require(next(once, True), "once"), [1])
    assert (result.verdict, result.message) == (FLAKY, "once (the checker rejects it, and then accepts it)")


def test_the_smallest_counterexample_and_the_smallest_found():
    def is_prime(n):
        value = n * n + n + 41
        require(all(value % k for k in range(2, int(value**0.5) + 1)), f"{value} is no prime")

    smallest = examine(is_prime, enumerated(range(1000), 1000), 1000)
    assert smallest.counterexample == 40
    assert smallest.finding() == "smallest counterexample: 40: 1681 is no prime"
    assert examine(is_prime, st.integers(0, 1000), 1000).finding().startswith("smallest counterexample found: ")
    assert examine(is_prime, range(1000), 1000).finding("`") == "smallest counterexample found: `40`: 1681 is no prime"


# Words -----------------------------------------------------------------------------------------------


def test_all_cases_and_examples_have_different_words(monkeypatch, capsys):
    claims = {
        "own": a_claim(Proposition("all", "all", at_most(9), enumerated(range(10), 10))),
        "two": a_claim(Proposition("some", "some", at_most(9), range(10))),
    }
    claims = {number: dataclasses.replace(claim, number=number) for number, claim in claims.items()}
    for module in ("cli", "page"):
        monkeypatch.setattr(f"theory.{module}.CLAIMS", claims)
    assert main(["check", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "all (holds in all 10 cases)" in out
    assert "some (no counterexample in 10 examples)" in out
    rows = [line.split("  ") for line in out.split("\n\n")[0].splitlines()[-2:]]  # of the table
    assert [next(filter(None, row[1:])).strip() for row in rows] == ["holds", "no counterexample"]
    assert main(["check", "own", "two", "--quiet", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)["claims"]
    assert [claim["verdicts"] for claim in data] == [{"statement": HOLDS}, {"statement": NO_COUNTEREXAMPLE}]
    assert [claim["propositions"][0]["verdict"] for claim in data] == [HOLDS, NO_COUNTEREXAMPLE]
    written = pages()
    assert "- *printed* (all 10 cases): all." in written["claim-own.md"]
    assert "- *printed* (10 examples): some." in written["claim-two.md"]


def test_statement_and_printed_proof_have_separate_verdicts():
    whole, part = enumerated(range(10), 10), range(10)
    true = Proposition("theorem", "theorem", at_most(9), whole)
    wrong = Proposition("step", "step", at_most(4), whole, "proof", false=True)
    better = Proposition("better", "better", at_most(9), part, "corrected")
    more = Proposition("more", "more", at_most(9), part, "general")
    instead = Corrected("better", by=("better",))
    verdict = a_claim(true, wrong, better, more, corrected=instead).check()
    assert verdict.as_expected
    assert verdict.outcome == HOLDS
    assert verdict.parts == {
        "statement": HOLDS, "proof": REFUTED, "corrected": NO_COUNTEREXAMPLE, "general": NO_COUNTEREXAMPLE,
    }  # fmt: skip
    assert verdict.words == (
        "statement: holds; printed proof: refuted; corrected statement: no counterexample; "
        "more generally: no counterexample"
    )
    assert a_claim(wrong, better, corrected=instead).check().outcome == NO_COUNTEREXAMPLE  # that of the corrected one
    assert CLAIMS["2-1"].check(5).printed == "proof: refuted"
    assert CLAIMS["1-1"].check(5).printed == "matrix: refuted"


@pytest.mark.parametrize("worst", [BROKEN, REFUTED, FLAKY, UNDECIDED, NO_COUNTEREXAMPLE])
def test_a_part_has_the_worst_verdict_of_its_propositions(worst):
    checks = {BROKEN: lambda x: sys.exit(0), REFUTED: at_most(0), FLAKY: lambda x: require(random.random() < 0.5, ""),
              UNDECIDED: forever, NO_COUNTEREXAMPLE: at_most(9)}  # fmt: skip
    order = list(checks)
    for other in order[order.index(worst) :]:
        several = [Proposition(name, name, checks[name], range(10)) for name in {worst, other}]
        holds = Proposition("holds", "holds", at_most(9), enumerated(range(10), 10))
        verdict = a_claim(*several, holds).check(30, time_limit=0.3)
        assert (verdict.outcome, verdict.as_expected) == (worst, worst == NO_COUNTEREXAMPLE)
