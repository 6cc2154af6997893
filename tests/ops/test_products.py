"""Products: matmul in all shapes, einsum over random subscripts, and their relatives, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

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


CASES = {"affine": affine_cases(), "einsum": einsum_cases(), "matmul": matmul_cases()}


def einsum_of(*operands, subscripts):
    return mg.ops.einsum(subscripts, *operands)


einsum_of.primitive = mg.ops.einsum.primitive
FUNCTIONS = {"affine": mg.ops.affine, "einsum": einsum_of, "matmul": mg.ops.matmul}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(FUNCTIONS[name], data.draw(CASES[name]))


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


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((), (1, 5), (5,)), r"affine\(.*x must be \(…, D\), not a single number"),
        (((2, 4), (3, 5), (5,)), r"W must be \(D, M\) with D = 4 as in x, not \(3, 5\)"),
        (((4,), (4,), (4,)), r"W must be \(D, M\) with D = 4 as in x, not \(4,\)"),
        (((2, 3, 4), (4, 5), (1,)), r"b must be \(M,\) = \(5,\) as W's columns, not \(1,\)"),
    ],
)
def test_affine_refuses(shapes, message):
    with pytest.raises(ValueError, match=message):
        mg.ops.affine(*(np.ones(s) for s in shapes))


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
    PYTORCH.compare(f"matmul {shapes}", mg.ops.matmul, theirs, inputs, rtol=1e-11, atol=1e-13)


def test_einsum_agrees_with_pytorch():
    rng = np.random.default_rng(0)
    for subscripts, shapes in (
        ("ii,ij->j", [(3, 3), (3, 4)]),
        ("b...i,ij->b...j", [(2, 5, 3), (3, 4)]),
        ("ij->", [(2, 3)]),
    ):
        inputs = [rng.standard_normal(s) for s in shapes]
        PYTORCH.compare(
            f"einsum {subscripts}",
            lambda *x, s=subscripts: mg.ops.einsum(s, *x),
            lambda torch, *x, s=subscripts: torch.einsum(s, *x),
            inputs, rtol=1e-11, atol=1e-13,
        )  # fmt: skip


def test_integers_and_mixed_dtypes():
    assert mg.ops.matmul([[1, 2]], [3, 4]).dtype == np.int64
    a, b = leaf(np.ones((2, 3), np.float32)), leaf(np.ones((3, 2)))
    for function in (mg.ops.matmul, lambda *x: mg.ops.einsum("ij,jk->ik", *x)):
        outs, grads = pull(function, [a, b], [np.ones((2, 2))])
        assert (outs[0].dtype, grads[0].dtype, grads[1].dtype) == (np.float64, np.float32, np.float64)
    assert mg.ops.einsum(",i->i", 2.0, np.ones(2, np.float32)).dtype == np.float32


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (0, [(2, 3), (4,)]),
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


def test_outer_of_numbers():
    assert mg.ops.outer(2.0, [1.0, 3.0]).numpy().tolist() == [[2, 6]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: mg.ops.matmul(np.ones((2, 3)), np.ones((2, 3))),
            r"matmul\(a: float64 \(2, 3\).*a has rows of 3 entries, b columns of 2",
        ),
        (lambda: mg.ops.matmul(2.0, np.ones(3)), "a single number has no matrix product: use multiply"),
        (lambda: mg.ops.matmul(np.ones((2, 2, 3)), np.ones((4, 3, 2))), "matmul"),
        (lambda: mg.ops.einsum("ij,j", np.ones((2, 3))), r"einsum.*are for 2 operands, not 1"),
        (lambda: mg.ops.einsum("ij", np.ones(3)), r"operand 0 has 1 axes, 'ij' names 2"),
        (lambda: mg.ops.einsum("...ij->ij", np.ones(1)), r"einsum"),
        (lambda: mg.ops.einsum("i...,j->i", np.ones((2, 3)), np.ones(3)), r"needs '\.\.\.', which stands for 1 axes"),
        (lambda: mg.ops.einsum("ij,jk->ik", np.ones((2, 3)), np.ones((4, 5))), "einsum"),
        (lambda: mg.ops.einsum("ij->ik", np.ones((2, 3))), "'k'"),
        (lambda: mg.ops.einsum("ii", np.ones((1, 3))), "don't match"),
        (lambda: mg.ops.einsum("i$", np.ones((1, 3))), "einsum"),
        (
            lambda: mg.ops.tensordot(np.ones((2, 3)), np.ones((2, 3)), 1),
            r"tensordot: axes .* of a \(2, 3\) and b \(2, 3\) do not have the same lengths",
        ),
        (lambda: mg.ops.tensordot(np.ones(2), np.ones(2), 2), "tensordot: axes .* do not fit"),
        (lambda: mg.ops.tensordot(np.ones(2), np.ones(2), -1), "tensordot: .* must not be negative: -1"),
        (lambda: mg.ops.tensordot(np.ones(2), np.ones(2), ([0], [0, 1])), "do not fit"),
        (lambda: mg.ops.tensordot(np.ones((2, 2)), np.ones((2, 2)), ([0, -2], [0, 1])), "repeated axis"),
        (lambda: mg.ops.dot(2.0, np.ones(2)), "dot: a single number"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64])
def test_einsum_of_integers_is_numpys(dtype):
    x = np.ones((3, 2), dtype)
    ours, theirs = mg.einsum("ij->j", x).data, np.einsum("ij->j", x)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)


def test_einsum_takes_subscripts_first():
    with pytest.raises(TypeError, match=r"einsum: subscripts must be a string .*, not float64 \(2, 2\)"):
        mg.ops.einsum(np.ones((2, 2)), [0, 0])


def test_axes_may_be_numpy_integers():
    a, b = np.ones((2, 3)), np.ones((3, 2))
    assert mg.ops.tensordot(a, b, np.int64(1)).shape == (2, 2)
    assert mg.ops.tensordot(a, b, (np.int64(0), np.int64(1))).shape == (3, 3)


def test_none_is_named():
    with pytest.raises(TypeError, match=r"affine\(x: None.*expected numbers"):
        mg.ops.affine(None, np.ones((2, 3)))


@pytest.mark.parametrize(
    ("left", "right"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
     ((5, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (2, 3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4))],
)  # fmt: skip
def test_jacobians_of_products_of_all_shapes(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """A batch of cotangents of vectors, matrices and stacks is pulled back as each one is."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal(left), rng.standard_normal(right)
    y, pullback = mg.vjp(mg.matmul, *inputs)
    rows = [pullback(row.reshape(y.shape)) for row in np.eye(y.size)]
    for i, block in enumerate(mg.jacobian(mg.matmul, (0, 1))(*inputs)):
        expected = np.array([row[i].numpy() for row in rows]).reshape(block.shape)
        np.testing.assert_allclose(block.numpy(), expected, rtol=1e-13, atol=1e-14)


