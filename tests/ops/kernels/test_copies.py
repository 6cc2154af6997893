"""Copies of sequences: the rows of a packing repeated, and what comes apart again as it was joined."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops.kernels.copies import Copies
from minigrad.ops.kernels.slopes import of_step
from tests.ops.kernels.test_packing import packings


@given(packings(), st.integers(1, 3))
def test_rows_and_first_states_are_those_of_the_sequences_each_repeated(case, R):
    _, packing = case
    many = Copies(packing, R, H=1).packing
    copies = np.arange(R)
    np.testing.assert_array_equal(many.order, (packing.order[:, None] * R + copies).ravel())
    np.testing.assert_array_equal(many.rows, (packing.rows[:, None] * R + copies).ravel())
    np.testing.assert_array_equal(many.times, np.repeat(packing.times, R))
    assert (many.N, many.T, many.steps, many.widest) == (R * packing.N, packing.T, packing.steps, R * packing.widest)
    for group, of in zip(many.groups, packing.groups, strict=True):
        assert group.first == slice(of.first.start * R, of.first.stop * R)
        assert (group.steps, group.alive) == (of.steps, [n * R for n in of.alive])
        assert group.starts == [m * R for m in of.starts]


@given(packings(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 3))
def test_what_is_joined_comes_apart_again(case, R, S, H):
    _, packing = case
    copies = Copies(packing, R, H)
    M = len(packing.rows)
    g = np.random.default_rng(0).standard_normal((R, M, S * H))
    np.testing.assert_array_equal(copies.part(copies.join(g)), g)
    np.testing.assert_array_equal(copies.part_steps(copies.join_steps(g)), g)
    np.testing.assert_array_equal(copies.repeat(g[0]), copies.join(np.stack([g[0]] * R)))
    np.testing.assert_array_equal(copies.repeat_steps(g[0]), copies.join_steps(np.stack([g[0]] * R)))


@given(packings(), st.integers(1, 3))
def test_a_step_of_copies_has_the_gates_first(case, R):
    _, packing = case
    copies = Copies(packing, R, H=2)
    g = np.random.default_rng(0).standard_normal((R, len(packing.rows), 6))
    joined = copies.join_steps(g)
    for group, many in zip(packing.groups, copies.packing.groups, strict=True):
        for t in range(group.steps):
            found = of_step(joined, many.step(t), 2).reshape(3, group.alive[t], R, 2)
            for r in range(R):
                np.testing.assert_array_equal(found[:, :, r], of_step(g[r], group.step(t), 2))
