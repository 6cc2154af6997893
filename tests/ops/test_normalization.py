"""Normalisations: values and gradients against references and PyTorch, hard inputs, and shapes that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad.ops.normalization import batch_norm_with_statistics
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
EPS = st.sampled_from([1e-5, 1e-2, 1.0])


@st.composite
def maybe(draw, shape, low=-2.0, high=2.0):
    """An array of a shape, or None."""
    return draw(arrays(shape, low, high)) if draw(st.booleans()) else None


@st.composite
def over_axes(draw, bias=True):
    """Any axes of entries that differ, counted from either end and in any order; with weight and bias or without."""
    x = draw(arrays(shapes(min_dims=1, min_side=2, max_side=4), distinct=True))
    chosen = draw(st.lists(st.integers(0, x.ndim - 1), min_size=1, unique=True))
    signed = [i - draw(st.sampled_from([0, x.ndim])) for i in chosen]
    features = tuple(x.shape[i] for i in sorted(chosen))
    axis = signed[0] if len(signed) == 1 and draw(st.booleans()) else tuple(signed)
    others = [draw(maybe(features)) for _ in range(1 + bias)]
    return Case([x, *others], {"axis": axis, "eps": draw(EPS)})


@st.composite
def in_groups(draw):
    groups, size = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    image = draw(st.lists(st.integers(1, 3), max_size=2))
    image = image if size > 1 or np.prod(image) > 1 else [2]
    shape = draw(st.integers(1, 3)), groups * size, *image
    x = draw(arrays(shape, distinct=True))
    return Case([x, *(draw(maybe(shape[1:2])) for _ in range(2))], {"groups": groups, "eps": draw(EPS)})


@st.composite
def of_batches(draw):
    image = draw(st.lists(st.integers(1, 3), max_size=2) | st.just([4, 4]))  # 16 pixels are summed in another way
    shape = draw(st.integers(2, 3 if len(image) else 4)), draw(st.integers(1, 3)), *image
    x = draw(arrays(shape, distinct=True))
    moments = [draw(arrays(shape[1:2])), draw(arrays(shape[1:2], 0.1, 2.0))] if draw(st.booleans()) else [None, None]
    return Case([x, *(draw(maybe(shape[1:2])) for _ in range(2)), *moments], {"eps": draw(EPS)})


CASES = {
    "batch_norm": of_batches(),
    "group_norm": in_groups(),
    "layer_norm": over_axes(),
    "rms_norm": over_axes(bias=False),
}


def batch_norm_of(*inputs, eps):
    """The result, and the batch's statistics where they are used."""
    x, weight, bias, mean, var = inputs
    if mean is None:
        return batch_norm_with_statistics(x, weight, bias, eps)
    return mg.ops.batch_norm(x, weight, bias, mean, var, eps)


def group_norm_of(x, weight, bias, groups, eps):
    return mg.ops.group_norm(x, groups, weight, bias, eps)


batch_norm_of.primitive = mg.ops.batch_norm.primitive
group_norm_of.primitive = mg.ops.group_norm.primitive
FUNCTIONS = {"batch_norm": batch_norm_of, "group_norm": group_norm_of}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_gradients(name, data):
    check_primitive(FUNCTIONS.get(name) or getattr(mg.ops, name), data.draw(CASES[name]))


# --- PyTorch -------------------------------------------------------------------------------------------


