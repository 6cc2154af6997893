"""What @fused compiles, what it leaves to NumPy, what it refuses, and what it writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from minigrad.compiler import FUSED, fused
from minigrad.compiler.tracing import Untraceable
from tests.compiler.programs import arguments, leaves, program

fused_module = sys.modules["minigrad.compiler.fused"]
ROOT = Path(__file__).parents[2]
DTYPES = [np.float32, np.float64]
X = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 6.0]])


def kernels(function):
    return FUSED[function.__wrapped__]


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# --- shapes and layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (1, 1), (5, 5), (7, 33), (3, 2500), (4,), (2, 3, 5), (31, 1024)])
def test_one_function_for_all_shapes(shape, dtype):
    function, x = fused(softmax), np.random.default_rng(0).standard_normal(shape).astype(dtype)
    y = function(x)
    assert (y.shape, y.dtype) == (x.shape, x.dtype)
    np.testing.assert_allclose(y, softmax(x.astype(np.longdouble)), atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
def test_empty_arrays(shape):
    function = fused(lambda x: (x * 2, x.sum(-1), x.sum()))
    double, rows, total = function(np.ones(shape))
    assert (double.shape, rows.shape, total) == (shape, shape[:-1], 0)


def test_another_number_of_rows_or_columns_compiles_nothing_new():
    function = fused(softmax)
    for shape in ((2, 3), (5, 3), (5, 7), (7, 5)):
        function(np.ones(shape))
    assert len(kernels(function)) == 1
    function(np.ones((2, 3), np.float32))
    function(np.ones((2, 3, 4)))
    assert len(kernels(function)) == 3


@pytest.mark.parametrize("x", [
    X.T, X[:, ::2], np.asfortranarray(X), X.astype(np.float16), X.astype(">f8"), X.astype(np.longdouble),
    np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(X.shape),
], ids=["transposed", "strided", "Fortran", "half", "big endian", "long", "unaligned"])  # fmt: skip
def test_other_arrays_go_to_numpy(x):
    function = fused(softmax)
    np.testing.assert_array_equal(function(x), softmax(x))
    assert not kernels(function)


@pytest.mark.parametrize("other", [
    np.ones((2, 3), np.float32), np.ones((2, 3), np.int32), np.ones((3, 2)).T, np.ones((1, 3)), np.ones((4, 2, 3)),
    np.array(True), np.array(2),
])  # fmt: skip
def test_arguments_that_do_not_fit_go_to_numpy(other):
    def add(x, y):
        return x + y

    function = fused(add)
    found = function(X, other)
    np.testing.assert_array_equal(found, X + other)
    assert found.dtype == (X + other).dtype
    assert not kernels(function)


def test_what_is_no_array_is_part_of_the_text():
    def scaled(x, how, n):
        return x * n if how == "times" else x + n

    function = fused(scaled)
    np.testing.assert_array_equal(function(X, "times", 3), 3 * X)
    np.testing.assert_array_equal(function(X, "plus", 3), X + 3)
    np.testing.assert_array_equal(function(X, "plus", 4), X + 4)
    assert len(kernels(function)) == 3
    np.testing.assert_array_equal(function(X, "plus", 4.0), X + 4)
    np.testing.assert_array_equal(function(X, "plus", 5.5), X + 5.5)
    np.testing.assert_array_equal(function(X, "plus", np.float64(2.5)), X + 2.5)
    np.testing.assert_array_equal(function(X, "plus", np.array(0.5)), X + 0.5)
    assert len(kernels(function)) <= 5


def test_results_keep_their_places():
    def several(x, r):
        return (x + 1, (r, None)), x.sum(-1), "text", x.sum(0), x > 2, x.max(-1) > 3, 1.5, x + 1

    r = np.ones((2, 1))
    (y, (same, nothing)), rows, text, columns, above, high, number, again = fused(several)(X, r)
    assert same is r
    assert nothing is None
    assert (text, number) == ("text", 1.5)
    np.testing.assert_array_equal(y, X + 1)
    np.testing.assert_array_equal(again, X + 1)
    np.testing.assert_array_equal(rows, X.sum(-1))
    np.testing.assert_array_equal(columns, X.sum(0))
    np.testing.assert_array_equal(above, X > 2)
    np.testing.assert_array_equal(high, [False, True])
    assert above.dtype == high.dtype == bool


def test_results_share_no_memory_with_arguments_or_each_other():
    a, b = fused(lambda x: (x + 1, x + 2))(X)
    assert not np.may_share_memory(a, b)
    assert not np.may_share_memory(a, X)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_of_many_entries_are_accurate(dtype):
    """All errors point the same way. NumPy's sum of 300,000 rows is wrong by 23,000 units of the last place."""
    x = np.full((3, 300_000), 0.1, dtype)
    rows, columns, total = fused(lambda x: (x.sum(-1), x.sum(0), x.sum()))(x)
    exact = x.astype(np.longdouble)
    eps = 32 * np.finfo(dtype).eps
    np.testing.assert_allclose(rows, exact.sum(-1), eps)
    np.testing.assert_allclose(columns, exact.sum(0), eps)
    np.testing.assert_allclose(total, exact.sum(), eps)
    np.testing.assert_allclose(fused(lambda x: x.sum(0))(x.T.copy()), exact.sum(-1), 32 * eps)


