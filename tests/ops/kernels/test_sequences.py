"""Sequences: the loops by themselves, with a cell that is linear, beside the same written step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops.kernels import sequences
from minigrad.ops.kernels.packing import Inputs, Packing
from minigrad.ops.kernels.sequences import run, run_back
from tests.ops.test_recurrent import in_groups


@st.composite
def problems(draw):
    """A packing of unlike lengths in some groups, and arrays for it: p, h0 and Wh of two gates."""
    N, T, H = (draw(st.integers(low, 3)) for low in (1, 0, 1))
    lengths = np.array(draw(st.lists(st.integers(0, T), min_size=N, max_size=N)), int)
    packing = Packing(N, T, lengths, draw(st.integers(1, N)))
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    p, h0, Wh = (rng.standard_normal(s) for s in ((len(packing.rows), 2 * H), (N, H), (H, 2 * H)))
    return packing, lengths, p, h0, Wh


def forward(packing, p, h0, Wh, kept=None):
    """h' = sum of both gates of h Wh + p, plus h / 2; the cell doubles what it leaves of the product."""
    first, h = packing.sort(h0, float), np.empty((len(p), h0.shape[1]))

    def cell(group, t, a, p):
        h[group.step(t)] = (a + p).sum(axis=0) + group.before(t, first, h) / 2
        a *= 2

    run(Inputs(packing), p, Wh, first, h, cell, kept)
    return first, h


@given(problems())
def test_forwards(problem):
    packing, lengths, p, h0, Wh = problem
    _, h = forward(packing, p, h0, Wh)
    inputs, found, H = packing.unpack(p), packing.unpack(h), h0.shape[1]
    for n, length in enumerate(lengths):
        state = h0[n]
        for t in range(length):
            both = state @ Wh + inputs[n, t]
            state = both[:H] + both[H:] + state / 2
            np.testing.assert_allclose(found[n, t], state, rtol=1e-12, atol=1e-12)


@given(problems())
def test_what_the_cell_leaves_is_kept(problem):
    packing, _, p, h0, Wh = problem
    kept = np.full(p.shape, np.nan)
    first, h = forward(packing, p, h0, Wh, kept)
    H = h0.shape[1]
    for group in packing.groups:
        for t in range(group.steps):
            a = kept[group.step(t)].reshape(2, group.alive[t], H)
            expected = 2 * group.before(t, first, h) @ Wh
            np.testing.assert_allclose(a, expected.reshape(-1, 2, H).swapaxes(0, 1), rtol=1e-12, atol=1e-12)


def test_the_steps_of_a_group_use_the_same_memory_if_nothing_is_kept():
    packing, seen = Packing(3, 4, [4, 2, 3]), []
    h = np.empty((9, 2))

    def cell(group, t, a, p):
        seen.append((a.__array_interface__["data"][0], a.shape))
        h[group.step(t)] = a[0]

    run(Inputs(packing), np.zeros((9, 6)), np.ones((2, 6)), np.zeros((3, 2)), h, cell)
    assert len({address for address, _ in seen}) == 1
    assert [shape for _, shape in seen] == [(3, 3, 2), (3, 3, 2), (3, 2, 2), (3, 1, 2)]


def test_weights_are_prepared_in_the_dtype_of_the_states(monkeypatch):
    """What is prepared of them may be read as it lies in memory."""
    met, packing = [], Packing(2, 3)
    prepare = sequences.multiplier
    monkeypatch.setattr(
        sequences, "multiplier", lambda W, *sizes, **how: met.append(W.dtype) or prepare(W, *sizes, **how)
    )
    Wh, h = np.ones((2, 2), np.float32), np.empty((6, 2))

    def cell(group, t, a, p):
        h[group.step(t)] = a[0]

    def cell_vjp(group, t, cotangents, da):
        da[...] = cotangents[0]

    run(Inputs(packing), np.zeros((6, 2)), Wh, np.zeros((2, 2)), h, cell)
    run_back(packing, Wh, [h], float, cell_vjp)
    assert met == [np.float64, np.float64]


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("direct", [True, False])
@given(problem=problems())
def test_backwards_is_the_transpose(problem, direct, threads):
    """<u, h> of changes p and h0 is what comes back to them, with a direct path of the state and without one."""
    packing, _, p, h0, Wh = problem
    first, h = packing.sort(h0, float), np.empty((len(p), h0.shape[1]))

    def cell(group, t, a, p):
        h[group.step(t)] = (a + p).sum(axis=0) + (group.before(t, first, h) / 2 if direct else 0)

    def cell_vjp(group, t, cotangents, da):
        da[...] = cotangents[0]
        return cotangents[0] / 2 if direct else None

    outside = np.random.default_rng(0).standard_normal(h.shape)
    with in_groups(threads):
        run(Inputs(packing), p, Wh, first, h, cell)
        (dh0,), da = run_back(packing, Wh, [outside], float, cell_vjp)
    np.testing.assert_allclose(np.vdot(outside, h), np.vdot(da, p) + np.vdot(dh0, h0), rtol=1e-10, atol=1e-10)
