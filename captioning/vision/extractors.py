"""Networks that turn photos into features, by name.

>>> sorted(EXTRACTORS)
['efficientnet-lite0']
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.vision.efficientnet import FEATURES, folded, published_network
from captioning.vision.photo_files import PhotoPath, read_photo
from captioning.vision.regions import RegionProjection
from minigrad.runtime.extras import require

__all__ = [
    "EXTRACTORS", "EfficientNetLite0Extractor", "FeatureExtractor", "RegionExtractor", "extractor", "extractor_kind",
]  # fmt: skip

Floats = NDArray[np.float32]

_BATCH = 8  # photos at a time: the widest maps, 96 x 112 x 112, then take 39 MB


class FeatureExtractor(ABC):
    """A fixed network, and how it wants photos prepared. Threads may share it.

    Attributes:
        name: its key in `EXTRACTORS`; data sets and captioners record it.
        size: D, the number of features of a photo.
        side: of a prepared photo, in pixels.
        grid: (h, w), the places of a map.
    """

    name: ClassVar[str]
    size: ClassVar[int]
    side: ClassVar[int]
    grid: ClassVar[tuple[int, int]]

    @abstractmethod
    def prepare(self, photo: NDArray[np.uint8]) -> Floats:
        """Turn a photo, RGB uint8 (H, W, 3), into the network's input: float32 (3, side, side)."""

    @abstractmethod
    def maps(self, prepared: Floats) -> Floats:
        """Return the features at each place, (N, h, w, D), for prepared photos (N, 3, side, side)."""

    def read(self, path: PhotoPath) -> Floats:
        """Read and prepare a photo file. A JPEG is decoded at the smallest size that is at least twice the needed one.

        Raises:
            PhotoError: as `read_photo` does.
        """
        return self.prepare(read_photo(path, shortest=2 * self.side))

    def features(self, prepared: Floats) -> Floats:
        """Return the mean of the maps over places, (N, D), for prepared photos (N, 3, side, side)."""
        found: Floats = self.maps(prepared).mean(axis=(1, 2))
        return found


class EfficientNetLite0Extractor(FeatureExtractor):
    """EfficientNet-Lite0 with its published weights and folded norms."""

    name, size, side, grid = "efficientnet-lite0", FEATURES, 224, (7, 7)

    def __init__(self) -> None:
        self._network = folded(published_network())

    def prepare(self, photo: NDArray[np.uint8]) -> Floats:
        """Scale the largest centred square to 224x224 and its numbers to (rgb - 127) / 128.

        If an odd number of pixels is cut off, one more goes at the right or the bottom. The interpolation is bicubic,
        and averages where it shrinks.

        Raises:
            ValueError: if the photo has another shape or dtype, or no pixels.
            ModuleNotFoundError: if Pillow is not installed.
        """
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or photo.size == 0:
            raise ValueError(f"a photo must be RGB, uint8 (H, W, 3); got {photo.dtype} {photo.shape}")
        height, width = photo.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = photo[top : top + side, left : left + side]
        if side != self.side:
            images = require("PIL.Image", "caption")
            picture = images.fromarray(np.ascontiguousarray(square))
            square = np.asarray(picture.resize((self.side, self.side), images.Resampling.BICUBIC))
        pixels = np.ascontiguousarray(square.transpose(2, 0, 1), np.float32)
        return (pixels - np.float32(127)) / np.float32(128)

    def maps(self, prepared: Floats) -> Floats:
        found = np.empty((len(prepared), *self.grid, self.size), np.float32)
        with mg.no_grad():
            for start in range(0, len(prepared), _BATCH):
                batch = slice(start, start + _BATCH)
                found[batch] = self._network.maps(prepared[batch]).data.transpose(0, 2, 3, 1)
        return found


class RegionExtractor(FeatureExtractor):
    """An extractor of the features of a photo followed by those of its R places, reduced to K each: (N, D + R K).

    `captioning.data.features.FeaturesAndRegions` has such rows.

    Args:
        network: gives maps with D numbers for each place.
        projection: from these D to the K of the data set's regions.

    Raises:
        ValueError: if the projection does not take D numbers.
    """

    def __init__(self, network: FeatureExtractor, projection: RegionProjection) -> None:
        takes, gives = projection.weight.shape
        if takes != network.size:
            raise ValueError(
                f"the projection of regions takes {takes} numbers per place; {network.name} has {network.size}"
            )
        self.network, self.projection = network, projection
        height, width = network.grid
        # attributes of this instance, where other extractors have constants of the class
        self.name, self.side, self.grid = network.name, network.side, network.grid  # type: ignore[misc]
        self.size = network.size + height * width * gives  # type: ignore[misc]

    def prepare(self, photo: NDArray[np.uint8]) -> Floats:
        return self.network.prepare(photo)

    def maps(self, prepared: Floats) -> Floats:
        return self.network.maps(prepared)

    def features(self, prepared: Floats) -> Floats:
        """Return rows (N, D + R K) for prepared photos (N, 3, side, side)."""
        maps = self.maps(prepared)
        places = self.projection.apply(maps).reshape(len(maps), -1)
        return np.concatenate([maps.mean(axis=(1, 2)), places], axis=1)


EXTRACTORS: dict[str, type[FeatureExtractor]] = {kind.name: kind for kind in (EfficientNetLite0Extractor,)}
"""The class of each extractor by its name; `extractor` makes one instance of each."""


_made: dict[str, FeatureExtractor] = {}


def extractor(name: str) -> FeatureExtractor:
    """Return the extractor of this name. The first call reads its weights; they stay in memory.

    Raises:
        ValueError: if the name is unknown; lists the known ones.
        ModuleNotFoundError: if a package that it needs is not installed; says how to install it.
        FileNotFoundError, ValueError: if the weights in that package are missing or damaged.

    >>> extractor("vgg16")
    Traceback (most recent call last):
    ValueError: unknown feature extractor 'vgg16'; the extractors are efficientnet-lite0
    """
    kind = extractor_kind(name)
    if name not in _made:
        _made[name] = kind()
    return _made[name]


def extractor_kind(name: str) -> type[FeatureExtractor]:
    """Return the class of the extractor of this name, which knows its sizes without weights.

    Raises:
        ValueError: if the name is unknown; lists the known ones.

    >>> extractor_kind("efficientnet-lite0").size
    1280
    """
    if name not in EXTRACTORS:
        raise ValueError(f"unknown feature extractor {name!r}; the extractors are {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]
