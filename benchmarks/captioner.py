"""One training iteration of the source's LSTM captioner, side by side with PyTorch's eager mode.

The job: batch 25, 16 steps, word vectors 256, hidden 512, vocabulary 1,004, features 512; forward, backward
and Adam, through the public API (`captioning.model.Captioner`, `mg.optim.Adam`). Captions are Flickr8k's if
CAPTIONING_DATA points at them (their ids folded into 1,004), else random ones with lengths like them. Loss and
every gradient are compared first, and a difference is an error.

PyTorch runs nn.LSTM over all steps, its vocabulary product on all rows or on the unmasked rows only, and
cross_entropy; with the default Adam and with fused=True.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import timing  # first: it chooses the BLAS settings

import numpy as np
import torch

import minigrad as mg
from captioning.model import Captioner
from captioning.vocabulary import Vocabulary

N, T, D, W, H, V = 25, 17, 512, 256, 512, 1004


def batches(count: int) -> tuple[str, list[np.ndarray]]:
    """Captions (N, T) for several iterations, and where they come from."""
    rng = np.random.default_rng(0)
    folder = os.environ.get("CAPTIONING_DATA")
    path = Path(folder or ".") / "flickr8k" / "coco2014_captions.h5"
    if folder and path.exists():
        import h5py

        with h5py.File(path) as file:
            captions = file["train_captions"][:5000]
        captions = np.where(captions < V, captions, 3)
        source = "Flickr8k's captions"
    else:
        captions = np.zeros((5000, T), np.int64)
        for row in captions:
            words = rng.integers(6, 16)
            row[: words + 1] = [1, *(4 + (1000 * rng.random(words - 1) ** 4).astype(int)), 2]
        source = "random captions"
    return source, [captions[rng.choice(len(captions), N, replace=False)].astype(np.int64) for _ in range(count)]


class Peer(torch.nn.Module):
    """The same model in PyTorch, with the Captioner's weights."""

    def __init__(self, model: Captioner, unmasked_only: bool) -> None:
        super().__init__()
        self.unmasked_only = unmasked_only
        self.project, self.embed = torch.nn.Linear(D, H), torch.nn.Embedding(V, W)
        self.lstm, self.vocab = torch.nn.LSTM(W, H, batch_first=True), torch.nn.Linear(H, V)
        self.order = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H]  # our gates i f o g as PyTorch's i f g o
        w = {name: torch.tensor(np.array(a)) for name, a in model.state_dict().items()}
        with torch.no_grad():
            for ours, theirs in self.pairs(w):
                theirs.copy_(ours)
            self.lstm.bias_hh_l0.zero_()
        self.lstm.bias_hh_l0.requires_grad_(False)  # the model has one bias

    def pairs(self, w: dict[str, Any]) -> list[tuple[Any, Any]]:
        """(an array of ours in PyTorch's layout, the parameter)."""
        return [
            (w["W_proj"].T, self.project.weight), (w["b_proj"], self.project.bias), (w["W_embed"], self.embed.weight),
            (w["Wx"].T[self.order], self.lstm.weight_ih_l0), (w["Wh"].T[self.order], self.lstm.weight_hh_l0),
            (w["b"][self.order], self.lstm.bias_ih_l0), (w["W_vocab"].T, self.vocab.weight),
            (w["b_vocab"], self.vocab.bias),
        ]  # fmt: skip

    def forward(self, features: torch.Tensor, captions: torch.Tensor) -> torch.Tensor:
        words_in, words_out = captions[:, :-1], captions[:, 1:]
        h0 = self.project(features)[None]
        h, _ = self.lstm(self.embed(words_in), (h0, torch.zeros_like(h0)))
        if self.unmasked_only:
            keep = words_out != 0
            h, words_out = h[keep], words_out[keep]
        scores = self.vocab(h).reshape(-1, V)
        loss = torch.nn.functional.cross_entropy(scores, words_out.reshape(-1), ignore_index=0, reduction="sum")
        return loss / len(captions)


def rivals(captions: list[np.ndarray]) -> dict[str, Any]:
    """A function for each rival that runs one iteration on every batch."""
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *(f"w{i}" for i in range(V - 4))])
    features = np.random.default_rng(1).standard_normal((N, D)).astype(np.float32)
    model = Captioner(vocabulary, D, W, H, rng=0)
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)

    def minigrad() -> None:
        for batch in captions:
            adam.zero_grad()
            model.loss(features, batch).backward()
            adam.step()

    def peer(unmasked_only: bool, **options: Any) -> Any:
        net = Peer(model, unmasked_only)
        optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3, **options)
        x, ids = torch.tensor(features), [torch.tensor(c) for c in captions]

        def steps() -> None:
            for batch in ids:
                optimiser.zero_grad()
                net(x, batch).backward()
                optimiser.step()

        return steps

    check(model, features, captions[0])
    return {
        "minigrad": minigrad,
        "pytorch": peer(False),
        "pytorch fused Adam": peer(False, fused=True),
        "pytorch fused Adam, unmasked rows": peer(True, fused=True),
    }


def check(model: Captioner, features: np.ndarray, captions: np.ndarray) -> None:
    """Loss and gradients of both, before anything is timed."""
    net = Peer(model, False)
    theirs = net(torch.tensor(features), torch.tensor(captions))
    theirs.backward()
    ours = model.loss(features, captions)
    ours.backward()
    worst = abs(ours.item() / theirs.item() - 1)
    grads = {name: torch.tensor(p.grad) for name, p in model.named_parameters()}
    for mine, parameter in net.pairs(grads):
        scale = float(parameter.grad.abs().max())
        worst = max(worst, float((mine - parameter.grad).abs().max()) / scale)
    model.zero_grad()
    print(f"loss and gradients agree to {worst:.1e} of each one's largest entry")
    if worst > 1e-4:
        raise SystemExit("they differ: no timing")


def main() -> None:
    """Compare and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="numbers of threads (default: 1 2)")
    parser.add_argument("--repeats", type=int, default=10, help="rounds of 8 iterations; the best counts (default: 10)")
    options = parser.parse_args()
    source, captions = batches(8)
    print(f"{timing.kernel()}; PyTorch {torch.__version__}; {source}")
    functions = rivals(captions)
    results = {}
    for number in options.threads:
        with timing.threads(number):
            best = timing.compare(functions, options.repeats, warmup=1)
        results[f"{number} thread{'s' * (number > 1)}"] = {name: s / len(captions) for name, s in best.items()}
    timing.print_ratios(results)


if __name__ == "__main__":
    main()
