"""Greedy decoding and beam search in PyTorch, by the rules of `captioning.decoding`."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.jobs.captions import Array

__all__ = ["TorchDecoder"]

State = tuple[torch.Tensor, torch.Tensor]


class TorchDecoder:
    """An LSTM captioner of the given weights, by CS231n's names; words that it must not say, and the one that ends."""

    def __init__(self, weights: dict[str, Array], forbidden: list[int], end: int) -> None:
        H = weights["Wh"].shape[0]
        order = np.r_[0 : 2 * H, 3 * H : 4 * H, 2 * H : 3 * H]  # our gates i f o g as PyTorch's i f g o
        self.cell = torch.nn.LSTMCell(weights["Wx"].shape[0], H)
        rows = {name: torch.tensor(weights[name].T[order]) for name in ("Wx", "Wh", "b")}
        self.cell.load_state_dict(
            {"weight_ih": rows["Wx"], "weight_hh": rows["Wh"], "bias_ih": rows["b"], "bias_hh": torch.zeros(4 * H)}
        )
        self.w = {name: torch.tensor(weights[name].T) for name in ("W_proj", "b_proj", "W_vocab", "b_vocab")}
        self.embed = torch.tensor(weights["W_embed"])
        self.forbidden, self.end = torch.tensor(forbidden), end

    def start(self, features: torch.Tensor) -> State:
        """The state before the first word."""
        h = torch.nn.functional.linear(features, self.w["W_proj"], self.w["b_proj"])
        return h, torch.zeros_like(h)

    def step(self, words: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """The scores (N,V) of the next words, and the next state."""
        h, c = self.cell(self.embed[words], state)
        scores = torch.nn.functional.linear(h, self.w["W_vocab"], self.w["b_vocab"])
        return scores.index_fill_(1, self.forbidden, -torch.inf), (h, c)

    def greedy(self, features: torch.Tensor, length: int) -> torch.Tensor:
        """The likeliest word at every step, int64 (N, length); after the end, 0."""
        state, N = self.start(features), len(features)
        words, going = torch.ones(N, dtype=torch.int64), torch.ones(N, dtype=torch.bool)
        said = torch.zeros(N, length, dtype=torch.int64)
        for t in range(length):
            scores, state = self.step(words, state)
            words = scores.argmax(1)
            said[:, t] = torch.where(going, words, 0)
            going &= words != self.end
            if not going.any():
                break
        return said

    def beam(self, features: torch.Tensor, width: int, length: int) -> torch.Tensor:
        """The captions of the best mean log-probability that a beam finds, int64 (N, length)."""
        N, K = len(features), width
        h, c = self.start(features)
        state = h.repeat_interleave(K, 0), c.repeat_interleave(K, 0)
        words = torch.ones(N * K, dtype=torch.int64)
        said = torch.zeros(N, K, length, dtype=torch.int64)
        totals = torch.full((N, K), -torch.inf)
        totals[:, 0] = 0  # at first all K are the same caption: only one may grow
        best, best_score = said[:, 0].clone(), torch.full((N,), -torch.inf)
        offsets = torch.arange(N)[:, None] * K
        for t in range(length):
            scores, state = self.step(words, state)
            grown = totals[:, :, None] + scores.log_softmax(1).view(N, K, -1)
            totals, chosen = grown.view(N, -1).topk(K, dim=1, sorted=False)
            parents, new = chosen // scores.shape[1], chosen % scores.shape[1]
            said = said.gather(1, parents[:, :, None].expand(-1, -1, length))
            said[:, :, t] = new
            ended = new == self.end
            finished = torch.where(ended if t < length - 1 else torch.ones_like(ended), totals / (t + 1), -torch.inf)
            score, k = finished.max(1)
            better = score > best_score
            best = torch.where(better[:, None], said[torch.arange(N), k], best)
            best_score = torch.where(better, score, best_score)
            totals = totals.masked_fill(ended, -torch.inf)
            if (totals.amax(1) / length <= best_score).all():
                break
            rows = (offsets + parents).view(-1)
            state = state[0][rows], state[1][rows]
            words = new.view(-1)
        return best
