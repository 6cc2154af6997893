"""Captions, features and first weights that the jobs around the captioner share; every rival draws the same."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning import Captioner, Vocabulary  # names that older checkouts have too

__all__ = ["Sizes", "captioner", "captions_note", "flop_of_training", "vocabulary"]

Array = NDArray[Any]
UNKNOWN, STEPS = 3, 17
GATES = {"rnn": 1, "lstm": 4}  # blocks of H columns in the weights of a cell


@dataclass(frozen=True)
class Sizes:
    """A captioner and its batches: V words, D features, W word vectors, H hidden; `batches` of `batch` captions."""

    words: int = 1004
    batch: int = 25
    batches: int = 8
    cell: str = "lstm"
    features: int = 512
    wordvec: int = 256
    hidden: int = 512

    def captions(self) -> list[Array]:
        """Word ids, int64 (batch, 17): Flickr8k's, ids outside the vocabulary as `<UNK>`, or random ones like them."""
        rng = np.random.default_rng(0)
        captions = _flickr8k() if _has_flickr8k() else _random(rng)
        captions = np.where(captions < self.words, captions, UNKNOWN).astype(np.int64)
        return [captions[rng.choice(len(captions), self.batch, replace=False)] for _ in range(self.batches)]

    def pictures(self) -> Array:
        """Features, float32 (batch, D)."""
        return np.random.default_rng(1).standard_normal((self.batch, self.features), np.float32)

    def weights(self) -> dict[str, Array]:
        """First weights under CS231n's names, all 1/sqrt(rows) times normal, and biases 0."""
        D, W, H, V, G = self.features, self.wordvec, self.hidden, self.words, GATES[self.cell] * self.hidden
        shapes = {"W_embed": (V, W), "W_proj": (D, H), "Wx": (W, G), "Wh": (H, G), "W_vocab": (H, V)}
        rng = np.random.default_rng(2)
        weights = {name: rng.standard_normal(shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
        weights |= {"b_proj": np.zeros(H), "b": np.zeros(G), "b_vocab": np.zeros(V)}
        return {name: array.astype(np.float32) for name, array in weights.items()}


def vocabulary(words: int) -> Vocabulary:
    """So many words, of which the first four are `<NULL>`, `<START>`, `<END>` and `<UNK>`."""
    return Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *(f"w{i}" for i in range(words - 4))])


def captioner(sizes: Sizes, weights: dict[str, Array] | None = None) -> Captioner:
    """minigrad's captioner with the first weights, or others."""
    model = Captioner(vocabulary(sizes.words), sizes.features, sizes.wordvec, sizes.hidden, sizes.cell, rng=0)
    model.load_state_dict(weights or sizes.weights())
    return model


def captions_note() -> str:
    """Where the captions are from."""
    return "Captions: Flickr8k's." if _has_flickr8k() else "Captions: random; CAPTIONING_DATA leads to no Flickr8k."


def flop_of_training(sizes: Sizes, captions: Sequence[Array]) -> float:
    """Matrix products of one iteration's forward and backward pass, mean over the batches.

    With M words out that count and G = 4H (LSTM) or H columns of the cell: 2 M (W G + H G + H V) forward,
    and twice that backward, for the operand's gradient and the weight's. The projection of the features, 2 N D H,
    needs only the weight's.
    """
    D, W, H, V = sizes.features, sizes.wordvec, sizes.hidden, sizes.words
    G = GATES[sizes.cell] * H
    words = float(np.mean([np.count_nonzero(ids[:, 1:]) for ids in captions]))
    return 3 * 2 * words * (W * G + H * G + H * V) + 2 * 2 * sizes.batch * D * H


def _path() -> Path:
    return Path(os.environ.get("CAPTIONING_DATA", "")) / "flickr8k" / "coco2014_captions.h5"


def _has_flickr8k() -> bool:
    return bool(os.environ.get("CAPTIONING_DATA")) and _path().exists() and importlib.util.find_spec("h5py") is not None


def _flickr8k() -> Array:
    import h5py

    with h5py.File(_path()) as file:
        captions: Array = file["train_captions"][:5000]
    return captions


def _random(rng: np.random.Generator) -> Array:
    """Captions of 6 to 15 words with `<START>` and `<END>`, common words more often."""
    captions = np.zeros((5000, STEPS), np.int64)
    for row in captions:
        words = rng.integers(6, 16)
        row[: words + 1] = [1, *(4 + (1000 * rng.random(words - 1) ** 4).astype(int)), 2]
    return captions
