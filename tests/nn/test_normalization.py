"""Layers that normalise: values, gradients and running statistics beside PyTorch's, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from tests.nn.test_layers import check, random_input
from tests.peers import Peer

PYTORCH = Peer(__name__)


def shaken(layer, seed=9):
    """The layer with a weight and bias that are not 1 and 0."""
    rng = np.random.default_rng(seed)
    for parameter in layer.parameters():
        parameter.data[...] = rng.uniform(0.2, 2, parameter.shape)
    return layer


# key: the layer, PyTorch's class and its arguments, and the shape of x
LAYERS = {
    "layer_norm": (nn.LayerNorm, ((4, 5),), {}, (3, 4, 5)),
    "layer_norm, one axis": (nn.LayerNorm, (5,), {"eps": 0.1}, (3, 4, 5)),
    "layer_norm without bias": (nn.LayerNorm, (5,), {"bias": False}, (3, 5)),
    "layer_norm without weights": (nn.LayerNorm, (5,), {"elementwise_affine": False}, (3, 5)),
    "rms_norm": (nn.RMSNorm, ((4, 5),), {}, (3, 4, 5)),
    "rms_norm, eps": (nn.RMSNorm, (5,), {"eps": 0.1}, (3, 5)),
    "rms_norm without weights": (nn.RMSNorm, (5,), {"elementwise_affine": False}, (3, 5)),
    "group_norm": (nn.GroupNorm, (2, 4), {}, (3, 4, 5, 2)),
    "group_norm without weights": (nn.GroupNorm, (4, 4), {"affine": False, "eps": 0.1}, (3, 4, 5)),
    "batch_norm of rows": (nn.BatchNorm1d, (4,), {}, (6, 4)),
    "batch_norm of sequences": (nn.BatchNorm1d, (4,), {"eps": 0.1}, (3, 4, 5)),
    "batch_norm of images": (nn.BatchNorm2d, (3,), {}, (4, 3, 5, 4)),
    "batch_norm without weights": (nn.BatchNorm2d, (3,), {"affine": False}, (4, 3, 2, 2)),
}


@pytest.mark.parametrize("key", LAYERS)
def test_layers_agree_with_pytorch(key):
    kind, sizes, options, shape = LAYERS[key]

    def theirs(torch, weights, x):
        module = getattr(torch.nn, kind.__name__)(*sizes, **options, dtype=torch.float64)
        return torch.func.functional_call(module, weights, (x,))

    layer = shaken(kind(*sizes, **options, dtype="float64"))
    check(PYTORCH, key, layer, lambda layer, x: layer(x), theirs, random_input(shape) + 0.5)


@pytest.mark.parametrize("momentum", [0.1, 0.5, None])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d"])
def test_running_statistics_agree_with_pytorch(kind, momentum):
    shapes = [(5, 3), (2, 3, 4)] if kind == "BatchNorm1d" else [(2, 3, 4, 5), (1, 3, 2, 1)]
    batches = [random_input(shape, i) + i for i, shape in enumerate(shapes)]

    def theirs(torch, *batches):
        module = getattr(torch.nn, kind)(3, momentum=momentum, dtype=torch.float64)
        outputs = [module(torch.tensor(x)) for x in batches]
        state = {name: each.numpy().copy() for name, each in module.state_dict().items()}
        return [outputs, state, module.eval()(torch.tensor(batches[0]))]

    answer = PYTORCH.ask(f"running statistics of {kind} {momentum}", theirs, batches)
    layer = getattr(nn, kind)(3, momentum=momentum, dtype="float64")
    outputs, state, evaluated = answer.expected
    for x, y in zip(answer.inputs, outputs, strict=True):
        np.testing.assert_allclose(layer(x).numpy(), y, rtol=1e-10, atol=1e-12)
    assert list(layer.state_dict()) == list(state)
    for name, array in layer.state_dict().items():
        assert array.dtype == state[name].dtype
        np.testing.assert_allclose(array, state[name], rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(layer.eval()(answer.inputs[0]).numpy(), evaluated, rtol=1e-10, atol=1e-12)
    assert layer.num_batches_tracked.item() == 2  # evaluation is none


def test_evaluation_differentiates_the_input_alone_and_keeps_what_it_needs():
    layer = nn.BatchNorm1d(2, dtype="float64")
    layer(random_input((4, 2)))
    x = mg.tensor(random_input((3, 2), 1), requires_grad=True)
    y, scale = layer.eval()(x), 1 / np.sqrt(layer.running_var.data + layer.eps)
    layer.train()(random_input((4, 2), 2))  # moves the running statistics
    y.sum().backward()
    np.testing.assert_allclose(x.grad, np.tile(scale, (3, 1)), rtol=1e-12)
    layer.eval()(random_input((1, 2)))  # a single row is enough


def test_without_running_statistics_the_batch_counts_in_both_modes():
    layer, x = nn.BatchNorm2d(2, track_running_stats=False, dtype="float64"), random_input((3, 2, 4, 4))
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.running_mean is layer.running_var is layer.num_batches_tracked is None
    np.testing.assert_array_equal(layer(x).numpy(), layer.eval()(x).numpy())
    np.testing.assert_allclose(layer(x).numpy().mean((0, 2, 3)), 0, atol=1e-12)


def test_an_empty_batch_leaves_running_statistics_as_they_are():
    layer = nn.BatchNorm1d(3)
    assert layer(np.zeros((0, 3), np.float32)).shape == (0, 3)
    assert layer.num_batches_tracked.item() == 0
    assert layer.running_var.data.tolist() == [1, 1, 1]


def test_weights_start_at_one_and_dtypes_are_kept():
    for kind, sizes, options, shape in LAYERS.values():
        layer = kind(*sizes, **options, dtype=np.float16, rng=0)
        for name, parameter in layer.named_parameters():
            assert (parameter.data == (name == "weight")).all()
        assert layer(random_input(shape).astype(np.float16)).dtype == np.float16
        assert {a.dtype for a in layer.state_dict().values()} <= {np.dtype(np.float16), np.dtype(int)}
    assert nn.RMSNorm(2)(np.float32([[1e-3, 1e-3]])).numpy()[0, 0] == pytest.approx(1e-3 / np.sqrt(1e-6 + 2**-23))


@pytest.mark.parametrize(
    ("layer", "shown"),
    [
        (nn.LayerNorm(3), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
        (nn.RMSNorm((2, 3)), "RMSNorm((2, 3), eps=None, elementwise_affine=True)"),
        (nn.GroupNorm(2, 4), "GroupNorm(2, 4, eps=1e-05, affine=True)"),
        (nn.BatchNorm2d(3), "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)"),
    ],
)
def test_how_they_are_shown(layer, shown):
    assert repr(layer) == shown


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.LayerNorm(0), "LayerNorm: normalized_shape must be an integer of at least 1, not 0"),
        (lambda: nn.LayerNorm(()), "LayerNorm: normalized_shape must have at least one axis"),
        (lambda: nn.RMSNorm((2, 1.5)), "RMSNorm: normalized_shape must be an integer of at least 1, not 1.5"),
        (lambda: nn.LayerNorm(2, eps=-1), "LayerNorm: eps must be a finite number of at least 0, not -1"),
        (lambda: nn.GroupNorm(1, 2, eps=math.inf), "GroupNorm: eps must be a finite number of at least 0, not inf"),
        (lambda: nn.GroupNorm(2, 3), r"GroupNorm: num_groups \(2\) must divide num_channels \(3\)"),
        (lambda: nn.BatchNorm1d(3, momentum=2), r"BatchNorm1d: momentum must be None or a number in \[0, 1\], not 2"),
        (lambda: nn.BatchNorm2d(-3), "BatchNorm2d: num_features must be an integer of at least 1, not -3"),
        (lambda: nn.BatchNorm1d(3, eps=None), "BatchNorm1d: eps must be a finite number of at least 0, not None"),
        (
            lambda: nn.LayerNorm((2, 3))(np.ones((4, 3))),
            r"LayerNorm: the last axes of x must be \(2, 3\), but x has shape",
        ),
        (lambda: nn.RMSNorm(3)(np.ones(())), r"RMSNorm: the last axes of x must be \(3,\), but x has shape \(\)"),
        (lambda: nn.GroupNorm(1, 2)(np.ones((4, 3))), r"GroupNorm: x must be \(N, 2, …\), but has shape \(4, 3\)"),
        (lambda: nn.BatchNorm1d(3)(np.ones((4, 2))), r"x must be \(N, 3\) or \(N, 3, L\), but has shape \(4, 2\)"),
        (lambda: nn.BatchNorm2d(3)(np.ones((4, 3))), r"BatchNorm2d: x must be \(N, 3, H, W\), but has shape \(4, 3\)"),
        (lambda: nn.BatchNorm1d(3)(np.ones((1, 3))), r"BatchNorm1d: one value per channel, .*\(1, 3\), has no var"),
        (lambda: nn.BatchNorm2d(3)(np.ones((1, 3, 1, 1))), "BatchNorm2d: one value per channel"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_state_after_training_can_be_loaded_again(tmp_path):
    """The number of batches stays an array."""
    layer = nn.BatchNorm2d(3)
    layer(np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32))
    assert isinstance(layer.num_batches_tracked.data, np.ndarray)
    kept = layer.state_dict()
    layer(np.random.default_rng(0).standard_normal((2, 3, 4, 4)).astype(np.float32))
    layer.load_state_dict(kept)
    assert layer.num_batches_tracked.item() == 1
    mg.save(tmp_path / "layer.safetensors", layer.state_dict())
    layer.load_state_dict(mg.load(tmp_path / "layer.safetensors"))
    assert layer.num_batches_tracked.item() == 1
    assert "1" in repr(layer.num_batches_tracked)
    assert dict(layer.named_buffers())["num_batches_tracked"].shape == ()
