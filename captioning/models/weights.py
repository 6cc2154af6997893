"""The captioner's eight weights as CS231n has them: their names there, and the numbers that they start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from captioning.models.cells import CELLS, check_cell

__all__ = ["WEIGHTS", "initial_weights", "renamed"]

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


def initial_weights(
    words: int,
    feature_size: int,
    wordvec_size: int,
    hidden_size: int,
    cell_type: str,
    draw: Callable[[tuple[int, ...]], NDArray[Any]],
    dtype: DTypeLike = np.float32,
    forget_bias: float = 0.0,
) -> dict[str, NDArray[Any]]:
    """The eight weights as CS231n draws them, in its order: one hundredth or 1/sqrt(rows) times normal, biases 0.

    draw: standard normal numbers of a shape, such as `rng.standard_normal`. forget_bias: what the LSTM's
    forget gate starts from. The names are CS231n's. An unknown cell type or a size below 1 is a ValueError.

    >>> list(initial_weights(7, 3, 4, 5, "rnn", np.zeros)) == list(WEIGHTS)
    True
    """
    check_cell(cell_type)
    for name, size in (("words", words), ("feature_size", feature_size), ("wordvec_size", wordvec_size),
                       ("hidden_size", hidden_size)):  # fmt: skip
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name} must be an int of at least 1; got {size!r}")
    D, W, H, G = feature_size, wordvec_size, hidden_size, CELLS[cell_type].blocks * hidden_size
    weights = {
        "W_embed": draw((words, W)) / 100,
        "W_proj": draw((D, H)) / np.sqrt(D),
        "b_proj": np.zeros(H),
        "Wx": draw((W, G)) / np.sqrt(W),
        "Wh": draw((H, G)) / np.sqrt(H),
        "b": np.zeros(G),
        "W_vocab": draw((H, words)) / np.sqrt(H),
        "b_vocab": np.zeros(words),
    }
    if cell_type == "lstm":
        weights["b"][H : 2 * H] = forget_bias
    return {name: weights[name].astype(dtype) for name in WEIGHTS}
