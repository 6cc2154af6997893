"""Indexing: every kind of index against NumPy and np.add.at, functional writing, triangles, diagonals, refusals."""

from __future__ import annotations

import array
import collections
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def indices(draw, shape):
    """An index into a shape: basic, advanced on the first axis, a mask, or a mixture."""
    kinds = ["basic"] + (["rows", "mask", "mixture"] if shape and 0 not in shape else [])
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 999)))

    def integers(n, size):
        return rng.integers(-n, n, size)

    if kind == "basic":
        return draw(hnp.basic_indices(shape, allow_newaxis=True))
    if kind == "rows":
        array = integers(shape[0], draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=4)))
        return array.tolist() if draw(st.booleans()) and array.size else array
    if kind == "mask":
        return rng.random(shape[: draw(st.integers(1, len(shape)))]) < 0.5
    parts = []
    for n in shape:
        choice = draw(st.sampled_from(["array", "array", "slice", "integer", "mask"]))
        several = {"array": integers(n, 2), "mask": rng.permutation(n) < min(2, n)}  # all of one length, or of 1
        parts.append({"slice": slice(None, None, -1), "integer": int(integers(n, ()))}.get(choice, several.get(choice)))
    if sum(isinstance(p, np.ndarray) and p.dtype == bool and p.sum() < 2 for p in parts):
        parts = [slice(None) if isinstance(p, np.ndarray) and p.dtype == bool else p for p in parts]
    return (*parts[: draw(st.integers(1, len(parts)))], ...)


@st.composite
def getitem_cases(draw):
    x = draw(arrays(shapes(max_side=3)))
    return Case([x], {"index": draw(indices(x.shape))})


@st.composite
def put_cases(draw):
    """A value of the indexed shape, or one that broadcasts to it, or a single number."""
    x = draw(arrays(shapes(max_side=3)))
    index = draw(indices(x.shape))
    shape = np.shape(x[index])
    shape = tuple(1 if draw(st.booleans()) and draw(st.booleans()) else n for n in shape)[
        draw(st.integers(0, len(shape))) :
    ]
    return Case([x, draw(arrays(shape))], {"index": index})


@st.composite
def take_cases(draw):
    x = draw(arrays(shapes(min_dims=1, min_side=1, max_side=3)))
    axis = draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    shape = [draw(st.integers(0, 4))] if axis is None else [draw(st.sampled_from([n, 1])) for n in x.shape]
    if axis is not None:
        shape[axis] = draw(st.integers(0, 4))
    n = x.size if axis is None else x.shape[axis]
    return Case([x, np.random.default_rng(draw(st.integers(0, 99))).integers(-n, n, shape)], {"axis": axis})


@st.composite
def matrix_cases(draw, diagonal=False):
    x = draw(arrays(shapes(min_dims=2, max_side=3)))
    if not diagonal:
        return Case([x], {"k": draw(st.integers(-3, 3))})
    axis1, axis2 = draw(st.permutations(range(-x.ndim, 0)))[:2]
    return Case([x], {"offset": draw(st.integers(-3, 3)), "axis1": axis1, "axis2": axis2})


CASES = {
    "diagonal": matrix_cases(diagonal=True),
    "getitem": getitem_cases(),
    "put": put_cases(),
    "take_along_axis": take_cases(),
    "tril": matrix_cases(),
    "triu": matrix_cases(),
}


def put_of(x, value, index):
    return mg.ops.put(x, index, value)


put_of.primitive = mg.ops.put.primitive
FUNCTIONS = {name: put_of if name == "put" else getattr(mg.ops, name) for name in CASES}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


SPECIAL = [  # rows whose gradients are gathered in a way of their own: long ones by number; and rows that repeat
    *((16, i) for i in (np.array([2, 0, 2, -1]), np.array([[0, 2], [2, 2]]), np.zeros(0, np.intp),
                        np.array([True, False, True]), slice(1, None), (np.array([2, 0, 2]), slice(3)))),
    (2, np.array([0, 2, 0, 1])), (2, np.array([[0, 2], [2, 1], [0, 0]])),
]  # fmt: skip