@pytest.mark.parametrize("function", [np.sum, np.mean])
@pytest.mark.parametrize("axis", [-1, (-1,), 1, 0, -2, (0,), (0, 1), (-1, -2), None])
def test_sums_and_means_over_axes_by_any_name(function, axis):
    np.testing.assert_allclose(fused(lambda x: function(x, axis=axis))(X), function(X, axis=axis))
    with pytest.raises(np.exceptions.AxisError):
        fused(lambda x: x.sum(2))(X)


def test_means_of_numbers_of_rows():
    np.testing.assert_allclose(fused(lambda x: x.sum(-1).mean())(X), X.sum(-1).mean())
    np.testing.assert_allclose(fused(lambda x: x.sum(-1).mean(0))(X), X.sum(-1).mean())


def test_a_total_can_be_used_and_returned():
    y, total = fused(lambda x: (x / x.sum(), x.sum()))(X)
    np.testing.assert_allclose(y, X / X.sum())
    assert total == X.sum()


def test_an_expensive_entry_is_computed_once():
    function = fused(softmax)
    function(X)
    (kernel,) = kernels(function).values()
    assert kernel.text.count("call double @exp") == 1


def test_scratch_memory_for_many_rows_and_columns():
    def several_passes(x, c):
        columns, rows = (
            x.sum(0) * np.exp(c),
            (x.max(-1, keepdims=True), x.sum(-1)[..., None], np.vecdot(x, x)[..., None]),
        )
        y = np.tanh(x * columns) + rows[0] * rows[1] * rows[2]
        return y * y.sum(0) + rows[0] + rows[1] + rows[2]

    for shape in ((400_000, 2), (2, 400_000)):
        x, c = np.random.default_rng(0).standard_normal(shape), np.linspace(0, 1, shape[1])
        np.testing.assert_allclose(fused(several_passes)(x, c), several_passes(x, c), 1e-6, 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_special_numbers_in_every_operation(dtype):
    numbers = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-310, -1e-40, 1.5, -2.5], dtype)
    x, y = (a.ravel().copy() for a in np.meshgrid(numbers, numbers))

    def everything(x, y):
        return (x + y, x - y, x * y, x / y, -x, np.abs(x), np.sqrt(x), np.square(x), np.reciprocal(x), np.maximum(x, y),
                np.minimum(x, y), np.copysign(x, y), np.floor(x), np.rint(x), np.sign(x), np.clip(x, -1, 1), x < y,
                x <= y, x > y, x >= y, x == y, x != y, (x < y) & (x > 0), (x < y) | (x > 0), ~(x < y), x**2, x**3,
                np.where(x < y, x, y), x.clip(-1, 1))  # fmt: skip

    with np.errstate(all="ignore"):
        expected = everything(x, y)
    for i, (a, b) in enumerate(zip(fused(everything)(x, y), expected, strict=True)):
        about = np.finfo(dtype)
        np.testing.assert_allclose(a, b, 2 * about.eps, float(about.smallest_subnormal), err_msg=f"result {i}")
        if b.dtype != bool and i not in (9, 10, 15, 28):  # NumPy, too, returns either zero as the larger
            known = ~np.isnan(b)
            np.testing.assert_array_equal(np.signbit(a[known]), np.signbit(b[known]), err_msg=f"sign of result {i}")


