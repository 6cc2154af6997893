"""The reverse loop of recurrent layers as a primitive, and an LSTM's slopes: against references and differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigrad.ops import through_time
from minigrad.ops.kernels import slopes as kernels
from minigrad.ops.kernels.packing import Packing
from minigrad.ops.kernels.sequences import run_back
from tests.checks import Case, check_primitive
from tests.strategies import arrays


@st.composite
def packings(draw):
    """Of one row or more: without any the references depend on nothing, which a gradient check refuses."""
    N, T = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    lengths = np.array(draw(st.lists(st.integers(0, T), min_size=N, max_size=N)), int)
    lengths[draw(st.integers(0, N - 1))] = T
    return Packing(N, T, lengths, draw(st.integers(1, N)))


@st.composite
def loops(draw):
    """Of an RNN or an LSTM; cotangents of its c and of pre-activations may be left out."""
    packing, H = draw(packings()), draw(st.integers(1, 2))
    M, (S, gates) = len(packing.rows), draw(st.sampled_from([(1, 1), (6, 4)]))
    arriving = [(M, H), (M, H) if gates == 4 else None, (M, gates * H)]
    there = [shape is not None and (k == 0 or draw(st.booleans())) for k, shape in enumerate(arriving)]
    shapes = [(M, S * H), (H, gates * H), *(shape if t else None for shape, t in zip(arriving, there, strict=True))]
    inputs = [None if shape is None else draw(arrays(shape, -1, 1)) for shape in shapes]
    return Case(inputs, {"packing": packing})


@st.composite
def slopes_cases(draw):
    packing, H = draw(packings()), draw(st.integers(1, 2))
    M = len(packing.rows)
    gates = draw(arrays((M, 4 * H), 0.2, 3))
    return Case([gates, draw(arrays((M, H))), draw(arrays((M, H)))], {"packing": packing})


@st.composite
def gru_loops(draw):
    """Cotangents of the products may be left out, and those of states."""
    packing, H = draw(packings()), draw(st.integers(1, 2))
    M = len(packing.rows)
    arriving = [shape if draw(st.booleans()) else None for shape in ((M, H), (3, M, H))]
    if arriving == [None, None]:
        arriving[0] = M, H  # else all is 0
    shapes = [(4, M, H), (H, 3 * H), *arriving]
    return Case([None if shape is None else draw(arrays(shape, -1, 1)) for shape in shapes], {"packing": packing})


CASES = {"pull_through_time": loops(), "pull_gru_through_time": gru_loops(), "lstm_slopes": slopes_cases()}
FUNCTIONS = {name: getattr(through_time, name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


@pytest.mark.parametrize("gates", [1, 4])
@given(packings())
def test_pushing_is_the_transpose_of_pulling(gates, packing):
    rng = np.random.default_rng(0)
    N, M, H = packing.N, len(packing.rows), 2
    slopes = rng.standard_normal((M, {1: 1, 4: 6}[gates] * H))
    Wh, p, inside = (rng.standard_normal(s) for s in ((H, gates * H), (M, gates * H), (M, gates * H)))
    first, outside = ([rng.standard_normal((n, H)) for _ in range(1 + (gates == 4))] for n in (N, M))
    a, states = kernels.push(packing, Wh, slopes, p, first)
    cotangents, da, _ = kernels.pull(packing, Wh, slopes, outside, inside)
    there = np.vdot(inside, a) + sum(map(np.vdot, outside, states))
    back = np.vdot(da, p) + sum(np.vdot(packing.sort(d, float), f) for d, f in zip(cotangents, first, strict=True))
    np.testing.assert_allclose(there, back, rtol=1e-10, atol=1e-12)


@given(packings())
def test_the_slopes_of_an_lstm_pull_as_its_cell_does(packing):
    from minigrad.ops.kernels.cells import lstm_states_vjp

    rng = np.random.default_rng(0)
    M, H = len(packing.rows), 2
    gates, Wh = np.exp(rng.standard_normal((M, 4 * H))), rng.standard_normal((H, 4 * H))
    c0, c, gh, gc = (rng.standard_normal((n, H)) for n in (packing.N, M, M, M))

    def cell_vjp(group, t, cotangents, da):
        step = group.step(t)
        of_step = kernels.of_step(gates, step, H)
        lstm_states_vjp(*cotangents, of_step, group.before(t, c0, c), np.tanh(c[step]), da)

    expected, da = run_back(packing, Wh, (gh, gc), float, cell_vjp)
    slopes = kernels.lstm_slopes(gates, packing.states_before(c0, c), c, packing)
    found, da_by_slopes, _ = kernels.pull(packing, Wh, slopes, (gh, gc))
    for mine, theirs in zip([*found, da_by_slopes], [*expected, da], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("far", [0.4, 0.98])
def test_slopes_and_their_derivatives_are_finite_and_exact_in_the_tails(far, dtype):
    """Gates that are open or closed, against the same with more digits; exact as long as u^2 = e^-2a is a number."""
    top = far * np.log(np.finfo(dtype).max)
    a = np.concatenate([np.linspace(-top, top, 7), [-1, 2]])
    gates = np.stack([np.exp(-a), np.exp(-a), np.exp(-a), np.tanh(np.linspace(-2, 2, 9))], axis=1)
    packing = Packing(9, 1)
    before, c = np.linspace(-1, 1, 9)[:, None], np.linspace(1, -2, 9)[:, None]
    gates = np.ascontiguousarray(gates.T.reshape(9, 4))  # in the order of steps
    d = np.random.default_rng(0).standard_normal((9, 6))

    def computed(kind):
        arrays = [x.astype(dtype).astype(kind) for x in (gates, before, c, d)]
        slopes = kernels.lstm_slopes(*arrays[:3], packing)
        return [slopes, *kernels.lstm_slopes_vjp(arrays[3], *arrays[:3], packing)]

    with np.errstate(all="raise", under="ignore"):
        found = computed(dtype)
    for mine, exact in zip(found, computed(np.longdouble), strict=True):
        assert np.isfinite(mine).all()
        most = np.finfo(dtype).tiny ** (0.9 if far < 0.5 else 0.4)
        np.testing.assert_allclose(mine, exact.astype(float), rtol=60 * np.finfo(dtype).eps, atol=most)


@given(packings())
def test_pushing_a_gru_is_the_transpose_of_pulling_it(packing):
    rng = np.random.default_rng(0)
    N, M, H = packing.N, len(packing.rows), 2
    shapes = (4, M, H), (H, 3 * H), (M, 3 * H), (3, M, H), (N, H), (M, H), (M, H)
    slopes, Wh, p, inside, h0, outside, arriving = (rng.standard_normal(s) for s in shapes)
    a, h = kernels.push_gru(packing, Wh, slopes, p, arriving, packing.sort(h0, float))
    da, dh0, total = kernels.pull_gru(packing, Wh, slopes, outside, inside)
    back = np.vdot(da, p) + np.vdot(dh0, h0) + np.vdot(total, arriving)
    np.testing.assert_allclose(np.vdot(inside, a) + np.vdot(outside, h), back, rtol=1e-10, atol=1e-12)


def test_the_cost_is_the_products_of_the_steps():
    packing = Packing(3, 2, [2, 0, 1])
    inputs = [(3, 6 * 5), (5, 20), (3, 5), (3, 5), None]
    assert through_time.pull_through_time.primitive.cost(inputs, (3, 20), {"packing": packing}) == 3 * 5 * 20
    inputs = [(4, 3, 5), (5, 15), (3, 5), None]
    assert through_time.pull_gru_through_time.primitive.cost(inputs, (3, 15), {"packing": packing}) == 3 * 5 * 15
