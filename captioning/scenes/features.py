"""Features of pictures from a convolution network that learns from the captions of training pictures.

    picture (3, 64, 64)
    ├─ convolution 5x5, stride 2                               (16, 32, 32)
    ├─ convolution 3x3, stride 2                               (32, 16, 16)
    ├─ convolution 3x3, then max pooling of 2x2                (64, 8, 8)
    ├─ convolution 3x3                                         (96, 8, 8)    the features of each place
    └─ a score for each phrase at each place                   (K, 8, 8)

Each convolution is followed by a batch norm and a ReLU. The network learns which phrases (words, and pairs such as
"red dog") occur in the captions of a picture. It sees neither the list of things in the scene nor their places.
The score of phrase k for the picture is

    s_k = log sum_i exp(z_ki)           over its places i,

which is large if one place has a high score for it. The loss is the binary cross-entropy of sigmoid(s_k), summed
over phrases. So each place learns to describe the thing there ("Is object localization for free?",
M. Oquab et al. 2015, learns places from labels of whole pictures in this way).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from minigrad import Tensor, nn, ops

__all__ = ["PICTURE", "FeatureNetwork", "informative_phrases", "learn", "phrase_targets", "phrases_of", "reduced"]

Floats = NDArray[np.float32]

PICTURE = 64
"""The side, in pixels, of the pictures that the network takes."""

_PLACES = 8  # rows and columns of places
_CHANNELS = (16, 32, 64, 96)
_BATCH = 20  # the number of steps matters most at first
_LEARNING_RATE = 1e-2


# ---------------------------------------------------------------------- phrases
def phrases_of(caption: str) -> set[str]:
    """Return the words of a caption and its pairs of neighbouring words.

    >>> sorted(phrases_of("a red dog"))
    ['a', 'a red', 'dog', 'red', 'red dog']
    """
    words = caption.split()
    return {*words, *(" ".join(pair) for pair in pairwise(words))}


def informative_phrases(captions: Sequence[Sequence[str]], least: int = 20) -> list[str]:
    """Return the phrases that say what pictures show, in alphabetical order, given the captions of each picture.

    Captions of one picture agree on "dog" and "red dog"; "is" and "there is" repeat only by chance. For a phrase that
    occurs in a caption, let a be the probability that another caption of the same picture has it, and p that any
    caption has it. A phrase is informative if a >= 0.3 and a >= 3 p. If it is true of a picture, one of five captions
    then has it with a probability of at least 1 - 0.7^5 = 0.83.

    least: the number of captions in which a phrase must occur. No phrase is informative if no picture has two captions.

    >>> informative_phrases([["a dog", "the dog"], ["a cat", "the cat"], ["a cup", "a cup"], ["the hat", "a hat"]], 2)
    ['a cup', 'cat', 'cup', 'dog', 'hat']
    """
    found: Counter[str] = Counter()  # the number of captions with a phrase
    repeated: dict[str, float] = defaultdict(float)  # for these, the sum of the shares of the picture's other captions
    for own in captions:
        counts = Counter(phrase for caption in own for phrase in phrases_of(caption))
        for phrase, count in counts.items():
            found[phrase] += count
            repeated[phrase] += count * (count - 1) / max(len(own) - 1, 1)
    total = sum(map(len, captions))
    return sorted(
        phrase
        for phrase, count in found.items()
        if count >= least and repeated[phrase] >= max(0.3, 3 * count / total) * count
    )


def phrase_targets(captions: Sequence[Iterable[str]], phrases: Sequence[str]) -> Floats:
    """Return 1 where a picture's captions have a phrase, else 0: float32 (pictures, phrases).

    >>> phrase_targets([["a dog", "the dog"], ["a cat"]], ["a dog", "cat"])
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    found = [set().union(*map(phrases_of, own)) for own in captions]
    return np.array([[phrase in own for phrase in phrases] for own in found], np.float32)


