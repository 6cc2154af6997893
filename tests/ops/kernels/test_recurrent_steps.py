"""Sequences: the loops by themselves, with a cell that is linear, beside the same written step by step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops.kernels.packing import Inputs, Packing
from minigrad.ops.kernels.recurrent_steps import run, run_back
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
    return h


@given(problems())
def test_forwards(problem):
    """The states, and what the cell leaves of the product, which is kept."""
    packing, lengths, p, h0, Wh = problem
    kept = np.full(p.shape, np.nan)
    h, H = forward(packing, p, h0, Wh, kept), h0.shape[1]
    inputs, found = packing.unpack(p), packing.unpack(h)
    for n, length in enumerate(lengths):
        state = h0[n]
        for t in range(length):
            both = state @ Wh + inputs[n, t]
            state = both[:H] + both[H:] + state / 2
            np.testing.assert_allclose(found[n, t], state, rtol=1e-12, atol=1e-12)
    products = 2 * packing.states_before(packing.sort(h0, float), h) @ Wh
    for group in packing.groups:
        for t in range(group.steps):
            expected = products[group.step(t)].reshape(-1, 2, H).swapaxes(0, 1)
            np.testing.assert_allclose(kept[group.step(t)].reshape(2, -1, H), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 3])
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
