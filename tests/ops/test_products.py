"""Products: matmul in all shapes, einsum over random subscripts, and their relatives, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from minigrad.ops.kernels.numerics import reached_rows, rows_with_any
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)


@st.composite
def matmul_cases(draw):
    """Vectors, matrices, and stacks that broadcast; any length may be 0."""
    drawn = draw(
        hnp.mutually_broadcastable_shapes(signature="(n?,k),(k,m?)->(n?,m?)", max_dims=2, min_side=0, max_side=3)
    )
    return Case([draw(arrays(shape)) for shape in drawn.input_shapes])


@st.composite
def einsum_cases(draw):
    """Random subscripts of one to three operands: repeated indices, ellipses, lengths 1 and 0, any output."""
    sizes = {c: draw(st.integers(0, 3)) for c in "ijkl"}
    batch = draw(st.lists(st.integers(0, 3), max_size=2)) if draw(st.booleans()) else None
    terms, inputs = [], []
    for _ in range(draw(st.integers(1, 3))):
        term = draw(st.text("ijkl", max_size=3))
        # a length of 1 stretches to the others', but a repeated index has one length
        lengths = {c: draw(st.sampled_from([sizes[c], sizes[c], 1])) for c in term}
        shape = [lengths[c] for c in term]
        if batch is not None and draw(st.booleans()):
            cut = draw(st.integers(0, len(term)))
            lead = batch[draw(st.integers(0, len(batch))) :]
            shape[cut:cut] = [draw(st.sampled_from([n, 1])) for n in lead]
            term = f"{term[:cut]}...{term[cut:]}"
        terms.append(term)
        inputs.append(draw(arrays(tuple(shape))))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        used = sorted(set(subscripts) - set(",."))
        kept = "".join(draw(st.permutations(used))[: draw(st.integers(0, len(used)))])
        place = draw(st.integers(0, len(kept)))
        subscripts += "->" + (f"{kept[:place]}...{kept[place:]}" if "..." in subscripts else kept)
    return Case(inputs, {"subscripts": subscripts})


@st.composite
def affine_cases(draw):
    """Inputs of one to four axes, some of length 0, with a bias or without."""
    lead, (D, M) = draw(st.lists(st.integers(0, 3), max_size=3)), (draw(st.integers(0, 3)) for _ in range(2))
    bias = draw(arrays((M,))) if draw(st.booleans()) else None
    return Case([draw(arrays((*lead, D))), draw(arrays((D, M))), bias])


def rolled(n):
    return {"apply": lambda x: np.roll(3 * x, n), "transpose": lambda u: np.roll(3 * u, -n)}


def summed(axis):
    def repeat_of(shape):
        return lambda u: np.repeat(np.expand_dims(u, axis), shape[axis], axis)

    return lambda shape: {"apply": lambda x: x.sum(axis), "transpose": repeat_of(shape)}


@st.composite
def linear_cases(draw):
    x = draw(arrays(shapes(min_dims=1)))
    options = (
        rolled(draw(st.integers(-2, 2))) if draw(st.booleans()) else summed(draw(st.sampled_from([0, -1])))(x.shape)
    )
    return Case([x], options)


CASES = {"affine": affine_cases(), "einsum": einsum_cases(), "matmul": matmul_cases(), "linear_map": linear_cases()}


def einsum_of(*operands, subscripts):
    return mg.ops.einsum(subscripts, *operands)


einsum_of.primitive = mg.ops.einsum.primitive


FUNCTIONS = {"affine": mg.ops.affine, "einsum": einsum_of, "matmul": mg.ops.matmul}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(FUNCTIONS.get(name) or getattr(mg.ops, name), data.draw(CASES[name]))


@given(matmul_cases())
def test_matmul_is_numpys(case):
    out = mg.ops.matmul(*case.inputs)
    expected = np.matmul(*case.inputs)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.data, expected, atol=1e-12)


@given(affine_cases())
def test_affine_is_the_formula(case):
    x, W, b = case.inputs
    out = mg.ops.affine(x, W, b)
    expected = x @ W + (0 if b is None else b)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.data, expected, atol=1e-12)


@given(einsum_cases())
def test_einsum_is_numpys(case):
    subscripts = case.options["subscripts"]
    out = mg.ops.einsum(subscripts, *case.inputs)
    expected = np.einsum(subscripts, *case.inputs)
    assert out.shape == np.shape(expected)
    np.testing.assert_allclose(out.data, expected, atol=1e-12)


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->ik", [(70, 60), (60, 50)]),
        ("ij,jk->ik", [(70, 1), (60, 50)]),
        ("...ij,...jk->...ik", [(3, 20, 30), (2, 3, 30, 20)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 20, 30), (2, 3, 25, 30)]),
        ("nchw,nchw->c", [(3, 4, 20, 20), (3, 4, 20, 20)]),
        ("iij,jk", [(8, 8, 60), (60, 50)]),
        ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 6)]),
        ("ij,kj", [(50, 60), (70, 60)]),
        ("ab...,b->a...", [(5, 30, 40), (30,)]),
    ],
)
def test_large_einsums_take_the_planned_path(subscripts, shapes):
    """Beyond the threshold NumPy plans the contraction; that is checked by the unplanned one."""
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(s) for s in shapes]
    expected = np.einsum(subscripts, *inputs, optimize=False)
    g = rng.standard_normal(expected.shape)
    outs, grads = pull(lambda *x: mg.ops.einsum(subscripts, *x), [leaf(x) for x in inputs], [g])
    np.testing.assert_allclose(outs[0], expected, rtol=1e-10, atol=1e-11)
    for i, (x, gradient) in enumerate(zip(inputs, grads, strict=True)):
        v = rng.standard_normal(x.shape)  # the function is linear in each operand
        moved = np.einsum(subscripts, *inputs[:i], v, *inputs[i + 1 :], optimize=False)
        assert np.vdot(g, moved) == pytest.approx(np.vdot(gradient, v), rel=1e-9, abs=1e-8)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 4), (4, 5)),
        ((2, 3, 4), (4, 5)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 5)),
        ((6, 1, 3, 4), (2, 4, 5)),
        ((4,), (4,)),
        ((3, 4), (6, 4, 2)),
    ],
)
def test_matmul_agrees_with_pytorch(shapes):
    rng = np.random.default_rng(0)
    inputs = [rng.standard_normal(s) for s in shapes]
    theirs = lambda torch, a, b: torch.matmul(a, b)  # noqa: E731
    check_primitive(mg.ops.matmul, Case(inputs))
    PYTORCH.compare(f"matmul {shapes}", mg.ops.matmul, theirs, inputs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(("subscripts", "shapes"), [
    ("ii,ij->j", [(3, 3), (3, 4)]), ("b...i,ij->b...j", [(2, 5, 3), (3, 4)]), ("ij->", [(2, 3)]),
])  # fmt: skip
def test_einsum_agrees_with_pytorch(subscripts, shapes):
    inputs = [np.random.default_rng(0).standard_normal(s) for s in shapes]
    theirs = lambda torch, *x: torch.einsum(subscripts, *x)  # noqa: E731
    mine = lambda *x: mg.ops.einsum(subscripts, *x)  # noqa: E731
    PYTORCH.compare(f"einsum {subscripts}", mine, theirs, inputs, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (0, [(2, 3), (4,)]),
        ((np.int64(0), np.int64(1)), [(2, 3), (3, 2)]),
        (1, [(5, 3, 4), (4, 2)]),
        (2, [(5, 3, 4), (3, 4, 2)]),
        (([0], [2]), [(4, 3, 2), (2, 3, 4)]),
        ((1, 1), [(5, 3, 4), (2, 3)]),
        (((-1, 0), (1, 2)), [(4, 5, 3), (2, 3, 4)]),
    ],
)
def test_tensordot(axes, shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s) for s in shapes)
    np.testing.assert_allclose(mg.ops.tensordot(a, b, axes).data, np.tensordot(a, b, axes), atol=1e-12)
    assert mg.gradcheck(lambda x, y: mg.ops.tensordot(x, y, axes), [a, b], entries=False)


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (4, 3, 2)), ((5, 2, 3), (3, 2))]
)
def test_dot_and_outer(shapes):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s) for s in shapes)
    np.testing.assert_allclose(mg.ops.dot(a, b).data, np.dot(a, b), atol=1e-12)
    assert mg.gradcheck(mg.ops.dot, [a, b], entries=False)
    np.testing.assert_allclose(mg.ops.outer(a, b).data, np.outer(a, b))
    assert mg.gradcheck(mg.ops.outer, [a, b], entries=False)


def ones(*shapes):
    return [np.ones(shape) for shape in shapes]


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        *((lambda shapes=shapes: mg.ops.affine(*ones(*shapes)), ValueError, message) for shapes, message in [
            (((), (1, 5), (5,)), r"affine\(.*not a single number"),
            (((2, 4), (3, 5), (5,)), r"W .* D = 4 as in x, not \(3, 5\)"),
            (((4,), (4,), (4,)), r"W .* D = 4 as in x, not \(4,\)"),
            (((2, 3, 4), (4, 5), (1,)), r"b .*\(5,\) .*, not \(1,\)"),
        ]),
        (lambda: mg.ops.affine(None, np.ones((2, 3))), TypeError, r"affine\(x: None.*expected numbers"),
        (lambda: mg.ops.matmul(*ones((2, 3), (2, 3))), ValueError, r"matmul\(a: float64 \(2, 3\).*3 entries.* 2"),
        (lambda: mg.ops.matmul(2.0, np.ones(3)), ValueError, "single number .*multiply"),
        (lambda: mg.ops.matmul(*ones((2, 2, 3), (4, 3, 2))), ValueError, "matmul"),
        (lambda: mg.ops.einsum("ij,j", np.ones((2, 3))), ValueError, r"einsum.* 2 operands, not 1"),
        (lambda: mg.ops.einsum("ij", np.ones(3)), ValueError, r"operand 0 has 1 axes, but 'ij' names 2"),
        (lambda: mg.ops.einsum("...ij->ij", np.ones(1)), ValueError, r"einsum"),
        (lambda: mg.ops.einsum("i...,j->i", *ones((2, 3), 3)), ValueError, r"'\.\.\.'.* 1 axes"),
        (lambda: mg.ops.einsum("ij,jk->ik", *ones((2, 3), (4, 5))), ValueError, "einsum"),
        (lambda: mg.ops.einsum("ij->ik", np.ones((2, 3))), ValueError, "'k'"),
        (lambda: mg.ops.einsum("ii", np.ones((1, 3))), ValueError, "don't match"),
        (lambda: mg.ops.einsum("i$", np.ones((1, 3))), ValueError, "einsum"),
        (lambda: mg.ops.einsum(np.ones((2, 2)), [0, 0]), TypeError, r"subscripts .*not float64 \(2, 2\)"),
        (lambda: mg.ops.tensordot(*ones((2, 3), (2, 3)), 1), ValueError, r"tensordot: .*\(2, 3\).*\(2, 3\)"),
        (lambda: mg.ops.tensordot(*ones(2, 2), 2), ValueError, "tensordot: axes .* do not fit"),
        (lambda: mg.ops.tensordot(*ones(2, 2), -1), ValueError, "tensordot: .*: -1"),
        (lambda: mg.ops.tensordot(*ones(2, 2), ([0], [0, 1])), ValueError, "do not fit"),
        (lambda: mg.ops.tensordot(*ones((2, 2), (2, 2)), ([0, -2], [0, 1])), ValueError, "repeated axis"),
        (lambda: mg.ops.dot(2.0, np.ones(2)), ValueError, "dot: a single number"),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- rows that no cotangent reaches ---------------------------------------------------------------------


@given(st.data())
def test_rows_with_any_entry_are_found_wherever_the_entry_lies(data):
    shape = data.draw(st.integers(0, 5)), data.draw(st.integers(1, 40))
    g = np.zeros(shape)
    expected = np.zeros(len(g), bool)
    for row in range(len(g)):
        if data.draw(st.booleans()):
            g[row, data.draw(st.integers(0, shape[1] - 1))] = data.draw(st.sampled_from([1.0, -1e-300, np.nan, np.inf]))
            expected[row] = True
    np.testing.assert_array_equal(rows_with_any(g), expected)


def test_few_numbers_or_few_rows_of_zeros_are_not_worth_it():
    g = np.ones((2**10, 64))
    g[:100] = 0  # less than a tenth
    assert reached_rows(np.zeros((2**10, 63))) is reached_rows(g) is None
    g[:103] = 0
    np.testing.assert_array_equal(reached_rows(g), np.arange(103, 2**10))


def test_an_affine_maps_gradient_of_rows_that_no_cotangent_reaches_is_0():
    """And that of the others is in their own rows."""
    x, W, g = (np.random.default_rng(0).standard_normal(s) for s in ((2**10, 3), (3, 64), (2**10, 64)))
    g[200:700] = 0
    dx, dW = pull(mg.ops.affine, [leaf(x), leaf(W)], [g])[1]
    np.testing.assert_allclose(dx, g @ W.T, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(dW, x.T @ g, rtol=1e-10, atol=1e-10)


# --- linear maps -----------------------------------------------------------------------------------------


def test_linear_map_agrees_with_numpys_product_by_a_matrix():
    rng = np.random.default_rng(0)
    A, x, u = rng.standard_normal((4, 3)), rng.standard_normal(3), rng.standard_normal(4)
    y, pullback = mg.vjp(lambda x: mg.ops.linear_map(x, lambda x: A @ x, lambda u: A.T @ u), x)
    np.testing.assert_array_equal(y.numpy(), A @ x)
    np.testing.assert_array_equal(pullback(u)[0].numpy(), A.T @ u)