@pytest.mark.parametrize(("width", "index"), SPECIAL)
def test_long_rows_and_rows_that_repeat(width, index):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, width))
    check_primitive(mg.ops.getitem, Case([x], {"index": index}))
    check_primitive(put_of, Case([x, rng.standard_normal(x[index].shape)], {"index": index}))


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("axes", [*itertools.permutations(range(3), 2), (-1, 0), (0, -2), (1, -3)])
def test_the_jacobian_of_a_diagonal_has_a_one_for_each_entry(axes, offset):
    """Many cotangents at once have an axis in front of those that the diagonal is over."""
    x = np.arange(24.0).reshape(2, 3, 4)
    picked = np.diagonal(x, offset, *axes)
    jacobian = mg.jacobian(lambda x: mg.diagonal(x, offset, *axes))(x).numpy()
    np.testing.assert_array_equal(jacobian.reshape(-1, 24), picked.reshape(-1, 1) == np.arange(24))


@pytest.mark.parametrize("name", ["diagonal", "take_along_axis", "tril", "triu"])
@given(data=st.data())
def test_values_are_numpys(name, data):
    case = data.draw(CASES[name])
    expected = getattr(np, name)(*case.inputs, **case.options)
    np.testing.assert_array_equal(getattr(mg.ops, name)(*case.inputs, **case.options).data, expected)


@given(getitem_cases())
def test_getitem_is_numpys_and_its_gradient_is_add_at(case):
    (x,), index = case.inputs, case.options["index"]
    g = np.random.default_rng(0).standard_normal(np.shape(x[index]))
    outs, grads = pull(lambda t: mg.ops.getitem(t, index), [leaf(x)], [g])
    np.testing.assert_array_equal(outs[0], x[index])
    expected = np.zeros(x.shape)
    np.add.at(expected, index, g)
    np.testing.assert_allclose(grads[0], expected, atol=1e-12)


@given(put_cases())
def test_put_is_numpys_assignment(case):
    (x, value), index = case.inputs, case.options["index"]
    expected = x.copy()
    expected[index] = value
    np.testing.assert_array_equal(mg.ops.put(x, index, value).data, expected)


def test_tensors_as_indices():
    x, rows = mg.tensor(np.arange(12.0).reshape(4, 3)), mg.tensor([0, 3, -1])
    np.testing.assert_array_equal(x[rows].data, x.data[rows.data])
    np.testing.assert_array_equal(x[rows, mg.tensor(1)].data, x.data[rows.data, 1])
    np.testing.assert_array_equal(x[x > 4].data, x.data[x.data > 4])
    assert x[mg.tensor(2), mg.tensor(1)].item() == 7
    np.testing.assert_array_equal(mg.ops.put(x, (rows, 0), 9.0).data[[0, 3], 0], 9)
    assert x[[]].shape == (0, 3)
    assert x[(0, 1), (1, 2)].shape == (2,)


class Arrayed:
    """An object that NumPy takes for an array, as those of other libraries are."""

    def __init__(self, values, dtype=None):
        self.array = np.array(values, dtype)

    def __array__(self, dtype=None, copy=None):
        return self.array

    def __index__(self):
        return int(self.array)


class Number:
    def __index__(self):
        return 1


