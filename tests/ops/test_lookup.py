"""Look-ups: values, gradients of repeated rows, and indices outside the table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels.numerics import sum_rows
from tests.checks import Case, check_primitive
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
CONSTANT = {"one_hot"}


@st.composite
def embedding_cases(draw):
    V, D = draw(st.integers(1, 5)), draw(st.integers(0, 3))
    indices = np.random.default_rng(draw(st.integers(0, 99))).integers(0, V, draw(shapes()))
    return Case([indices.astype(draw(st.sampled_from([np.int64, np.int32, np.uint8]))), draw(arrays((V, D)))])


CASES = {"embedding": embedding_cases()}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


W52 = np.ones((5, 2))


@given(embedding_cases())
def test_embedding_selects_rows_as_numpy(case):
    indices, W = case.inputs
    np.testing.assert_array_equal(mg.ops.embedding(indices, W).data, W[indices])


@given(st.integers(0, 60), st.integers(1, 40), st.sampled_from([0, 1, 3, 20]), st.integers(0, 99))
def test_sum_rows_is_add_at(M, size, D, seed):
    rng = np.random.default_rng(seed)
    rows, indices = rng.standard_normal((M, D)), rng.integers(0, size, M)
    expected = np.zeros((size, D))
    np.add.at(expected, indices, rows)
    np.testing.assert_allclose(sum_rows(rows, indices, size), expected, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: mg.ops.embedding([[0, 1], [5, 1]], W52), IndexError, r"embedding\(.*indices\[1, 0\] is 5: .* 0 … 4"),
        (lambda: mg.ops.embedding([0, -1], W52), IndexError, r"indices\[1\] is -1"),
        (lambda: mg.ops.embedding(7, W52), IndexError, r"indices is 7"),
        (lambda: mg.ops.embedding([0], np.ones((0, 2))), IndexError, r"indices\[0\] is 0"),
        (lambda: mg.ops.embedding([0.0, 1.0], W52), TypeError, r"indices .*integers, not float32"),
        (lambda: mg.ops.embedding([True], W52), TypeError, r"indices .*integers, not bool"),
        (lambda: mg.ops.embedding([0], np.ones(5)), ValueError, r"W .*\(V, D\).*\(5,\)"),
        (lambda: mg.ops.one_hot([1, 3], 3), IndexError, r"one_hot.*indices\[1\] is 3.* 0 … 2"),
        (lambda: mg.ops.one_hot([-1], 3), IndexError, r"indices\[0\] is -1"),
        (lambda: mg.ops.one_hot([0.5], 3), TypeError, "integers"),
    ],
)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("dtype", ["u1", "i1", "<i2", ">i4", ">i8", "<u8"])
def test_indices_of_every_integer_dtype(dtype):
    W = np.arange(600.0).reshape(300, 2)
    indices = np.array([[0, 5], [2, 1]], dtype)
    np.testing.assert_array_equal(mg.ops.embedding(indices, W).data, W[indices])
    wrong = -1 if "i" in dtype else 6
    indices[1, 0] = wrong
    with pytest.raises(IndexError, match=rf"indices\[1, 0\] is {wrong}: "):
        mg.ops.embedding(indices, W[:6] if wrong == 6 else W)


@given(shapes(), st.integers(1, 5), st.sampled_from([None, np.float64, np.int64, bool]))
def test_one_hot_is_numpys_eye(shape, size, dtype):
    indices = np.random.default_rng(0).integers(0, size, shape)
    out = mg.ops.one_hot(indices, size, dtype=dtype)
    assert out.dtype == (np.float32 if dtype is None else dtype)
    assert not out.requires_grad
    np.testing.assert_array_equal(out.data, np.eye(size)[indices])


def test_embedding_agrees_with_pytorch():
    rng = np.random.default_rng(0)
    inputs = rng.integers(0, 7, (4, 6)), rng.standard_normal((7, 3))
    theirs = lambda torch, indices, W: torch.nn.functional.embedding(indices, W)  # noqa: E731
    PYTORCH.compare("embedding", mg.ops.embedding, theirs, inputs, rtol=0)  # sums of so few bits are exact
