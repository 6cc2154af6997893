"""The captioning model of the exercises: a dict of weights, a loss with gradients, and samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from captioning.data.errors import among, check_values
from captioning.models.captioner import WEIGHTS, CaptionNetwork
from minigrad.core import enable_grad

__all__ = ["CaptioningRNN"]

Array = NDArray[Any]


class CaptioningRNN:
    """The captioning model of the notebooks; `captioning.models.captioner` says what it computes.

    word_to_idx: the V words and their ids. It must have `<NULL>`; without `<START>`, `sample` starts from `<NULL>`.

    `params` is the dict of the eight weights, ndarrays of `dtype`. You can replace them or write into them. The initial
    weights come from NumPy's global generator, so `np.random.seed` determines them, as in the notebooks.
    """

    def __init__(
        self,
        word_to_idx: Mapping[str, int],
        input_dim: int = 512,
        wordvec_dim: int = 128,
        hidden_dim: int = 128,
        cell_type: str = "rnn",
        dtype: DTypeLike = np.float32,
    ) -> None:
        if "<NULL>" not in word_to_idx:
            raise ValueError("word_to_idx has no <NULL>, the word that pads captions. Add it.")
        check_values({"cell_type": cell_type}, {"cell_type": among(("rnn", "lstm"))})  # the cells of the exercises
        self.cell_type, self.dtype = cell_type, np.dtype(dtype)
        self.word_to_idx = dict(word_to_idx)
        self.idx_to_word = {i: word for word, i in word_to_idx.items()}
        self._null = word_to_idx["<NULL>"]
        self._start = word_to_idx.get("<START>", self._null)
        draw = np.random.standard_normal  # the global one: see the docstring
        sizes = input_dim, wordvec_dim, hidden_dim
        self._network = CaptionNetwork(len(word_to_idx), self._null, *sizes, cell_type, draw, dtype)
        self.params: dict[str, Array] = {name: weight.data for name, weight in self._network.weights.items()}

    def _bound(self, requires_grad: bool) -> CaptionNetwork:
        """Return the network on the current arrays of `params`, of any sizes, without copies or gradients."""
        missing = [name for name in WEIGHTS if name not in self.params]
        if missing:
            raise ValueError(f"params: {', '.join(missing)} are missing. Restore them.")
        arrays = {name: np.asarray(self.params[name]) for name in WEIGHTS}
        if any(arrays[name].shape != weight.shape for name, weight in self._network.weights.items()):
            (words, wordvec), (hidden, _) = arrays["W_embed"].shape, arrays["Wh"].shape
            sizes = len(arrays["W_proj"]), wordvec, hidden
            self._network = CaptionNetwork(words, self._null, *sizes, self.cell_type, np.zeros, self.dtype)
        for name, weight in self._network.weights.items():
            if arrays[name].shape != weight.shape:
                raise ValueError(f"params: {name} must be {weight.shape} to fit the others, not {arrays[name].shape}")
            weight.requires_grad = False
            weight.data = arrays[name]
            weight.requires_grad = requires_grad  # a new leaf on this array
        return self._network

    def loss(self, features: ArrayLike, captions: ArrayLike) -> tuple[float, dict[str, Array]]:
        """Return the loss for features (N,D) and captions (N,T), and its gradients under the keys of `params`."""
        network = self._bound(requires_grad=True)
        with enable_grad():  # even within no_grad
            loss = network.loss(features, captions)
        loss.backward()
        return float(loss.item()), {name: cast(Array, weight.grad) for name, weight in network.weights.items()}

    def sample(self, features: ArrayLike, max_length: int = 30) -> NDArray[np.int32]:
        """Return the likeliest word at each of `max_length` steps, even after `<END>`: int32 (N, max_length)."""
        network, rows = self._bound(requires_grad=False), np.asarray(features)
        captions = np.full((len(rows), max_length), self._null, dtype=np.int32)
        words, state = np.full(len(rows), self._start), network.initial_state(rows)
        for t in range(max_length):
            scores, state = network.step(words, state)
            words = scores.data.argmax(axis=1)
            captions[:, t] = words
        return captions
