"""Activations as modules: values and gradients beside PyTorch's, and what they print."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)

LAYERS = {
    "GELU": lambda torch, x: torch.nn.GELU()(x),
    "GELU(approximate='tanh')": lambda torch, x: torch.nn.GELU(approximate="tanh")(x),
    "Identity": lambda torch, x: torch.nn.Identity()(x),
    "ReLU": lambda torch, x: torch.nn.ReLU()(x),
    "ReLU6": lambda torch, x: torch.nn.ReLU6()(x),
    "SiLU": lambda torch, x: torch.nn.SiLU()(x),
    "Sigmoid": lambda torch, x: torch.nn.Sigmoid()(x),
    "Softmax(dim=1)": lambda torch, x: torch.nn.Softmax(dim=1)(x),
    "Tanh": lambda torch, x: torch.nn.Tanh()(x),
}


def made(text: str) -> nn.Module:
    return eval(f"nn.{text}" if "(" in text else f"nn.{text}()")


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name):
    layer, theirs = made(name), LAYERS[name]
    x = 4 * random_input((2, 3, 4))
    check(PYTORCH, name, layer, lambda layer, x: layer(x) * 1.0, lambda torch, weights, x: theirs(torch, x) * 1.0, x)
    assert repr(made(repr(layer))) == repr(layer)
    assert list(layer.parameters()) == []


def test_the_gradient_of_relu6_at_its_ends():
    x = mg.tensor([0.0, 6.0, np.inf, -np.inf], requires_grad=True)
    y = nn.ReLU6()(x)
    y.sum().backward()
    assert (y.numpy().tolist(), x.grad.tolist()) == ([0, 6, 6, 0], [0, 1, 0, 0])


def test_options_that_do_not_fit_are_named_by_the_primitive():
    with pytest.raises(ValueError, match=r"softmax.*axis 2 is out of bounds"):
        nn.Softmax(dim=2)(np.ones((2, 3)))
    with pytest.raises(ValueError, match="gelu"):
        nn.GELU("sine")(np.ones(2))
