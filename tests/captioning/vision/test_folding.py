"""Norms in the convolutions before them: the same map, for all that a norm and a convolution may lack."""

import numpy as np
import pytest

from captioning.vision.folding import fold
from minigrad import nn


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("affine", [False, True])
def test_one_convolution_does_what_both_do(bias, affine):
    rng = np.random.default_rng(0)
    options = {"stride": 2, "padding": "same", "groups": 2, "dtype": "float64"}
    convolution = nn.Conv2d(4, 6, 3, bias=bias, rng=rng, **options)
    norm = nn.BatchNorm2d(6, 1e-3, affine=affine, dtype="float64")
    for tensor in [*norm.parameters(), norm.running_mean, norm.running_var]:
        tensor.data[...] = rng.uniform(0.5, 2, 6)
    one = nn.Conv2d(4, 6, 3, **options)
    one.weight.data[...], one.bias.data[...] = fold(convolution, norm)
    x = rng.standard_normal((2, 4, 7, 8))
    np.testing.assert_allclose(one(x).numpy(), norm.eval()(convolution(x)).numpy(), rtol=1e-12)


def test_what_comes_out_has_the_dtype_of_the_weight():
    weight, bias = fold(nn.Conv2d(1, 2, 1, rng=0), nn.BatchNorm2d(2))
    assert (weight.dtype, bias.dtype, weight.shape, bias.shape) == (np.float32, np.float32, (2, 1, 1, 1), (2,))


def test_a_norm_without_running_statistics_cannot_be_folded():
    with pytest.raises(ValueError, match="keeps no running statistics"):
        fold(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
