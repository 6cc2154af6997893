"""Scans: recurrent layers in one call of machine code, beside the same steps in NumPy."""

from __future__ import annotations

import importlib
import importlib.util
import math
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.compiler import scan
from minigrad.compiler.tracing import Untraceable
from minigrad.observers import Observer, observing
from minigrad.ops.kernels import recurrent_steps
from minigrad.ops.kernels.packing import Inputs, Packing
from minigrad.runtime import blas
from tests.checks import leaf, pull
from tests.ops.test_recurrent import GATES, in_groups, shapes_of

fused = importlib.import_module("minigrad.compiler.fused")

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("llvmlite") is None, reason="no llvmlite"),
    pytest.mark.skipif(blas.gemm(np.dtype(float)) is None, reason="no OpenBLAS"),
]


@contextmanager
def compiled(yes):
    """Compile all cells, or none; yields the layouts of the scans that run."""
    layouts = []

    def counted(layout, *rest):
        layouts.append(layout)
        scan.run_scan(layout, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "_worth_a_call", lambda: 1 if yes else math.inf)
        patch.setattr(recurrent_steps, "run_scan", counted)
        yield layouts


def both_ways(function, inputs, cotangents, scans=2):
    """Outputs and gradients: by a scan, and by NumPy."""
    found = []
    for yes in (True, False):
        with compiled(yes) as layouts:
            outputs, grads = pull(function, [leaf(x) for x in inputs], cotangents)
        assert len(layouts) == (scans if yes else 0)
        found.append([*outputs, *grads])
    return found


def problem(name, N, T, D, H, dtype, seed=0):
    """Inputs and cotangents of a layer, c0 included."""
    rng = np.random.default_rng(seed)
    shapes = shapes_of(name, N, T, D, H) + [(N, H)] * (name == "lstm")
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    inputs[3] /= dtype(H**0.5)  # the errors of early steps do not grow
    return inputs, [rng.standard_normal((N, T, H)).astype(dtype) for _ in range(1 + (name == "lstm"))]


def assert_close(found, expected, times=30):
    for mine, theirs in zip(found, expected, strict=True):
        assert mine.dtype == theirs.dtype
        finite = theirs[np.isfinite(theirs)]
        atol = times * np.finfo(theirs.dtype).eps * (1 + np.abs(finite).max(initial=0))
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GATES)
@settings(max_examples=25)
@given(N=st.integers(1, 5), T=st.integers(1, 6), H=st.integers(1, 40), shorter=st.booleans(), indexed=st.booleans(),
       threads=st.sampled_from([1, 3]), seed=st.integers(0, 99))  # fmt: skip
def test_agrees_with_the_steps_in_numpy(name, dtype, N, T, H, shorter, indexed, threads, seed):
    inputs, cotangents = problem(name, N, T, 3, H, dtype, seed)
    rng = np.random.default_rng(seed)
    options = {"lengths": rng.integers(0, T + 1, N)} if shorter else {}
    options.setdefault("lengths", np.full(N, T))[0] = T  # some row
    if indexed:
        options["indices"] = rng.integers(0, 4, (N, T))
        inputs[0] = rng.standard_normal((4, 3)).astype(dtype)
    with in_groups(threads):
        assert_close(*both_ways(partial(getattr(mg.ops, name), **options), inputs, cotangents), times=100)


@pytest.mark.parametrize("used", [0, 1])
def test_a_state_without_a_cotangent(used):
    inputs, cotangents = problem("lstm", 3, 4, 2, 5, np.float64)
    assert_close(*both_ways(lambda *a: mg.ops.lstm(*a)[used], inputs, cotangents[used : used + 1]))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, -1e30, -0.0])
def test_entries_that_are_not_finite_or_huge(name, value):
    inputs, cotangents = problem(name, 3, 5, 4, 20, np.float32)
    inputs[0][1, 2] = value
    with np.errstate(all="ignore"):
        found, expected = both_ways(getattr(mg.ops, name), inputs, cotangents)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_both_tails_of_a_sigmoid(name):
    """Tiny derivatives keep their leading digits, at pre-activations of both signs."""
    H = 100
    inputs, cotangents = problem(name, 1, 1, 1, H, np.float64)  # one row, so that no sum cancels
    tails = np.geomspace(1e-3, 600, (GATES[name] - 1) * H) * np.resize([1, -1], (GATES[name] - 1) * H)
    inputs[2:4] = (0 * W for W in inputs[2:4])
    inputs[4] = np.concatenate([tails, np.full(H, 0.5)])
    found, expected = both_ways(getattr(mg.ops, name), inputs, cotangents)
    for mine, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", GATES)
