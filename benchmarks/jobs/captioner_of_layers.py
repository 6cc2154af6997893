"""The captioner as a user of minigrad would write it, of `nn` layers; imported only by minigrad's own rivals."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

import minigrad as mg
from benchmarks.job import Unavailable
from benchmarks.jobs.captions import Array
from minigrad import nn

__all__ = ["OwnCaptioner"]


class OwnCaptioner(nn.Module):
    """The same model with the same weights: `weights` by CS231n's names, as `captioning.Captioner` has them.

    shorter: the LSTM is given the lengths of the captions, so that it leaves out what lies after their ends, and the
    distinct words with their places, so that each is projected once. Otherwise it runs over all there is. The words
    that count are picked out by `cross_entropy` either way, as most people do it.
    """

    def __init__(self, weights: dict[str, Array], shorter: bool) -> None:
        if shorter and "lengths" not in inspect.signature(nn.LSTM.forward).parameters:
            raise Unavailable("nn.LSTM takes no lengths and indices in this checkout")
        (D, H), (V, W) = weights["W_proj"].shape, weights["W_embed"].shape
        self.shorter = shorter
        self.project, self.embed = nn.Linear(D, H), nn.Embedding(V, W)
        self.lstm, self.vocab = nn.LSTM(W, H), nn.Linear(H, V)
        for name, parameter in self.by_name().items():
            parameter.data[...] = weights[name]

    def by_name(self) -> dict[str, nn.Parameter]:
        """The parameters under the names of the captioner's."""
        assert self.project.bias is not None
        assert self.vocab.bias is not None
        return {
            "W_proj": self.project.weight, "b_proj": self.project.bias, "W_embed": self.embed.weight,
            "Wx": self.lstm.Wx, "Wh": self.lstm.Wh, "b": self.lstm.b,
            "W_vocab": self.vocab.weight, "b_vocab": self.vocab.bias,
        }  # fmt: skip

    def forward(self, features: Array, captions: Array) -> Any:
        """The loss, as the captioner's: summed over words, averaged over captions."""
        words_in, words_out = captions[:, :-1], captions[:, 1:]
        state = self.project(features), None
        if self.shorter:
            words, places = np.unique(words_in, return_inverse=True)
            lengths = (words_out != 0).sum(axis=1)
            h, _ = self.lstm(self.embed(words), state, lengths=lengths, indices=places)
        else:
            h, _ = self.lstm(self.embed(words_in), state)
        return mg.cross_entropy(self.vocab(h), words_out, ignore_index=0, reduction="sum") / len(captions)
