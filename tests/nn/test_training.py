"""A whole model trained side by side with PyTorch: losses and weights stay together, also across a saved file."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn, optim
from tests.peers import Peer

PYTORCH = Peer(__name__)


class Model(nn.Module):
    """Words to next words: embedding, LSTM, scores."""

    def __init__(self) -> None:
        self.embed = nn.Embedding(7, 4, dtype="float64", rng=0)
        self.lstm = nn.LSTM(4, 5, dtype="float64", rng=1)
        self.scores = nn.Linear(5, 7, dtype="float64", rng=2)

    def forward(self, words: Any) -> Any:
        return self.scores(self.lstm(self.embed(words))[0])


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    words = rng.integers(0, 7, (6, 9))
    return words[:, :-1], words[:, 1:], rng.random((6, 8)) < 0.8


def steps(
    model: Model, optimizer: optim.Optimizer, schedule: optim.Schedule, count: int, examples: Any = None
) -> list[float]:
    x, y, mask = examples or data()
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        loss = mg.ops.temporal_softmax_loss(model(x), y, mask)
        loss.backward()
        optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def make(model: Model) -> tuple[optim.Optimizer, optim.Schedule]:
    optimizer = optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    return optimizer, optim.ExponentialLR(optimizer, 0.98)


def their_training(torch: Any, *arrays: Any) -> tuple[list[float], list[Any]]:
    """The losses of 30 steps in PyTorch, and the last weights; of the data, and the first weights in order."""
    x, y, mask = (torch.tensor(a) for a in arrays[:3])
    gates = torch.cat([torch.arange(5) + 5 * k for k in (0, 1, 3, 2)])
    names = [name for name, _ in Model().named_parameters()]
    weights = {name: torch.tensor(a, requires_grad=True) for name, a in zip(names, arrays[3:], strict=True)}
    peer = torch.nn.LSTM(4, 5, batch_first=True, dtype=torch.float64)
    theirs = torch.optim.AdamW(weights.values(), lr=0.05, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.ExponentialLR(theirs, 0.98)
    expected = []
    for _ in range(30):
        theirs.zero_grad()
        lstm = {"weight_ih_l0": weights["lstm.Wx"].T[gates], "weight_hh_l0": weights["lstm.Wh"].T[gates],
                "bias_ih_l0": weights["lstm.b"][gates], "bias_hh_l0": torch.zeros(20, dtype=torch.float64)}  # fmt: skip
        h, _ = torch.func.functional_call(peer, lstm, (weights["embed.weight"][x],))
        scores = h @ weights["scores.weight"] + weights["scores.bias"]
        loss = torch.nn.functional.cross_entropy(scores[mask], y[mask], reduction="sum") / len(x)
        loss.backward()
        norm = torch.sqrt(sum((w.grad**2).sum() for w in weights.values()))
        for w in weights.values():
            w.grad *= min(1.0, 1.0 / norm)
        theirs.step()
        schedule.step()
        expected.append(loss.item())
    return expected, list(weights.values())


def test_training_as_in_pytorch():
    model = Model()
    answer = PYTORCH.ask("training", their_training, [*data(), *(p.data for p in model.parameters())])
    expected, weights = answer.expected
    names = [name for name, _ in model.named_parameters()]
    model.load_state_dict(dict(zip(names, answer.inputs[3:], strict=True)))
    losses = steps(model, *make(model), 30, answer.inputs[:3])
    np.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert losses[-1] < 0.6 * losses[0]
    for p, w in zip(model.parameters(), weights, strict=True):
        np.testing.assert_allclose(p.data, w, rtol=1e-8, atol=1e-10)