def test_nan_and_infinities_in_reductions():
    x = np.array([[1, np.nan, 3], [np.inf, 1, -np.inf], [np.inf, 1, 2], [-np.inf, -np.inf, -np.inf]])
    top, rows, columns, total = fused(lambda x: (x.max(-1), x.sum(-1), x.sum(0), x.sum()))(x)
    np.testing.assert_array_equal(top, [np.nan, np.inf, np.inf, -np.inf])
    np.testing.assert_array_equal(rows, [np.nan, np.nan, np.inf, -np.inf])
    np.testing.assert_array_equal(columns, [np.nan, np.nan, -np.inf])
    assert np.isnan(total)


# --- writes -----------------------------------------------------------------------------------------------


def test_arguments_are_updated_in_place():
    @fused(writes=(0, 2))
    def step(p, g, m, rate):
        old = p + 0
        m *= 0.5
        m += g
        p -= rate * m
        m += old

    p, g, m = np.ones(5), np.arange(5.0), np.full(5, 4.0)
    g.flags.writeable = False
    address = p.ctypes.data
    assert step(p, g, m, 0.5) is None
    assert kernels(step)
    np.testing.assert_array_equal(p, 1 - 0.5 * (2 + g))
    np.testing.assert_array_equal(m, 2 + g + 1)
    assert p.ctypes.data == address


def test_every_entry_is_read_before_it_is_overwritten():
    @fused(writes=(0, 1))
    def exchange(x, y):
        old = x * 1
        x *= 0
        x += y
        y *= 0
        y += old

    x, y = np.arange(4.0), np.arange(4.0, 8.0)
    exchange(x, y)
    assert (x.tolist(), y.tolist()) == ([4, 5, 6, 7], [0, 1, 2, 3])


def test_an_update_may_use_numbers_of_columns():
    @fused(writes=(0,))
    def scale(x, c):
        x *= np.exp(c) + 1

    x = np.ones((3, 4))
    scale(x, np.arange(4.0))
    np.testing.assert_allclose(x, np.ones((3, 1)) * (np.exp(np.arange(4.0)) + 1))


def test_arguments_that_share_memory():
    @fused(writes=(0,))
    def halve(x, y):
        x -= 0.5 * y

    memory = np.arange(1.0, 101)
    halve(memory, memory)
    np.testing.assert_array_equal(memory, np.arange(1.0, 101) / 2)


def test_read_only_arguments_are_not_written():
    @fused(writes=(0,))
    def double(x):
        x *= 2

    x = np.ones(5)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        double(x)
    np.testing.assert_array_equal(x, 1)


def test_an_argument_may_be_none():
    @fused(writes=(0, 1))
    def step(p, m):
        if m is not None:
            m += 1
        p += 1

    p, m = np.zeros(3), np.zeros(3)
    step(p, None)
    step(p, m)
    assert (p.tolist(), m.tolist()) == ([2] * 3, [1] * 3)


def undeclared(x, y):
    y += 1
    return x + y


def by_rows(x, y):
    x -= x.sum(-1, keepdims=True)


def by_columns(x, y):
    x -= x.sum(0)


def alike(x, y):
    new = x + y
    np.negative(new, out=x)
    np.negative(new, out=y)


@pytest.mark.parametrize(("function", "writes", "message"), [
    (undeclared, (), r"updates the arguments \[1\]"),
    (undeclared, (0,), r"updates the arguments \[1\]"),
    (by_rows, (0,), "entry by entry"),
    (by_columns, (0,), "entry by entry"),
    (alike, (0, 1), "each to its own value"),
])  # fmt: skip
def test_updates_that_are_refused(function, writes, message):
    x, y = np.ones((2, 3)), np.ones((2, 3))
    with pytest.raises(Untraceable, match=message):
        fused(writes=writes)(function)(x, y)
    assert (x == 1).all()
    assert (y == 1).all()


# --- what is refused --------------------------------------------------------------------------------------

OUTSIDE = np.ones(3)


def assign(x):
    x[0] = 1
    return x


def local_sum(x):
    total = x.sum(-1, keepdims=True)
    total += 1
    return total


