"""Losses: against references and PyTorch, extreme logits, ignored entries, and shapes that must not broadcast."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
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


EVERY_REDUCTION = ["mean", "sum", "none"]


NAMES = ["mse_loss", "l1_loss", "huber_loss", "kl_div"]


@st.composite
def number_cases(draw):
    shape = draw(shapes())
    return Case([draw(arrays(shape)), draw(arrays(shape))], {"reduction": draw(st.sampled_from(EVERY_REDUCTION))})


@st.composite
def apart_cases(draw, options=None):
    """Differences away from 0 and from ±0.7."""
    shape = draw(shapes())
    difference = draw(arrays(shape, layouts=("C",), away_from=(-0.7, 0.0, 0.7)))
    target = draw(arrays(shape, -0.5, 0.5))
    return Case(
        [np.asarray(target + difference), target],
        {"reduction": draw(st.sampled_from(EVERY_REDUCTION)), **(options or {})},
    )


@st.composite
def divergence_cases(draw):
    shape, log_target = draw(shapes(min_dims=1)), draw(st.booleans())
    target = draw(arrays(shape, -3.0, 0.0) if log_target else arrays(shape, 0.05, 1.0))
    options = {"log_target": log_target, "reduction": draw(st.sampled_from([*EVERY_REDUCTION, "batchmean"]))}
    return Case([draw(arrays(shape, -3.0, 0.0)), target], options)


CASES = {
    "binary_cross_entropy_with_logits": pair_cases(0.05, 0.95),
    "cross_entropy": class_cases(True),
    "nll_loss": class_cases(False),
    "huber_loss": apart_cases({"delta": 0.7}),
    "kl_div": divergence_cases(),
    "l1_loss": apart_cases(),
    "mse_loss": number_cases(),
}


@pytest.mark.parametrize("name", CASES)
@settings(max_examples=12)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


CLASS_WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 0.25, 3.0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("ignore", "smoothing"), [(-100, 0.0), (2, 0.0), (2, 0.2), (-100, 1.0)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_class_losses_agree_with_pytorch(name, reduction, ignore, smoothing, weighted):
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((3, 5, 6)), rng.integers(0, 6, (3, 5))
    targets[0, :3], targets[1, 0] = ignore, 2  # the second has a weight of 0, or is ignored
    weight, options = CLASS_WEIGHTS if weighted else None, {"reduction": reduction, "ignore_index": ignore}
    if name == "cross_entropy":
        options["label_smoothing"] = smoothing

    def theirs(torch, x, t):
        w = None if weight is None else torch.tensor(weight)
        return getattr(torch.nn.functional, name)(x.movedim(-1, 1), t, w, **options)

    mine = lambda x, t: getattr(mg.ops, name)(x, t, weight=weight, **options)  # noqa: E731
    key = f"{name} {reduction} {ignore} {smoothing} {weighted}"
    PYTORCH.compare(key, mine, theirs, [logits, targets], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("reduction", "smoothing"), [("mean", 0.0), ("mean", 0.2), ("sum", 0.2), ("none", 0.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_class_probabilities_agrees_with_pytorch(reduction, smoothing, weighted):
    """Rows of sums other than 1, of one class alone and of zeros, too."""
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((3, 5, 6)), rng.dirichlet(np.full(6, 0.5), (3, 5))
    targets[0, 0], targets[0, 1], targets[0, 2] = 0, [0, 0, 1, 0, 0, 0], 3 * targets[0, 2]
    options = {"reduction": reduction, "label_smoothing": smoothing}
    weight = CLASS_WEIGHTS if weighted else None

    def theirs(torch, x):
        w, t = None if weight is None else torch.tensor(weight), torch.tensor(targets).movedim(-1, 1)
        return torch.nn.functional.cross_entropy(x.movedim(-1, 1), t, w, **options)

    loss = lambda x: mg.ops.cross_entropy(x, targets, weight=weight, **options)  # noqa: E731
    PYTORCH.compare(f"probabilities {options} {weighted}", loss, theirs, [logits], rtol=1e-10, atol=1e-14)
    found = mg.ops.cross_entropy.primitive.reference(leaf(logits), mg.tensor(targets), weight=weight, **options)
    np.testing.assert_allclose(found.data, loss(logits).data, rtol=1e-12, atol=1e-14)
    assert mg.gradgradcheck(loss, [logits], rtol=1e-5, atol=1e-8)


def test_class_probabilities_of_one_class_are_its_index():
    x = np.array([[800.0, -800.0, -np.inf], [1.0, 2.0, 3.0]])
    found, expected = (
        pull(lambda x, t=t: mg.ops.cross_entropy(x, t, "sum"), [leaf(x)], [np.array(1.0)])
        for t in (np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), [1, 0])
    )
    np.testing.assert_allclose(found[0][0], expected[0][0], rtol=1e-12)
    np.testing.assert_allclose(found[1][0], expected[1][0], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("given", ["neither", "weight", "number", "last axis", "all"])
def test_binary_cross_entropy_with_logits_agrees_with_pytorch(reduction, given):
    rng = np.random.default_rng(0)
    x, t = 5 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    x[0], t[0], t[1] = [800, -800, 30, -30], [1, 0, 0, 1], [0, 1, 0, 1]
    positive = {"number": np.array(2.5), "last axis": np.array([0, 1.0, 3, 0.5]), "all": rng.random((3, 4))}.get(given)
    weights = {"weight": None if given == "neither" else np.array([[0, 1, 2.0, 0.1]] * 3), "pos_weight": positive}

    def theirs(torch, a, b):
        options = {name: None if w is None else torch.tensor(w) for name, w in weights.items()}
        return torch.nn.functional.binary_cross_entropy_with_logits(a, b, reduction=reduction, **options)

    mine = lambda a, b: mg.ops.binary_cross_entropy_with_logits(a, b, reduction, **weights)  # noqa: E731
    PYTORCH.compare(f"binary {reduction} {given}", mine, theirs, [x, t], rtol=1e-10, atol=1e-14)


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


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_nothing_counted_is_zero(name):
    for shape, targets in (((2, 3), np.array([9, 9])), ((0, 3), np.zeros(0, int)), ((0, 0), np.zeros(0, int))):
        x = leaf(np.ones(shape))
        outs, grads = pull(lambda z, t=targets: getattr(mg.ops, name)(z, t, ignore_index=9), [x], [np.ones(())])
        assert outs[0] == 0
        np.testing.assert_array_equal(grads[0], np.zeros(shape))
        each = getattr(mg.ops, name)(x, targets, "none", ignore_index=9)
        np.testing.assert_array_equal(each.numpy(), np.zeros(len(targets)))


Z, ONES = np.zeros((2, 3)), np.ones(3)


BCE = mg.ops.binary_cross_entropy_with_logits


@pytest.mark.parametrize(
    ("loss", "inputs", "options", "kind", "message"),
    [
        (mg.ops.cross_entropy, (Z, [0]), {}, ValueError, r"cross_entropy\(.*targets must be \(2,\).*not \(1,\)"),
        (mg.ops.cross_entropy, (np.zeros((2, 3, 5)), np.zeros((2, 5), int)), {}, ValueError, r"moveaxis\(logits, 1"),
        (mg.ops.cross_entropy, (np.zeros(()), 0), {}, ValueError, "not a single number"),
        (mg.ops.cross_entropy, (Z, [0, 3]), {}, IndexError, r"targets\[1\] is 3: .* 0 … 2"),
        (mg.ops.cross_entropy, (Z, [-1, 0]), {"ignore_index": -2}, IndexError, r"targets\[0\] is -1"),
        (mg.ops.cross_entropy, (Z, [0.0, 1.0]), {}, TypeError, r"targets .*integers, not float32 .*\(2, 3\)"),
        (mg.ops.cross_entropy, (Z, np.zeros((3, 2))), {}, ValueError, r"targets .*\(2, 3\), not \(3, 2\)"),
        (mg.ops.cross_entropy, (Z, -np.eye(2, 3)), {}, ValueError, r"targets\[0, 0\] is -1\.0"),
        (mg.ops.cross_entropy, (Z, Z), {"ignore_index": 0}, ValueError, "probabilities: omit it"),
        (lambda x, t: mg.cross_entropy(leaf(x), leaf(t)).backward(), (Z, Z), {}, TypeError, "to the targets"),
        (mg.ops.cross_entropy, (Z, [0, 1]), {"reduction": "max"}, ValueError, "'mean', 'sum' or 'none', not 'max'"),
        *((mg.ops.cross_entropy, (Z, [0, 1]), {"label_smoothing": s}, ValueError, f"0 … 1, not {s}")
          for s in (1.5, np.nan)),
        *((mg.ops.cross_entropy, (Z, [0, 1]), {"label_smoothing": s}, TypeError, "label_smoothing must be a number")
          for s in ("0.1", None, True, 1j, [0.1])),
        *((loss, (Z, [0, 1]), {"ignore_index": i}, TypeError, "ignore_index must be an integer or None, not ")
          for loss in (mg.ops.cross_entropy, mg.ops.nll_loss)
          for i in ("1", 1.5, np.nan, {}, ..., True, np.array([0, 1, 2]), [1])),
        *((loss, (Z, [0, 1], w), {}, TypeError, r"reduction must be .*weight=")
          for loss in (mg.ops.cross_entropy, mg.ops.nll_loss) for w in (ONES, mg.tensor(ONES), [1.0, 1.0, 1.0])),
        (mg.ops.cross_entropy, (Z, [0, 1], "mean", None, 0.0, ONES), {}, TypeError, "positional arguments? but"),
        (mg.ops.nll_loss, (Z, [0, 1], "mean", None, ONES), {}, TypeError, "positional arguments? but"),
        (mg.ops.cross_entropy, (Z, [0, 1]), {"weight": np.ones(2)}, ValueError, r"weight .*\(3,\), not \(2,\)"),
        (mg.ops.cross_entropy, (Z, [0, 1]), {"weight": 1.0}, ValueError, r"weight .*\(3,\), not \(\)"),
        (mg.ops.cross_entropy, (Z, [0, 1]), {"weight": [1.0, -1.0, 0.0]}, ValueError, r"weight\[1\] is -1\.0"),
        (mg.ops.cross_entropy, (Z, [0, 1]), {"weight": leaf(ONES)}, TypeError, "weight is not differentiable"),
        (mg.ops.nll_loss, (Z, [0, 1]), {"weight": [1.0, 1.0, np.nan]}, ValueError, r"weight\[2\] is nan"),
        (mg.ops.nll_loss, (Z, Z.astype(int)), {}, ValueError, r"targets must be \(2,\) as log_probabilities"),
        (mg.ops.nll_loss, (Z, [0, 1]), {"reduction": "avg"}, ValueError, "reduction must be"),
        (BCE, (Z, Z), {"reduction": "avg"}, ValueError, "reduction must be"),
        (BCE, (ONES, np.zeros((1, 3))), {}, ValueError, "do not broadcast"),
        (BCE, (np.zeros(2), [0.5, 1.5]), {}, ValueError, r"targets\[1\] is 1\.5: .* 0 … 1"),
        (BCE, (np.zeros(2), [np.nan, 1.0]), {}, ValueError, r"targets\[0\] is nan"),
        (BCE, (Z, Z), {"weight": ONES}, ValueError, r"weight .*\(2, 3\), not"),
        (BCE, (Z, Z), {"pos_weight": np.ones((2, 1))}, ValueError, r"pos_weight .*\(\) or \(3,\) or \(2, 3\), not \(2"),
        (BCE, (Z, Z), {"pos_weight": -1.0}, ValueError, r"pos_weight is -1\.0"),
    ],
)  # fmt: skip
def test_refusals(loss, inputs, options, kind, message):
    with pytest.raises(kind, match=message):
        loss(*inputs, **options)


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


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(("shape", "weight"), [((2, 3), [0.0] * 3), ((0, 3), None), ((0, 0), None), ((0, 0), [])])
def test_rows_that_weigh_nothing_and_no_rows_have_no_derivatives(shape, weight, reduction):
    x, options = np.ones(shape), {"reduction": reduction, "weight": weight}
    loss = lambda x: mg.ops.cross_entropy(x, np.zeros(len(x), int), **options) ** 2  # noqa: E731
    assert loss(x).item() == 0
    for d in (*mg.grad(loss, (0,))(x), *mg.hvp(loss, [x], [x])):
        np.testing.assert_array_equal(d.numpy(), 0 * x)


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


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [mg.ops.cross_entropy, mg.ops.nll_loss])
def test_the_weight_of_one_entry_alone(loss, reduction):
    """Scores (C,) of a single entry have a scalar loss with every reduction."""
    x, weight = np.array([-1.5, -0.5, 0.7]), [0.25, 2.0, 4.0]
    options = {"reduction": reduction, "weight": weight}
    assert mg.gradcheck(lambda x: loss(x, 2, **options), [x])
    np.testing.assert_allclose(
        mg.jacobian(lambda x: loss(x, 2, **options))(x).numpy(), mg.grad(lambda x: loss(x, 2, **options))(x).numpy()
    )
    one = mg.grad(lambda x: loss(x, [2], **options).sum())(x[None]).numpy()
    np.testing.assert_allclose(one[0], mg.grad(lambda x: loss(x, 2, **options))(x).numpy())


# --- losses of numbers -----------------------------------------------------------------------------------


# --- against PyTorch ---------------------------------------------------------------------------------


def compare(pytorch, name, x, t, label, **options):
    pytorch.compare(
        f"{name} {label}",
        lambda a, b: getattr(mg.ops, name)(a, b, **options),
        lambda torch, a, b: getattr(torch.nn.functional, name)(a, b, **options),
        [x, t], rtol=1e-10, atol=1e-14,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", EVERY_REDUCTION)
@pytest.mark.parametrize(("name", "options"), [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 1.5}),
                                               ("huber_loss", {"delta": 20.0})])  # fmt: skip
def test_losses_agree_with_pytorch(name, options, reduction):
    rng = np.random.default_rng(0)
    x, t = 5 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    t[0] = x[0] + [0, 1.5, -1.5, 1e150]  # on the kinks, and far away
    compare(PYTORCH, name, x, t, f"{reduction} {options}", reduction=reduction, **options)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's advice to take batchmean
@pytest.mark.parametrize("reduction", [*EVERY_REDUCTION, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_agrees_with_pytorch(reduction, log_target):
    rng = np.random.default_rng(0)
    x, t = -5 * rng.random((3, 4)), rng.random((3, 4))
    x[0, 0], t[1, 1] = -700, 1e-300
    options = {"reduction": reduction, "log_target": log_target}
    compare(PYTORCH, "kl_div", x, np.log(t) if log_target else t, f"{reduction} {log_target}", **options)


# --- hard points -------------------------------------------------------------------------------------


def pulled(loss, x, t, dtype=np.float64):
    x, t = np.asarray(x, dtype), np.asarray(t, dtype)
    (out,), grads = pull(loss, [leaf(x), leaf(t)], [np.ones(mg.no_grad()(loss)(x, t).shape, dtype)])
    return out, *grads


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huber_loss_of_large_differences_does_not_overflow(dtype):
    large = np.finfo(dtype).max / 8
    out, d, _ = pulled(lambda x, t: mg.ops.huber_loss(x, t, delta=2.0, reduction="none"),
                       [large, -large, np.inf, -np.inf], [0, 0, 0, 0], dtype)  # fmt: skip
    np.testing.assert_allclose(out, [2 * large, 2 * large, np.inf, np.inf], rtol=1e-6)
    np.testing.assert_array_equal(d, [2, -2, 2, -2])


def test_l1_loss_at_its_kink_and_of_infinities():
    out, d, dt = pulled(lambda x, t: mg.ops.l1_loss(x, t, reduction="none"), [1, np.inf, -np.inf], [1, 0, 0])
    np.testing.assert_array_equal(out, [0, np.inf, np.inf])
    np.testing.assert_array_equal(d, [0, 1, -1])
    np.testing.assert_array_equal(dt, [0, -1, 1])


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays_nan(name):
    assert np.isnan(getattr(mg.ops, name)(np.array([np.nan, 0]), np.array([1.0, 1])).item())
    assert np.isnan(getattr(mg.ops, name)(np.array([0.0, 0]), np.array([1.0, np.nan])).item())


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_of_probabilities_of_0(log_target):
    """0 log 0 is 0, whatever the prediction says; where the prediction alone is 0 the divergence is infinite."""
    with np.errstate(divide="ignore"):
        x, t = np.log([0.5, 0.0, 0.0, 0.5]), np.array([0.0, 0.0, 0.5, 0.5])
        t = np.log(t) if log_target else t
    loss = lambda x, t: mg.ops.kl_div(x, t, reduction="none", log_target=log_target)  # noqa: E731
    out, d, dt = pulled(loss, x, t)
    np.testing.assert_array_equal(out, [0, 0, np.inf, 0])
    np.testing.assert_array_equal(d, [0, 0, -0.5, -0.5])
    np.testing.assert_array_equal(dt, [0, 0, np.inf, 0.5] if log_target else [-np.inf, -np.inf, np.inf, 1])
    with mg.create_graph():
        (again,) = mg.vjp(lambda x: loss(x, t), mg.tensor(x, requires_grad=True))[1](np.ones(4))
    np.testing.assert_array_equal(again.detach().numpy(), [0, 0, -0.5, -0.5])


# --- what is refused ---------------------------------------------------------------------------------


TWO = np.zeros(2)


@pytest.mark.parametrize(
    ("name", "inputs", "options", "kind", "message"),
    [
        *((name, (np.zeros(x), np.zeros(t)), {}, ValueError, rf"{name}\(.*do not broadcast")
          for name in NAMES for x, t in (((3,), (3, 1)), ((3,), ()), ((2, 1), (2, 3)))),
        *((name, (TWO, TWO, "mean"), {}, TypeError, "positional arguments? but") for name in NAMES[1:]),
        ("l1_loss", (TWO, TWO), {"reduction": "avg"}, ValueError, "'mean', 'sum' or 'none', not 'avg'"),
        ("huber_loss", (TWO, TWO), {"reduction": "batchmean"}, ValueError, "'mean', 'sum' or 'none', not 'batchmean'"),
        ("kl_div", (TWO, TWO), {"reduction": "avg"}, ValueError, "'batchmean', 'mean', 'sum' or 'none', not 'avg'"),
        *(("huber_loss", (TWO, TWO), {"delta": d}, ValueError, f"delta .* not {d}") for d in (0.0, np.nan, np.inf)),
        ("kl_div", (TWO, TWO), {"log_target": 1}, TypeError, "log_target must be True or False, not 1"),
        ("kl_div", (TWO, np.array([0.5, -0.5])), {}, ValueError, r"target\[1\] is -0\.5"),
        ("kl_div", (np.zeros(()), np.ones(())), {"reduction": "batchmean"}, ValueError, "a single number has none"),
    ],
)  # fmt: skip
def test_refusals_of_losses_of_numbers(name, inputs, options, kind, message):
    with pytest.raises(kind, match=message):
        getattr(mg.ops, name)(*inputs, **options)
