"""Convolution layers against PyTorch: values, gradients, arguments, weights that one takes from the other, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)
SIZES = {"Conv1d": (11,), "Conv2d": (8, 7), "ConvTranspose1d": (5,), "ConvTranspose2d": (4, 3)}

# Of each class arguments in PyTorch's order behind the channels, 4 and 6.
ARGUMENTS: dict[str, list[tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "Conv1d": [
        ((3,), {}),
        ((3, 2, 1, 2, 2, False), {}),
        ((5,), {"padding": "same", "dilation": 2}),
        ((4, 3), {"padding": "valid"}),
        (((3,),), {}),
    ],
    "Conv2d": [(((3, 2), (2, 1), 1, (1, 2), 2, False), {}), ((3,), {"padding": "same"})],
    "ConvTranspose1d": [((3,), {}), ((4, 3, 1, 2, 2, False, 2), {}), ((3,), {"stride": 2, "output_padding": 1})],
    "ConvTranspose2d": [
        ((3,), {}),
        (((4, 3), (3, 2), (1, 0), (2, 1), 2, False, 2), {}),
        ((3,), {"stride": 2, "padding": 1, "output_padding": 1}),
    ],
}
CALLS = [(name, *arguments) for name, several in ARGUMENTS.items() for arguments in several]


@pytest.mark.parametrize(("name", "arguments", "options"), CALLS)
def test_arguments_weights_values_and_gradients_are_pytorchs(name, arguments, options):
    """A layer of theirs of the same arguments, in order, takes the weights of ours as they are."""
    layer = getattr(nn, name)(4, 6, *arguments, **options, dtype="float64", rng=0)

    def theirs(torch: Any, weights: Any, x: Any) -> Any:
        twin = getattr(torch.nn, name)(4, 6, *arguments, **options, dtype=torch.float64)
        assert {n: p.shape for n, p in twin.named_parameters()} == {n: p.shape for n, p in weights.items()}
        return torch.func.functional_call(twin, weights, x)

    check(
        PYTORCH, f"{name} {arguments} {options}", layer, nn.Module.__call__, theirs, random_input((2, 4, *SIZES[name]))
    )


def test_same_padding_with_a_stride_halves_a_size():
    x = np.ones((2, 4, 9, 8), np.float32)
    assert nn.Conv2d(4, 6, 3, stride=2, padding="same")(x).shape == (2, 6, 5, 4)
    assert nn.Conv1d(4, 6, 4, stride=2, padding="same")(x[..., 0]).shape == (2, 6, 5)


def test_representations_and_scopes():
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, output_padding=1)
    assert repr(layer) == ("ConvTranspose2d(4, 6, kernel_size=(3, 3), stride=2, padding=0, output_padding=1, "
                           "dilation=1, groups=1, bias=True)")  # fmt: skip
    y = nn.Conv1d(4, 6, 3)(np.ones((1, 4, 5)))
    assert y.node.scope == ("Conv1d",)
    assert y.node.primitive.name == "conv1d"


@pytest.mark.parametrize("name", SIZES)
def test_errors(name):
    pair = "" if name.endswith("1d") else " or a pair of integers"
    for options, error, text in [
        ({"groups": 3}, ValueError, r"groups \(3\) must divide in_channels \(4\) and out_channels \(6\)"),
        ({"kernel_size": 0}, ValueError, "kernel_size must be a positive integer, not 0"),
        ({"kernel_size": 1.5}, ValueError, "kernel_size must be a positive integer, not 1.5"),
        ({"groups": 1.0}, ValueError, "groups must be a positive integer, not 1.0"),
        ({"kernel_size": (1, 2, 3)}, ValueError, "kernel_size must be one number"),
        ({"groups": 0}, ValueError, "groups must be a positive integer"),
        ({"in_channels": 0}, ValueError, "in_channels must be a positive integer, not 0"),
        ({"out_channels": 2.0}, ValueError, "out_channels must be a positive integer, not 2.0"),
        ({"stride": 0}, ValueError, "stride must be at least 1, not 0"),
        ({"padding": -1}, ValueError, "padding must be at least 0, not -1"),
        ({"dilation": 0}, ValueError, "dilation must be at least 1, not 0"),
        ({"stride": "same"}, TypeError, f"stride must be an integer{pair}, not 'same'"),
        ({"dilation": 1.5}, TypeError, f"dilation must be an integer{pair}, not 1.5"),
    ]:
        with pytest.raises(error, match=f"{name}: {text}"):
            getattr(nn, name)(**{"in_channels": 4, "out_channels": 6, "kernel_size": 3, **options})
    word = {"in_channels": 4, "out_channels": 6, "kernel_size": 3, "padding": "full"}
    if name.startswith("ConvTranspose"):
        with pytest.raises(TypeError, match=f"{name}: padding must be an integer{pair}, not 'full'"):
            getattr(nn, name)(**word)
        with pytest.raises(ValueError, match=f"{name}: output_padding must be at least 0"):
            getattr(nn, name)(4, 6, 3, output_padding=-1)
    else:
        with pytest.raises(ValueError, match=f"{name}: padding must be 'same', 'valid', or in numbers, not 'full'"):
            getattr(nn, name)(**word)
