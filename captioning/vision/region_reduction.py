"""Compress the maps of a network to regions: a PCA keeps K of the D numbers of a place, and stores each in a byte.

With m the mean and C the covariance of the places of some sample photos, and the columns of W (D, K) the eigenvectors
of the K largest eigenvalues of C, a region is

    y = (x - m) W,    stored as the byte  round((y - offset) / scale),

clipped to 0 and 255. The bytes span all but the outermost thousandth of the sample's numbers, since a few large ones
would make every step large.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.vision.regions import RegionProjection

__all__ = ["RegionReduction"]

Floats = NDArray[np.floating]

_STEPS = 255
_RANGE = (0.0005, 0.9995)  # quantiles at the bytes 0 and 255
_BLOCK = 32  # photos at once, whose places take 16 MB in float64
_ROUNDING = 1e-10  # smaller eigenvalues, as a share of the largest one, are round-off


@dataclass(frozen=True)
class RegionReduction:
    """Turns maps into stored regions: a projection, then `scale` and `offset` (K,) float32, as in a file of regions.

    kept: the share of the sample's variance that the K numbers keep, from 0 to 1.
    """

    projection: RegionProjection
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    kept: float

    @classmethod
    def find(cls, maps: Floats, most: int, projection: RegionProjection | None = None) -> RegionReduction:
        """Find the reduction to K numbers per place from the maps (N, h, w, D) of sample photos.

        K is `most`, or less if these places differ in fewer directions, but at least 1. projection: use this one
        instead of a PCA of the maps, and find only the range of its numbers.

        >>> maps = np.random.default_rng(0).random((5, 7, 7, 4), np.float32)
        >>> reduction = RegionReduction.find(maps, most=3)
        >>> stored = reduction.stored(maps)
        >>> stored.shape, stored.dtype
        ((5, 49, 3), dtype('uint8'))
        """
        mean, covariance = _moments(maps)
        if projection is None:
            variances, directions = np.linalg.eigh(covariance)  # in ascending order
            distinct = int((variances > _ROUNDING * max(variances[-1], 0)).sum())
            count = max(1, min(most, distinct))
            weight = directions[:, ::-1][:, :count]
            largest = np.abs(weight).argmax(axis=0)  # either sign is right: the largest entry becomes positive
            weight = weight * np.where(np.take_along_axis(weight, largest[None], axis=0) < 0, -1.0, 1.0)
            projection = RegionProjection(weight.astype(np.float32), (-mean @ weight).astype(np.float32))
        low, high = np.quantile(projection.apply(maps), _RANGE, axis=(0, 1))
        scale = np.where(high > low, (high - low) / _STEPS, 1)  # 1 where nothing differs
        total = np.trace(covariance)
        kept = float(np.sum(projection.weight * (covariance @ projection.weight)) / total) if total > 0 else 1.0
        return cls(projection, scale.astype(np.float32), low.astype(np.float32), min(kept, 1.0))

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> RegionReduction:
        """Return the reduction with these `arrays`.

        Raises:
            KeyError: if one is missing.
            TypeError, ValueError: if they have wrong shapes or dtypes.
        """
        projection = RegionProjection(arrays["weight"], arrays["bias"])
        return cls(projection, arrays["scale"], arrays["offset"], float(arrays["kept"]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return its numbers by name, to be saved."""
        return {
            "weight": self.projection.weight,
            "bias": self.projection.bias,
            "scale": self.scale,
            "offset": self.offset,
            "kept": np.array(self.kept),
        }

    def shape(self, grid: tuple[int, int]) -> tuple[int, int]:
        """Return (R, K): places of a photo at a grid (h, w), and numbers of a place."""
        return grid[0] * grid[1], len(self.scale)

    def stored(self, maps: Floats) -> NDArray[np.uint8]:
        """Return the regions (N, h w, K) of maps (N, h, w, D) as bytes."""
        steps = np.rint((self.projection.apply(maps) - self.offset) / self.scale)
        regions: NDArray[np.uint8] = steps.clip(0, _STEPS).astype(np.uint8)
        return regions

    def digest(self) -> bytes:
        """Return 32 bytes that identify its numbers."""
        found = hashlib.sha256(self.projection.fingerprint().encode())
        for array in (self.scale, self.offset, np.float64(self.kept)):
            found.update(array.tobytes())
        return found.digest()


def _moments(maps: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (D,) and the covariance (D, D) of all places, in float64."""
    size = maps.shape[-1]
    mean = maps.reshape(-1, size).mean(axis=0, dtype=np.float64)
    covariance = np.zeros((size, size))
    for start in range(0, len(maps), _BLOCK):
        centred = maps[start : start + _BLOCK].reshape(-1, size) - mean
        covariance += centred.T @ centred
    return mean, covariance / (maps.size // size)