@pytest.mark.parametrize(("function", "message"), [
    (assign, "no entries, length or memory"),
    (local_sum, "only by entries"),
    (lambda x: x if x.sum() > 0 else -x, "no entries, length or memory"),
    (lambda x: x * float(x.sum()), "no entries, length or memory"),
    (lambda x: x / len(x), "no entries, length or memory"),
    (lambda x: x / x.shape[-1], "x.shape cannot be compiled"),
    (lambda x: x / x.size, "x.size cannot be compiled"),
    (lambda x: sum(row for row in x), "no entries, length or memory"),
    (lambda x: [1, 2, 3][x], "no entries, length or memory"),
    (lambda x: x + OUTSIDE, r"ndarray \(3,\): not an argument"),
    (lambda x: x * [1, 2, 3], "list : not an argument"),
    (lambda x: x + np.random.default_rng(0).random(3), "not an argument"),
    (lambda x: np.asarray(x) + 1, "no entries, length or memory"),
    (lambda x: np.linalg.norm(x), "norm cannot be compiled"),
    (lambda x: np.linalg.inv(x), "inv cannot be compiled|no entries"),
    (lambda x: np.sort(x), "sort cannot be compiled"),
    (lambda x: np.sin(x), "sin cannot be compiled"),
    (lambda x: x @ x, "matmul cannot be compiled"),
    (lambda x: x**2.5, "power cannot be compiled"),
    (lambda x: x**x, "power cannot be compiled"),
    (lambda x: x[0], "only numbers of rows"),
    (lambda x: x[..., None], "only numbers of rows"),
    (lambda x: np.add.reduce(x), "reduce"),
    (lambda x: np.add.accumulate(x), "accumulate"),
    (lambda x: np.add(x, 1, out=np.empty((2, 3))), "out"),
    (lambda x: np.add(x, 1, where=x > 0), "where"),
    (lambda x: np.add(x, 1, dtype=np.float32), "dtype"),
    (lambda x: x.max(0), "max over axis 0"),
    (lambda x: x.max(), "max over axis None"),
    (lambda x: x.sum(0, keepdims=True).sum(0), "sum over axis"),
    (lambda x: x.sum(keepdims=True), "sum over axis None"),
    (lambda x: x.sum(-1, initial=5), "sum with initial"),
    (lambda x: x.sum(-1, where=x > 0), "sum with where"),
    (lambda x: x.mean(-1, dtype=np.float64), "sum with dtype"),
    (lambda x: x.max(-1, initial=0), "max with initial"),
    (lambda x: np.expand_dims(x.sum(-1), 0), "only numbers of rows"),
    (lambda x: x.min(-1), "x.min cannot be compiled"),
    (lambda x: x.T, "x.T cannot be compiled"),
    (lambda x: x.sum(-1, keepdims=True).sum(-1), "sum over axis -1 of R"),
    (lambda x: x.sum(0).sum(-1), "sum over axis -1 of C"),
    (lambda x: x.sum(-1) + x, "keepdims"),
    (lambda x: x.astype(np.int64), "astype"),
    (lambda x: x.astype(np.float16), "astype"),
    (lambda x: np.where(True, x, 0), "condition computed"),
    (lambda x: np.where(x, x, 0), "condition computed"),
    (lambda x: np.take_along_axis(x, x > 0, -1), "one entry of each row"),
    (lambda x: np.take_along_axis(x, x.sum(-1, keepdims=True), -1), "one entry of each row"),
])  # fmt: skip
def test_what_cannot_be_compiled_is_refused_by_name(function, message):
    compiled = fused(function)
    for _ in range(2):
        with pytest.raises(Untraceable, match=message) as error:
            compiled(X.copy())
        assert "which is compiled because it is @fused" in error.value.__notes__[0]


def test_integers_are_indices():
    index = np.zeros((2, 1), np.int64)
    with pytest.raises(Untraceable, match="integers can only be compared"):
        fused(lambda x, i: x + i)(X, index)
    with pytest.raises(Untraceable, match="only be compared with integers"):
        fused(lambda x, i: np.where(i < x, x, 0))(X, index)
    with pytest.raises(Untraceable, match="only be compared with integers"):
        fused(lambda x, i: np.where(i < 0.5, x, 0))(X, index)
    np.testing.assert_array_equal(fused(lambda x, i: np.where(i == 0, x, 0))(X, index), X)
    np.testing.assert_array_equal(fused(lambda x, i: np.where(i < 2, x, 0))(X, index), X)
    np.testing.assert_array_equal(fused(lambda x, i: np.where(i != 0.0, x, 0))(X, index), 0 * X)


