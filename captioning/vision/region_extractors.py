"""A network whose features of a photo are the whole photo's, and behind them those of its places, reduced."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from captioning.vision.extractors import FeatureExtractor
from captioning.vision.regions import RegionProjection

__all__ = ["RegionExtractor"]


class RegionExtractor(FeatureExtractor):
    """An extractor of rows as `captioning.data.features.FeaturesAndRegions` has them: (N, D + R K).

    network: gives maps of D numbers a place. projection: from these D to the K of the data set's regions; a ValueError
    if it takes another number.
    """

    def __init__(self, network: FeatureExtractor, projection: RegionProjection) -> None:
        takes, gives = projection.weight.shape
        if takes != network.size:
            raise ValueError(
                f"the projection of regions takes {takes} numbers a place; {network.name} has {network.size}"
            )
        self._network, self._projection = network, projection
        height, width = network.grid
        # of this instance, where those of a class are constants
        self.name, self.side, self.grid = network.name, network.side, network.grid  # type: ignore[misc]
        self.size = network.size + height * width * gives  # type: ignore[misc]

    def prepare(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        return self._network.prepare(photo)

    def maps(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._network.maps(prepared)

    def features(self, prepared: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (N, D + R K) of prepared photos (N, 3, side, side)."""
        maps = self.maps(prepared)
        places = self._projection.apply(maps).reshape(len(maps), -1)
        return np.concatenate([maps.mean(axis=(1, 2)), places], axis=1)
