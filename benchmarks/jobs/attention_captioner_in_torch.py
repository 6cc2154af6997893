"""The captioner with attention in PyTorch, as its users would write it; imported only by PyTorch's rivals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence

from benchmarks.jobs.captions import Array

__all__ = ["TorchAttentionCaptioner"]

State = tuple[torch.Tensor, ...]
_STEEPNESS = 2.0


class TorchAttentionCaptioner(torch.nn.Module):
    """The model of `captioning.models.attention_captioner`, an LSTM, with the weights of its `state_dict`.

    packed: whether the cell leaves out what lies after a caption's end; the vocabulary product always does.
    """

    about: Any
    begin: Any
    query: Any
    key: Any
    value: Any
    from_hidden: Any
    from_seen: Any
    from_picture: Any
    cell: Any
    embed: Any
    mean: torch.Tensor

    def __init__(self, weights: Mapping[str, Array], places: tuple[int, int], heads: int, packed: bool = True) -> None:
        super().__init__()
        self.places, self.heads, self.packed = places, heads, packed
        H = weights["cell.Wh"].shape[0]
        self.order = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H]  # our gates i f o g as PyTorch's i f g o
        linear = torch.nn.Linear
        for name in ("about", "begin", "query", "key", "value", "from_hidden", "from_seen", "from_picture"):
            weight = torch.tensor(weights[f"{name}.weight"].T)
            layer = linear(weight.shape[1], weight.shape[0], bias=f"{name}.bias" in weights)
            layer.weight = torch.nn.Parameter(weight.contiguous())
            if layer.bias is not None:
                layer.bias = torch.nn.Parameter(torch.tensor(weights[f"{name}.bias"]))
            setattr(self, name, layer)
        self.embed = torch.nn.Embedding(*weights["embed.weight"].shape)
        self.embed.weight = torch.nn.Parameter(torch.tensor(weights["embed.weight"]))
        self.bias = torch.nn.Parameter(torch.tensor(weights["bias"]))
        self.cell = torch.nn.LSTM(weights["cell.Wx"].shape[0], H, batch_first=True)
        rows = {name: torch.tensor(weights[f"cell.{name}"].T[self.order]) for name in ("Wx", "Wh", "b")}
        self.cell.load_state_dict({"weight_ih_l0": rows["Wx"], "weight_hh_l0": rows["Wh"], "bias_ih_l0": rows["b"],
                                   "bias_hh_l0": torch.zeros(4 * H)})  # fmt: skip
        self.cell.bias_hh_l0.requires_grad_(False)  # the model has one bias
        self.register_buffer("mean", torch.tensor(weights["mean"]))
        self.deviations: list[float] = [float(d) for d in weights["deviations"]]

    def gradients(self) -> dict[str, Array]:
        """Of a few parameters, by our names and in our layout."""
        back = np.argsort(self.order)
        return {
            "embed.weight": self.embed.weight.grad.numpy(),
            "cell.Wh": self.cell.weight_hh_l0.grad.numpy()[back].T,
            "key.weight": self.key.weight.grad.numpy().T,
            "about.weight": self.about.weight.grad.numpy().T,
        }

    def look(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, State]:
        """Keys, values, what the picture adds, and the first state, of rows of features."""
        count, columns = self.places
        whole = features.shape[1] - count * columns
        g = F.relu(self.about((features[:, :whole] - self.mean) / self.deviations[0]))
        places = features[:, whole:].reshape(-1, count, columns) / self.deviations[1]
        keys, values = (self._apart(x) for x in (self.key(places), F.relu(self.value(places))))
        return keys, values, self.from_picture(g), torch.tanh(self.begin(g)).chunk(2, dim=1)

    def _apart(self, x: Any) -> Any:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def score(self, h: torch.Tensor, seen: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """Scores (M,V)."""
        z = _STEEPNESS * torch.tanh(self.from_hidden(h) + self.from_seen(seen) + picture)
        return F.linear(z, self.embed.weight, self.bias)

    def forward(self, features: torch.Tensor, captions: torch.Tensor) -> Any:
        """The summed cross-entropy of the words of captions (N,T), in the mean over them."""
        words_in, words_out = captions[:, :-1], captions[:, 1:]
        counts = words_out != 0
        steps = int(counts.any(0).sum())
        words_in, words_out, counts = words_in[:, :steps], words_out[:, :steps], counts[:, :steps]
        keys, values, picture, state = self.look(features)
        first = tuple(s[None].contiguous() for s in state)
        x: Any = self.embed(words_in)
        if self.packed:
            x = pack_padded_sequence(x, counts.sum(1), batch_first=True, enforce_sorted=False)
            h, _ = torch.nn.utils.rnn.pad_packed_sequence(self.cell(x, first)[0], batch_first=True, total_length=steps)
        else:
            h = self.cell(x, first)[0]
        seen = F.scaled_dot_product_attention(self._apart(self.query(h)), keys, values)
        seen = seen.transpose(1, 2).flatten(2)
        rows = counts.nonzero()[:, 0]
        scores = self.score(h[counts], seen[counts], picture[rows])
        return F.cross_entropy(scores, words_out[counts], reduction="sum") / len(captions)
