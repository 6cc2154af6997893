"""CS231n's names of the captioner's eight weights, and the layers' parameters that they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["WEIGHTS", "renamed"]

WEIGHTS = {
    "W_proj": "project.weight", "b_proj": "project.bias", "W_embed": "embed.weight",
    "Wx": "cell.Wx", "Wh": "cell.Wh", "b": "cell.b", "W_vocab": "predict.weight", "b_vocab": "predict.bias",
}  # fmt: skip
"""CS231n's name of each weight, and the network's, in the order in which the network has them."""


def renamed(state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by the network's names: what has CS231n's name takes the network's, unless that is there already.

    CS231n's names are those of its notebooks, and of every file of weights that was saved while the captioner had them.

    >>> renamed({"W_proj": 1, "cell.Wx": 2, "b": 3, "x": 4})
    {'project.weight': 1, 'cell.Wx': 2, 'cell.b': 3, 'x': 4}
    """
    return {new if (new := WEIGHTS.get(name, name)) not in state else name: value for name, value in state.items()}
