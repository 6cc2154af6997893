"""Whole networks at sizes that people use, each written once for minigrad's layers and PyTorch's.

A function makes a network's modules of layers ``b``, another its losses for given inputs: pairs of the part of the
network that a loss trains, and what computes the loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["MODELS", "Model", "formula"]


def formula(shape: tuple[int, ...], number: int) -> np.ndarray:
    """sin(0.37 i² + number) for entry i: no random stream, and no pattern that lets entries cancel."""
    return np.sin(0.37 * np.arange(np.prod(shape, dtype=int), dtype=np.int64) ** 2 + number).reshape(shape)


def places(shape: tuple[int, ...], size: int, number: int) -> np.ndarray:
    """Integers from 0 to size - 1 of the same kind."""
    return (np.floor(formula(shape, number) * 1e4).astype(int)) % size


# --- ResNet-18 -----------------------------------------------------------------------------------------


def resnet18(b: Any) -> Any:
    """He et al. (2016): eight basic blocks of two convolutions in four stages, batch normalisation."""

    class Block(b.Module):
        def __init__(self, inputs, channels, stride):
            super().__init__()
            self.conv1 = b.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False)
            self.bn1 = b.BatchNorm2d(channels)
            self.conv2 = b.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn2 = b.BatchNorm2d(channels)
            self.downsample = b.Identity()
            if stride != 1 or inputs != channels:
                short = b.Conv2d(inputs, channels, 1, stride=stride, bias=False)
                self.downsample = b.Sequential(short, b.BatchNorm2d(channels))

        def forward(self, x):
            y = self.bn2(self.conv2(b.relu(self.bn1(self.conv1(x)))))
            return b.relu(y + self.downsample(x))

    blocks = []
    for i, channels in enumerate((64, 128, 256, 512)):
        blocks += [Block(max(64, channels // 2), channels, 2 if i else 1), Block(channels, channels, 1)]
    stem = [b.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), b.BatchNorm2d(64), b.ReLU(), b.MaxPool2d(3, 2, 1)]
    return b.Sequential(*stem, *blocks, b.AdaptiveAvgPool2d(1), b.Flatten(), b.Linear(512, 10))


def of_pictures(b: Any, model: Any, dtype: Any) -> Any:
    x = b.constant(formula((4, 3, 64, 64), 0).astype(dtype))
    return [("", lambda: b.cross_entropy(b.see(model(x)), places((4,), 10, 3)))]


# --- U-Net -----------------------------------------------------------------------------------------------


def unet(b: Any) -> Any:
    """Ronneberger et al. (2015): down to 8x8 and up again, with what was seen on the way; batch normalisation."""

    def pair(inputs, channels):
        layers = []
        for c in (inputs, channels):
            layers += [b.Conv2d(c, channels, 3, padding=1), b.BatchNorm2d(channels), b.ReLU()]
        return b.Sequential(*layers)

    class UNet(b.Module):
        def __init__(self):
            super().__init__()
            self.down = b.ModuleList([pair(1, 16), pair(16, 32), pair(32, 64)])
            self.bottom = pair(64, 128)
            self.up = b.ModuleList([b.ConvTranspose2d(2 * c, c, 2, stride=2) for c in (64, 32, 16)])
            self.merge = b.ModuleList([pair(2 * c, c) for c in (64, 32, 16)])
            self.pool, self.head = b.MaxPool2d(2), b.Conv2d(16, 1, 1)

        def forward(self, x):
            seen = []
            for block in self.down:
                seen.append(block(x))
                x = self.pool(seen[-1])
            x = self.bottom(x)
            for up, merge in zip(self.up, self.merge, strict=True):
                x = merge(b.concatenate([seen.pop(), up(x)], 1))
            return self.head(x)

    return UNet()


def of_masks(b: Any, model: Any, dtype: Any) -> Any:
    x = b.constant(formula((2, 1, 32, 32), 0).astype(dtype))
    return [("", lambda: b.binary_cross_entropy(b.see(model(x)), formula((2, 1, 32, 32), 5) > 0))]


# --- DCGAN -----------------------------------------------------------------------------------------------


def dcgan(b: Any) -> Any:
    """Radford et al. (2016): 32x32 pictures from 64 numbers, and who tells them from true ones."""

    class Leaky(b.Module):
        def forward(self, x):
            return b.leaky_relu(x, 0.2)

    class Pair(b.Module):
        def __init__(self):
            super().__init__()
            layers = []
            for inputs, channels, options in ((64, 128, {}), (128, 64, {"stride": 2, "padding": 1}),
                                              (64, 32, {"stride": 2, "padding": 1})):  # fmt: skip
                up = b.ConvTranspose2d(inputs, channels, 4, bias=False, **options)
                layers += [up, b.BatchNorm2d(channels), b.ReLU()]
            self.generator = b.Sequential(*layers, b.ConvTranspose2d(32, 3, 4, stride=2, padding=1), b.Tanh())
            layers = [b.Conv2d(3, 32, 4, stride=2, padding=1), Leaky()]
            for channels in (64, 128):
                down = b.Conv2d(channels // 2, channels, 4, stride=2, padding=1, bias=False)
                layers += [down, b.BatchNorm2d(channels), Leaky()]
            self.discriminator = b.Sequential(*layers, b.Conv2d(128, 1, 4))

    return Pair()


def of_two_players(b: Any, model: Any, dtype: Any) -> Any:
    noise = b.constant(formula((8, 64, 1, 1), 0).astype(dtype))
    true = b.constant(np.tanh(3 * formula((8, 3, 32, 32), 1)).astype(dtype))
    ones, zeros = np.ones((8, 1, 1, 1)), np.zeros((8, 1, 1, 1))

    def discriminators():
        judged, made = b.see(model.discriminator(true)), b.see(model.generator(noise)).detach()
        return b.binary_cross_entropy(judged, ones) + b.binary_cross_entropy(model.discriminator(made), zeros)

    def generators():
        return b.binary_cross_entropy(model.discriminator(model.generator(noise)), ones)

    return [("discriminator", discriminators), ("generator", generators)]


# --- sequences ---------------------------------------------------------------------------------------------


def transformer(b: Any) -> Any:
    """Vaswani et al. (2017): an encoder of six layers on words, whose mean is classified."""

    class Encoder(b.Module):
        def __init__(self):
            super().__init__()
            self.words, self.places = b.Embedding(100, 64), b.Embedding(24, 64)
            self.layers = b.ModuleList([b.encoder_layer(64, 4, 128) for _ in range(6)])
            self.norm, self.head = b.LayerNorm(64), b.Linear(64, 5)

        def forward(self, words, places):
            x = self.words(words) + self.places(places)
            for layer in self.layers:
                x = layer(x)
            return self.head(self.norm(x).mean(1))

    return Encoder()


def of_sentences(b: Any, model: Any, dtype: Any) -> Any:
    words, steps = b.constant(places((8, 24), 100, 0)), b.constant(np.arange(24))
    return [("", lambda: b.cross_entropy(b.see(model(words, steps)), places((8,), 5, 3)))]


def bidirectional_gru(b: Any) -> Any:
    """Two layers in both directions; the last states of the upper one are classified."""

    class Reader(b.Module):
        def __init__(self):
            super().__init__()
            self.gru, self.head = b.GRU(20, 48, 2, bidirectional=True), b.Linear(96, 5)

        def forward(self, x):
            return self.head(b.last_states(self.gru(x)[1]))

    return Reader()


def of_series(b: Any, model: Any, dtype: Any) -> Any:
    x = b.constant(formula((8, 30, 20), 0).astype(dtype))
    return [("", lambda: b.cross_entropy(b.see(model(x)), places((8,), 5, 3)))]


def language_model(b: Any) -> Any:
    """Two layers of LSTM that say of each word what comes next (Zaremba et al., 2014)."""

    class Writer(b.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm = b.Embedding(1000, 64), b.LSTM(64, 128, 2)
            self.head = b.Linear(128, 1000)

        def forward(self, words):
            return self.head(self.lstm(self.words(words))[0])

    return Writer()


def of_texts(b: Any, model: Any, dtype: Any) -> Any:
    text = places((8, 36), 1000, 0)
    return [("", lambda: b.cross_entropy(b.see(model(b.constant(text[:, :-1]))), text[:, 1:]))]


@dataclass(frozen=True)
class Model:
    """A network: its modules, its losses, and the rate at which it learns."""

    build: Callable[[Any], Any]
    losses: Callable[[Any, Any, Any], Any]
    lr: float


MODELS = {
    "resnet18": Model(resnet18, of_pictures, 0.01),
    "unet": Model(unet, of_masks, 0.02),
    "dcgan": Model(dcgan, of_two_players, 0.0005),
    "transformer": Model(transformer, of_sentences, 0.01),
    "bidirectional_gru": Model(bidirectional_gru, of_series, 0.05),
    "language_model": Model(language_model, of_texts, 0.5),
}