# --- threads ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(12))
def test_two_threads_give_the_same_as_one(seed, threads):
    function, args = fused(program(seed)), arguments(seed, np.float64)
    with np.errstate(all="ignore"):
        threads(1)
        alone = leaves(function(*args))
        threads(2)
        shared, again = leaves(function(*args)), leaves(function(*args))
    for a, b, c in zip(alone, shared, again, strict=True):
        if a is not None:
            np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-11)
            np.testing.assert_array_equal(b, c)
            assert (np.shape(a), a.dtype) == (np.shape(b), b.dtype)


@pytest.mark.parametrize("number", [2, 3, 8])
def test_threads_share_the_rows_of_an_array_or_its_entries(number, threads, monkeypatch):
    pieces, awake = [], fused_module.awake
    monkeypatch.setattr(fused_module, "awake", lambda number: awake(pieces.append(number) or number))
    threads(number)
    x = np.random.default_rng(0).standard_normal((5, 1100))
    y, top, rows, columns, total = fused(lambda x: (2 * x, x.max(-1), x.sum(-1), x.sum(0), x.sum()))(x)
    np.testing.assert_array_equal(y, 2 * x)
    np.testing.assert_array_equal(top, x.max(-1))
    for found, axis in ((rows, -1), (columns, 0), (total, None)):
        np.testing.assert_allclose(found, x.sum(axis), atol=1e-12)
    flat = np.arange(7.0)
    fused(writes=(0,))(_double)(flat)
    np.testing.assert_array_equal(flat, 2 * np.arange(7.0))
    assert pieces == [min(number, 5), min(number, 7)]


def _double(x):
    x *= 2


# --- addresses --------------------------------------------------------------------------------------------


def test_the_address_of_the_entries_is_read_where_numpy_keeps_it():
    assert fused_module._address_offset() == object.__basicsize__


def test_an_unknown_place_of_the_address(monkeypatch):
    find = fused_module._address_offset.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(fused_module, "object", SimpleNamespace(__basicsize__=object.__basicsize__ + 8), raising=False)
        assert find() is None
    monkeypatch.setattr(sys, "implementation", SimpleNamespace(name="another"))
    assert find() is None


@pytest.mark.parametrize("number", [1, 3])
def test_without_a_known_place_numpy_gives_the_addresses(monkeypatch, threads, number):
    threads(number)
    x = np.random.default_rng(0).standard_normal((40, 8))
    row, column = x[:, :1].copy(), x[0].copy()
    calls = [
        (softmax, (x,)),
        (softmax, (x[:, :5],)),
        (lambda x, r, c, s: (x * r + c, (x * s).sum(0), x.sum(-1), x > c), (x, row, column, 0.5)),
    ]
    expected = [fused(function)(*args) for function, args in calls]
    monkeypatch.setattr(fused_module, "_address_offset", lambda: None)
    for (function, args), theirs in zip(calls, expected, strict=True):
        for mine, other in zip(leaves(fused(function)(*args)), leaves(theirs), strict=True):
            np.testing.assert_array_equal(mine, other)
    once = fused(writes=(0,))(_double)
    once(doubled := x.copy())
    np.testing.assert_array_equal(doubled, 2 * x)
    assert ".object" not in kernels(once)[next(iter(kernels(once)))].text


# --- imports, and the functions of the package ------------------------------------------------------------


def python(code, **environment):
    """Run a program, and return what it prints."""

    settings = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", **environment}
    found = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, cwd=ROOT)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_the_first_kernel_imports_llvmlite(tmp_path):
    code = """
import sys, numpy as np, minigrad
from minigrad.compiler import fused
double = fused(lambda x: x * 2)
double(np.ones(8))
print("llvmlite" in sys.modules)
double(np.ones(5000))
print("llvmlite" in sys.modules)
"""
    assert python(code, MINIGRAD_FUSE="auto", MINIGRAD_CACHE=str(tmp_path)).split() == ["False", "True"]
    assert python(code, MINIGRAD_FUSE="never", MINIGRAD_CACHE=str(tmp_path)).split() == ["False", "False"]
    always = python(code, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(tmp_path)).split()
    assert always == ["True", "True"]


def test_every_fused_function_of_the_package_is_compiled_by_the_tests(folder):
    """The cases of the registry and a step of each optimiser call all of them."""
    code = """
import numpy as np, minigrad as mg
from minigrad.compiler import FUSED
from tests.compiler.everything import run
run()
print(*sorted(f"{f.__module__}.{f.__qualname__}" for f, kernels in FUSED.items() if not kernels))
"""
    assert python(code, MINIGRAD_FUSE="always", MINIGRAD_CACHE=str(folder)).split() == []