def test_any_sequence_is_an_index():
    x = np.arange(8.0).reshape(4, 2)
    for index, same in [
        ((0, 0, 1), None),  # as a part of a tuple, below
        (array.array("l", [0, 0, 1]), None),
        (collections.deque([0, 0, 1]), [0, 0, 1]),
        (memoryview(array.array("b", [0, 0, -1])), None),
        (Arrayed([0, 0, 1]), None),
        (Arrayed([True, False, True, False]), None),
        (Arrayed([]), [0][:0]),
        (range(0, 4, 2), None),
        ([(0, 0), [1, 3]], None),
        ([True, False, False, True], None),
        ([], None),
        ([[]], None),
        (Number(), 1),
        (Arrayed(1), 1),
        (np.int8(-1), -1),
        (np.array(2, np.uint8), 2),
        (np.True_, True),
        (np.array(False), False),
    ]:
        plain_index = index if same is None else same
        for around in (lambda i: (i,), lambda i: (i, 1), lambda i: (..., i)):
            mine, numpys = around(index), around(plain_index)
            try:
                expected = x[numpys]
            except IndexError:  # the last axis is too short
                continue
            value, g = mg.ops.getitem(x, mine), np.arange(1.0, 1 + expected.size).reshape(expected.shape)
            np.testing.assert_array_equal(value.numpy(), expected)
            d = np.zeros_like(x)
            np.add.at(d, numpys, g)
            np.testing.assert_array_equal(pull(lambda t, i=mine: mg.ops.getitem(t, i), [leaf(x)], [g])[1][0], d)
            copy = x.copy()
            copy[numpys] = g
            np.testing.assert_array_equal(mg.ops.put(x, mine, g).numpy(), copy)


def test_an_index_is_kept_as_it_was():
    places = array.array("l", [0, 0, 1])
    x = mg.tensor(np.zeros(4), requires_grad=True)
    y = x[places]
    places[0] = 3
    y.backward(np.ones(3))
    assert x.grad.tolist() == [2, 1, 0, 0]


@pytest.mark.parametrize(
    ("index", "described"),
    [
        ("a", "str"), (b"a", "bytes"), ({0, 1}, "set"), ({0: 1}, "dict"), (object(), "object"), (1j, "complex"),
        ([None], "list"), ([slice(1)], "list"), ([0.5], "list"), (Arrayed([0.0]), "Arrayed"),
        (np.float32(1), "float32"), (np.array(["a"]), "<U1"), (np.array([0.0]), "float64"),
    ],
)  # fmt: skip
def test_other_objects_are_refused(index, described):
    message = f"only integers.* are indices, not {described}"
    for call in (lambda i: mg.ops.getitem(np.ones(3), i), lambda i: mg.ops.put(np.ones(3), i, 1.0)):
        for wrong in (index, (0, index)):
            with pytest.raises(IndexError, match=message):
                call(wrong)


def test_the_last_of_repeated_values_wins_and_gets_the_gradient():
    x, v = leaf(np.zeros(3)), leaf(np.array([1.0, 2, 3, 4]))
    outs, grads = pull(lambda x, v: mg.ops.put(x, [0, 2, 0, 2], v), [x, v], [np.array([5.0, 6, 7])])
    np.testing.assert_array_equal(outs[0], [3, 0, 4])
    np.testing.assert_array_equal(grads[0], [0, 6, 0])
    np.testing.assert_array_equal(grads[1], [0, 0, 5, 7])


def test_put_leaves_x_alone_and_keeps_its_dtype():
    x = np.zeros(3, np.float32)
    out = mg.ops.put(x, 1, np.float64(2.5))
    assert out.dtype == np.float32
    out.data[...] = 9
    np.testing.assert_array_equal(x, 0)


@pytest.mark.parametrize("k", [-3, -1, 0, 1, 4])
@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (2, 3), (3, 2), (0, 2)])
def test_diag(shape, k):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(mg.ops.diag(x, k).data, np.diag(x, k))
    np.testing.assert_array_equal(np.diag(mg.tensor(x), k).data, np.diag(x, k))
    if np.diag(x, k).size and x.size:
        assert mg.gradcheck(lambda x: mg.ops.diag(x, k), [x])
        assert mg.gradgradcheck(lambda x: mg.ops.diag(x, k) ** 3, [x])
    for dtype in (np.float16, np.float32, np.int64, bool):
        assert mg.ops.diag(x.astype(dtype), k).dtype == dtype


