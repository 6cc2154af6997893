"""Features of pictures from a fixed convolution network: its filters are designed or drawn, none is trained.

    picture (3, 64, 64)
    ├─ edges       5x5 oriented filters on brightness and two opponent colours, both signs
    ├─ colours     smoothed random directions in colour space, thresholded
    │  │           both: stride 2, relu, max pool 2, mixed at random              (48, 16, 16)
    │  └─ parts    5x5 patches cut from pictures of other scenes, matched by normalised
    │              correlation, thresholded; the best match in each of 4x4 cells  (256, 4, 4)
    └─ hues        cells that answer to one hue each, and to light and dark;
                   the best in each of 8x8 cells                                  (20, 8, 8)

Nothing has to be learnt first, so this is what small data sets have; from some thousands of scenes better features are
learnt: `captioning.scenes.learnt_features`.

Patches of unlabelled pictures as filters are a classic of unsupervised features (Coates and Ng 2011). They
come from scenes of a seed of their own, and nothing of the network depends on the data set but the last step:
`Reduction` standardises and projects to the directions in which the training features vary most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import minigrad as mg
from captioning.scenes.drawing import render_array
from captioning.scenes.world import KINDS, SIZES, Scene, draw_scene

__all__ = ["PICTURE", "Network", "Reduction"]

PICTURE = 64
"""The side, in pixels, of the pictures that the network takes."""

_PART = 5  # side of a part, in cells of the 16x16 map
_QUANTILE = 0.9  # a part answers in a tenth of all places
_BATCH = 25  # what stays in the processor's cache
_MIXED = 48  # channels that the parts see
# red less green, blue less yellow, brightness
_OPPONENT = np.array([[0.5, -0.5, 0.0], [-0.25, -0.25, 0.5], [1 / 3, 1 / 3, 1 / 3]])


class Network:
    """The fixed network. `seed` decides its random filters; `parts` is how many patches it matches.

    Called with pictures (N, 64, 64, 3) of uint8 it returns features (N, `size`) of float32.

    Raises:
        ValueError: pictures of another shape or dtype.

    Example:
        >>> network = Network(parts=8)
        >>> pictures = np.zeros((2, 64, 64, 3), np.uint8)
        >>> network(pictures).shape == (2, network.size)
        True
    """

    def __init__(self, seed: int = 0, parts: int = 256):
        if parts < 1:
            raise ValueError(f"Network: parts must be 1 or more, got {parts}")
        rng = np.random.default_rng([seed, 64])
        self._edges = _edge_filters()
        self._colours, self._colour_bias = _colour_filters(rng)
        self._along, self._across = _hue_filters()
        self._mix = _mixing_filters(rng, len(self._edges) * 2 + len(self._colours), _MIXED)
        self._mean = np.zeros((1, _MIXED, 1, 1), np.float32)
        self._parts, self._thresholds = self._cut_parts(rng, parts)
        self.size = parts * 4 * 4 + (len(self._along) + 4) * 8 * 8

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Features (N, size), float32, of pictures (N, 64, 64, 3), uint8."""
        if pictures.dtype != np.uint8 or pictures.shape[1:] != (PICTURE, PICTURE, 3):
            raise ValueError(
                f"Network: pictures must be uint8 of shape (N, {PICTURE}, {PICTURE}, 3), "
                f"got {pictures.dtype} of shape {pictures.shape}"
            )
        features = np.empty((len(pictures), self.size), np.float32)
        for start in range(0, len(pictures), _BATCH):
            with mg.no_grad():
                features[start : start + _BATCH] = self._batch(pictures[start : start + _BATCH])
        return features

    def _batch(self, pictures: np.ndarray) -> np.ndarray:
        x = _picture_tensor(pictures)
        parts = mg.ops.max_pool2d(self._match(self._first(x)), 4, 4)
        maps = [*(mg.ops.max_pool2d(cells, 2, 2) for cells in self._hues(x)), parts]
        return np.concatenate([cells.numpy().reshape(len(pictures), -1) for cells in maps], axis=1)

    def _first(self, x: mg.Tensor) -> mg.Tensor:
        """Edges and colours, mixed, of pictures (N, 3, 64, 64): (N, 48, 16, 16)."""
        filters = np.concatenate([self._edges, -self._edges, self._colours])
        bias = np.concatenate([np.full(2 * len(self._edges), -0.1, np.float32), self._colour_bias])
        found = mg.ops.relu(mg.ops.conv2d(x, mg.tensor(filters), mg.tensor(bias), stride=2, padding=2))
        mixed: mg.Tensor = mg.ops.conv2d(mg.ops.max_pool2d(found, 2, 2), mg.tensor(self._mix))
        return mixed

    def _correlate(self, maps: mg.Tensor, parts: np.ndarray) -> mg.Tensor:
        """Correlation with each part, over the length of what is there: from -1 to 1, (N, parts, 16, 16)."""
        centred = maps - mg.tensor(self._mean)
        square = mg.ops.sum(centred * centred, axis=1, keepdims=True)
        ones = mg.tensor(np.ones((1, 1, _PART, _PART), np.float32))
        length = mg.ops.sqrt(mg.ops.conv2d(square, ones, padding=_PART // 2) + 1.0)  # 1: flat places stay quiet
        likeness: mg.Tensor = mg.ops.conv2d(centred, mg.tensor(parts), padding=_PART // 2) / length
        return likeness

    def _match(self, maps: mg.Tensor) -> mg.Tensor:
        matches: mg.Tensor = mg.ops.relu(self._correlate(maps, self._parts) - mg.tensor(self._thresholds))
        return matches

    def _cut_parts(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Patches around things of `count` random scenes, of mean 0 and length 1, and their thresholds."""
        scenes = [draw_scene(rng) for _ in range(count)]
        pictures = np.stack([render_array(scene, PICTURE) for scene in scenes])
        with mg.no_grad():
            maps = self._first(_picture_tensor(pictures))
            values = maps.numpy()
            self._mean = values.mean((0, 2, 3), keepdims=True)
            corners = [_corner(scene, values.shape[-1], rng) for scene in scenes]
            cut = [values[i, :, y : y + _PART, x : x + _PART] for i, (y, x) in enumerate(corners)]
            parts = np.stack(cut) - self._mean
            parts /= np.sqrt((parts**2).sum((1, 2, 3), keepdims=True))
            answers = self._correlate(mg.tensor(values[:64]), parts).numpy()
        thresholds = np.quantile(answers.transpose(1, 0, 2, 3).reshape(count, -1), _QUANTILE, axis=1)
        return parts, thresholds.astype(np.float32).reshape(1, count, 1, 1)

    def _hues(self, x: mg.Tensor) -> tuple[mg.Tensor, mg.Tensor]:
        """Cells for single hues (N, 16, 16, 16), and for light and dark (N, 4, 16, 16), of (N, 3, 64, 64).

        In the plane of the opponent colours a hue cell answers to what lies along its direction, less twice
        what lies across it; a light cell to brightness, less twice the saturation.
        """
        seen = mg.ops.conv2d(x, mg.tensor(_smoothed(_OPPONENT)), stride=4, padding=2)
        along = mg.ops.conv2d(seen, mg.tensor(self._along))
        across = mg.ops.conv2d(seen, mg.tensor(self._across))
        hues = mg.ops.relu(along - 2.0 * (mg.ops.relu(across) + mg.ops.relu(-across)) - 0.08)
        # over evenly spread directions the mean of squares is half the squared length
        saturation = mg.ops.sqrt(2.0 * mg.ops.mean(along * along, axis=1, keepdims=True))
        light = mg.ops.conv2d(seen, mg.tensor(_LIGHT_FILTERS), mg.tensor(_LIGHT_BIAS))
        return hues, mg.ops.relu(light - 2.0 * saturation)


@dataclass(frozen=True)
class Reduction:
    """Standardises features and projects them to the directions of largest variance in the training set.

    `mean` and `scale` are (D,), `directions` (D, K), all float32. Reduced features have variance 1 on
    average, so that a projection sees the same scale whatever the number of dimensions.

    Example:
        >>> features = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
        >>> Reduction.fit(features, 3)(features).shape
        (50, 3)
    """

    mean: np.ndarray
    scale: np.ndarray
    directions: np.ndarray

    @classmethod
    def fit(cls, features: np.ndarray, dimensions: int = 1024, seed: int = 0) -> Reduction:
        """Fit to training features (N, D). Keeps min(dimensions, N, D) directions.

        The leading directions come from a random projection refined by two power iterations, which is many
        times faster than an eigendecomposition of the (D, D) covariance.

        Raises:
            ValueError: features that are not a matrix with a row or more, or dimensions below 1.
        """
        if features.ndim != 2 or len(features) < 1 or dimensions < 1:
            raise ValueError(
                f"Reduction.fit: needs features (N, D) with N of 1 or more and dimensions of 1 or more, "
                f"got shape {features.shape} and {dimensions}"
            )
        mean, spread = features.mean(0), features.std(0)
        scale = spread + 0.1 * spread.mean() + 1e-6  # what hardly ever varies is not blown up
        centred = (features - mean) / scale
        directions = _leading_directions(centred, min(dimensions, *features.shape), seed)
        strength = np.sqrt(np.mean((centred @ directions) ** 2)) + 1e-6
        return cls(mean, scale, (directions / strength).astype(np.float32))

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Reduced features (N, K), float32, of features (N, D)."""
        reduced: np.ndarray = ((features - self.mean) / self.scale) @ self.directions
        return reduced.astype(np.float32)


def _leading_directions(centred: np.ndarray, count: int, seed: int) -> np.ndarray:
    """An orthonormal basis (D, count) of the leading right singular vectors (Halko, Martinsson and Tropp
    2011)."""
    extra = min(count + 64, *centred.shape)
    basis = np.random.default_rng(seed).normal(size=(centred.shape[1], extra)).astype(np.float32)
    for _ in range(2):
        basis = _orthonormal(centred.T @ (centred @ basis))
    seen = centred @ basis
    _, vectors = np.linalg.eigh(seen.T @ seen)
    leading: np.ndarray = basis @ vectors[:, ::-1][:, :count]
    return leading


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the span, float32, by way of the Gram matrix, ten times faster than a QR.

    A direction that the columns do not have (they may depend on each other) becomes a column of zeros.
    """
    exact = columns.astype(np.float64)
    strengths, vectors = np.linalg.eigh(exact.T @ exact)
    real = strengths > 1e-13 * strengths[-1]
    vectors = vectors * np.where(real, 1 / np.sqrt(np.where(real, strengths, 1.0)), 0.0)
    basis: np.ndarray = exact @ vectors
    return basis.astype(np.float32)


# ---------------------------------------------------------------------- filters
def _picture_tensor(pictures: np.ndarray) -> mg.Tensor:
    """(N, H, W, 3) uint8 to (N, 3, H, W) float32 from -1 to 1."""
    return mg.tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2), dtype=np.float32) / 127.5 - 1)


def _bump() -> np.ndarray:
    """A 5x5 Gaussian that sums to 1."""
    y, x = np.mgrid[-2:3, -2:3]
    bump = np.exp(-(x * x + y * y) / (2 * 1.2**2))
    unit: np.ndarray = bump / bump.sum()
    return unit


def _smoothed(directions: np.ndarray) -> np.ndarray:
    """Directions in colour space (F, 3) as filters (F, 3, 5, 5) on smoothed pictures, float32."""
    filters: np.ndarray = directions[:, :, None, None] * _bump()
    return filters.astype(np.float32)


def _edge_filters() -> np.ndarray:
    """Filters (36, 3, 5, 5): six angles, even and odd on brightness, even alone on the opponent colours."""
    y, x = np.mgrid[-2:3, -2:3]
    waves = []
    for angle in np.arange(6) * np.pi / 6:
        along = x * np.cos(angle) + y * np.sin(angle)
        for phase in (0.0, np.pi / 2):
            wave = np.exp(-(x * x + y * y) / (2 * 1.5**2)) * np.cos(0.4 * np.pi * along + phase)
            wave -= wave.mean()
            waves.append(wave / np.sqrt((wave**2).sum()))
    light, red_green, blue_yellow = np.array([[1, 1, 1], [1, -1, 0], [-1, -1, 2]]) / np.sqrt([[3], [2], [6]])
    pairs = [(light, wave) for wave in waves]
    pairs += [(colour, wave) for wave in waves[::2] for colour in (red_green, blue_yellow)]
    return np.stack([colour[:, None, None] * wave for colour, wave in pairs]).astype(np.float32)


def _colour_filters(rng: np.random.Generator, count: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Random directions in colour space as filters (count, 3, 5, 5), and thresholds (count,) as biases."""
    directions = rng.normal(size=(count, 3))
    directions *= 2 / np.linalg.norm(directions, axis=1, keepdims=True)  # 2: parts see colour as much as edges
    return _smoothed(directions), -rng.uniform(0, 2, count).astype(np.float32)


def _mixing_filters(rng: np.random.Generator, channels: int, mixed: int) -> np.ndarray:
    """1x1 filters (mixed, channels, 1, 1), a random orthonormal projection: it nearly keeps correlations."""
    basis = np.linalg.qr(rng.normal(size=(channels, mixed)))[0]
    return basis.T.astype(np.float32)[:, :, None, None]


def _hue_filters(count: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """1x1 filters (count, 3, 1, 1) along evenly spread directions of the opponent plane, and across them."""
    angles = np.arange(count) * 2 * np.pi / count
    zero = np.zeros(count)
    along = np.stack([np.cos(angles), np.sin(angles), zero], 1)
    across = np.stack([-np.sin(angles), np.cos(angles), zero], 1)
    return along.astype(np.float32)[:, :, None, None], across.astype(np.float32)[:, :, None, None]


_LIGHT_FILTERS = np.array([[0, 0, 1], [0, 0, 1], [0, 0, -1], [0, 0, -1]], np.float32)[:, :, None, None]
_LIGHT_BIAS = np.array([-0.5, -0.8, -0.2, -0.6], np.float32)


def _corner(scene: Scene, side: int, rng: np.random.Generator) -> tuple[int, int]:
    """The upper left cell of a patch around the middle of a random thing, a cell off at most, on a map
    `side` wide."""
    thing = scene.things[int(rng.integers(len(scene.things)))]
    x, y = thing.places[0]
    y -= KINDS[thing.kind].height * SIZES[thing.size] / 200
    row, column = (round(at * side - _PART / 2 + int(rng.integers(-1, 2))) for at in (y, x))
    return min(max(row, 0), side - _PART), min(max(column, 0), side - _PART)
