"""Attention: against references, numerical gradients and PyTorch; masks, blocks, half precision, errors."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.kernels import attention_scores
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays

PYTORCH = Peer(__name__)


@st.composite
def stacks(draw):
    """Stacks of q, k and v that broadcast, and where queries may look."""
    whole = tuple(draw(st.lists(st.integers(1, 2), max_size=2)))
    parts = [
        tuple(1 if draw(st.booleans()) else n for n in whole)[draw(st.integers(0, len(whole))) :] for _ in range(4)
    ]
    return parts


@st.composite
def attention_cases(draw):
    T, S, D, E = (draw(st.integers(low, 3)) for low in (0, 0, 1, 1))
    of_q, of_k, of_v, of_mask = draw(stacks())
    options = {}
    if draw(st.booleans()):
        shape = (*of_mask, draw(st.sampled_from([1, T])), draw(st.sampled_from([1, S])))
        drawn, end = draw(arrays(shape, -1, 1, layouts=("C",))), draw(st.sampled_from([-0.5, 0.5]))
        options["mask"] = drawn < end if draw(st.booleans()) else np.where(drawn < end, drawn, -np.inf)
    if draw(st.booleans()):
        options["causal"] = True
    if draw(st.booleans()):
        options["scale"] = 0.5
    inputs = [draw(arrays(shape, -2, 2)) for shape in ((*of_q, T, D), (*of_k, S, D), (*of_v, S, E))]
    return Case(inputs, options)


@st.composite
def additive_cases(draw):
    T, S, Q, K, E, A = (draw(st.integers(low, 2)) for low in (0, 0, 1, 1, 1, 1))
    of_q, of_k, of_v, of_mask = draw(stacks())
    shapes = (*of_q, T, Q), (*of_k, S, K), (*of_v, S, E), (Q, A), (K, A), (A,)
    options = {}
    if draw(st.booleans()):
        drawn = draw(arrays((*of_mask, 1, S), -1, 1, layouts=("C",)))
        options["mask"] = drawn < 0.3 if draw(st.booleans()) else np.where(drawn < 0.3, drawn, -np.inf)
    return Case([draw(arrays(shape, -2, 2)) for shape in shapes], options)


CASES = {"attention": attention_cases(), "additive_attention": additive_cases()}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@given(data=st.data())
def test_attention_in_blocks(data):
    """A query, some of them, or some problems at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(attention_scores, "_LARGEST", data.draw(st.sampled_from([1, 5, 20])))
        patch.setattr(attention_scores, "_WORTH_THREADS", 1)
        check_primitive(mg.ops.attention, data.draw(CASES["attention"]))


def random(*shapes, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape).astype(dtype) for shape in shapes]


@pytest.mark.parametrize(("name", "options"), [
    ("plain", {}), ("causal", {"causal": True}), ("scaled", {"scale": 0.3}), ("masked", {"mask": True}),
    ("with a mask of floats", {"mask": True, "scale": 0.3}),
])  # fmt: skip
def test_attention_agrees_with_pytorch(name, options):
    inputs = random((2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 2))
    mask = np.random.default_rng(3).random((2, 1, 5, 6)) < 0.6
    mask[..., 0] = True
    if name == "with a mask of floats":
        mask = np.where(mask, random((2, 3, 5, 6), seed=4)[0], -np.inf)
    given = {**options, "mask": mask} if "mask" in options else options

    def theirs(torch, q, k, v):
        said = {"is_causal": options.get("causal", False), "scale": options.get("scale")}
        said["attn_mask"] = torch.tensor(mask) if "mask" in options else None
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, **said)

    PYTORCH.compare(name, lambda *a: mg.ops.attention(*a, **given), theirs, inputs, rtol=1e-10, atol=1e-12)