def test_other_layouts_and_dtypes(name):
    """Half precision, inputs of several dtypes, columns first, read-only."""
    inputs, cotangents = problem(name, 4, 3, 2, 5, np.float64)
    for changed in (
        [x.astype(np.float16) for x in inputs], [np.asfortranarray(x) for x in inputs],
        [inputs[0].astype(np.float32), *inputs[1:]], [x.astype(">f8") for x in inputs],
        [np.broadcast_to(x[:1], x.shape) for x in inputs],
    ):  # fmt: skip
        assert_close(*both_ways(getattr(mg.ops, name), changed, [np.asfortranarray(g) for g in cotangents]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, ">i8"])
def test_indices_of_other_dtypes(dtype):
    inputs, cotangents = problem("rnn", 3, 4, 2, 5, np.float64)
    inputs[0] = np.arange(8.0).reshape(4, 2)
    indices = np.arange(12).reshape(4, 3).T.astype(dtype) % 4
    assert_close(*both_ways(partial(mg.ops.rnn, indices=indices), inputs, cotangents))


def test_empty_batches_and_sequences():
    for N, T in ((0, 3), (3, 0), (2, 3)):
        inputs, cotangents = problem("lstm", N, T, 2, 3, np.float32)
        function = partial(mg.ops.lstm, lengths=np.zeros(N, int))
        assert_close(*both_ways(function, inputs, cotangents, scans=0))


@pytest.mark.parametrize("name", GATES)
def test_runs_are_repeated_to_the_last_bit(name):
    inputs, cotangents = problem(name, 30, 5, 7, 64, np.float32)
    with in_groups(2), compiled(True):
        first, second = (pull(getattr(mg.ops, name), [leaf(x) for x in inputs], cotangents) for _ in range(2))
    for mine, again in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
        np.testing.assert_array_equal(mine, again)


def test_another_length_compiles_nothing():
    for N, T, D, H in ((3, 4, 2, 5), (5, 9, 3, 6)):
        inputs, cotangents = problem("gru", N, T, D, H, np.float32)
        before = scan._compiled.cache_info().misses
        with compiled(True) as layouts:
            pull(mg.ops.gru, [leaf(x) for x in inputs], cotangents)
        assert len(layouts) == 2
    assert scan._compiled.cache_info().misses == before


# --- what goes the NumPy way ------------------------------------------------------------------------------


def test_an_observer_of_steps_sees_all_cotangents():
    class Steps(Observer):
        stepwise = True
        seen = 0

        def step(self, t, *states):
            self.seen += 1

    inputs, cotangents = problem("lstm", 3, 4, 2, 5, np.float64)
    with compiled(True) as layouts, observing(observer := Steps()):
        pull(mg.ops.lstm, [leaf(x) for x in inputs], cotangents)
    assert [layout.back for layout in layouts] == [False]
    assert observer.seen == 4


@pytest.mark.parametrize("name", GATES)
def test_second_derivatives(name):
    """Cotangents of the hidden outputs arrive, too, which a scan does not take."""
    inputs, _ = problem(name, 2, 3, 2, 4, np.float64)
    found = []
    for yes in (True, False):
        with compiled(yes) as layouts:

            def squared(*x):
                y = getattr(mg.ops, name)(*x)
                return ((y[0] if name == "lstm" else y) ** 2).sum()

            def slope(*x):
                return sum((d**2).sum() for d in mg.grad(squared, tuple(range(len(x))))(*x))

            found.append([d.numpy() for d in mg.grad(slope, tuple(range(len(inputs))))(*inputs)])
            assert bool(layouts) == yes
    assert_close(*found, times=1000)