# ---------------------------------------------------------------------- the network
class FeatureNetwork(nn.Module):
    """The network, for these phrases. rng: a Generator or a seed for the initial weights.

    >>> network = FeatureNetwork(["dog", "red dog"], rng=0).eval()
    >>> whole, places = network.features(np.zeros((3, 64, 64, 3), np.uint8))
    >>> whole.shape, places.shape
    ((3, 1538), (3, 64, 104))
    """

    def __init__(self, phrases: Sequence[str], rng: np.random.Generator | int | None = None) -> None:
        random = np.random.default_rng(rng)
        self.phrases = tuple(phrases)
        first, second, third, last = _CHANNELS
        self.layers = nn.Sequential(
            *_layer(3, first, 5, 2, random),
            *_layer(first, second, 3, 2, random),
            *_layer(second, third, 3, 1, random),
            nn.MaxPool2d(2),
            *_layer(third, last, 3, 1, random),
        )
        self.classifier = nn.Conv2d(last, max(len(self.phrases), 1), 1, rng=random)

    def start_from(self, targets: Floats) -> None:
        """Initialise the scores to the frequencies of the phrases in targets (pictures, phrases)."""
        frequency = np.clip(targets.mean(axis=0), 1e-3, 1 - 1e-3)
        assert self.classifier.bias is not None
        self.classifier.weight.data *= 0.1
        self.classifier.bias.data[...] = np.log(frequency / (1 - frequency)) - np.log(_PLACES**2)

    def places(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 96, 64) and scores of phrases (N, K, 64) of each place of pictures (N, 3, 64, 64)."""
        maps = self.layers(x)
        features, scores = (ops.reshape(y, (*y.shape[:2], -1)) for y in (maps, self.classifier(maps)))
        return features, scores

    def forward(self, x: Tensor) -> Tensor:
        """Return the scores s of phrases (N, K) for pictures (N, 3, 64, 64)."""
        scores: Tensor = ops.logsumexp(self.places(x)[1], axis=2)
        return scores

    def features(self, pictures: NDArray[np.uint8]) -> tuple[Floats, Floats]:
        """Return features of pictures (N, 64, 64, 3), uint8, and of their places: (N, K + 1536) and (N, 64, 104).

        Those of a picture are tanh(s / 4) for each phrase, then the maxima of the places over 2x2. A place has its
        96 features, then its position.
        """
        with mg.no_grad():
            shown, scores = self.places(_as_input(pictures))
            phrases = ops.tanh(ops.logsumexp(scores, axis=2) / 4).numpy()
        parts = ops.max_pool2d(ops.reshape(shown, (*shown.shape[:2], _PLACES, _PLACES)), 2, 2).numpy()
        whole = np.concatenate([phrases, parts.reshape(len(pictures), -1)], axis=1)
        positions = np.broadcast_to(_positions(), (len(pictures), *_positions().shape))
        return whole, np.concatenate([shown.numpy().transpose(0, 2, 1), positions], axis=2)


def learn(
    pictures: NDArray[np.uint8],
    captions: Sequence[Sequence[str]],
    epochs: int,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> FeatureNetwork:
    """Train a network on pictures (N, 64, 64, 3), uint8, and their captions; return it in eval mode.

    The result is bit-identical for equal seeds and numbers of threads. progress(done, total) counts pictures.

    Raises:
        ValueError: if there is no phrase to learn.
    """
    phrases = informative_phrases(captions)
    if not phrases:
        raise ValueError(f"learn: the captions of {len(pictures)} pictures repeat no phrase. Draw more scenes.")
    targets = phrase_targets(captions, phrases)
    network = FeatureNetwork(phrases, np.random.default_rng([seed, 0]))
    network.start_from(targets)
    # there are only a few thousand steps, so squares are averaged over 100 instead of 1,000
    optimiser = mg.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, betas=(0.9, 0.99), weight_decay=0.01)
    rng = np.random.default_rng([seed, 1])
    total, done = epochs * -(-len(pictures) // _BATCH), 0
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(pictures)), -(-len(pictures) // _BATCH)):
            warmup, decay = (done + 1) / 40, (1 - done / total) / 0.2
            optimiser.lr = _LEARNING_RATE * min(1.0, warmup, decay)
            scores = network(_as_input(pictures[rows]))
            loss = ops.binary_cross_entropy_with_logits(scores, targets[rows], reduction="sum") / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            done += 1
            progress(done * len(pictures) * epochs // total, len(pictures) * epochs)
    return network.eval()


def _layer(channels: int, filters: int, side: int, stride: int, rng: np.random.Generator) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, filters, side, stride=stride, padding=side // 2, bias=False, rng=rng)
    return [convolution, nn.BatchNorm2d(filters), nn.ReLU()]


def _positions() -> Floats:
    """Return the position of each place, (64, 8): 3u, 3(1 - u), 3u² and 3(1 - u)² of its row and column, u from 0 to 1.

    Whether a thing is left of another is then one direction of these numbers. One-hot positions have to be learnt for
    each pair of columns: after one epoch 0.7 of "left of" in unseen combinations were wrong, and 0.4 with these.
    """
    u = np.arange(_PLACES) / (_PLACES - 1)
    code = 3.0 * np.stack([u, 1 - u, u**2, (1 - u) ** 2], axis=1).astype(np.float32)
    return np.concatenate([np.repeat(code, _PLACES, axis=0), np.tile(code, (_PLACES, 1))], axis=1)


def _as_input(pictures: NDArray[np.uint8]) -> Tensor:
    """Turn (N, H, W, 3) uint8 into (N, 3, H, W) float32 from -1 to 1."""
    return mg.tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1)


# ---------------------------------------------------------------------- fewer features
def reduced(features: Mapping[str, Floats], dimensions: int) -> dict[str, Floats]:
    """Standardise features (N, D) of each split, and project them to the leading directions of those of "train".

    Returns (N, K) with K = min(dimensions, D, training pictures), and a variance of 1 on average over the training set.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
        >>> reduced({"train": features, "val": features[:5]}, 3)["val"].shape
        (5, 3)
    """
    train = features["train"]
    mean, spread = train.mean(0), train.std(0)
    scale = spread + 0.1 * spread.mean() + 1e-6  # features that hardly vary are not amplified
    centred = (train - mean) / scale
    directions = _leading_directions(centred, min(dimensions, *train.shape))
    strength = np.sqrt(np.mean((centred @ directions) ** 2)) + 1e-6
    directions = (directions / strength).astype(np.float32)
    return {split: (((rows - mean) / scale) @ directions).astype(np.float32) for split, rows in features.items()}


def _leading_directions(centred: Floats, count: int) -> Floats:
    """Return an orthonormal basis (D, count) of the leading right singular vectors.

    A random projection with two power iterations (Halko, Martinsson and Tropp 2011) is many times faster than an
    eigendecomposition of the (D, D) covariance.
    """
    extra = min(count + 64, *centred.shape)
    basis = np.random.default_rng(0).normal(size=(centred.shape[1], extra)).astype(np.float32)
    for _ in range(2):
        basis = _orthonormal(centred.T @ (centred @ basis))
    projected = centred @ basis
    _, vectors = np.linalg.eigh(projected.T @ projected)
    return basis @ vectors[:, ::-1][:, :count]  # type: ignore[no-any-return]


def _orthonormal(columns: Floats) -> Floats:
    """Return an orthonormal basis of the span, with zeros for missing directions. A QR takes ten times as long."""
    exact = columns.astype(np.float64)
    strengths, vectors = np.linalg.eigh(exact.T @ exact)
    real = strengths > 1e-13 * strengths[-1]
    vectors = vectors * np.where(real, 1 / np.sqrt(np.where(real, strengths, 1.0)), 0.0)
    return (exact @ vectors).astype(np.float32)  # type: ignore[no-any-return]
