"""Networks that turn photos into features, by their names.

>>> sorted(EXTRACTORS)
['efficientnet-lite0']
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

import minigrad as mg
from captioning.vision import preprocessing
from captioning.vision.efficientnet import FEATURES, folded
from captioning.vision.photo_files import PhotoPath, read_photo
from captioning.vision.published import published_network

__all__ = ["EXTRACTORS", "EfficientNetLite0Extractor", "FeatureExtractor", "extractor", "extractor_kind"]

Floats = NDArray[np.float32]

_BATCH = 8  # photos at a time: the widest maps, 96 x 112 x 112, then take 39 MB


class FeatureExtractor(ABC):
    """A fixed network, and how photos are prepared for it. It may be used from several threads.

    Attributes:
        name: as in `EXTRACTORS`, and in what says which features a captioner was trained on.
        size: D, how many features a photo has.
        side: of a prepared photo, in pixels.
        grid: (h, w), how many places a map has.
    """

    name: ClassVar[str]
    size: ClassVar[int]
    side: ClassVar[int]
    grid: ClassVar[tuple[int, int]]

    @abstractmethod
    def prepare(self, photo: NDArray[np.uint8]) -> Floats:
        """A photo, RGB uint8 (H, W, 3), as the network sees it: float32 (3, side, side)."""

    @abstractmethod
    def maps(self, prepared: Floats) -> Floats:
        """What is seen at each place, (N, h, w, D), of prepared photos (N, 3, side, side)."""

    def read(self, path: PhotoPath) -> Floats:
        """A photo file, prepared. A JPEG is decoded at the smallest size that is twice the prepared one or more.

        Raises:
            PhotoError: as `read_photo` does.
        """
        return self.prepare(read_photo(path, shortest=2 * self.side))

    def features(self, prepared: Floats) -> Floats:
        """The mean over places of the maps, (N, D), of prepared photos (N, 3, side, side)."""
        found: Floats = self.maps(prepared).mean(axis=(1, 2))
        return found


class EfficientNetLite0Extractor(FeatureExtractor):
    """EfficientNet-Lite0 with its published weights, norms folded."""

    name, size, side, grid = "efficientnet-lite0", FEATURES, preprocessing.SIDE, (7, 7)

    def __init__(self) -> None:
        self._network = folded(published_network())

    def prepare(self, photo: NDArray[np.uint8]) -> Floats:
        return preprocessing.prepare(photo)

    def maps(self, prepared: Floats) -> Floats:
        _check_prepared(prepared, self.side)
        found = np.empty((len(prepared), *self.grid, self.size), np.float32)
        with mg.no_grad():
            for start in range(0, len(prepared), _BATCH):
                batch = slice(start, start + _BATCH)
                found[batch] = self._network.maps(prepared[batch]).data.transpose(0, 2, 3, 1)
        return found


EXTRACTORS: dict[str, type[FeatureExtractor]] = {kind.name: kind for kind in (EfficientNetLite0Extractor,)}
"""What makes each extractor, by its name; `extractor` makes it once."""

_made: dict[str, FeatureExtractor] = {}
_making = threading.Lock()


def extractor(name: str) -> FeatureExtractor:
    """The extractor of a name; its weights are read when it is first asked for, and kept.

    Raises:
        ValueError: if there is none of that name; names those that there are.
        ModuleNotFoundError: if a package that it needs is not installed; says how to install it.
        FileNotFoundError, ValueError: if the weights in that package are missing or damaged.

    >>> extractor("vgg16")
    Traceback (most recent call last):
    ValueError: there is no feature extractor 'vgg16'; there is efficientnet-lite0
    """
    kind = extractor_kind(name)
    with _making:
        if name not in _made:
            _made[name] = kind()
        return _made[name]


def extractor_kind(name: str) -> type[FeatureExtractor]:
    """What the extractor of a name is made by, which knows its sizes before its weights are read.

    Raises:
        ValueError: if there is none of that name; names those that there are.

    >>> extractor_kind("efficientnet-lite0").size
    1280
    """
    if name not in EXTRACTORS:
        raise ValueError(f"there is no feature extractor {name!r}; there is {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name]


def _check_prepared(prepared: Floats, side: int) -> None:
    """Raise a ValueError unless photos are as `prepare` makes them."""
    if (
        not isinstance(prepared, np.ndarray)
        or prepared.dtype != np.float32
        or prepared.ndim != 4
        or prepared.shape[1:] != (3, side, side)
    ):
        found = f"{prepared.dtype} {prepared.shape}" if isinstance(prepared, np.ndarray) else type(prepared).__name__
        raise ValueError(f"prepared photos must be float32 (N, 3, {side}, {side}); got {found}")