def test_additive_attention_agrees_with_pytorch():
    inputs = random((3, 2, 4), (3, 5, 3), (3, 5, 2), (4, 6), (3, 6), (6,))

    def theirs(torch, q, k, v, Wq, Wk, w):
        p = torch.softmax(torch.tanh((q @ Wq)[:, :, None] + (k @ Wk)[:, None]) @ w, -1)
        return torch.cat([p @ v, p], -1)

    def mine(*inputs):
        return mg.concatenate(mg.ops.additive_attention(*inputs), -1)

    PYTORCH.compare("additive", mine, theirs, inputs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_who_may_look_nowhere_gets_0_and_gives_no_gradient(name):
    shapes = [(2, 3), (4, 3), (4, 2)] + ([(3, 5), (3, 5), (5,)] if name == "additive_attention" else [])
    mask = np.array([[True, True, False, True], [False] * 4])
    function = getattr(mg.ops, name)
    leaves = [leaf(x) for x in random(*shapes)]
    result = function(*leaves, mask=mask)
    out = result[0] if isinstance(result, tuple) else result
    assert not out.data[1].any()
    out.sum().backward()
    assert not leaves[0].grad[1].any()
    assert not leaves[1].grad[2].any()
    assert not leaves[2].grad[2].any()
    assert leaves[2].grad[[0, 1, 3]].all()
    second = mg.hvp(lambda *a: (mg.concatenate([r.ravel() for r in _all(function(*a, mask=mask))]) ** 2).sum(),
                    [x.data for x in leaves], [np.ones_like(x.data) for x in leaves])  # fmt: skip
    assert all(np.isfinite(d.numpy()).all() for d in second)


def _all(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("size", [50.0, 1e4])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_scores_neither_overflow_nor_warn(dtype, size):
    q, k, v = random((3, 4), (5, 4), (5, 2), dtype=dtype)
    (out,), grads = pull(mg.ops.attention, [leaf(size * q), leaf(size * k), leaf(v)], [np.ones((3, 2), dtype)])
    assert all(np.isfinite(x).all() for x in (out, *grads))
    best = (q @ k.T).argmax(1)
    np.testing.assert_allclose(out, v[best], rtol=1e-4)


@pytest.mark.parametrize("hidden", [-1e9, np.finfo(np.float32).min])
def test_a_query_that_finite_masks_hide_everything_from_looks_everywhere(hidden):
    """Adding the mask as it is would round the scores away; the weights must still be right and sum to 1."""
    q, k, v, g = random((1, 8, 4), (1, 9, 4), (1, 9, 3), (1, 8, 3), dtype=np.float32)
    mask = np.zeros((8, 9), np.float32)
    mask[:, :5] = hidden  # with causal all that the first five queries may look at
    (out,), grads = pull(lambda *a: mg.attention(*a, mask=mask, causal=True), [leaf(x) for x in (q, k, v)], [g])
    mask[:5] = 0
    (wanted,), same = pull(lambda *a: mg.attention(*a, mask=mask, causal=True), [leaf(x) for x in (q, k, v)], [g])
    for mine, theirs in zip([out, *grads], [wanted, *same], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("causal", [False, True])
def test_blocks_on_threads_in_single_precision_are_the_reference(causal):
    inputs = random((1, 2, 700, 8), (1, 2, 300, 8), (1, 2, 300, 8), dtype=np.float32)
    g, mask = random((1, 2, 700, 8), seed=1)[0], np.random.default_rng(1).random((1, 1, 1, 300)) < 0.8
    before = mg.get_num_threads()
    mg.set_num_threads(2)
    found = pull(lambda *a: mg.ops.attention(*a, mask=mask, causal=causal), list(map(leaf, inputs)), [g.astype("f4")])
    mg.set_num_threads(before)
    reference = lambda *a: mg.ops.attention.primitive.reference(*a, mask=mask, causal=causal)  # noqa: E731
    exact = pull(reference, [leaf(x.astype(float)) for x in inputs], [g])
    for mine, theirs in zip(found[0] + found[1], exact[0] + exact[1], strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())


def test_scores_are_never_all_there():
    """Of 4 heads, 3,000 queries and keys, whose scores are 144 MB: forwards and backwards take a few."""
    inputs = [leaf(x) for x in random(*[(4, 3000, 16)] * 3, dtype=np.float32)]
    tracemalloc.start()
    mg.ops.attention(*inputs, causal=True).sum().backward()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 25e6


q34, k54, v52 = np.ones((3, 4)), np.ones((5, 4)), np.ones((5, 2))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: mg.attention(q34, k54, v52, causal="no"), TypeError, "causal must be True or False, not 'no'"),
        (lambda: mg.attention(q34, k54, v52, scale="a"), TypeError, "scale must be a finite number, not 'a'"),
        (lambda: mg.attention(q34, k54, v52, scale=np.nan), ValueError, "scale must be a finite number, not nan"),
        (lambda: mg.attention(q34[0], k54, v52), ValueError, r"q must be rows of features or a stack of them"),
        (
            lambda: mg.attention(q34, np.ones((5, 3)), v52),
            ValueError,
            r"q and k must have the same number of features, not \(4,\)",
        ),
        (lambda: mg.attention(q34, k54, v52[:4]), ValueError, "v must have a row for each of the 5 keys, not 4"),
        (
            lambda: mg.attention(np.ones((2, 3, 4)), np.ones((3, 5, 4)), v52),
            ValueError,
            "the stacks of q, k, v and mask",
        ),
        (lambda: mg.attention(q34, k54, v52, mask=np.ones((3, 5), int)), TypeError, "boolean or floating, not int64"),
        (lambda: mg.attention(q34, k54, v52, mask=np.ones((2, 5), bool)), ValueError, r"to \(…, T, S\) = \(…, 3, 5\)"),
        (
            lambda: mg.attention(q34, k54, v52, mask=mg.tensor(np.zeros((3, 5)), requires_grad=True)),
            TypeError,
            "mask is not differentiable",
        ),
        (lambda: mg.attention(q34, k54, v52, mask=np.ones(5, bool)), ValueError, r"not \(5,\)"),
        (lambda: mg.attention(q34, k54, v52, mask=np.ma.masked_array(np.ones((3, 5), bool))), TypeError, "masked"),
        (
            lambda: mg.additive_attention(q34, k54, v52, k54, k54, q34[0]),
            ValueError,
            r"Wq must be \(Q, A\), Wk \(K, A\)",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()
