"""EfficientNet-Lite0: what it says of known photos, beside PyTorch, folded, trained further and drawn."""

import re

import numpy as np
import pytest

import minigrad as mg
from captioning.vision.efficientnet import EfficientNetLite0, folded
from captioning.vision.published import weights_file
from tests.peers import Peer

PYTORCH = Peer(__name__)
EGYPTIAN_CAT, TIGER_CAT, TABBY, ESPRESSO = 285, 282, 281, 967  # in the order of ImageNet-1k


def probabilities(network, photos):
    with mg.no_grad():
        return mg.ops.softmax(network(photos), axis=1).numpy()


def test_what_is_on_known_photos(network, photos):
    cat, coffee = probabilities(network, photos)
    np.testing.assert_allclose(cat[[EGYPTIAN_CAT, TIGER_CAT, TABBY]], [0.385, 0.332, 0.163], atol=6e-4)
    assert coffee[ESPRESSO] == pytest.approx(0.940, abs=6e-4)


def test_it_has_as_many_weights_as_in_the_tables_of_its_authors():
    """4.7 million, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite."""
    assert sum(parameter.size for parameter in EfficientNetLite0(rng=0).parameters()) == 4_652_008


def in_pytorch(torch, photos):
    """Written independently, from the published state: some channels of the map, the features and the logits."""
    f, state = torch.nn.functional, torch.load(weights_file(), weights_only=True)

    def convolution(x, name, norm, stride=1, active=True):
        weight = state[f"{name}.weight"]
        for axis in (2, 3):
            size, kernel = x.shape[axis], weight.shape[axis]
            zeros = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            sides = (zeros // 2, zeros - zeros // 2)
            x = f.pad(x, (*sides, 0, 0) if axis == 3 else (0, 0, *sides))
        x = f.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])
        names = ("running_mean", "running_var", "weight", "bias")
        x = f.batch_norm(x, *(state[f"{norm}.{kind}"] for kind in names), eps=1e-3)
        return x.clamp(0, 6) if active else x

    with torch.no_grad():
        x = convolution(torch.from_numpy(photos), "_conv_stem", "_bn0", 2)
        for i in range(16):
            block, wide = f"_blocks.{i}.", x
            if i:
                wide = convolution(x, block + "_expand_conv", block + "_bn0")
            wide = convolution(wide, block + "_depthwise_conv", block + "_bn1", 2 if i in (1, 3, 5, 11) else 1)
            y = convolution(wide, block + "_project_conv", block + "_bn2", active=False)
            x = x + y if x.shape == y.shape else y
        maps = convolution(x, "_conv_head", "_bn1")
        features = maps.mean((2, 3))
        return maps[:, ::16].contiguous(), features, features @ state["_fc.weight"].T + state["_fc.bias"]


def test_it_computes_what_pytorch_does(network, photos):
    answer = PYTORCH.ask("photos", lambda torch: in_pytorch(torch, photos), within=1e-3)
    with mg.no_grad():
        maps, features = network.maps(photos).numpy(), network.features(photos)
        logits = network.classifier(features).numpy()
    for ours, theirs in zip((maps[:, ::16], features.numpy(), logits), answer.expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4)


def test_folded_it_computes_the_same_without_norms():
    rng = np.random.default_rng(0)
    network, pictures = EfficientNetLite0(rng=rng), rng.standard_normal((2, 3, 64, 64)).astype(np.float32)
    network(pictures)  # in training mode: running statistics move away from 0 and 1
    copy = folded(network.eval())
    assert not any(isinstance(module, mg.nn.BatchNorm2d) for module in copy.modules())
    np.testing.assert_allclose(copy.maps(pictures).numpy(), network.maps(pictures).numpy(), rtol=1e-3, atol=1e-5)
    np.testing.assert_array_equal(copy.classifier.weight.data, network.classifier.weight.data)
    with pytest.raises(ValueError, match="it is folded already"):
        folded(copy)


def test_other_sizes_give_maps_of_other_sizes():
    network = EfficientNetLite0(rng=0).eval()
    for size, places in (((32, 33), (1, 2)), ((65, 96), (3, 3))):
        assert network.maps(np.zeros((1, 3, *size), np.float32)).shape == (1, 1280, *places)


def test_every_weight_has_a_gradient():
    network = EfficientNetLite0(rng=0)
    pictures = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    mg.ops.cross_entropy(network(pictures), np.array([3, 5])).backward()
    for name, parameter in network.named_parameters():
        assert np.isfinite(parameter.grad).all(), name
        assert parameter.grad.any(), name


def test_its_last_layers_can_be_trained_further(network):
    """Stripes, which the published network was not made for, told from noise by its last layers after a few steps."""
    tuned = EfficientNetLite0(rng=0).eval()  # norms keep the statistics of ImageNet
    tuned.load_state_dict(network.state_dict())
    pictures = np.random.default_rng(0).uniform(-1, 1, (8, 3, 64, 64)).astype(np.float32)
    pictures[::2, :, ::2] = -1
    classes = np.arange(8) % 2
    with mg.no_grad():  # what comes before the last block stays
        seen = tuned.stem(pictures)
        for block in tuned.blocks[:-1]:
            seen = block(seen)
    last = mg.nn.ModuleList([tuned.blocks[-1], tuned.head])
    optimizer = mg.optim.Adam([*last.parameters(), *tuned.classifier.parameters()], lr=1e-3)
    losses = []
    for _ in range(6):
        maps = tuned.head(tuned.blocks[-1](seen))
        loss = mg.ops.cross_entropy(tuned.classifier(mg.ops.mean(maps, axis=(2, 3))), classes)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 10
    state, before = tuned.state_dict(), network.state_dict()
    changed = {name.rpartition(".")[0] for name in state if not np.array_equal(state[name], before[name])}
    units = "blocks.15.expand", "blocks.15.depthwise", "blocks.15.project", "head"
    assert changed == {"classifier", *(f"{unit}.{part}" for unit in units for part in ("convolution", "norm"))}


def test_its_graph_is_drawn_block_by_block():
    network = EfficientNetLite0(norm=False, rng=0)
    with mg.record():
        logits = network(np.zeros((1, 3, 64, 64), np.float32))
    text, dot = mg.render.to_text(logits), mg.render.to_dot(logits, depth=None)
    assert text.count("conv2d(") == 49 - 2 * 3  # 12, 13 and 14 look the same, and are written once
    for scope in ("stem:", "blocks.12 … blocks.14:", "depthwise:", "head:", "classifier:"):
        assert f"{scope}\n" in text
    for scope in ("stem", "depthwise", "head", "classifier"):
        assert re.search(rf'label="{scope}\b', dot)
