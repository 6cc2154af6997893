"""Trainings that must succeed: a strided convolution net tells drawn shapes apart, an autoencoder draws them again."""

from __future__ import annotations

from typing import Any

import numpy as np

import minigrad as mg
from minigrad import nn

KINDS = ("disc", "ring", "upright cross", "slanted cross")
SIZE = 20


def drawn(number: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (number, 1, SIZE, SIZE) of shapes of any size, brightness and place, in noise; and their kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, len(KINDS), number)
    radius = rng.uniform(3, 6, (number, 1, 1))
    row, column = (rng.uniform(radius, SIZE - 1 - radius) for _ in range(2))
    down, right = np.arange(SIZE)[:, None] - row, np.arange(SIZE) - column
    distance, largest = np.hypot(down, right), np.maximum(abs(down), abs(right))
    shapes = [
        distance <= radius,
        (distance <= radius) & (distance > radius - 1.5),
        (np.minimum(abs(down), abs(right)) <= 1) & (largest <= radius),
        (abs(abs(down) - abs(right)) <= 1) & (largest <= 0.8 * radius),
    ]
    inside = np.choose(kinds[:, None, None].astype(np.intp), shapes)
    pictures = inside * rng.uniform(0.6, 1, (number, 1, 1)) + 0.1 * rng.standard_normal((number, SIZE, SIZE))
    return pictures[:, None].astype(np.float32), kinds


class Classifier(nn.Module):
    """A convolution, two with stride 2, the mean over what is left of the picture, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        sizes = [(1, 8, 1), (8, 32, 2), (32, 32, 2)]
        self.layers = nn.Sequential(
            *(layer for c, f, s in sizes for layer in (nn.Conv2d(c, f, 3, stride=s, padding=1, rng=rng), nn.ReLU()))
        )
        self.head = nn.Linear(32, len(KINDS), rng=rng)

    def forward(self, x: Any) -> Any:
        return self.head(self.layers(x).mean(axis=(2, 3)))


def test_a_strided_network_learns_to_tell_drawn_shapes_apart() -> None:
    steps, batch_size = 300, 32
    pictures, kinds = drawn(steps * batch_size, 0)
    unseen, theirs = drawn(400, 1)
    network = Classifier()
    optimiser = mg.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(steps):
        optimiser.lr = 1e-2 * (1 - step / steps)
        batch = slice(step * batch_size, (step + 1) * batch_size)
        loss = mg.ops.cross_entropy(network(pictures[batch]), kinds[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with mg.no_grad():
        right = network(unseen).data.argmax(axis=1) == theirs
    assert right.mean() >= 0.85, f"{right.mean():.3f} of unseen pictures are told"


class Autoencoder(nn.Module):
    """To a quarter of the rows and columns by strides of 2, and back by transposed convolutions."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.first = nn.Conv2d(1, 8, 3, stride=2, padding=1, rng=rng)
        self.second = nn.Conv2d(8, 32, 3, stride=2, padding=1, rng=rng)
        self.up = nn.Parameter(rng.standard_normal((32, 12, 3, 3), np.float32) / 12)
        self.last = nn.Parameter(rng.standard_normal((12, 1, 4, 4), np.float32) / 12)
        self.shift = nn.Parameter(np.zeros(1, np.float32))

    def forward(self, x: Any) -> Any:
        code = mg.ops.relu(self.second(mg.ops.relu(self.first(x))))
        y = mg.ops.relu(mg.ops.conv_transpose2d(code, self.up, stride=2, padding=1, output_padding=1))
        return mg.ops.conv_transpose2d(y, self.last, self.shift, stride=2, padding=1)


def test_an_autoencoder_with_transposed_convolutions_learns_to_draw() -> None:
    pictures, _ = drawn(256, 0)
    unseen, _ = drawn(64, 1)
    network = Autoencoder()
    optimiser = mg.optim.Adam(network.parameters(), lr=3e-3)
    with mg.no_grad():
        before = mg.ops.mse_loss(network(unseen), unseen).item()
    for step in range(120):
        batch = pictures[32 * step % 256 : 32 * step % 256 + 32]
        loss = mg.ops.mse_loss(network(batch), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with mg.no_grad():
        after = mg.ops.mse_loss(network(unseen), unseen).item()
    assert after <= 0.25 * unseen.var() < before, f"an error of {after:.4f} of unseen pictures, {before:.4f} before"