def test_indexing_agrees_with_pytorch():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 5))
    picks = rng.integers(0, 5, (4, 3))
    for key, mine, theirs in (
        ("along an axis", lambda t, p: mg.ops.take_along_axis(t, p, 1), lambda torch, t, p: torch.gather(t, 1, p)),
        ("entries", lambda t, p: t[p[:, 0] % 4, p[:, 1]], lambda torch, t, p: t[p[:, 0] % 4, p[:, 1]]),
        ("a slice", lambda t, p: t[1:, ::2], lambda torch, t, p: t[1:, ::2]),
        ("diagonal", lambda t, p: mg.ops.diagonal(t, 1), lambda torch, t, p: torch.diagonal(t, 1)),
    ):
        PYTORCH.compare(key, mine, theirs, [x, picks], rtol=0)  # sums of so few bits are exact


x23 = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.getitem(x23, 2), IndexError, r"getitem\(x: float64 \(2, 3\)\): index 2 is out of bounds"),
        (lambda: mg.ops.getitem(x23, [0, 2]), IndexError, "index 2 is out of bounds"),
        (lambda: mg.ops.getitem(x23, (0, 0, 0)), IndexError, "too many indices"),
        (lambda: mg.ops.getitem(x23, mg.tensor([0.0])), IndexError, r"only integers.* are indices, not float32 \(1,\)"),
        (lambda: mg.ops.getitem(x23, 0.5), IndexError, "getitem.*only integers"),
        (lambda: mg.ops.getitem(x23, np.ones(3, bool)), IndexError, "boolean index did not match"),
        (lambda: mg.ops.put(x23, 2, 1.0), IndexError, r"put\(x: float64 \(2, 3\), value: float\): index 2"),
        (lambda: mg.ops.put(x23, ([0, 5], 0), 1.0), IndexError, "index 5 is out of bounds"),
        (lambda: mg.ops.put(x23, 0, np.ones(2)), ValueError, r"value \(2,\) does not broadcast to the shape \(3,\)"),
        (lambda: mg.ops.put(x23, (0, 0), np.ones(1)), ValueError, r"value \(1,\) does not broadcast to the shape \(\)"),
        (lambda: mg.ops.put(np.zeros(2, int), 0, 0.5), TypeError, "float64 values would be truncated .* int64"),
        (lambda: mg.ops.take_along_axis(x23, [[5]], 1), IndexError, "take_along_axis.*index 5"),
        (lambda: mg.ops.take_along_axis(x23, [0], 1), ValueError, "take_along_axis"),
        (lambda: mg.ops.take_along_axis(x23, [[0.5]], 1), IndexError, "integer"),
        (lambda: mg.ops.tril(x23[0]), ValueError, "tril.*at least 2 axes"),
        (lambda: mg.ops.triu(x23[0]), ValueError, "triu.*at least 2 axes"),
        (lambda: mg.ops.diag(np.ones((2, 2, 2))), ValueError, "diag: x must be a vector or a matrix, not of shape"),
        (lambda: mg.ops.diagonal(x23[0]), ValueError, "diagonal"),
        (lambda: mg.ops.diagonal(x23, 0, 1, 1), ValueError, "axis1 and axis2 cannot be the same"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64])
@pytest.mark.parametrize("width", [1, 20])
def test_narrow_indices_reach_long_axes(dtype, width):
    x = mg.tensor(np.ones((300, width)), requires_grad=True)
    x[np.array([1, 2, 1], dtype)].backward(np.ones((3, width)))
    np.testing.assert_array_equal(x.grad[:4, 0], [0, 2, 1, 0])


def test_repeated_uses_in_getitem_are_summed_in_single_precision():
    (d,) = pull(lambda x: x[np.zeros(3000, int)], [leaf(np.ones(1, np.float16))], [np.ones(3000, np.float16)])[1]
    assert (d.dtype, d.tolist()) == (np.float16, [3000])  # ones stop at 2048
