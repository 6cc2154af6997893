"""Initialisers: statistics, fans, dtypes, seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad.nn import init

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


def test_dtypes_seeds_and_tracking():
    for name, function in RANDOM.items():
        single, double = (function((3, 4), dtype=dtype, rng=3) for dtype in ("float32", "float64"))
        assert single.dtype == np.float32
        assert double.dtype == np.float64
        np.testing.assert_array_equal(single.numpy(), double.numpy().astype(np.float32), err_msg=name)
        assert not single.requires_grad
        assert function((3, 4)).dtype == mg.get_default_dtype()
        mg.manual_seed(5)
        first = function((3, 4)).numpy()
        assert not np.array_equal(first, function((3, 4)).numpy())
        mg.manual_seed(5)
        np.testing.assert_array_equal(first, function((3, 4)).numpy())
        rng = np.random.default_rng(1)
        assert not np.array_equal(function((3, 4), rng=rng).numpy(), function((3, 4), rng=rng).numpy())


def test_complaints():
    for function in (init.xavier_uniform, init.kaiming_normal, init.orthogonal):
        for shape in ((), (3,), 3):
            with pytest.raises(ValueError, match="need a shape of two axes or more"):
                function(shape)
    with pytest.raises(TypeError, match="expected a floating dtype, not int64"):
        init.zeros((2,), dtype="int64")


@pytest.mark.parametrize("name", [*RANDOM, "zeros", "constant", "fans"])
@pytest.mark.parametrize("given", [mg.nn.Parameter(np.ones((3, 4), np.float32)), np.ones((3, 4), np.float32)])
def test_a_weight_in_place_of_its_shape_is_refused(name, given):
    options = {"value": 1.0} if name == "constant" else {}
    expected = r"init: expected a shape, not float32 \(3, 4\).* a new tensor .*: w\.data\[\.\.\.\] = nn\.init\."
    with pytest.raises(TypeError, match=expected):
        getattr(init, name)(given, **options)
