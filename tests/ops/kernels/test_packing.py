"""Packing: every step that there is has one row, each group's steps are slices, and states are found by slices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops.kernels.packing import Inputs, Packing, of_step


@st.composite
def packings(draw):
    """Sequences of drawn lengths, and their packing in so many groups."""
    N, T = draw(st.integers(1, 6)), draw(st.integers(0, 5))
    lengths = np.array(draw(st.lists(st.integers(0, T), min_size=N, max_size=N)))
    return lengths, Packing(N, T, lengths, draw(st.integers(1, N)))


@given(packings())
def test_every_step_before_an_end_has_one_row(case):
    lengths, packing = case
    found = sorted(zip(packing.rows.tolist(), packing.times.tolist(), strict=True))
    assert found == [(n, t) for n, length in enumerate(lengths) for t in range(length)]
    assert packing.steps == lengths.max()


@given(packings())
def test_a_step_is_a_slice_of_live_rows(case):
    lengths, packing = case
    for group in packing.groups:
        members = packing.order[group.first]
        for t in range(group.steps):
            alive = packing.rows[group.step(t)]
            np.testing.assert_array_equal(alive, members[: group.alive[t]])
            assert sorted(alive) == sorted(n for n in members if lengths[n] > t)
            assert set(packing.times[group.step(t)]) == {t}
            assert len(alive) <= packing.widest


@given(packings())
def test_unpacking_undoes_packing(case):
    lengths, packing = case
    x = np.random.default_rng(0).standard_normal((packing.N, packing.T, 2))
    alive = lengths[:, None] > np.arange(packing.T)
    np.testing.assert_array_equal(packing.unpack(packing.pack(x)), np.where(alive[..., None], x, 0))
    first = x.sum(axis=1)
    np.testing.assert_array_equal(packing.unsort(packing.sort(first, first.dtype)), first)


@given(packings())
def test_a_row_starts_from_the_state_before_it(case):
    """The state after step t of sequence n is 10 n + t here, the initial one 10 n - 1."""
    _, packing = case
    first = packing.sort(10.0 * np.arange(packing.N)[:, None] - 1, float)
    after = (10.0 * packing.rows + packing.times)[:, None]
    np.testing.assert_array_equal(packing.states_before(first, after), after - 1)
    rng, cotangents = np.random.default_rng(0), np.zeros_like(after)
    g = rng.standard_normal(after.shape)
    dfirst = packing.pull_before(g, cotangents)
    back = np.vdot(packing.sort(dfirst, float), first) + np.vdot(cotangents, after)
    np.testing.assert_allclose(np.vdot(g, after - 1), back, atol=1e-10)


@given(packings(), st.integers(1, 4))
def test_inputs_by_index_are_looked_up_and_their_cotangents_summed(case, U):
    _, packing = case
    rng = np.random.default_rng(0)
    indices, table = rng.integers(0, U, (packing.N, packing.T)), rng.standard_normal((U, 3))
    inputs = Inputs(packing, indices)
    rows = inputs.rows(table)
    taken = packing.pack(table[indices])
    for group in packing.groups:
        for t in range(group.steps):
            np.testing.assert_array_equal(inputs.take(rows, group.step(t)), taken[group.step(t)])
    expected = np.zeros((U, 3))
    np.add.at(expected, indices[packing.rows, packing.times], taken)
    np.testing.assert_allclose(inputs.unpack(inputs.gather(taken, U)), expected, atol=1e-12)


@given(packings(), st.integers(1, 3))
def test_rows_and_first_states_are_those_of_the_sequences_each_repeated(case, R):
    _, packing = case
    many, copies = packing.repeated(R), np.arange(R)
    for mine, of in ((many.order, packing.order), (many.rows, packing.rows)):
        np.testing.assert_array_equal(mine, (of[:, None] * R + copies).ravel())
    np.testing.assert_array_equal(many.times, np.repeat(packing.times, R))
    assert (many.N, many.T, many.steps, many.widest) == (R * packing.N, packing.T, packing.steps, R * packing.widest)
    for group, of in zip(many.groups, packing.groups, strict=True):
        assert group.first == slice(of.first.start * R, of.first.stop * R)
        assert (group.alive, group.starts) == ([n * R for n in of.alive], [m * R for m in of.starts])


@given(packings(), st.data())
def test_what_steps_keep_moves_with_the_rows_of_another_packing(case, data):
    lengths, packing = case
    S, H = 3, 2
    names = np.arange(len(packing.rows) * S * H).reshape(-1, S * H)  # of a row: S arrays of H numbers
    kept = _by_steps(packing, names, S, H)
    R = data.draw(st.integers(1, 3))
    repeated, places = packing.repeated(R), np.repeat(np.arange(len(names)), R)
    np.testing.assert_array_equal(packing.moved(kept, repeated, places, H), _by_steps(repeated, names[places], S, H))
    shorter, places = packing.shortened(np.array([data.draw(st.integers(0, n)) for n in lengths]))
    np.testing.assert_array_equal(packing.rows[places], shorter.rows)
    np.testing.assert_array_equal(packing.times[places], shorter.times)
    np.testing.assert_array_equal(packing.moved(kept, shorter, places, H), _by_steps(shorter, names[places], S, H))


def _by_steps(packing, rows, S, H):
    """Rows (M, S H) in the layout of `of_step`."""
    kept = np.empty_like(rows)
    for group in packing.groups:
        for t in range(group.steps):
            of_step(kept, group.step(t), H)[...] = rows[group.step(t)].reshape(-1, S, H).swapaxes(0, 1)
    return kept
