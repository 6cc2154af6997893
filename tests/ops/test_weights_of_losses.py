"""Weights of classes and of entries, and which options of losses go by name."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import minigrad as mg
from tests.checks import leaf, pull
from tests.peers import Peer

PYTORCH = Peer(__name__)
WEIGHTS = np.array([0.5, 2.0, 0.0, 1.0, 0.25, 3.0])


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("ignore", [-100, 2])
@pytest.mark.parametrize("smoothing", [0.0, 0.2, 1.0])
def test_weighted_class_losses_agree_with_pytorch(reduction, ignore, smoothing):
    rng = np.random.default_rng(0)
    logits, targets = 3 * rng.standard_normal((3, 5, 6)), rng.integers(0, 6, (3, 5))
    targets[0, :3], targets[1, 0] = ignore, 2  # the second has a weight of 0, or is ignored
    options = {"reduction": reduction, "ignore_index": ignore}
    PYTORCH.compare(
        f"weighted cross_entropy {reduction} {ignore} {smoothing}",
        lambda x, t: mg.ops.cross_entropy(x, t, label_smoothing=smoothing, weight=WEIGHTS, **options),
        lambda torch, x, t: torch.nn.functional.cross_entropy(
            x.movedim(-1, 1), t, torch.tensor(WEIGHTS), label_smoothing=smoothing, **options
        ),
        [logits, targets], rtol=1e-10, atol=1e-14,
    )  # fmt: skip
    if not smoothing:
        PYTORCH.compare(
            f"weighted nll_loss {reduction} {ignore}",
            lambda x, t: mg.ops.nll_loss(x, t, weight=WEIGHTS, **options),
            lambda torch, x, t: torch.nn.functional.nll_loss(x.movedim(-1, 1), t, torch.tensor(WEIGHTS), **options),
            [logits, targets], rtol=1e-10, atol=1e-14,
        )  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("given", ["neither", "weight", "number", "last axis", "all"])
def test_weighted_binary_cross_entropy_with_logits_agrees_with_pytorch(reduction, given):
    rng = np.random.default_rng(0)
    x, t = 5 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    x[0], t[0], t[1] = [800, -800, 30, -30], [1, 0, 0, 1], [0, 1, 0, 1]
    positive = {"number": np.array(2.5), "last axis": np.array([0, 1.0, 3, 0.5]), "all": rng.random((3, 4))}.get(given)
    weight = None if given == "neither" else np.array([[0, 1, 2.0, 0.1]] * 3)

    def theirs(torch, a, b):
        options = {"weight": weight, "pos_weight": positive}
        options = {name: None if w is None else torch.tensor(w) for name, w in options.items()}
        return torch.nn.functional.binary_cross_entropy_with_logits(a, b, reduction=reduction, **options)

    PYTORCH.compare(
        f"weighted binary_cross_entropy_with_logits {reduction} {given}",
        lambda a, b: mg.ops.binary_cross_entropy_with_logits(a, b, reduction, weight=weight, pos_weight=positive),
        theirs, [x, t], rtol=1e-10, atol=1e-14,
    )  # fmt: skip


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classes_of_weight_0_alone_are_a_mean_of_nothing(smoothing):
    x, weight = leaf(np.ones((2, 3))), np.array([0.0, 0.0, 4.0])
    for loss in (partial(mg.ops.cross_entropy, label_smoothing=smoothing), mg.ops.nll_loss):
        outs, grads = pull(lambda z, loss=loss: loss(z, [0, 1], weight=weight, reduction="mean"), [x], [np.ones(())])
        if loss is mg.ops.nll_loss or not smoothing:
            assert outs[0] == 0
            np.testing.assert_array_equal(grads[0], np.zeros((2, 3)))
        assert np.isfinite(grads[0]).all()
    outs, grads = pull(lambda z: mg.ops.cross_entropy(z, [0, 1], weight=np.zeros(3)), [x], [np.ones(())])
    assert outs[0] == 0
    np.testing.assert_array_equal(grads[0], np.zeros((2, 3)))


def test_equal_weights_change_no_mean():
    x, targets = np.random.default_rng(0).standard_normal((4, 5)), np.array([0, 3, 2, 2])
    for loss in (mg.ops.cross_entropy, mg.ops.nll_loss, partial(mg.ops.cross_entropy, label_smoothing=0.3)):
        plain, weighted = loss(x, targets).item(), loss(x, targets, weight=[2.5] * 5).item()
        assert weighted == pytest.approx(plain, rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_weights_of_any_dtype_leave_the_loss_its_own(dtype):
    x = np.zeros((2, 2), dtype)
    for weight in ([1, 3], np.array([1.0, 3.0]), mg.tensor([1.0, 3.0])):
        assert mg.ops.cross_entropy(x, [0, 1], weight=weight).dtype == dtype
        assert mg.ops.nll_loss(x, [0, 1], weight=weight).dtype == dtype
        assert mg.ops.binary_cross_entropy_with_logits(x, x, pos_weight=weight).dtype == dtype
    exact = np.log(2.0).astype(dtype)
    np.testing.assert_allclose(mg.ops.cross_entropy(x, [0, 1], weight=[1, 3]).numpy(), exact, rtol=np.finfo(dtype).eps)


def test_weights_in_half_precision_are_not_rounded_to_it():
    """Weights of 1/3 have 11 bits in half precision; the loss is computed in single."""
    x = np.array([[0.0, 1.0], [2.0, -1.0]], np.float16)
    for loss in (mg.ops.cross_entropy, mg.ops.nll_loss):
        narrow, exact = (loss(y, [0, 1], "none", weight=[1 / 3, 10.0]).numpy() for y in (x, x.astype(float)))
        np.testing.assert_allclose(narrow, exact.astype(np.float16), rtol=0)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.3}, {"reduction": "none"}])
def test_third_derivatives_of_weighted_cross_entropy(options):
    rng = np.random.default_rng(0)
    x, v, targets = rng.standard_normal((4, 3)), rng.standard_normal((4, 3)), np.array([0, 1, 2, 2])

    def second(x):
        with mg.create_graph():
            weight = [0.5, 0.0, 3.0]
            return mg.hvp(
                lambda x: (mg.ops.cross_entropy(x * x, targets, weight=weight, **options) ** 2).sum(), [x], [v]
            )

    assert mg.gradcheck(second, [x], rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_second_derivatives_of_weighted_cross_entropy_agree_with_pytorch(smoothing):
    rng = np.random.default_rng(0)
    x, v, targets = 3 * rng.standard_normal((6, 6)), rng.standard_normal((6, 6)), rng.integers(0, 6, 6)
    targets[:2] = -100, 2

    def theirs(torch, x, v, targets):
        def loss(x):
            chosen, weight = torch.as_tensor(targets), torch.as_tensor(WEIGHTS)
            return torch.nn.functional.cross_entropy(x, chosen, weight, label_smoothing=smoothing)

        return torch.autograd.functional.hvp(loss, torch.as_tensor(x), torch.as_tensor(v))[1].numpy()

    answer = PYTORCH.ask(f"hvp of weighted cross_entropy {smoothing}", theirs, [x, v, targets])
    x, v, targets = answer.inputs
    options = {"ignore_index": -100, "label_smoothing": smoothing, "weight": WEIGHTS}
    found = mg.hvp(lambda x: mg.ops.cross_entropy(x, targets, **options), [x], [v])[0].numpy()
    np.testing.assert_allclose(found, answer.expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cross_entropy", {"weight": np.ones(2)}, r"weight must have the shape \(3,\), not \(2,\)"),
        ("cross_entropy", {"weight": 1.0}, r"weight must have the shape \(3,\), not \(\)"),
        ("cross_entropy", {"weight": [1.0, -1.0, 0.0]}, r"weight\[1\] is -1\.0: it must be finite and at least 0"),
        ("nll_loss", {"weight": [1.0, 1.0, np.nan]}, r"weight\[2\] is nan"),
        ("nll_loss", {"weight": np.ones((2, 3))}, r"\(3,\), not \(2, 3\): losses do not broadcast"),
        ("binary_cross_entropy_with_logits", {"weight": np.ones(3)}, r"weight must have the shape \(2, 3\), not"),
        ("binary_cross_entropy_with_logits", {"pos_weight": np.ones((2, 1))},
         r"pos_weight must have the shape \(\) or \(3,\) or \(2, 3\), not \(2, 1\)"),
        ("binary_cross_entropy_with_logits", {"pos_weight": -1.0}, r"pos_weight is -1\.0"),
    ],
)  # fmt: skip
def test_weights_that_are_refused(name, options, message):
    targets = np.zeros((2, 3)) if name.startswith("binary") else [0, 1]
    with pytest.raises(ValueError, match=message):
        getattr(mg.ops, name)(np.zeros((2, 3)), targets, **options)


def test_weights_are_not_differentiated():
    weight = mg.tensor([1.0, 2.0], requires_grad=True)
    for loss in (mg.ops.cross_entropy, mg.ops.nll_loss):
        with pytest.raises(TypeError, match=r"option weight is not differentiated.*pass \.detach\(\)"):
            loss(mg.tensor(np.zeros((1, 2)), requires_grad=True), [0], weight=weight)


def test_new_options_are_not_taken_by_position():
    for name, args in (("cross_entropy", ("mean", None, 0.0, [1.0])), ("nll_loss", ("mean", None, [1.0]))):
        with pytest.raises(TypeError, match=f"{name}: too many positional arguments"):
            getattr(mg.ops, name)(np.zeros((1, 1)), [0], *args)
    for name in ("l1_loss", "huber_loss", "kl_div"):
        with pytest.raises(TypeError, match="too many positional arguments"):
            getattr(mg.ops, name)(np.zeros(2), np.zeros(2), "mean")


@pytest.mark.parametrize("weight", [np.ones(3), mg.tensor([1.0, 1.0, 1.0]), [1.0, 1.0, 1.0]])
@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_weights_in_the_place_of_the_reduction_are_refused(name, weight):
    with pytest.raises(TypeError, match=r"reduction must be 'mean', 'sum' or 'none', not .*weights.* by name, weight="):
        getattr(mg, name)(np.zeros((2, 3)), np.array([0, 1]), weight)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("loss", [mg.ops.cross_entropy, mg.ops.nll_loss])
def test_the_weight_of_one_entry_alone(loss, reduction):
    """Of scores (C,), whose loss has the shape of one an entry, and of a mean."""
    x, weight = np.array([-1.5, -0.5, 0.7]), [0.25, 2.0, 4.0]
    options = {"reduction": reduction, "weight": weight}
    assert mg.gradcheck(lambda x: loss(x, 2, **options), [x])
    np.testing.assert_allclose(
        mg.jacobian(lambda x: loss(x, 2, **options))(x).numpy(), mg.grad(lambda x: loss(x, 2, **options))(x).numpy()
    )
    one = mg.grad(lambda x: loss(x, [2], **options).sum())(x[None]).numpy()
    np.testing.assert_allclose(one[0], mg.grad(lambda x: loss(x, 2, **options))(x).numpy())
