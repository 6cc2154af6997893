"""EfficientNet-Lite0, a network that tells 1,000 kinds of things on photos apart, of minigrad's own layers.

It is EfficientNet-B0 (Tan and Le, 2019, https://arxiv.org/abs/1905.11946, table 1) without its squeeze-and-excitation,
and with ReLU6 in place of SiLU. Of pictures (N, 3, 224, 224)::

    stem        3x3, stride 2                                     (N, 32, 112, 112)
    blocks      16 inverted bottlenecks, in 7 stages:             (N, 320, 7, 7)
        expand      1x1 to six times the channels (the first block has none)
        depthwise   3x3 or 5x5, each channel for itself, with stride 1 or 2
        project     1x1 to few channels, without ReLU6; plus the block's input where the shapes are the same
    head        1x1: the map                                      (N, 1280, 7, 7)
    features    the mean over places                              (N, 1280)
    classifier  logits                                            (N, 1000)

A convolution has no bias, and a batch norm behind it; padding is TensorFlow's "same", of which an odd zero lies behind
the image. Folded (`captioning.vision.folding`) the norms are part of the convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from captioning.vision.folding import fold
from minigrad import Tensor, nn, ops

__all__ = ["CLASSES", "FEATURES", "EfficientNetLite0", "folded"]

CLASSES = 1000
FEATURES = 1280

_EPSILON = 1e-3  # of the batch norms, as it was trained
_STEM = 32


class _Stage(NamedTuple):
    """Blocks of the same kind, of which the first alone has the stride, and another number of channels as input."""

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
    """A convolution, the norm of its channels, and ReLU6 if it is `active`: (N, C, H, W) -> (N, F, H', W').

    H' is H / stride, rounded up, and W' likewise. Where `norm` is False the convolution has a bias in its place.

    >>> Unit(3, 8, 3, stride=2, rng=0)(np.ones((1, 3, 9, 9), np.float32)).shape
    (1, 8, 5, 5)
    """

    def __init__(
        self, channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True,
        norm: bool = True, rng: Any = None,
    ) -> None:  # fmt: skip
        self.convolution = nn.Conv2d(channels, filters, kernel, stride, "same", groups=groups, bias=not norm, rng=rng)
        self.norm = nn.BatchNorm2d(filters, _EPSILON) if norm else None
        self.active = active

    def forward(self, x: Any) -> Tensor:
        y = self.convolution(x)
        if self.norm is not None:
            y = self.norm(y)
        return ops.clip(y, 0, 6) if self.active else y  # type: ignore[no-any-return]


class Block(nn.Module):
    """An inverted bottleneck: many channels only where each is for itself (Sandler and others, 2018).

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
    """The network: pictures (N, 3, H, W), as `prepare` makes them, to logits (N, 1000) in the order of ImageNet-1k.

    The published weights are for 224x224; other sizes give maps of ceil(size / 32) places a side. There is no dropout.

    norm: whether there are batch norms, or biases in their place, as in what `folded` gives. rng: a Generator or a seed
    for the first weights; `captioning.vision.published.published_network` has trained ones.

    >>> network = EfficientNetLite0(rng=0)
    >>> pictures = np.zeros((1, 3, 64, 64), np.float32)
    >>> network.eval().maps(pictures).shape, network.features(pictures).shape, network(pictures).shape
    ((1, 1280, 2, 2), (1, 1280), (1, 1000))
    """

    def __init__(self, norm: bool = True, rng: Any = None) -> None:
        rng = np.random.default_rng(rng)
        self.stem = Unit(3, _STEM, 3, stride=2, norm=norm, rng=rng)
        self.blocks = nn.ModuleList()
        channels = _STEM
        for stage in _STAGES:
            for number in range(stage.blocks):
                this = stage if number == 0 else stage._replace(stride=1)
                self.blocks.append(Block(channels, this, norm, rng))
                channels = stage.channels
        self.head = Unit(channels, FEATURES, 1, norm=norm, rng=rng)
        self.classifier = nn.Linear(FEATURES, CLASSES, rng=rng)

    def maps(self, x: Any) -> Tensor:
        """What is seen at each place, (N, 1280, h, w): 7x7 places of pictures 224x224."""
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)  # type: ignore[no-any-return]

    def features(self, x: Any) -> Tensor:
        """The mean over places of the maps, (N, 1280)."""
        return ops.mean(self.maps(x), axis=(2, 3))  # type: ignore[no-any-return]

    def forward(self, x: Any) -> Tensor:
        return self.classifier(self.features(x))  # type: ignore[no-any-return]


def folded(network: EfficientNetLite0) -> EfficientNetLite0:
    """A copy, in eval mode, whose batch norms are folded into the convolutions: its outputs are those of the network.

    Raises:
        ValueError: if the network has no norms.
    """
    copy = EfficientNetLite0(norm=False, rng=0)
    state = {f"classifier.{name}": value for name, value in network.classifier.state_dict().items()}
    for name, unit in _units(network):
        if unit.norm is None:
            raise ValueError("folded: the network has no norms, it is folded already")
        state[f"{name}.convolution.weight"], state[f"{name}.convolution.bias"] = fold(unit.convolution, unit.norm)
    copy.load_state_dict(state)
    return copy.eval()


def _units(network: EfficientNetLite0) -> Iterator[tuple[str, Unit]]:
    return ((name, module) for name, module in network.named_modules() if isinstance(module, Unit))
