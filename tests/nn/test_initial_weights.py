"""Of every module with weights, that they start as PyTorch's do, or otherwise as its docstring says."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

from minigrad import nn
from tests.nn.test_init import spread
from tests.peers import Peer

PYTORCH = Peer(__name__)
SEEDS = range(12)

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
OTHERWISE = ("GRU", "LSTM", "RNN")  # see test_recurrent_weights


def test_every_module_with_weights_is_here() -> None:
    """Those have weights that take a dtype for them."""
    classes = [getattr(nn, name) for name in nn.__all__]
    modules = [c for c in classes if inspect.isclass(c) and issubclass(c, nn.Module)]
    weighty = {c.__name__ for c in modules if "dtype" in inspect.signature(c).parameters}
    assert weighty == {name for name, _ in TWINS.values()} | set(OTHERWISE)


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

    def theirs(torch: Any) -> dict[str, np.ndarray]:
        found: dict[str, list[np.ndarray]] = {}
        with torch.random.fork_rng():
            for seed in SEEDS:
                torch.manual_seed(seed)
                for parameter, values in getattr(torch.nn, name.replace("HeadA", "headA"))(
                    *arguments
                ).named_parameters():
                    found.setdefault(parameter, []).append(values.detach().numpy())
        return {parameter: moments(samples) for parameter, samples in found.items()}

    expected = PYTORCH.ask(case, theirs, within=0.3).expected
    layers = [getattr(nn, name)(*arguments, rng=seed) for seed in SEEDS]
    names = [parameter for parameter, _ in layers[0].named_parameters()]
    assert sorted(names) == sorted(expected)
    for parameter in names:
        samples = [dict(layer.named_parameters())[parameter].data for layer in layers]
        mine, other = moments(samples), expected[parameter]
        if other[0] == 0:
            np.testing.assert_array_equal(mine, other)
            continue
        n = sum(s.size for s in samples)
        five = 5 * math.sqrt(2 / n)  # standard errors of a difference of two means
        flat = other[2] < 2.4  # the fourth moment is 1.8 of a uniform distribution, 3 of a normal one
        assert abs(mine[0] / other[0] - 1) < five
        assert abs(mine[1] - other[1]) < five
        assert abs(mine[2] - other[2]) < five * (1 if flat else 10)
        np.testing.assert_allclose(mine[3:], other[3:], rtol=30 / n + five if flat else 0.3)
        if flat:
            assert abs(mine[3:]).max() <= math.sqrt(3) * (1 + five)


@pytest.mark.parametrize("name", OTHERWISE)
def test_recurrent_weights(name: str) -> None:
    """Of each gate Xavier-uniform, orthogonal, and 0 but for an LSTM's forget gate; which the class says, and why."""
    D, H, gates = 120, 80, {"RNN": 1, "GRU": 3, "LSTM": 4}[name]
    layer = getattr(nn, name)(D, H, num_layers=2, bidirectional=True, rng=0)
    for parameter, p in layer.named_parameters():
        blocks = np.split(p.data.astype(np.float64), gates, axis=-1)
        if parameter.startswith("Wx"):
            inputs = len(p)
            assert inputs == (2 * H if "_l1" in parameter else D)
            for block in blocks:
                spread(block, math.sqrt(2 / (inputs + H)), flat=True)
        elif parameter.startswith("Wh"):
            for block in blocks:
                np.testing.assert_allclose(block.T @ block, np.eye(H), atol=1e-5)
        else:
            starts = [0.0, 1.0, 0.0, 0.0] if name == "LSTM" else [0.0] * gates
            np.testing.assert_array_equal(p.data, np.repeat(starts, H))
    text = inspect.getdoc(getattr(nn, name)) or ""
    for word in ("Xavier-uniform", "orthogonal", "zero", "PyTorch's are uniform"):
        assert word in text