def theirs_of(name):
    """PyTorch's function of the same arguments; it has no gradients for given means, so that they are spelled out."""

    def layer_norm(torch, x, w, b, axis, eps):
        axes = tuple(sorted(i % x.ndim for i in axis))
        last = tuple(range(-len(axes), 0))
        moved = x.movedim(axes, last)
        shape = tuple(x.shape[i] for i in axes)
        return torch.nn.functional.layer_norm(moved, shape, w, b, eps).movedim(last, axes)

    def rms_norm(torch, x, w, axis, eps):
        axes = tuple(sorted(i % x.ndim for i in axis))
        last = tuple(range(-len(axes), 0))
        shape = tuple(x.shape[i] for i in axes)
        return torch.nn.functional.rms_norm(x.movedim(axes, last), shape, w, eps).movedim(last, axes)

    def group_norm(torch, x, w, b, groups, eps):
        return torch.nn.functional.group_norm(x, groups, w, b, eps)

    def batch_norm(torch, x, w, b, mean, var, eps):
        if mean is None:
            return torch.nn.functional.batch_norm(x, None, None, w, b, True, eps=eps)
        mean, var, w, b = (t.reshape(-1, *(1,) * (x.ndim - 2)) for t in (mean, var, w, b))
        return (x - mean) / torch.sqrt(var + eps) * w + b

    return locals()[name]


def mine_of(name):
    if name == "batch_norm":
        return lambda x, w, b, mean, var, eps: mg.ops.batch_norm(x, w, b, mean, var, eps)
    return FUNCTIONS.get(name) or getattr(mg.ops, name)


PEERS = [
    ("layer_norm", (4, 7), [(7,), (7,)], {"axis": (-1,)}),
    ("layer_norm", (3, 4, 5), [(4, 5), (4, 5)], {"axis": (2, 1)}),
    ("layer_norm", (3, 4, 5), [(3, 5), None], {"axis": (0, -1)}),
    ("layer_norm", (2, 30), [None, None], {"axis": (-1,)}),
    ("rms_norm", (4, 7), [(7,)], {"axis": (-1,)}),
    ("rms_norm", (3, 4, 5), [(3, 4)], {"axis": (1, 0)}),
    ("group_norm", (3, 6, 4, 5), [(6,), (6,)], {"groups": 2}),
    ("group_norm", (3, 6, 20), [None, None], {"groups": 6}),
    ("group_norm", (3, 6), [(6,), (6,)], {"groups": 1}),
    ("batch_norm", (5, 3), [(3,), (3,), None, None], {}),
    ("batch_norm", (4, 3, 5, 4), [(3,), (3,), None, None], {}),
    ("batch_norm", (4, 3, 5), [None, None, None, None], {}),
    ("batch_norm", (4, 3, 5), [(3,), (3,), (3,), (3,)], {}),
]


@pytest.mark.parametrize(("name", "shape", "others", "options"), PEERS)
def test_normalisations_agree_with_pytorch(name, shape, others, options):
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape) + 0.5
    given = [None if other is None else rng.uniform(0.2, 2, other) for other in others]
    options = {**options, "eps": 1e-5}
    key = f"{name} {shape} {[other is not None for other in others]} {options.get('axis', options.get('groups'))}"
    PYTORCH.compare(key, mine_of(name), theirs_of(name), [x, *given], options, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("function", "shape"), [(mg.ops.layer_norm, (3, 1)), (mg.ops.batch_norm, (1, 3, 1)),
                                                 (lambda x: mg.ops.group_norm(x, 3), (2, 3, 1))])  # fmt: skip
def test_a_single_entry_becomes_0(function, shape):
    (y,), (d,) = pull(function, [leaf(np.full(shape, 2.5))], [np.full(shape, 3.0)])
    assert not y.any()
    np.testing.assert_allclose(d, 0, atol=1e-12)


# --- hard inputs ---------------------------------------------------------------------------------------

# Each as a function of x (2, 3, 4) and a weight and bias that fit it; and the axes that it normalises over.
KINDS = {
    "layer_norm": (lambda x, w, b: mg.ops.layer_norm(x, w, b), (4,), (-1,)),
    "group_norm": (lambda x, w, b: mg.ops.group_norm(x, 1, w, b), (3,), (1, 2)),
    "batch_norm": (lambda x, w, b: mg.ops.batch_norm(x, w, b), (3,), (0, 2)),
    "rms_norm": (lambda x, w, b: mg.ops.rms_norm(x, w, eps=1e-5) + 0 * b, (4,), (-1,)),
}
CENTRED = sorted(KINDS.keys() - {"rms_norm"})


