"""Losses: against references and PyTorch, extreme logits, ignored entries, and shapes that must not broadcast."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


@st.composite
def class_cases(draw, smoothing):
    shape, C = draw(shapes(max_dims=2)), draw(st.integers(1, 4))
    options = {"reduction": draw(REDUCTIONS), "ignore_index": draw(st.sampled_from([None, -1, 0]))}
    if smoothing:
        options["label_smoothing"] = draw(st.sampled_from([0.0, 0.1, 1.0]))
    options["weight"] = draw(st.none() | arrays((C,), 0.0, 2.0))
    low = -1 if options["ignore_index"] == -1 else 0
    targets = np.random.default_rng(draw(st.integers(0, 99))).integers(low, C, shape)
    return Case([draw(arrays((*shape, C), -3, 3)), targets], options)


@st.composite
def pair_cases(draw, low, high):
    shape = draw(shapes())
    options = {"reduction": draw(REDUCTIONS), "weight": draw(st.none() | arrays(shape, 0.0, 2.0))}
    options["pos_weight"] = draw(st.none() | arrays(st.sampled_from([(), shape[-1:], shape]), 0.0, 2.0))
    return Case([draw(arrays(shape)), draw(arrays(shape, low, high))], options)


CASES = {
    "binary_cross_entropy_with_logits": pair_cases(0.05, 0.95),
    "cross_entropy": class_cases(True),
    "nll_loss": class_cases(False),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore", [None, 2, -100])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_losses_agree_with_pytorch(reduction, ignore, smoothing):
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((3, 5, 6)), rng.integers(0, 6, (3, 5))
    if ignore is not None:
        targets[0, :3] = ignore
    options = {"reduction": reduction, "ignore_index": -100 if ignore is None else ignore}
    PYTORCH.compare(
        f"cross_entropy {reduction} {ignore} {smoothing}",
        lambda x, t: mg.ops.cross_entropy(x, t, reduction, ignore, smoothing),
        lambda torch, x, t: torch.nn.functional.cross_entropy(
            x.movedim(-1, 1), t, label_smoothing=smoothing, **options
        ),
        [logits, targets], rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    PYTORCH.compare(
        f"nll_loss {reduction} {ignore} {smoothing}",
        lambda x, t: mg.ops.nll_loss(x, t, reduction, ignore),
        lambda torch, x, t: torch.nn.functional.nll_loss(x.movedim(-1, 1), t, **options),
        [logits, targets], rtol=1e-10, atol=1e-14,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_class_probabilities_agrees_with_pytorch(reduction, smoothing, weighted):
    """Rows of sums other than 1, of one class alone and of zeros, too."""
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((3, 5, 6)), rng.dirichlet(np.full(6, 0.5), (3, 5))
    targets[0, 0], targets[0, 1], targets[0, 2] = 0, [0, 0, 1, 0, 0, 0], 3 * targets[0, 2]
    weight = np.array([0.5, 2.0, 0.0, 1.0, 0.25, 3.0]) if weighted else None

    def loss(x):
        return mg.ops.cross_entropy(x, targets, reduction, label_smoothing=smoothing, weight=weight)

    PYTORCH.compare(
        f"probabilities {reduction} {smoothing} {weighted}",
        loss,
        lambda torch, x: torch.nn.functional.cross_entropy(
            x.movedim(-1, 1), torch.tensor(targets).movedim(-1, 1), label_smoothing=smoothing, reduction=reduction,
            weight=None if weight is None else torch.tensor(weight),
        ),
        [logits], rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    reference = partial(mg.ops.cross_entropy.primitive.reference, reduction=reduction, label_smoothing=smoothing)
    found = reference(leaf(logits), mg.tensor(targets), weight=weight)
    np.testing.assert_allclose(found.data, loss(logits).data, rtol=1e-12, atol=1e-14)
    assert mg.gradgradcheck(loss, [logits], rtol=1e-5, atol=1e-8)


def test_class_probabilities_are_constants_and_of_one_class_they_are_its_index():
    x = np.array([[800.0, -800.0, -np.inf], [1.0, 2.0, 3.0]])
    probabilities = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    (value,), (slope,) = pull(lambda x: mg.ops.cross_entropy(x, probabilities, "sum"), [leaf(x)], [np.array(1.0)])
    (expected,), (wanted,) = pull(lambda x: mg.ops.cross_entropy(x, [1, 0], "sum"), [leaf(x)], [np.array(1.0)])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(slope, wanted, rtol=1e-12, atol=1e-15)
    x, teacher = mg.tensor(x, requires_grad=True), mg.tensor(probabilities, requires_grad=True)
    with pytest.raises(TypeError, match=r"no gradient flows to the targets"):
        mg.ops.cross_entropy(x, teacher).backward()
    mg.ops.cross_entropy(x, teacher.detach()).backward()
    assert mg.ops.cross_entropy(x.data.astype(np.float32), probabilities).dtype == np.float32


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_other_losses_agree_with_pytorch(reduction):
    rng = np.random.default_rng(0)
    x, t = 5 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    pairs = (mg.ops.mse_loss, "mse_loss"), (mg.ops.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits")
    for mine, peer in pairs:
        PYTORCH.compare(
            f"{peer} {reduction}",
            lambda a, b, mine=mine: mine(a, b, reduction),
            lambda torch, a, b, peer=peer: getattr(torch.nn.functional, peer)(a, b, reduction=reduction),
            [x, t], rtol=1e-10, atol=1e-14,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_of_any_size(dtype):
    x = leaf(np.array([[1e4, -1e4], [1e4, 1e4]], dtype))
    outs, grads = pull(lambda z: mg.ops.cross_entropy(z, [1, 0], "sum"), [x], [np.ones((), dtype)])
    np.testing.assert_allclose(outs[0], 2e4 + np.log(2), rtol=1e-6)
    np.testing.assert_allclose(grads[0], [[1, -1], [-0.5, 0.5]])
    x = leaf(np.array([[1e4, 1e4], [0, 0]], dtype))  # each row by its own largest
    np.testing.assert_allclose(mg.ops.cross_entropy(x, [1, 0], "none").numpy(), [np.log(2)] * 2, rtol=1e-6)
    x, t = leaf(np.array([1e4, -1e4, 1e4, -1e4, 0], dtype)), np.array([1, 1, 0, 0, 1])
    outs, grads = pull(lambda z: mg.ops.binary_cross_entropy_with_logits(z, t, "none"), [x], [np.ones(5, dtype)])
    np.testing.assert_allclose(outs[0], [0, 1e4, 1e4, 0, np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(grads[0], [0, -1, 1, 0, -0.5])


@pytest.mark.parametrize("factor", [0.0, -2.0])
def test_a_factor_behind_the_loss_scales_the_gradient(factor):
    z = np.array([[1.0, 2.0], [3.0, 0.0]])
    g = np.array([1.0, factor])
    (one,), (scaled,) = (pull(lambda z: mg.ops.cross_entropy(z, [1, 0]), [leaf(z)], [np.array(u)])[1] for u in g)
    np.testing.assert_allclose(scaled, factor * one, rtol=1e-14)


def test_targets_of_boolean_and_integer_logits():
    for logits in (np.array([True, False]), np.array([1, 0])):
        targets = leaf(np.array([0.5, 1.0]))
        loss = partial(mg.ops.binary_cross_entropy_with_logits, logits, reduction="sum")
        grads = pull(loss, [targets], [np.array(1.0)])[1]
        np.testing.assert_array_equal(grads[0], [-1, 0])


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_nothing_counted_is_zero(name):
    for shape, targets in (((2, 3), np.array([9, 9])), ((0, 3), np.zeros(0, int)), ((0, 0), np.zeros(0, int))):
        x = leaf(np.ones(shape))
        outs, grads = pull(lambda z, t=targets: getattr(mg.ops, name)(z, t, ignore_index=9), [x], [np.ones(())])
        assert outs[0] == 0
        np.testing.assert_array_equal(grads[0], np.zeros(shape))
        each = getattr(mg.ops, name)(x, targets, "none", ignore_index=9)
        np.testing.assert_array_equal(each.numpy(), np.zeros(len(targets)))


def test_empty_means_are_zero():
    for loss in (mg.ops.mse_loss, mg.ops.binary_cross_entropy_with_logits):
        assert loss(np.zeros((0, 2)), np.zeros((0, 2))).item() == 0


def test_means_in_half_precision_do_not_overflow():
    n = 20000
    zeros, tens, targets = np.zeros((n, 2), np.float16), np.full((n, 2), 10, np.float16), np.zeros(n, int)
    assert mg.mse_loss(tens, zeros).item() == 100
    assert mg.nll_loss(-tens, targets).item() == 10
    assert mg.cross_entropy(tens * np.array([0, 1], np.float16), targets).item() == 10  # log(1 + e^10)
    assert mg.binary_cross_entropy_with_logits(tens, zeros).item() == 10
    for name in ("mse_loss", "binary_cross_entropy_with_logits"):
        assert getattr(mg, name)(tens, zeros).dtype == np.float16


def test_integers_and_booleans():
    assert mg.ops.mse_loss([1, 2], [3, 2]).item() == 2
    assert mg.ops.mse_loss(np.array([200], np.uint8), np.array([250], np.uint8)).item() == 2500
    out = mg.ops.binary_cross_entropy_with_logits(np.zeros(2, np.float32), np.array([True, False]))
    assert out.dtype == np.float32
    assert out.item() == pytest.approx(np.log(2))
    assert mg.ops.cross_entropy([[0, 0]], [1]).item() == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("logits", "targets", "options", "kind", "message"),
    [
        (
            np.zeros((2, 3)),
            [0],
            {},
            ValueError,
            r"cross_entropy\(.*targets must be \(2,\) as logits without .*, not \(1,\)",
        ),
        (np.zeros((2, 3)), [[0], [0]], {}, ValueError, r"targets must be \(2,\)"),
        (np.zeros((2, 3, 5)), np.zeros((2, 5), int), {}, ValueError, r"LAST axis here: give moveaxis\(logits, 1, -1\)"),
        (np.zeros(()), 0, {}, ValueError, "not a single number"),
        (np.zeros((2, 3)), [0, 3], {}, IndexError, r"targets\[1\] is 3: it must lie in 0 … 2"),
        (np.zeros((2, 3)), [-1, 0], {"ignore_index": -2}, IndexError, r"targets\[0\] is -1"),
        (
            np.zeros((2, 3)),
            [0.0, 1.0],
            {},
            TypeError,
            r"targets must be integers, not float32 .*class probabilities .* \(2, 3\)",
        ),
        (np.zeros((2, 3)), [0.0, 1.0], {"ignore_index": 0}, TypeError, "targets must be integers, not float32"),
        (np.zeros((2, 3)), np.zeros((3, 2)), {}, ValueError, r"targets must have the shape \(2, 3\), not \(3, 2\)"),
        (np.zeros((2, 3)), -np.eye(2, 3), {}, ValueError, r"targets\[0, 0\] is -1.0: it must be finite and at least 0"),
        (np.zeros((2, 3)), np.zeros((2, 3)), {"ignore_index": 0}, ValueError, "targets .* are probabilities: leave it"),
        (np.zeros((2, 3)), [0, 1], {"reduction": "max"}, ValueError, "'mean', 'sum' or 'none', not 'max'"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": 1.5}, ValueError, r"must lie in 0 … 1, not 1\.5"),
        (np.zeros((2, 3)), [0, 1], {"label_smoothing": np.nan}, ValueError, "must lie in 0 … 1, not nan"),
    ],
)
def test_cross_entropy_refuses(logits, targets, options, kind, message):
    with pytest.raises(kind, match=message):
        mg.ops.cross_entropy(logits, targets, **options)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize(
    "index", ["1", 1.5, np.nan, {}, ..., True, np.array([0, 1, 2]), [1]], ids=lambda i: type(i).__name__
)
def test_an_ignored_index_is_an_integer(name, index):
    loss = getattr(mg.ops, name)
    with pytest.raises(TypeError, match=r"ignore_index must be an integer or None, not "):
        loss(np.zeros((3, 4)), [0, 1, 2], ignore_index=index)
    assert loss(np.zeros((3, 4)), [0, 1, 2], "sum", ignore_index=np.uint8(1)).item() == (
        loss(np.zeros((3, 4)), [0, 1, 2], "sum", ignore_index=1).item()
    )


@pytest.mark.parametrize("smoothing", ["0.1", None, True, 1j, [0.1]], ids=repr)
def test_label_smoothing_is_a_number(smoothing):
    with pytest.raises(TypeError, match="label_smoothing must be a number, not "):
        mg.ops.cross_entropy(np.zeros((2, 3)), [0, 1], label_smoothing=smoothing)


@pytest.mark.parametrize("smoothing", [np.float64(0.1), np.float32(0.1), np.int64(1)], ids=repr)
def test_label_smoothing_of_numpy_leaves_the_loss_its_dtype(smoothing):
    logits = leaf(np.zeros((2, 3), np.float32))
    for reduction in ("mean", "none"):
        loss = mg.ops.cross_entropy(logits, [0, 1], reduction, label_smoothing=smoothing)
        assert loss.dtype == np.float32


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        (
            "mse_loss",
            (np.zeros(3), np.zeros((3, 1))),
            r"mse_loss\(.*prediction \(3,\) and target \(3, 1\) .* do not broadcast",
        ),
        ("mse_loss", (np.zeros(3), 0.0), "do not broadcast"),
        ("binary_cross_entropy_with_logits", (np.zeros(3), np.zeros((1, 3))), "do not broadcast"),
        ("binary_cross_entropy_with_logits", (np.zeros(2), [0.5, 1.5]), r"targets\[1\] is 1\.5: it must lie in 0 … 1"),
        ("binary_cross_entropy_with_logits", (np.zeros(2), [np.nan, 1.0]), r"targets\[0\] is nan"),
        ("nll_loss", (np.zeros((2, 3)), np.zeros((2, 3), int)), r"targets must be \(2,\) as log_probabilities"),
    ],
)
def test_losses_refuse(name, inputs, message):
    with pytest.raises(ValueError, match=message):
        getattr(mg.ops, name)(*inputs)
    with pytest.raises(ValueError, match="reduction must be"):
        getattr(mg.ops, name)(np.zeros((1, 1)), np.zeros((1,) if name == "nll_loss" else (1, 1), int), reduction="avg")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(smoothing=st.floats(1e-9, 1e-3), seed=st.integers(0, 99), classes=st.integers(2, 40))
def test_a_gradient_of_smoothed_targets_sums_to_0(dtype, smoothing, seed, classes):
    # the softmax and the targets both sum to 1; at a target that is nearly certain their difference cancels
    x = np.random.default_rng(seed).normal(size=(1, classes)).astype(dtype)
    x[0, 0] += 40
    d = pull(lambda t: mg.ops.cross_entropy(t, [0], label_smoothing=smoothing), [leaf(x)], [np.ones((), dtype)])[1][0]
    assert abs(d.sum()) <= 4 * np.finfo(dtype).eps * classes * np.abs(d).max()
    np.testing.assert_allclose(d[0, 1:], -smoothing / classes, rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loss_near_0_and_its_gradient_are_exact(dtype):
    x = np.array([[40, 0, 1]], dtype)
    (loss,), (d,) = pull(lambda z: mg.ops.cross_entropy(z, [0]), [leaf(x)], [np.ones((), dtype)])
    p = np.exp(np.array([-40.0, -39.0]))
    np.testing.assert_allclose(loss, p.sum(), rtol=10 * np.finfo(dtype).eps)
    np.testing.assert_allclose(d, [[-p.sum(), *p]], rtol=10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("weight", [[0.5, 0.0, 3.0, 1.0], None])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_smoothed_and_weighted_losses_are_what_they_are_defined_as(smoothing, weight):
    """Each row's is -sum q w log p; with a row of a class that weighs nothing, and one that weighs 1."""
    x, targets = np.random.default_rng(0).standard_normal((5, 4)), np.array([0, 3, 2, 2, 1])
    q = (1 - smoothing) * np.eye(4)[targets] + smoothing / 4
    q *= np.ones(4) if weight is None else weight
    losses = -(q * (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))).sum(axis=1)
    gradient = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) * q.sum(axis=1, keepdims=True) - q
    for reduction, scale in (
        ("none", 1.0),
        ("sum", 1.0),
        ("mean", 5 if weight is None else np.take(weight, targets).sum()),
    ):
        loss = lambda x, r=reduction: mg.ops.cross_entropy(x, targets, r, label_smoothing=smoothing, weight=weight)  # noqa: E731
        g = np.arange(1.0, 6.0) if reduction == "none" else np.ones(())
        (found,), (d,) = pull(loss, [leaf(x)], [g])
        np.testing.assert_allclose(found, losses if reduction == "none" else losses.sum() / scale, rtol=1e-13)
        np.testing.assert_allclose(
            d, gradient * (g[:, None] if reduction == "none" else 1 / scale), rtol=1e-12, atol=1e-15
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(("shape", "weight"), [((2, 3), [0.0] * 3), ((0, 3), None), ((0, 0), None), ((0, 0), [])])
def test_rows_that_weigh_nothing_and_no_rows_have_no_derivatives(shape, weight, smoothing):
    x, options = np.ones(shape), {"label_smoothing": smoothing, "weight": weight}
    loss = lambda x: mg.ops.cross_entropy(x, np.zeros(len(x), int), "sum", **options) ** 2  # noqa: E731
    assert loss(x).item() == 0
    for d in (*mg.grad(loss, (0,))(x), *mg.hvp(loss, [x], [x])):
        np.testing.assert_array_equal(d.numpy(), 0 * x)


def test_large_weights_do_not_overflow():
    x, weight = np.zeros((1, 2), np.float32), [3e38, 3e38]  # whose sum, and so their mean, would
    found = mg.ops.cross_entropy(x, [0], "sum", weight=weight).item()
    np.testing.assert_allclose(found, 3e38 * np.log(2), rtol=1e-6)


@pytest.mark.parametrize("weight", [None, [2.0]])
def test_a_single_class_is_certain(weight):
    x = np.array([[3.0], [-1.0]])
    loss = lambda x: mg.ops.cross_entropy(x, [0, 0], label_smoothing=0.3, weight=weight)  # noqa: E731
    assert loss(x).item() == 0
    for d in (*mg.grad(loss, (0,))(x), *mg.hvp(loss, [x], [x])):
        np.testing.assert_allclose(d.numpy(), 0, atol=1e-16)


def test_smoothed_targets_of_many_rows_and_classes_keep_their_precision():
    """Of 200 rows of 2,000 equal logits in single precision, whose exponentials sum to 2,000."""
    x = np.zeros((200, 2000), np.float32)
    d = pull(
        lambda x: mg.ops.cross_entropy(x, np.zeros(200, int), label_smoothing=0.1), [leaf(x)], [np.ones((), "f4")]
    )[1][0]
    np.testing.assert_allclose(d[:, 0], (1 / 2000 - 0.9 - 0.1 / 2000) / 200, rtol=1e-6)
    np.testing.assert_allclose(d[:, 1:], 0.9 / 2000 / 200, rtol=1e-5)


def test_targets_keep_their_precision():
    x, t = leaf(np.array([40.0], np.float32)), leaf(np.array([1 - 1e-9]))
    dx, dt = pull(lambda a, b: mg.ops.binary_cross_entropy_with_logits(a, b, "sum"), [x, t], [np.ones(())])[1]
    assert (dx.dtype, dt.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(dx, 1e-9, rtol=1e-6)


MEANS = {
    "cross_entropy": lambda x: mg.ops.cross_entropy(x, np.zeros(len(x), int)),
    "nll_loss": lambda x: mg.ops.nll_loss(x, np.zeros(len(x), int)),
    "mse_loss": lambda x: mg.ops.mse_loss(x, np.zeros(x.shape, x.dtype)),
    "binary_cross_entropy_with_logits": (
        lambda x: mg.ops.binary_cross_entropy_with_logits(x, np.zeros(x.shape, x.dtype))),
}  # fmt: skip


@pytest.mark.parametrize("name", MEANS)
def test_a_mean_of_many_under_a_large_cotangent_in_half_precision(name):
    x = np.random.default_rng(0).normal(size=(70_000, 2)).astype(np.float16)  # 1 / 70,000 has 8 bits there
    narrow = pull(MEANS[name], [leaf(x)], [np.array(1000, np.float16)])[1][0]
    exact = pull(MEANS[name], [leaf(x.astype(float))], [np.array(1000.0)])[1][0]
    np.testing.assert_allclose(narrow, exact, rtol=2**-11 + 1e-6, atol=2**-25 + 1e-9)


# --- derivatives of derivatives ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"label_smoothing": 0.1},
        {"reduction": "sum", "ignore_index": 3},
        {"reduction": "none"},
        {"reduction": "sum", "weight": [0.5, 2.0, 1.0, 0.0, 3.0]},
        {"label_smoothing": 0.3, "weight": [0.5, 2.0, 1.0, 0.0, 3.0]},
    ],
)
def test_third_derivatives_of_cross_entropy(options):
    rng = np.random.default_rng(0)
    x, v, targets = rng.standard_normal((4, 5)), rng.standard_normal((4, 5)), np.array([0, 3, 2, 2])

    def second(x):
        with mg.create_graph():
            return mg.hvp(lambda x: (mg.ops.cross_entropy(x * x, targets, **options) ** 2).sum(), [x], [v])

    assert mg.gradcheck(second, [x], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("weight", [None, np.ones(3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_hessian_of_cross_entropy_is_exact_in_the_tails(dtype, weight):
    """p_i v_i - p_i sum(p v), where p is as near to 0 and 1 as it goes; against the same with more digits."""
    x = np.array([[1000, 0, -5], [30, 0, 1], [0, 20, 40], [0.5, 0, 0]], dtype)
    v = np.array([[1, 3, 2], [5, -1, 0.5], [1, 2, 3], [1, -2, 1]], dtype)
    targets = np.array([0, 0, 1, 2])
    (found,) = mg.hvp(lambda x: mg.ops.cross_entropy(x, targets, "sum", weight=weight), [x], [v])
    wide = x.astype(np.longdouble)
    p = np.exp(wide - wide.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    differences = v[:, :, None].astype(np.longdouble) - v[:, None]  # v_i - sum(p v) as a sum without cancellation
    exact = p * (differences * p[:, None]).sum(axis=2)
    np.testing.assert_allclose(found.numpy(), exact.astype(dtype), rtol=30 * np.finfo(dtype).eps)


def test_second_derivatives_of_cross_entropy_agree_with_pytorch():
    rng = np.random.default_rng(0)
    x, v, targets = 3 * rng.standard_normal((6, 7)), rng.standard_normal((6, 7)), rng.integers(0, 7, 6)
    targets[2] = -100

    def theirs(torch, x, v, targets):
        def loss(x):
            return torch.nn.functional.cross_entropy(x, torch.as_tensor(targets), label_smoothing=0.2)

        return torch.autograd.functional.hvp(loss, torch.as_tensor(x), torch.as_tensor(v))[1].numpy()

    answer = PYTORCH.ask("hvp of cross_entropy", theirs, [x, v, targets])
    x, v, targets = answer.inputs
    loss = lambda x: mg.ops.cross_entropy(x, targets, ignore_index=-100, label_smoothing=0.2)  # noqa: E731
    np.testing.assert_allclose(mg.hvp(loss, [x], [v])[0].numpy(), answer.expected, rtol=1e-9, atol=1e-14)