SHAPES_OF_MATMUL = [((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((3, 4), (4, 5)), ((2, 3, 4), (4, 5)),
                    ((2, 3, 4), (4,)), ((3, 4), (2, 4, 5)), ((4,), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)),
                    ((6, 1, 3, 4), (2, 4, 5))]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES_OF_MATMUL)
def test_second_derivatives_of_products_of_vectors_matrices_and_stacks(left, right):
    rng = np.random.default_rng(0)
    inputs, vectors = ([rng.standard_normal(shape) for shape in (left, right)] for _ in range(2))
    indices = {1: "k", 2: "ik", 3: "nik", 4: "mnik"}[len(left)], {1: "k", 2: "kj", 3: "nkj"}[len(right)]
    out = "".join(c for c in "mnij" if c in "".join(indices))

    def loss(product):
        return lambda *given: (product(*given) ** 3).sum()

    def expected(*given):
        return mg.einsum(f"{indices[0]},{indices[1]}->{out}", *given)

    if left == (6, 1, 3, 4):  # its axis of length 1 is broadcast

        def expected(a, b):
            return mg.einsum("mik,nkj->mnij", a[:, 0], b)

    found, theirs = (mg.hvp(loss(product), inputs, vectors) for product in (mg.matmul, expected))
    for mine, other in zip(found, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-11, atol=1e-11)
