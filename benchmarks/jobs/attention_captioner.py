"""The captioner with attention: one training iteration of 100 captions with Adam.

The sizes are those of the recipe for Flickr8k: 1,280 features of the whole picture, 256 of each of 49 places, word
vectors 256, hidden 512, a vocabulary of 2,917 words; captions of like length in a batch, as its training has them; no
dropout, so that all compute the same. PyTorch runs nn.LSTM, scaled_dot_product_attention and Adam(fused=True), its cell
over all steps or packed, by torch.compile where that is quicker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.job import Aim, Case, Rival, Work
from benchmarks.jobs.captions import Array, Sizes, captions_note, vocabulary
from benchmarks.jobs.compiling import compiled

__all__ = ["cases"]


@dataclass(frozen=True)
class _Looking:
    """A captioner with attention and its batches."""

    words: int = 2917
    batch: int = 100
    batches: int = 2
    whole: int = 1280
    places: tuple[int, int] = (49, 256)
    wordvec: int = 256
    hidden: int = 512
    picture: int = 512
    looking: int = 256
    heads: int = 4

    def captions(self) -> list[Array]:
        """Of about as long captions each."""
        drawn = np.concatenate(Sizes(self.words, self.batch * 4, batches=self.batches).captions())
        ordered = drawn[np.argsort((drawn != 0).sum(axis=1), kind="stable")]
        batches = np.split(ordered, 4 * self.batches)
        return [batches[k] for k in np.linspace(0, len(batches) - 1, self.batches + 2).astype(int)[1:-1]]

    def pictures(self) -> Array:
        """Features, float32 (batch, D + R K)."""
        size = self.whole + self.places[0] * self.places[1]
        return np.random.default_rng(1).standard_normal((self.batch, size), np.float32)

    def model(self) -> Any:
        """minigrad's."""
        from captioning.models.attention_captioner import AttentionCaptioner

        sizes = (self.wordvec, self.hidden, self.picture, self.looking, self.heads)
        model = AttentionCaptioner(vocabulary(self.words), self.pictures().shape[1], self.places, *sizes, dropout=0.0,
                                   rng=0)  # fmt: skip
        model.standardise(self.pictures())
        return model


def cases(quick: bool = False) -> list[Case]:
    """Training."""
    sizes = _Looking(60, 8, 2, 6, (4, 3), 8, 12, 10, 8, 2) if quick else _Looking()
    ways = {
        "eager": partial(_train_in_torch, sizes, packed=False),
        "packed": partial(_train_in_torch, sizes, packed=True),
        "compiled": partial(_train_in_torch, sizes, packed=False, compile=True),
    }
    case = Case(
        f"training, V {sizes.words:,}, batch {sizes.batch}",
        [
            Rival("minigrad", "minigrad", partial(_train, sizes)),
            *(Rival(name, "PyTorch", way, ("torch",)) for name, way in ways.items()),
        ],
        [Aim("PyTorch", 0.9)],
        note=captions_note(),
    )
    return [case]


def _train(sizes: _Looking) -> Work:
    import minigrad as mg

    model, captions, features = sizes.model(), sizes.captions(), sizes.pictures()
    adam = mg.optim.Adam(model.parameters(), lr=1e-4)

    def outputs() -> dict[str, Any]:
        loss = model.loss(features, captions[0])
        loss.backward()
        named = dict(model.named_parameters())
        kept = ("embed.weight", "cell.Wh", "key.weight", "about.weight")
        return {"loss": loss.data, **{name: named[name].grad for name in kept}}

    def run() -> None:
        for batch in captions:
            adam.zero_grad()
            model.loss(features, batch).backward()
            adam.step()

    return Work(run, outputs, len(captions))


def _train_in_torch(sizes: _Looking, packed: bool, compile: bool = False) -> Work:
    import torch

    from benchmarks.jobs.attention_captioner_in_torch import TorchAttentionCaptioner

    net = TorchAttentionCaptioner(sizes.model().state_dict(), sizes.places, sizes.heads, packed)
    loss_of = compiled(net, dynamic=True) if compile else net
    adam = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-4, fused=True)
    features, captions = torch.tensor(sizes.pictures()), [torch.tensor(ids) for ids in sizes.captions()]

    def outputs() -> dict[str, Any]:
        loss = loss_of(features, captions[0])
        loss.backward()
        return {"loss": loss.detach().numpy(), **net.gradients()}

    def run() -> None:
        for batch in captions:
            adam.zero_grad()
            loss_of(features, batch).backward()
            adam.step()

    return Work(run, outputs, len(captions))