def test_another_blas(monkeypatch):
    monkeypatch.setattr(blas, "gemm", lambda dtype: None)
    inputs, cotangents = problem("gru", 3, 4, 2, 5, np.float64)
    for mine, theirs in zip(*both_ways(mg.ops.gru, inputs, cotangents, scans=0), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_products_by_mkl(monkeypatch):
    monkeypatch.setattr(recurrent_steps, "packs", lambda W, dtype: True)
    inputs, cotangents = problem("rnn", 3, 4, 2, 5, np.float64)
    both_ways(mg.ops.rnn, inputs, cotangents, scans=0)


def test_extended_precision():
    inputs, cotangents = problem("rnn", 3, 4, 2, 5, np.longdouble)
    both_ways(mg.ops.rnn, inputs, cotangents, scans=0)


# --- cells ------------------------------------------------------------------------------------------------

UFUNCS = [np.add, np.subtract, np.multiply, np.maximum, np.minimum]


@st.composite
def cells(draw):
    """A cell that computes at random in place, on stacks and on their parts."""
    names = ["a", "a0", "a1", "s", "s1", "h", "new"]
    steps = draw(st.lists(st.tuples(st.sampled_from(UFUNCS), *[st.sampled_from(names)] * 3), max_size=6))

    def cell(a, p, s, h):
        new = np.tanh(a * 0.5)
        views = {"a": a, "a0": a[0], "a1": a[-1], "s": s, "s1": s[1:][0], "h": h, "new": new}
        a += p
        s[...] = p
        np.multiply(a[1], 0.5, out=h)
        for ufunc, x, y, out in steps:
            stack = {"a", "s", "new"}
            if {x, y} & stack and out not in stack:
                continue
            ufunc(views[x], views[y], out=views[out])
        np.minimum(a, 3.0, out=a)
        for i, view in enumerate((a[0], a[1], s[0], s[1], h)):  # each has a value of its own
            np.tanh(view, out=view)
            view += i

    return cell


@settings(max_examples=60)
@given(cell=cells())
def test_cells_that_compute_in_place(cell):
    rng = np.random.default_rng(0)
    N, T, H = 2, 3, 5
    packing = Packing(N, T)
    M = len(packing.rows)
    p, b, Wh, first = (rng.standard_normal(s) for s in ((M, 2 * H), (2 * H,), (H, 2 * H), (N, H)))
    found = []
    for yes in (True, False):
        h, kept, s = np.empty((M, H)), np.empty((M, 2 * H)), np.empty((M, 2 * H))
        with compiled(yes) as layouts:
            recurrent_steps.run_cell(Inputs(packing), p.copy(), b, Wh, first, h, cell, [s, h], kept)
        assert len(layouts) == yes
        found.append([h, kept, s])
    for mine, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)


REFUSED = {
    "an entry": (lambda a, p, h: h.__iadd__(a[0, 0]), "index the first axis"),
    "a part of no stack": (lambda a, p, h: h.__iadd__(a[0][0]), "index the first axis"),
    "a branch": (lambda a, p, h: h.__iadd__(a[0] if a[0] > 0 else a[1]), "no entries"),
    "a choice": (lambda a, p, h: np.where(a[0] > 0, a[0], a[1]), "no entries"),
    "a length": (lambda a, p, h: h.__imul__(h.shape[0]), "x.shape cannot be compiled"),
    "a sum": (lambda a, p, h: np.add.reduce(a, out=h), "only with out"),
    "stacks of two lengths": (lambda a, p, h: np.add(a, p[:1], out=a), "do not broadcast"),
    "a stack into an array": (lambda a, p, h: np.add(a, p, out=h), "cannot hold 2"),
    "a copy": (lambda a, p, h: h.__setitem__(..., a[0]), "must compute a value of its own"),
    "one value in two places": (lambda a, p, h: (np.add(a[0], p[0], out=h), np.add(a[0], p[0], out=p[0])),
                                "must compute a value of its own"),
    "a product with a sum": (lambda a, p, h: np.vecdot(a[0], p[0], out=h), "must compute a value of its own"),
    "an unknown function": (lambda a, p, h: np.arctan(a[0], out=h), "arctan cannot be compiled"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_cells_that_cannot_be_compiled(name):
    cell, message = REFUSED[name]
    operands = scan.Rows("own", 2), scan.Rows("input", 2), scan.Rows("before"), scan.Rows("step")
    with pytest.raises(Untraceable, match=message):
        scan.Scan(scan.Layout(lambda a, p, b, h: cell(a, p, h), np.dtype(float), operands), "i64")


def test_no_operand_is_given_twice():
    """LLVM may assume that no two arguments of a cell share memory."""
    for name in GATES:
        inputs, cotangents = problem(name, 2, 3, 2, 4, np.float64)
        with compiled(True) as layouts:
            pull(getattr(mg.ops, name), [leaf(x) for x in inputs], cotangents)
        for layout in layouts:
            used = scan.Scan(layout, "i64").used
            assert len(set(used)) == len(used)


def test_operands_are_contiguous_and_of_one_dtype():
    operands = scan.Rows("own", 1), scan.Rows("input", 1), scan.Rows("before"), scan.Rows("step")
    layout = scan.Layout(lambda a, p, b, h: np.add(a[0], p[0], out=h), np.dtype(float), operands)
    a, p, first, h, W = (np.zeros(shape) for shape in ((2, 3), (2, 3), (2, 3), (2, 3), (1, 1, 3, 3)))
    for wrong in (np.zeros((3, 2)).T, np.zeros((2, 3), np.float32)):
        with pytest.raises(AssertionError):
            scan.run_scan(layout, [a, p, (first, h), wrong], W, [(0, np.array([0, 2]))], np.arange(2))


def test_an_older_blas_has_short_integers():
    operands = scan.Rows("own", 1), scan.Rows("input", 1), scan.Rows("before"), scan.Rows("step")
    layout = scan.Layout(lambda a, p, b, h: np.add(a[0], p[0], out=h), np.dtype(float), operands)
    assert "i32 %v" in scan.Scan(layout, "i32").text
