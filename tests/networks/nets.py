"""Networks as people build them, small enough for a test: each a loss of weights, written once for both backends.

Weights and inputs are sines of squares of indices, which need no stream of random numbers and have no pattern that
would let entries cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["NETWORKS", "weights_of"]

Array = np.ndarray
Loss = Callable[[Any, "Weights"], Any]


def formula(shape: tuple[int, ...], number: int) -> Array:
    """sin(0.37 i² + number) for entry i."""
    return np.sin(0.37 * np.arange(np.prod(shape, dtype=int)) ** 2 + number).reshape(shape)


def places(shape: tuple[int, ...], size: int, number: int) -> Array:
    """Integers from 0 to size - 1 of the same kind."""
    return (np.floor(formula(shape, number) * 1e4).astype(int)) % size


class Weights:
    """A network's weights by name. The first run asks for them by shape and so makes them, others look them up."""

    def __init__(self, b: Any, given: dict[str, Any] | None, dtype: Any) -> None:
        self.b, self.given, self.dtype, self.made = b, given, dtype, {}  # type: ignore[var-annotated]

    def __call__(self, name: str, *shape: int, fan: int = 0, around: float = 0) -> Any:
        """Of variance 2 / fan; without fan a tenth of the sines, around a value."""
        if self.given is not None:
            return self.given[name]
        scale = 2 / fan**0.5 if fan else 0.1
        self.made[name] = (around + scale * formula(shape, 1 + len(self.made))).astype(self.dtype)
        return self.b.constant(self.made[name])

    def input(self, *shape: int) -> Any:
        return self.b.constant(formula(shape, 0).astype(self.dtype))

    def conv(self, x: Any, name: str, filters: int, kernel: int, **options: Any) -> Any:
        c = x.shape[1] // options.get("groups", 1)
        w = self(f"{name}.w", filters, c, kernel, kernel, fan=c * kernel**2)
        return self.b.conv(x, w, self(f"{name}.b", filters), **options)

    def up(self, x: Any, name: str, filters: int, kernel: int, **options: Any) -> Any:
        c, stride = x.shape[1], options.get("stride", 1)
        w = self(f"{name}.w", c, filters, kernel, kernel, fan=c * kernel**2 // stride**2)
        return self.b.conv_transpose(x, w, self(f"{name}.b", filters), **options)

    def linear(self, x: Any, name: str, size: int) -> Any:
        w = self(f"{name}.w", x.shape[-1], size, fan=2 * x.shape[-1])
        return self.b.matmul(x, w) + self(f"{name}.b", size)

    def normalised(self, x: Any, name: str, groups: int) -> Any:
        """Group normalisation of images (N, C, H, W), made of a mean and a mean of squares."""
        n, c, height, width = x.shape
        y = self._centred(self.b.reshape(x, (n, groups, c // groups, height, width)), (2, 3, 4))
        y = self.b.reshape(y, (n, c, height, width))
        scale = self.b.reshape(self(f"{name}.scale", c, around=1), (c, 1, 1))
        return y * scale + self.b.reshape(self(f"{name}.shift", c), (c, 1, 1))

    def layer_norm(self, x: Any, name: str) -> Any:
        y = self._centred(x, (-1,))
        return y * self(f"{name}.scale", x.shape[-1], around=1) + self(f"{name}.shift", x.shape[-1])

    def _centred(self, x: Any, axes: tuple[int, ...]) -> Any:
        centred = x - self.b.mean(x, axes)
        return centred / self.b.sqrt(self.b.mean(centred * centred, axes) + 1e-5)


def resnet(b: Any, w: Weights) -> Any:
    """Three stages of two basic blocks on 32x32, the second and third halving the picture; group normalisation."""
    x = b.relu(w.normalised(w.conv(w.input(4, 3, 32, 32), "stem", 16, 3, padding=1), "stem", 4))
    for stage, channels in enumerate((16, 32, 64)):
        for block in range(2):
            name, stride = f"{stage}.{block}", 2 if stage and not block else 1
            y = w.conv(x, f"{name}.first", channels, 3, stride=stride, padding=1)
            y = b.relu(w.normalised(y, f"{name}.first", 4))
            y = w.normalised(w.conv(y, f"{name}.second", channels, 3, padding=1), f"{name}.second", 4)
            x = b.relu(y + (w.conv(x, f"{name}.short", channels, 1, stride=stride) if stride == 2 else x))
    pooled = b.reshape(b.mean(x, (2, 3)), x.shape[:2])
    return b.cross_entropy(w.linear(pooled, "head", 10), places((4,), 10, 3))


def vgg(b: Any, w: Weights) -> Any:
    """Pairs of 3x3 convolutions and maximum pooling on 32x32, then two linear layers."""
    x = w.input(4, 3, 32, 32)
    for stage, channels in enumerate((32, 64, 128)):
        for layer in range(2):
            x = b.relu(w.conv(x, f"{stage}.{layer}", channels, 3, padding=1))
        x = b.max_pool(x, 2)
    x = b.relu(w.linear(b.reshape(x, (4, 128 * 16)), "hidden", 128))
    return b.cross_entropy(w.linear(x, "head", 10), places((4,), 10, 3))


def unet(b: Any, w: Weights) -> Any:
    """Down to 8x8, up again by transposed convolutions, pictures on the way concatenated; a mask as target."""
    x, skips = w.input(2, 1, 32, 32), []
    for level, channels in enumerate((16, 32)):
        for layer in range(2):
            x = b.relu(w.conv(x, f"down {level}.{layer}", channels, 3, padding=1))
        skips.append(x)
        x = b.max_pool(x, 2)
    x = b.relu(w.conv(x, "bottom", 64, 3, padding=1))
    for level, channels in ((1, 32), (0, 16)):
        x = b.concatenate([w.up(x, f"up {level}", channels, 2, stride=2), skips[level]], 1)
        x = b.relu(w.conv(x, f"merge {level}", channels, 3, padding=1))
    return b.binary_cross_entropy(w.conv(x, "head", 1, 1), formula((2, 1, 32, 32), 5) > 0)


def dcgan(b: Any, w: Weights) -> Any:
    """A generator of 32x32 from 100 numbers, whose pictures a discriminator judges, and pictures beside them."""
    x = b.reshape(w.input(4, 100), (4, 100, 1, 1))
    x = b.relu(w.normalised(w.up(x, "g0", 128, 4), "g0", 8))
    x = b.relu(w.normalised(w.up(x, "g1", 64, 4, stride=2, padding=1), "g1", 8))
    x = b.relu(w.normalised(w.up(x, "g2", 32, 4, stride=2, padding=1), "g2", 8))
    made = b.tanh(w.up(x, "g3", 1, 4, stride=2, padding=1))
    x = b.concatenate([made, w.input(4, 1, 32, 32)], 0)
    x = b.leaky_relu(w.conv(x, "d0", 32, 4, stride=2, padding=1), 0.2)
    x = b.leaky_relu(w.normalised(w.conv(x, "d1", 64, 4, stride=2, padding=1), "d1", 8), 0.2)
    x = b.leaky_relu(w.normalised(w.conv(x, "d2", 128, 4, stride=2, padding=1), "d2", 8), 0.2)
    return b.binary_cross_entropy(b.reshape(w.conv(x, "d3", 1, 4), (8,)), np.arange(8) >= 4)


def autoencoder(b: Any, w: Weights) -> Any:
    """28x28 to 7x7 and back by strides of 2, with output_padding."""
    x = given = w.input(4, 1, 28, 28)
    x = b.relu(w.conv(b.relu(w.conv(x, "e0", 8, 3, stride=2, padding=1)), "e1", 64, 3, stride=2, padding=1))
    x = b.relu(w.up(x, "d0", 16, 3, stride=2, padding=1, output_padding=1))
    off = b.sigmoid(w.up(x, "d1", 1, 3, stride=2, padding=1, output_padding=1)) - given
    return b.reshape(b.mean(off * off, (0, 1, 2, 3)), ())


def lstm(b: Any, w: Weights) -> Any:
    """A language model of 500 words: an LSTM of 128 units over 20 steps."""
    words = places((8, 21), 500, 2)
    x = b.embedding(words[:, :-1], w("words", 500, 64, fan=4))
    h = b.lstm(x, w("Wx", 64, 512, fan=128), w("Wh", 128, 512, fan=256), w("b", 512))
    return b.cross_entropy(w.linear(h, "head", 500), words[:, 1:])


def gru(b: Any, w: Weights) -> Any:
    """The same with a GRU made of primitives: z and r from one product, the candidate from r h."""
    words, H = places((8, 21), 300, 2), 96
    x = b.embedding(words[:, :-1], w("words", 300, 64, fan=4))
    gates_x, gates_h = w("Wx", 64, 2 * H, fan=128), w("Wh", H, 2 * H, fan=2 * H)
    new_x, new_h, bias, bias_new = w("Vx", 64, H, fan=128), w("Vh", H, H, fan=2 * H), w("b", 2 * H), w("c", H)
    h, states = w.input(8, H) * 0.1, []
    for t in range(20):
        gates = b.sigmoid(b.matmul(x[:, t], gates_x) + b.matmul(h, gates_h) + bias)
        z, r = gates[:, :H], gates[:, H:]
        h = (1 - z) * b.tanh(b.matmul(x[:, t], new_x) + b.matmul(r * h, new_h) + bias_new) + z * h
        states.append(h)
    return b.cross_entropy(w.linear(b.stack(states, 1), "head", 300), words[:, 1:])


def transformer(b: Any, w: Weights) -> Any:
    """A language model of two blocks of causal attention with 4 heads, 64 wide, over 32 steps."""
    N, T, D, heads = 4, 32, 64, 4
    words = places((N, T + 1), 200, 2)
    x = b.embedding(words[:, :-1], w("words", 200, D, fan=4)) + w("places", T, D)
    mask = b.constant(np.triu(np.full((T, T), -1e9), 1).astype(w.dtype))
    for block in range(2):
        y = w.layer_norm(x, f"{block}.before attention")
        q, k, v = (_heads(b, w.linear(y, f"{block}.{name}", D), heads) for name in "qkv")
        scores = b.matmul(q, b.transpose(k, (0, 1, 3, 2))) * (D // heads) ** -0.5 + mask
        y = b.transpose(b.matmul(b.softmax(scores), v), (0, 2, 1, 3))
        x = x + w.linear(b.reshape(y, (N, T, D)), f"{block}.out", D)
        y = b.gelu(w.linear(w.layer_norm(x, f"{block}.before perceptron"), f"{block}.wide", 4 * D))
        x = x + w.linear(y, f"{block}.narrow", D)
    return b.cross_entropy(w.linear(w.layer_norm(x, "end"), "head", 200), words[:, 1:])


def _heads(b: Any, x: Any, heads: int) -> Any:
    n, t, d = x.shape
    return b.transpose(b.reshape(x, (n, t, heads, d // heads)), (0, 2, 1, 3))


NETWORKS = {f.__name__: f for f in (resnet, vgg, unet, dcgan, autoencoder, lstm, gru, transformer)}


def weights_of(name: str, b: Any, dtype: Any) -> dict[str, Array]:
    """What the network asks for when it is run once."""
    maker = Weights(b, None, dtype)
    NETWORKS[name](b, maker)
    return maker.made


def run(name: str, b: Any, dtype: Any, weights: dict[str, Array]) -> tuple[float, dict[str, Array]]:
    """The loss and every gradient."""
    return b.gradients(lambda backend, leaves: NETWORKS[name](backend, Weights(backend, leaves, dtype)), weights)
