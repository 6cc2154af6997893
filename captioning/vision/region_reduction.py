"""A way to store the maps of a network as regions: few numbers a place, in a byte each.

Of the D numbers of a place a PCA keeps K. With m the mean and C the covariance of the places of a sample of photos, and
the columns of W (D, K) the eigenvectors of C of the K largest eigenvalues, a region is

    y = (x - m) W,    stored as the byte  round((y - offset) / scale),

cut at 0 and 255. A byte's range is that of all but the outermost thousandth of the sample's numbers: few large ones
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
_NOTHING = 1e-10  # of the largest eigenvalue: what is below is rounding


@dataclass(frozen=True)
class RegionReduction:
    """What turns maps into stored regions: the projection, `scale` and `offset` (K,) float32, as a file has them.

    kept: the share of the variance of the sample's places that is in the K numbers, from 0 to 1.
    """

    projection: RegionProjection
    scale: NDArray[np.float32]
    offset: NDArray[np.float32]
    kept: float

    @classmethod
    def find(cls, maps: Floats, most: int) -> RegionReduction:
        """The reduction to K numbers a place by the maps (N, h, w, D) of a sample of photos.

        K is `most`, or as many directions as these places have between them, which are less than the places and at
        most D; at least one.

        Raises:
            ValueError: if the maps have another rank, no place, or a number that is not finite, or most is below 1.

        >>> maps = np.random.default_rng(0).random((5, 7, 7, 4), np.float32)
        >>> reduction = RegionReduction.find(maps, most=3)
        >>> stored = reduction.stored(maps)
        >>> stored.shape, stored.dtype
        ((5, 49, 3), dtype('uint8'))
        """
        if maps.ndim != 4 or maps.size == 0 or not np.isfinite(maps).all():
            raise ValueError(f"RegionReduction.find: maps must be finite (N, h, w, D); got shape {maps.shape}")
        if most < 1:
            raise ValueError(f"RegionReduction.find: most must be at least 1; got {most}")
        mean, covariance = _moments(maps)
        variances, directions = np.linalg.eigh(covariance)  # rising
        directed = int((variances > _NOTHING * max(variances[-1], 0)).sum())
        count = max(1, min(most, directed))
        weight = _upright(directions[:, ::-1][:, :count])
        projection = RegionProjection(weight.astype(np.float32), (-mean @ weight).astype(np.float32))
        low, high = np.quantile(projection.apply(maps), _RANGE, axis=(0, 1))
        scale = np.where(high > low, (high - low) / _STEPS, 1)  # 1 where nothing differs
        total = variances.sum()
        kept = float(variances[::-1][:count].sum() / total) if total > 0 else 1.0
        return cls(projection, scale.astype(np.float32), low.astype(np.float32), min(kept, 1.0))

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> RegionReduction:
        """The reduction of which these are the `arrays`.

        Raises:
            KeyError: if one is missing.
            TypeError, ValueError: if they are of none.
        """
        projection = RegionProjection(arrays["weight"], arrays["bias"])
        return cls(projection, arrays["scale"], arrays["offset"], float(arrays["kept"]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Its numbers by name, such as for a file."""
        projection = self.projection
        return {
            "weight": projection.weight,
            "bias": projection.bias,
            "scale": self.scale,
            "offset": self.offset,
            "kept": np.array(self.kept),
        }

    def shape(self, grid: tuple[int, int]) -> tuple[int, int]:
        """(R, K), how many places a photo seen at a grid (h, w) has, and numbers a place."""
        return grid[0] * grid[1], len(self.scale)

    def stored(self, maps: Floats) -> NDArray[np.uint8]:
        """Regions (N, h w, K) of maps (N, h, w, D), as bytes."""
        steps = np.rint((self.projection.apply(maps) - self.offset) / self.scale)
        regions: NDArray[np.uint8] = steps.clip(0, _STEPS).astype(np.uint8)
        return regions

    def digest(self) -> bytes:
        """32 bytes that other numbers would have others of."""
        found = hashlib.sha256(self.projection.fingerprint().encode())
        for array in (self.scale, self.offset, np.float64(self.kept)):
            found.update(array.tobytes())
        return found.digest()


def _moments(maps: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean (D,) and the covariance (D, D) of all places, in float64."""
    size = maps.shape[-1]
    mean = maps.reshape(-1, size).mean(axis=0, dtype=np.float64)
    covariance = np.zeros((size, size))
    for start in range(0, len(maps), _BLOCK):
        centred = maps[start : start + _BLOCK].reshape(-1, size) - mean
        covariance += centred.T @ centred
    return mean, covariance / (maps.size // size)


def _upright(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each column with its largest entry above 0: an eigenvector is one with either sign."""
    largest = np.abs(directions).argmax(axis=0)
    return directions * np.where(np.take_along_axis(directions, largest[None], axis=0) < 0, -1.0, 1.0)