def formula(kind, x, g, w, b, eps=1e-5):
    """Result and gradients in double precision."""
    axes, X = KINDS[kind][2], x.astype(np.longdouble)
    g, (w, b) = g.astype(float), (a.astype(float).reshape((4,) if len(a) == 4 else (3, 1)) for a in (w, b))
    d = X - (0 if kind == "rms_norm" else X.mean(axes, keepdims=True))
    d -= 0 if kind == "rms_norm" else d.mean(axes, keepdims=True)
    r = 1 / np.sqrt((d * d).mean(axes, keepdims=True) + eps)
    hat, v = d * r, g * w
    dx = v - hat * (v * hat).mean(axes, keepdims=True) - (0 if kind == "rms_norm" else v.mean(axes, keepdims=True))
    others = (0, 1) if len(w) == 4 else (0, 2)
    exact = hat * w + b, dx * r, (g * hat).sum(others), g.sum(others)
    if kind == "rms_norm":  # has no bias
        exact = hat * w, *exact[1:3], 0 * b
    return [np.asarray(a, float) for a in exact]


def found(kind, x, g, w, b):
    outs, grads = pull(KINDS[kind][0], [leaf(a) for a in (x, w, b)], [g])
    return [*outs, *grads]


def numbers(kind, dtype, shape=(2, 3, 4), seed=0):
    rng = np.random.default_rng(seed)
    x, g = rng.standard_normal((2, *shape))
    w, b = rng.uniform(0.5, 2, (2, *KINDS[kind][1]))
    return [a.astype(dtype) for a in (x, g, w, b)]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mean", [0, 1.9, 2.1, -1e3, 1e6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_mean_that_is_large_beside_the_spread_costs_no_accuracy(kind, mean, dtype):
    x, g, w, b = numbers(kind, dtype)
    x = x + dtype(mean)  # what rounding leaves of the spread is the input
    for mine, exact in zip(found(kind, x, g, w, b), formula(kind, x, g, w, b), strict=True):
        error = np.abs(mine - exact).max() / max(np.abs(exact).max(), 1)
        assert mine.dtype == dtype
        assert error <= 64 * np.finfo(dtype).eps, (kind, mean, error)


@pytest.mark.parametrize("kind", CENTRED)
def test_nor_does_it_cost_the_rule_on_tensors_any(kind):
    x, g, w, b = numbers(kind, np.float64)
    x = x + 1e6
    with mg.create_graph():
        found = mg.grad(lambda *x: (KINDS[kind][0](*x) * g).sum(), argnums=(0, 1, 2))(*map(leaf, (x, w, b)))
    for mine, exact in zip(found, formula(kind, x, g, w, b)[1:], strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), exact, atol=1e-13 * max(np.abs(exact).max(), 1), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", CENTRED)
def test_what_does_not_vary_becomes_the_bias(kind, dtype):
    for value in (0.0, 0.1, 1e4 / 3, -1e-3 / 7):
        x, g, w, b = numbers(kind, dtype)
        y, dx, dw, _ = found(kind, np.full_like(x, value), g, w, b)
        np.testing.assert_array_equal(y, np.broadcast_to(b if len(b) == 4 else b[:, None], y.shape))
        np.testing.assert_allclose(dw, 0, atol=1e-9)
        assert np.isfinite(dx).all()


@pytest.mark.parametrize("size", [1e25, 1e-3, 1e-12])
@pytest.mark.parametrize("kind", KINDS)
def test_squares_may_overflow_in_single_precision(kind, size):
    x, g, w, b = numbers(kind, np.float32)
    x = x * np.float32(size)
    with np.errstate(over="ignore"):  # of the variance of a batch, which is a result
        results = found(kind, x, g, w, b)
    for mine, exact in zip(results, formula(kind, x, g, w, b), strict=True):
        np.testing.assert_allclose(mine, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())


def test_an_eps_that_half_precision_does_not_know_counts():
    x, nothing = np.full((2, 1), 1e-3, np.float16), np.zeros(1, np.float16)
    loss = lambda x, v: (mg.ops.batch_norm(x, None, None, nothing, v, eps=1e-8) * np.float16(0.01)).sum()  # noqa: E731
    with mg.create_graph():
        d = mg.grad(loss)(leaf(x), leaf(nothing))
    np.testing.assert_allclose(d.detach().numpy(), 100, rtol=1e-2)


