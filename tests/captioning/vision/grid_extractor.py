"""Small extractors that need no weights: the mean colours of a grid of places."""

from __future__ import annotations

import numpy as np

from captioning.vision.extractors import FeatureExtractor


class GridExtractor(FeatureExtractor):
    """Three features, the mean red, green and blue, of a photo of any size, at 2x2 places. `seen` counts photos."""

    name, size, side, grid = "grid", 3, 8, (2, 2)

    def __init__(self):
        self.seen = 0

    def prepare(self, photo):
        self.seen += 1
        rows, columns = (np.arange(self.side) * length // self.side for length in photo.shape[:2])
        return np.ascontiguousarray(photo[rows][:, columns].transpose(2, 0, 1), np.float32) / 255

    def maps(self, prepared):
        h, w = self.grid
        places = prepared.reshape(len(prepared), 3, h, self.side // h, w, self.side // w).mean(axis=(3, 5))
        return np.ascontiguousarray(places.transpose(0, 2, 3, 1))


class GridPlaces(GridExtractor):
    """Twelve features at each of 4x4 places: their colours through a fixed layer."""

    name, size, side, grid = "grid-places", 12, 32, (4, 4)

    def __init__(self):
        super().__init__()
        self._weight = np.random.default_rng(1).standard_normal((3, self.size)).astype(np.float32)

    def maps(self, prepared):
        return np.tanh(super().maps(prepared) @ self._weight)


class GridColours(GridExtractor):
    """Features (N, 48): the colours of 4x4 places through a fixed layer."""

    name, size, side, grid = "grid-colours", 48, 32, (4, 4)

    def __init__(self):
        super().__init__()
        self._weight = np.random.default_rng(0).standard_normal((self.size, self.size)).astype(np.float32)

    def features(self, prepared):
        return np.tanh(self.maps(prepared).reshape(len(prepared), -1) @ self._weight)
