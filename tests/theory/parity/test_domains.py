"""The sequences that parity is tried on."""

from __future__ import annotations

import pytest

from theory.parity.domains import DENSITIES, densities_and_seeds


@pytest.mark.parametrize("examples", [1, 3, 4, 30])
def test_no_density_is_missed(examples):
    cases = list(densities_and_seeds(examples))
    assert len(set(cases)) == len(cases) >= examples
    for density in DENSITIES:
        assert sum(case[0] == density for case in cases) == -(-examples // 3)
