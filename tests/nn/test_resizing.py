"""Pools, bins, upsampling, shuffles and flattening as modules: beside PyTorch's, and their errors."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)

# As written, the call makes the same layer in both.
LAYERS = [
    "MaxPool2d(2)",
    "MaxPool2d((3, 2), stride=2, padding=(1, 0))",
    "AvgPool2d(2)",
    "AvgPool2d(kernel_size=3, stride=(1, 2), padding=1)",
    "AdaptiveAvgPool2d(1)",
    "AdaptiveAvgPool2d((3, 4))",
    "Upsample(scale_factor=2)",
    "Upsample(scale_factor=(2, 3), mode='bilinear')",
    "PixelShuffle(2)",
    "PixelUnshuffle(2)",
    "Flatten()",
    "Flatten(0)",
    "Flatten(1, 2)",
    "Flatten(start_dim=-2, end_dim=-1)",
]


@pytest.mark.parametrize("call", LAYERS)
def test_layers(call):
    layer = eval(f"nn.{call}")

    def theirs(torch, weights, x):
        return eval(f"torch.nn.{call}", {"torch": torch})(x)

    check(PYTORCH, call, layer, lambda layer, x: layer(x), theirs, random_input((2, 4, 6, 8)))
    assert repr(eval(f"nn.{layer!r}")) == repr(layer)


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: nn.MaxPool2d(0), ValueError, "MaxPool2d: kernel_size must be at least 1, not 0"),
        (lambda: nn.MaxPool2d(2, padding=2), ValueError, r"MaxPool2d: padding \(2, 2\) must be smaller"),
        (lambda: nn.AvgPool2d(2.5), TypeError, "AvgPool2d: kernel_size must be an integer or a pair of integers"),
        (lambda: nn.AvgPool2d(2, stride=0), ValueError, "AvgPool2d: stride must be at least 1"),
        (lambda: nn.AdaptiveAvgPool2d(0), ValueError, "AdaptiveAvgPool2d: output_size must be at least 1, not 0"),
        (lambda: nn.Upsample(scale_factor=1.5), TypeError, "Upsample: scale_factor must be an integer or a pair"),
        (lambda: nn.Upsample(scale_factor=2, mode="cubic"), ValueError, "mode must be 'nearest' or"),
        (lambda: nn.Upsample(2), TypeError, "positional"),
        (lambda: nn.Flatten(2)(np.ones((2, 3))), ValueError, r"Flatten: x has no axes 2 to -1, it has shape \(2, 3\)"),
        (lambda: nn.Flatten(1, 0)(np.ones((2, 3))), ValueError, "Flatten: axis 0 comes before axis 1"),
    ],
)  # fmt: skip
def test_errors(make, kind, message):
    with pytest.raises(kind, match=message):
        make()
