"""Losses of two arrays of the same shape: against references and PyTorch, kinks, zeros, and what does not overflow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from tests.checks import Case, check_primitive, leaf, pull
from tests.peers import Peer
from tests.strategies import arrays, shapes

PYTORCH = Peer(__name__)
REDUCTIONS = ["mean", "sum", "none"]
NAMES = ["mse_loss", "l1_loss", "huber_loss", "kl_div"]


@st.composite
def pair_cases(draw):
    shape = draw(shapes())
    return Case([draw(arrays(shape)), draw(arrays(shape))], {"reduction": draw(st.sampled_from(REDUCTIONS))})


@st.composite
def apart_cases(draw, options=None):
    """Differences away from 0 and from ±0.7."""
    shape = draw(shapes())
    difference = draw(arrays(shape, layouts=("C",), away_from=(-0.7, 0.0, 0.7)))
    target = draw(arrays(shape, -0.5, 0.5))
    return Case(
        [np.asarray(target + difference), target], {"reduction": draw(st.sampled_from(REDUCTIONS)), **(options or {})}
    )


@st.composite
def divergence_cases(draw):
    shape, log_target = draw(shapes(min_dims=1)), draw(st.booleans())
    target = draw(arrays(shape, -3.0, 0.0) if log_target else arrays(shape, 0.05, 1.0))
    options = {"log_target": log_target, "reduction": draw(st.sampled_from([*REDUCTIONS, "batchmean"]))}
    return Case([draw(arrays(shape, -3.0, 0.0)), target], options)


CASES = {
    "huber_loss": apart_cases({"delta": 0.7}),
    "kl_div": divergence_cases(),
    "l1_loss": apart_cases(),
    "mse_loss": pair_cases(),
}


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
def test_primitive(name, data):
    check_primitive(getattr(mg.ops, name), data.draw(CASES[name]))


# --- against PyTorch ---------------------------------------------------------------------------------


def compare(pytorch, name, x, t, label, **options):
    pytorch.compare(
        f"{name} {label}",
        lambda a, b: getattr(mg.ops, name)(a, b, **options),
        lambda torch, a, b: getattr(torch.nn.functional, name)(a, b, **options),
        [x, t], rtol=1e-10, atol=1e-14,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options"), [("mse_loss", {}), ("l1_loss", {}), ("huber_loss", {"delta": 1.5}),
                                               ("huber_loss", {"delta": 20.0})])  # fmt: skip
def test_losses_agree_with_pytorch(name, options, reduction):
    rng = np.random.default_rng(0)
    x, t = 5 * rng.standard_normal((3, 4)), rng.uniform(0, 1, (3, 4))
    t[0] = x[0] + [0, 1.5, -1.5, 1e150]  # on the kinks, and far away
    compare(PYTORCH, name, x, t, f"{reduction} {options}", reduction=reduction, **options)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")  # PyTorch's advice to take batchmean
@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
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


Z = np.zeros(2)


@pytest.mark.parametrize(
    ("name", "inputs", "options", "kind", "message"),
    [
        *((name, (np.zeros(x), np.zeros(t)), {}, ValueError, rf"{name}\(.*do not broadcast")
          for name in NAMES for x, t in (((3,), (3, 1)), ((3,), ()), ((2, 1), (2, 3)))),
        *((name, (Z, Z, "mean"), {}, TypeError, "too many positional arguments") for name in NAMES[1:]),
        ("l1_loss", (Z, Z), {"reduction": "avg"}, ValueError, "'mean', 'sum' or 'none', not 'avg'"),
        ("huber_loss", (Z, Z), {"reduction": "batchmean"}, ValueError, "'mean', 'sum' or 'none', not 'batchmean'"),
        ("kl_div", (Z, Z), {"reduction": "avg"}, ValueError, "'batchmean', 'mean', 'sum' or 'none', not 'avg'"),
        *(("huber_loss", (Z, Z), {"delta": d}, ValueError, f"delta .* not {d}") for d in (0.0, np.nan, np.inf)),
        ("kl_div", (Z, Z), {"log_target": 1}, TypeError, "log_target must be True or False, not 1"),
        ("kl_div", (Z, np.array([0.5, -0.5])), {}, ValueError, r"target\[1\] is -0\.5"),
        ("kl_div", (np.zeros(()), np.ones(())), {"reduction": "batchmean"}, ValueError, "a single number has none"),
    ],
)  # fmt: skip
def test_refusals(name, inputs, options, kind, message):
    with pytest.raises(kind, match=message):
        getattr(mg.ops, name)(*inputs, **options)
