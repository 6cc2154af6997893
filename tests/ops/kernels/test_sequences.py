"""Sequences: what a cell may do that no primitive does yet, shown by a GRU, which is written here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels.numerics import column_sums
from minigrad.ops.kernels.packing import Inputs, Packing
from minigrad.ops.kernels.sequences import by_gate, groups_of, project, pull_weights, run, run_back
from minigrad.recording import note_of
from tests.checks import Case, check_primitive, leaf
from tests.ops.test_recurrent import in_groups
from tests.strategies import arrays


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@mg.primitive
def gru(x, h0, Wx, Wh, b, bh, lengths: object = None, indices: object = None):
    """A GRU as PyTorch has it, with the reset gate behind the product; the gates in the order r, z, n.

    With p = x Wx + b and a = h Wh + bh, r and z are sigmoids of their blocks of p + a, n = tanh(p_n + r a_n), and
    h' = (1 - z) n + z h. The candidate n takes p and a each by itself, and h reaches h' on a path besides the product.
    """
    N, T = x.shape[:2] if indices is None else np.shape(indices)
    H, dtype = h0.shape[1], np.result_type(x, h0, Wx, Wh, b, bh)
    packing = Packing(N, T, lengths, groups_of(N, H, 3))
    inputs = Inputs(packing, indices)
    rows, first = inputs.rows(x), packing.sort(h0, dtype)
    h, n = (np.empty((len(packing.rows), H), dtype) for _ in range(2))

    def cell(group, t, a, p):
        a += bh.reshape(3, 1, H)
        a[:2] = sigmoid(a[:2] + p[:2])
        (r, z, a_n), step = a, group.step(t)
        n[step] = np.tanh(p[2] + r * a_n)
        h[step] = (1 - z) * n[step] + z * group.before(t, first, h)

    gates = run(packing, inputs, project(rows, Wx, b, dtype), Wh, first, h, cell)
    return packing.unpack(h), (rows, first, h, n, gates, Wx, Wh, packing, inputs)


@gru.vjp
def _(g, needs, rows, h0, h, n, gates, Wx, Wh, packing, inputs):
    dp = np.empty_like(gates)

    def cell_vjp(group, t, cotangents, da):
        (dh,), step = cotangents, group.step(t)
        r, z, a_n = gates[step].reshape(da.shape)
        dp_n = dh * (1 - z) * (1 - n[step] ** 2)
        da[0] = dp_n * a_n * r * (1 - r)
        da[1] = dh * (group.before(t, h0, h) - n[step]) * z * (1 - z)
        da[2] = dp_n
        by_gate(dp[step], h.shape[1])[...] = da
        da[2] *= r
        dh *= z
        return dh

    (dh0,), da = run_back(packing, Wh, [packing.pack(g)], h.dtype, cell_vjp)
    weights = pull_weights(needs, da, dp, rows, h0, h, Wx, packing, inputs)
    return weights[0], dh0 if needs[1] else None, *weights[1:], column_sums(da) if needs[5] else None


def gru_step(x, h, Wx, Wh, b, bh):
    """One step, of simpler primitives."""
    p, a, H = x @ Wx + b, h @ Wh + bh, h.shape[1]
    r, z = (mg.ops.sigmoid((p + a)[:, k * H : (k + 1) * H]) for k in range(2))
    n = mg.ops.tanh(p[:, 2 * H :] + r * a[:, 2 * H :])
    return (1 - z) * n + z * h


@gru.reference
def _(x, h0, Wx, Wh, b, bh, lengths=None, indices=None):
    x = x if indices is None else mg.ops.embedding(indices, x)
    states = [h0]
    for t in range(x.shape[1]):
        states.append(gru_step(x[:, t], states[-1], Wx, Wh, b, bh))
    whole = mg.ops.stack(states, axis=1)[:, 1:]
    if lengths is None:
        return whole
    return mg.ops.where((np.asarray(lengths)[:, None] > np.arange(x.shape[1]))[:, :, None], whole, 0.0)


@st.composite
def gru_cases(draw):
    N, T, D, H = (draw(st.integers(low, high)) for low, high in ((0, 3), (0, 4), (0, 3), (1, 3)))
    shapes, options = [(N, T, D), (N, H), (D, 3 * H), (H, 3 * H), (3 * H,), (3 * H,)], {}
    if draw(st.booleans()):
        options["lengths"] = np.array(draw(st.lists(st.integers(0, T), min_size=N, max_size=N)), int)
    if draw(st.booleans()):
        shapes[0] = V, D = draw(st.integers(1, 4)), D
        options["indices"] = draw(arrays((N, T), 0, V - 1e-6, layouts=("C",))).astype(int)
    return Case([draw(arrays(shape, -1, 1)) for shape in shapes], options)


@given(gru_cases())
def test_a_cell_may_use_the_state_besides_the_product(case):
    check_primitive(gru, case)


@pytest.mark.parametrize("threads", [1, 2, 3])
@given(data=st.data())
def test_a_cell_may_use_the_state_besides_the_product_in_groups(threads, data):
    with in_groups(threads):
        check_primitive(gru, data.draw(gru_cases()))


@pytest.mark.parametrize("threads", [1, 2])
def test_what_is_noted_at_a_step_comes_on_both_paths(threads):
    """As of the same steps written as a loop."""
    rng = np.random.default_rng(0)
    x, h0, *weights = (leaf(rng.standard_normal(s)) for s in ((2, 5, 3), (2, 4), (3, 12), (4, 12), (12,), (12,)))
    pulled = rng.standard_normal((2, 5, 4))
    with mg.record(), in_groups(threads):
        whole = gru(x, h0, *weights)
        (whole * pulled).sum().backward()
        steps = [h0]
        for t in range(5):
            steps.append(gru_step(x[:, t], steps[-1], *weights))
        sum((state * pulled[:, t]).sum() for t, state in enumerate(steps[1:])).backward()
    expected = [note_of(state.node).gradients[0].norm for state in steps[1:]]
    assert note_of(whole.node).gradient_steps[0] == pytest.approx(expected)
