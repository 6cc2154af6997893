"""Primitives at the sizes that people use, against NumPy: a sample of each sweep, all of it with --full."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minigrad as mg
from tests.sweeps import layers
from tests.sweeps.bounds import Found, Outcome, Reach, join, units
from tests.sweeps.sweep import SWEEPS, run
from tests.test_registry import RECORDS


@pytest.mark.sweep
@pytest.mark.parametrize("name", SWEEPS)
def test_results_are_exact_up_to_rounding(name: str, full: bool) -> None:
    outcome = run(name, full=full)
    bound = SWEEPS[name][3]
    assert outcome.worst <= bound, f"case {outcome.where} of {name} is off by {outcome.worst:.1f} units of rounding"
    assert outcome.cases


def test_a_sweep_has_the_sizes_that_it_is_for() -> None:
    """Few cases have what the layers of a strided network have, and most other kinds."""
    cases = [layers.layer(i) for i in range(160)]
    assert {case.transposed for case in cases} == {case.bias for case in cases} == {True, False}
    assert {1, 3, 64, 128} <= {case.channels for case in cases} & {case.filters for case in cases}
    assert max(max(case.kernel) for case in cases) == 7
    assert {case.groups == case.channels > 1 for case in cases} == {True, False}
    assert len(set(cases)) == len(cases)


def test_a_wrong_term_is_far_beyond_rounding() -> None:
    """One missing product of 1,152 is some hundred units."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 128, 9, 9), np.float32), rng.standard_normal((1, 128, 3, 3), np.float32)
    y = mg.ops.conv2d(x, w).data
    magnitudes = mg.ops.conv2d(np.abs(x), np.abs(w)).data
    exact = mg.ops.conv2d(x.astype(np.float64), w.astype(np.float64)).data
    assert units(y, exact, magnitudes) < layers.BOUND
    w[0, 5, 1, 1] = 0
    assert units(mg.ops.conv2d(x, w).data, exact, magnitudes) > 100


@pytest.mark.parametrize("name", [name for name in SWEEPS if name != "convolutions"])
def test_a_gradient_that_is_off_by_a_ten_thousandth_is_seen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _, _, bound = SWEEPS[name]
    measured = list(found(0))
    assert max(result.error for result in measured) <= bound
    record = RECORDS[measured[0].primitive]
    rule = record.vjp

    def off(*given: Any) -> Any:
        return tuple(None if d is None else d * np.float32(1.0001) for d in rule(*given))

    monkeypatch.setattr(record, "vjp", off)
    assert max(result.error for result in found(0)) > bound


def test_of_each_primitive_the_worst_and_the_largest_are_kept() -> None:
    one, other = Outcome(), Outcome()
    one.add(0, [Found("exp", (3, 2), 1.5), Found("exp", (5,), 2.0), Found("log", (1,), 0.5)])
    other.add(1, [Found("exp", (7,), 0.1), Found("log", (), 3.0)])
    total = join([one, other])
    assert total.reaches["exp"] == Reach(2.0, (7,))
    assert total.reaches["log"] == Reach(3.0, (1,))
    assert (total.cases, total.worst, total.where) == (2, 3.0, 1)


def test_what_is_not_finite_is_no_small_error() -> None:
    assert units(np.float32([np.nan]), np.ones(1), np.ones(1)) == np.inf
    assert units(np.ones(1, np.float32), np.array([np.nan]), np.ones(1)) == np.inf
