"""Primitives at the sizes that people use, against NumPy: a sample of each sweep, all of it with --full."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from tests.sweeps import layers
from tests.sweeps.bounds import units
from tests.sweeps.sweep import PARTS, SWEEPS, run


@pytest.mark.sweep
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", SWEEPS)
def test_results_are_exact_up_to_rounding(name: str, part: int, full: bool) -> None:
    outcome = run(name, part, PARTS, full)
    bound = SWEEPS[name][3]
    assert outcome.worst <= bound, f"case {outcome.where} of {name} is off by {outcome.worst:.1f} units of rounding"
    assert outcome.cases


def test_a_sweep_has_the_sizes_that_it_is_for() -> None:
    """The sample alone meets what the layers of a strided network are, and most other kinds."""
    cases = [layers.layer(i) for i in range(SWEEPS["convolutions"][2])]
    assert {case.transposed for case in cases} == {case.bias for case in cases} == {True, False}
    assert {1, 3, 64, 128} <= {case.channels for case in cases} & {case.filters for case in cases}
    assert max(max(case.kernel) for case in cases) == 7
    assert max(max(case.stride) for case in cases) == max(max(case.dilation) for case in cases) == 3
    assert max(max(case.height, case.width) for case in cases) >= 64
    assert {case.groups == case.channels > 1 for case in cases} == {True, False}
    few = [case for case in cases if 2 * case.channels < case.filters and max(case.stride) > 1 and not case.transposed]
    assert len(few) >= 5
    assert any(max(case.extra) for case in cases)
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


def test_what_is_not_finite_is_no_small_error() -> None:
    assert units(np.float32([np.nan]), np.ones(1), np.ones(1)) == np.inf
