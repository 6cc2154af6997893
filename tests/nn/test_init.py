"""Initialisers: statistics, fans, dtypes, seeds."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.nn import init
from tests.peers import Peer

PYTORCH = Peer(__name__)


RANDOM = {
    "uniform": init.uniform, "normal": init.normal, "xavier_uniform": init.xavier_uniform,
    "xavier_normal": init.xavier_normal, "kaiming_uniform": init.kaiming_uniform,
    "kaiming_normal": init.kaiming_normal, "orthogonal": init.orthogonal,
}  # fmt: skip


FLAT = ("uniform", "xavier_uniform", "kaiming_uniform")


def spread(values: np.ndarray, std: float, flat: bool, mean: float = 0.0) -> None:
    """Mean, standard deviation and fourth moment within about five standard errors."""
    n, x = values.size, (values.astype(np.float64).ravel() - mean) / std
    assert abs(x.mean()) < 5 / math.sqrt(n)
    assert abs(x.var() - 1) < 5 * math.sqrt(2 / n)
    assert abs((x**4).mean() - (1.8 if flat else 3)) < 5 * math.sqrt(96 / n)
    if flat:
        assert abs(x).max() <= math.sqrt(3) * (1 + 1e-6)
        assert abs(x).max() > 1.7


@pytest.mark.parametrize(("shape", "fan_in", "fan_out"), [((300, 200), 300, 200), ((60, 20, 5, 7), 700, 2100)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_variances(shape, fan_in, fan_out, gain):
    assert init.fans(shape) == (fan_in, fan_out)
    for seed in range(2):
        for name in ("xavier_uniform", "xavier_normal"):
            values = RANDOM[name](shape, gain=gain, rng=seed).numpy()
            spread(values, gain * math.sqrt(2 / (fan_in + fan_out)), name in FLAT)
        for name in ("kaiming_uniform", "kaiming_normal"):
            values = RANDOM[name](shape, gain=gain, rng=seed).numpy()
            spread(values, gain / math.sqrt(fan_in), name in FLAT)
    assert init.kaiming_normal(shape, rng=0).numpy().std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.02)


def test_plain_distributions():
    spread(init.uniform((300, 200), -3, 5, rng=0).numpy(), 8 / math.sqrt(12), True, mean=1)
    spread(init.normal((300, 200), 2, 0.5, rng=0).numpy(), 0.5, False, mean=2)
    assert (init.zeros((2, 3)).numpy() == 0).all()
    assert (init.constant((2, 3), 1.5).numpy() == 1.5).all()


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (4, 3, 2, 2), (1, 1)])
def test_orthogonal(shape):
    matrix = init.orthogonal(shape, gain=2.0, dtype="float64", rng=0).numpy().reshape(shape[0], -1)
    small = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


@pytest.mark.parametrize("function", RANDOM.values())
def test_dtypes_seeds_and_tracking(function):
    single, double = (function((3, 4), dtype=dtype, rng=3) for dtype in ("float32", "float64"))
    assert (single.dtype, double.dtype, function((3, 4)).dtype) == (np.float32, np.float64, mg.get_default_dtype())
    np.testing.assert_array_equal(single.numpy(), double.numpy().astype(np.float32))
    assert not single.requires_grad
    drawn = []
    for _ in range(2):
        mg.manual_seed(5)
        drawn.append([function((3, 4)).numpy() for _ in range(2)])
    np.testing.assert_array_equal(*drawn)
    assert not np.array_equal(*drawn[0])


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        *((lambda f=f, shape=shape: f(shape), ValueError, "two axes or more")
          for f in (init.xavier_uniform, init.kaiming_normal, init.orthogonal) for shape in ((), (3,), 3)),
        (lambda: init.zeros((2,), dtype="int64"), TypeError, "floating dtype, not int64"),
        (lambda: init.constant(np.ones((3, 4)), 1.0), TypeError, r"a shape, not float64 \(3, 4\)"),
        *((lambda name=name, w=w: getattr(init, name)(w), TypeError, r"a shape, not float32 \(3, 4\)")
          for name in (*RANDOM, "zeros", "fans")
          for w in (np.ones((3, 4), np.float32), mg.nn.Parameter(np.ones((3, 4), np.float32)))),
    ],
)  # fmt: skip
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


# --- layers ----------------------------------------------------------------------------------------------


SEEDS = range(6)


# Name: the module's class, and the arguments that it has in common with PyTorch's.
TWINS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "Linear": ("Linear", (150, 100)),
    "Embedding": ("Embedding", (100, 60)),
    "Conv1d": ("Conv1d", (16, 100, 5)),
    "Conv1d in groups": ("Conv1d", (60, 120, 7, 1, 0, 1, 4)),
    "Conv2d": ("Conv2d", (8, 100, (3, 5))),
    "Conv2d in groups": ("Conv2d", (40, 120, 3, 1, 0, 1, 4)),
    "ConvTranspose1d": ("ConvTranspose1d", (16, 100, 5)),
    "ConvTranspose1d in groups": ("ConvTranspose1d", (60, 120, 7, 1, 0, 0, 4)),
    "ConvTranspose2d": ("ConvTranspose2d", (8, 100, (3, 5))),
    "ConvTranspose2d in groups": ("ConvTranspose2d", (40, 120, 3, 1, 0, 0, 4)),
    "BatchNorm1d": ("BatchNorm1d", (20,)),
    "BatchNorm2d": ("BatchNorm2d", (20,)),
    "GroupNorm": ("GroupNorm", (4, 20)),
    "LayerNorm": ("LayerNorm", ((5, 6),)),
    "RMSNorm": ("RMSNorm", (20,)),
    "MultiHeadAttention": ("MultiHeadAttention", (80, 4)),
    "TransformerEncoderLayer": ("TransformerEncoderLayer", (60, 4, 150)),
}


RECURRENT = ("GRU", "LSTM", "RNN")  # see test_recurrent_weights
OTHERWISE: tuple[str, ...] = ()  # layers without a twin in PyTorch, whose own tests check their initial weights


def test_every_module_with_weights_is_here() -> None:
    """Those have weights that take a dtype for them."""
    classes = [getattr(nn, name) for name in nn.__all__]
    modules = [c for c in classes if inspect.isclass(c) and issubclass(c, nn.Module)]
    weighty = {c.__name__ for c in modules if "dtype" in inspect.signature(c).parameters}
    assert weighty == {name for name, _ in TWINS.values()} | {*RECURRENT, *OTHERWISE}


def moments(samples: list[np.ndarray]) -> np.ndarray:
    """Standard deviation; and in units of it 1 + the mean, the fourth moment, the extremes. Of constants the value."""
    values = np.concatenate([np.ravel(s) for s in samples]).astype(np.float64)
    std = values.std()
    if std == 0:
        return np.array([0.0, values[0], 0.0, 0.0, 0.0])
    scaled = values / std
    return np.array([std, 1 + scaled.mean(), (scaled**4).mean(), scaled.min(), scaled.max()])


@pytest.mark.parametrize("case", TWINS)
def test_weights_start_as_in_pytorch(case: str) -> None:
    """Mean, spread and shape of the distribution; and of a uniform one the bounds."""
    name, arguments = TWINS[case]

    def collected(make: Any, weights: Any) -> dict[str, np.ndarray]:
        layers = [dict(make(seed).named_parameters()) for seed in SEEDS]
        return {key: moments([weights(layer[key]) for layer in layers]) for key in layers[0]}

    def theirs(torch: Any) -> dict[str, np.ndarray]:
        def make(seed: int) -> Any:
            torch.manual_seed(seed)
            return getattr(torch.nn, name.replace("HeadA", "headA"))(*arguments)

        with torch.random.fork_rng():
            return collected(make, lambda p: p.detach().numpy())

    expected = PYTORCH.ask(case, theirs, within=0.3).expected
    found = collected(lambda seed: getattr(nn, name)(*arguments, rng=seed), lambda p: p.data)
    sizes = {key: p.size * len(SEEDS) for key, p in getattr(nn, name)(*arguments).named_parameters()}
    assert sorted(found) == sorted(expected)
    for key, other in expected.items():
        mine, n = found[key], sizes[key]
        if other[0] == 0:
            np.testing.assert_array_equal(mine, other)
            continue
        five = 5 * math.sqrt(2 / n)  # standard errors of a difference of two means
        flat = other[2] < 2.4  # the fourth moment is 1.8 of a uniform distribution, 3 of a normal one
        np.testing.assert_allclose([mine[0] / other[0], mine[1]], [1, other[1]], rtol=0, atol=five)
        assert abs(mine[2] - other[2]) < five * (1 if flat else 10)
        np.testing.assert_allclose(mine[3:], other[3:], rtol=30 / n + five if flat else 0.3)


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_weights(name: str) -> None:
    """Each gate starts as the class says: Xavier-uniform, orthogonal, and a bias of 0 except an LSTM's forget gate."""
    D, H, gates = 120, 80, {"RNN": 1, "GRU": 3, "LSTM": 4}[name]
    layer = getattr(nn, name)(D, H, num_layers=2, bidirectional=True, rng=0)
    for parameter, p in layer.named_parameters():
        for block in np.split(p.data.astype(np.float64), gates, axis=-1):
            if parameter.startswith("Wx"):
                spread(block, math.sqrt(2 / ((2 * H if "_l1" in parameter else D) + H)), flat=True)
            elif parameter.startswith("Wh"):
                np.testing.assert_allclose(block.T @ block, np.eye(H), atol=1e-5)
        if parameter.startswith("b"):
            starts = [0.0, 1.0, 0.0, 0.0] if name == "LSTM" else [0.0] * gates
            np.testing.assert_array_equal(p.data, np.repeat(starts, H))
    assert "PyTorch's are uniform" in (inspect.getdoc(getattr(nn, name)) or "")
    if name == "LSTM":
        assert nn.LSTM(2, 3, 2, bidirectional=True, forget_bias=2.0).b_l1_reverse.data[2:6].tolist() == [0, 2, 2, 2]
