"""Features of pictures from a convolution network that learns to see from the captions of training pictures.

    picture (3, 64, 64)
    ├─ convolution 5x5, stride 2                               (16, 32, 32)
    ├─ convolution 3x3, stride 2                               (32, 16, 16)
    ├─ convolution 3x3, then the largest of each 2x2           (64, 8, 8)
    ├─ convolution 3x3                                         (96, 8, 8)    what each place shows
    └─ a number for each phrase at each place                  (K, 8, 8)

Each convolution is followed by a norm of the batch and a relu. What it learns is which phrases (words, and pairs such
as "red dog"; `captioning.scenes.phrases`) stand in the captions of a picture, and nobody tells it where: the number s_k
of phrase k for the picture is

    s_k = log sum_i exp(z_ki)           over its places i,

which is large as soon as one place speaks for the phrase, and the loss is the binary cross-entropy of sigmoid(s_k),
summed over phrases. So a place comes to tell the thing that stands there, its colour with it ("Is object localization
for free?", M. Oquab et al. 2015, learns places from labels of whole pictures in that way). Tables of scenes are never
looked at: what is learnt is learnt from pictures and captions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.scenes.phrases import shown, told_again
from minigrad import Tensor, nn, ops

__all__ = ["PLACES", "LearntNetwork", "learn"]

PLACES = 8
"""Rows and columns of places."""

_CHANNELS = (16, 32, 64, 96)
_BATCH = 20  # many small steps: what counts at first is their number
_RATE = 1e-2
_WARMUP = 40  # steps
_WHERE = 3.0  # how large the numbers are that tell where a place is
_DOWN = 0.2  # the last share of all steps, in which the rate falls to 0; what is hard to see is learnt at the full one
_BETAS = (0.9, 0.99)  # of Adam; squares are averaged over 100 steps, since there are but some thousands


class LearntNetwork(nn.Module):
    """The network; `phrases` are those that it is to learn. rng: a Generator or a seed of its first weights.

    `columns` says how many features a picture has, and `place_columns` how many each of its places.

    >>> network = LearntNetwork(["dog", "red dog"], rng=0).eval()
    >>> whole, places = network.features(np.zeros((3, 64, 64, 3), np.uint8))
    >>> whole.shape == (3, network.columns), places.shape == (3, 64, network.place_columns)
    (True, True)
    """

    def __init__(self, phrases: Sequence[str], rng: np.random.Generator | int | None = None) -> None:
        random = np.random.default_rng(rng)
        self.phrases = tuple(phrases)
        first, second, third, last = _CHANNELS
        self.layers = nn.Sequential(
            *_seen(3, first, 5, 2, random),
            *_seen(first, second, 3, 2, random),
            *_seen(second, third, 3, 1, random),
            nn.MaxPool2d(2),
            *_seen(third, last, 3, 1, random),
        )
        self.speak = nn.Conv2d(last, max(len(self.phrases), 1), 1, rng=random)
        self.columns = len(self.phrases) + (PLACES // 2) ** 2 * last
        self.place_columns = last + _positions().shape[1]

    def start_from(self, targets: NDArray[np.float32]) -> None:
        """Let it say first how often each phrase is told, by targets (pictures, phrases), whatever it sees."""
        often = np.clip(targets.mean(axis=0), 1e-3, 1 - 1e-3)
        assert self.speak.bias is not None
        self.speak.weight.data *= 0.1
        self.speak.bias.data[...] = np.log(often / (1 - often)) - np.log(PLACES**2)

    def looked(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What places show (N, 96, 64), and their numbers of phrases (N, K, 64), of pictures (N, 3, 64, 64)."""
        maps = self.layers(x)
        shows, spoken = (ops.reshape(y, (*y.shape[:2], -1)) for y in (maps, self.speak(maps)))
        return shows, spoken

    def forward(self, x: Tensor) -> Tensor:
        """The numbers s of phrases (N, K) of pictures (N, 3, 64, 64)."""
        spoken: Tensor = ops.logsumexp(self.looked(x)[1], axis=2)
        return spoken

    def features(self, pictures: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Of pictures (N, 64, 64, 3), uint8: whole ones' (N, columns), and those of places (N, 64, place_columns).

        Whole: tanh(s / 4) of each phrase, then the largest of what each 2x2 places show. A place: what it shows, then
        where it is, as `_positions` has it. All float32.

        Raises:
            ValueError: pictures of another shape or dtype.
        """
        _check(pictures)
        with mg.no_grad():
            shows, spoken = self.looked(_as_input(pictures))
            told = ops.tanh(ops.logsumexp(spoken, axis=2) / 4).numpy()
        parts = ops.max_pool2d(ops.reshape(shows, (*shows.shape[:2], PLACES, PLACES)), 2, 2).numpy()
        whole = np.concatenate([told, parts.reshape(len(pictures), -1)], axis=1)
        where = np.broadcast_to(_positions(), (len(pictures), *_positions().shape))
        return whole, np.concatenate([shows.numpy().transpose(0, 2, 1), where], axis=2)


def learn(
    pictures: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    epochs: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> LearntNetwork:
    """A network that has learnt from pictures (N, 64, 64, 3), uint8, and their captions, in evaluation mode.

    It is the same to the bit for a seed and a number of threads. progress(done, total) counts pictures.

    Raises:
        ValueError: pictures of another shape or dtype, not as many captions as pictures, or no phrase to learn.
    """
    _check(pictures)
    if len(captions) != len(pictures) or epochs < 1:
        raise ValueError(f"learn: {len(captions)} lists of captions for {len(pictures)} pictures, and {epochs} epochs")
    phrases = told_again(captions)
    if not phrases:
        raise ValueError(f"learn: no phrase is told again of {len(pictures)} pictures: there must be more of them")
    targets = shown(captions, phrases)
    network = LearntNetwork(phrases, np.random.default_rng([seed, 0]))
    network.start_from(targets)
    optimiser = mg.optim.AdamW(network.parameters(), lr=_RATE, betas=_BETAS, weight_decay=0.01)
    rng = np.random.default_rng([seed, 1])
    total, done = epochs * -(-len(pictures) // _BATCH), 0
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(pictures)), -(-len(pictures) // _BATCH)):
            optimiser.lr = _RATE * min(1.0, (done + 1) / _WARMUP, (1 - done / total) / _DOWN)
            scores = network(_as_input(pictures[rows]))
            loss = ops.binary_cross_entropy_with_logits(scores, targets[rows], reduction="sum") / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
            if progress is not None:
                progress(done * len(pictures) * epochs // total, len(pictures) * epochs)
    network.eval()
    return network


def _seen(channels: int, out: int, side: int, stride: int, rng: np.random.Generator) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, out, side, stride=stride, padding=side // 2, bias=False, rng=rng)
    return [convolution, nn.BatchNorm2d(out), nn.ReLU()]


def _positions() -> NDArray[np.float32]:
    """Where each place is, (64, 8): of its row and its column, u and 1 - u from 0 to 1, and their squares, times 3.

    What is left of something else is told by a comparison, which is one direction of these numbers. With a 1 among
    zeros for each row and column it must be learnt for each pair of columns: of "left of" on combinations never seen
    0.7 were wrong after one epoch, with these 0.4, at a smaller rate 0.2.
    """
    u = np.arange(PLACES) / (PLACES - 1)
    code = _WHERE * np.stack([u, 1 - u, u**2, (1 - u) ** 2], axis=1).astype(np.float32)
    return np.concatenate([np.repeat(code, PLACES, axis=0), np.tile(code, (PLACES, 1))], axis=1)


def _check(pictures: NDArray[np.uint8]) -> None:
    if pictures.dtype != np.uint8 or pictures.shape[1:] != (64, 64, 3):
        raise ValueError(
            f"pictures must be uint8 of shape (N, 64, 64, 3), got {pictures.dtype} of shape {pictures.shape}"
        )


def _as_input(pictures: NDArray[np.uint8]) -> Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 from -1 to 1."""
    return mg.tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1)
