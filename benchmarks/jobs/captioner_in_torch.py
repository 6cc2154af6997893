"""The captioner in PyTorch, as its users would write it; imported only by PyTorch's rivals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.jobs.captions import Array

__all__ = ["TorchCaptioner"]


class TorchCaptioner(torch.nn.Module):
    """The same model with the same weights: `weights` by CS231n's names, as `captioning.models.captioner` has them.

    rows: the rows that the vocabulary product is made of. "all" of them, with `ignore_index`; "unmasked" ones only; or
    "packed", where the cell too leaves out what lies after a caption's end.
    """

    def __init__(self, weights: dict[str, Array], cell: str = "lstm", rows: str = "all") -> None:
        super().__init__()
        (D, H), (V, W) = weights["W_proj"].shape, weights["W_embed"].shape
        self.rows, self.is_lstm = rows, cell == "lstm"
        self.cell: Any
        self.project, self.embed, self.vocab = torch.nn.Linear(D, H), torch.nn.Embedding(V, W), torch.nn.Linear(H, V)
        self.cell = (torch.nn.LSTM if self.is_lstm else torch.nn.RNN)(W, H, batch_first=True)
        # Our gates are i f o g, PyTorch's i f g o: the same exchange of blocks leads there and back.
        self.order: Array = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H] if self.is_lstm else np.arange(H)
        with torch.no_grad():
            for name, parameter in self.by_name().items():
                parameter.copy_(torch.tensor(self._exchanged(name, weights[name])))
            self.cell.bias_hh_l0.zero_()
        self.cell.bias_hh_l0.requires_grad_(False)  # the model has one bias

    def by_name(self) -> dict[str, Any]:
        """The parameters under the names of ours."""
        return {
            "W_proj": self.project.weight, "b_proj": self.project.bias, "W_embed": self.embed.weight,
            "Wx": self.cell.weight_ih_l0, "Wh": self.cell.weight_hh_l0, "b": self.cell.bias_ih_l0,
            "W_vocab": self.vocab.weight, "b_vocab": self.vocab.bias,
        }  # fmt: skip

    def trained(self) -> list[Any]:
        """The parameters that have gradients."""
        return list(self.by_name().values())

    def gradients(self) -> dict[str, Array]:
        """By the names of ours, in the layout of ours."""
        return self.as_ours({name: p.grad for name, p in self.by_name().items()})

    def as_ours(self, tensors: Mapping[str, Any]) -> dict[str, Array]:
        """What belongs to each parameter, in the layout of ours."""
        return {name: self._exchanged(name, t.numpy()) for name, t in tensors.items()}

    def as_theirs(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """What belongs to each of our weights in the layout, and the order, of the parameters."""
        return {name: self._exchanged(name, arrays[name]) for name in self.by_name()}

    def _exchanged(self, name: str, array: Array) -> Array:
        """Ours as PyTorch's, or back: weights are transposed and gates exchanged, each its own inverse."""
        if name in ("Wx", "Wh") and array.shape[0] != len(self.order):  # ours: the gates are the columns
            return array.T[self.order]
        if name in ("Wx", "Wh", "b"):
            array = array[self.order]
        return array if name == "W_embed" else array.T

    def forward(self, features: torch.Tensor, captions: torch.Tensor) -> torch.Tensor:
        """The loss, as ours: summed over words, averaged over captions."""
        words_in, words_out = captions[:, :-1], captions[:, 1:]
        h0 = self.project(features)[None]
        state = (h0, torch.zeros_like(h0)) if self.is_lstm else h0
        x = self.embed(words_in)
        if self.rows == "packed":
            lengths = (words_out != 0).sum(1)  # of at least 1 word: every caption has an <END>
            h = self.cell(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False), state)[0].data
            words_out = pack_padded_sequence(words_out[..., None], lengths, batch_first=True, enforce_sorted=False).data
        else:
            h = self.cell(x, state)[0]
        if self.rows == "unmasked":
            keep = words_out != 0
            h, words_out = h[keep], words_out[keep]
        scores = self.vocab(h).reshape(-1, self.vocab.out_features)
        loss = torch.nn.functional.cross_entropy(scores, words_out.reshape(-1), ignore_index=0, reduction="sum")
        return loss / len(captions)