@pytest.mark.parametrize("norm", [mg.ops.layer_norm, mg.ops.rms_norm])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float64), (bool, np.float32), (np.int8, np.float32)])
def test_what_is_mixed_is_computed_in_the_wider_dtype(norm, dtypes):
    x, w = (np.array(a, dtype) for a, dtype in zip(([[1, 0, 5]], [0.5, 1.5, 2]), dtypes, strict=True))
    found = norm(x, w)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.numpy(), norm(x.astype(float), w.astype(float)).numpy(), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("given", ["mean", "var", "both", "neither"])
def test_statistics_of_a_batch_are_differentiated(given):
    x = np.random.default_rng(0).standard_normal((4, 3, 20)) + np.array([[0.3], [5.0], [-1.0]])

    def loss(x):
        y, mean, var = batch_norm_with_statistics(x)
        terms = {"mean": (mean**2).sum(), "var": (var**2).sum(), "neither": (y**3).sum()}
        return terms["mean"] + terms["var"] if given == "both" else terms[given]

    assert mg.gradcheck(loss, [x], rtol=1e-6, atol=1e-9)
    _, mean, var = batch_norm_with_statistics(x)
    np.testing.assert_allclose(mean.numpy(), x.mean((0, 2)), rtol=1e-13)
    np.testing.assert_allclose(var.numpy(), x.var((0, 2)), rtol=1e-13)


# --- what is refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: mg.ops.layer_norm(x, np.ones(3)), r"layer_norm\(.*weight must be \(4,\), as the normalised axes"),
        (lambda x: mg.ops.layer_norm(x, axis=(1, 2), bias=np.ones(4)), r"bias must be \(3, 4\), .*, not \(4,\)"),
        (lambda x: mg.ops.layer_norm(x, axis=3), r"layer_norm\(x: .*\): axis 3 is out of bounds"),
        (lambda x: mg.ops.layer_norm(x, axis=(1, -2)), "repeated axis"),
        (lambda x: mg.ops.layer_norm(x, eps=-1.0), "eps must be finite and at least 0, but is -1.0"),
        (lambda x: mg.ops.rms_norm(x, np.ones((1, 4))), r"rms_norm\(.*weight must be \(4,\), .*, not \(1, 4\)"),
        (lambda x: mg.ops.rms_norm(x, eps=np.nan), "eps must be finite and at least 0, but is nan"),
        (lambda x: mg.ops.group_norm(x, 1, eps=np.inf), "eps must be finite and at least 0, but is inf"),
        (lambda x: mg.ops.batch_norm(x, eps=np.inf), "eps must be finite and at least 0, but is inf"),
        (lambda x: mg.ops.layer_norm(1.0), "axis -1 is out of bounds"),
        (lambda x: mg.ops.group_norm(x, 2), "groups must be a positive integer that divides the 3 channels, not 2"),
        (lambda x: mg.ops.group_norm(x, 0), "groups must be a positive integer"),
        (lambda x: mg.ops.group_norm(x, True), "groups must be a positive integer"),
        (lambda x: mg.ops.group_norm(x, 1, np.ones(4)), r"weight must be \(3,\), as x has channels along axis 1, not"),
        (lambda x: mg.ops.group_norm(x[0, 0], 1), r"x must be \(N, C, …\), with the channels along axis 1, not \(4,\)"),
        (lambda x: mg.ops.batch_norm(x[0, 0]), r"batch_norm\(.*x must be \(N, C, …\)"),
        (lambda x: mg.ops.batch_norm(x, mean=np.ones(3)), "mean and var must both be given, or neither"),
        (lambda x: mg.ops.batch_norm(x, mean=np.ones(3), var=np.ones(4)), r"var must be \(3,\), .*, not \(4,\)"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.ones((2, 3, 4)))
