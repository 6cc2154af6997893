"""The map from a network's features of a place to the regions of a data set, and how to recover it from examples.

Regions are a map (h, w, D) reduced to K numbers per place by a PCA, which is affine:

    y = x W + b,    x (D,), y (K,), W (D, K), b (K,),

stored as uint8 with a scale and an offset for each of the K. Photos with known maps x and stored regions give W and b
by least squares. Bytes clipped to 0 or 255 only bound the true value, and would bend the fit where features are
largest. So each round replaces a clipped value by the fitted one, if that lies beyond it, and fits again (Schmee and
Hahn, 1979, "A simple method for regression analysis with censored data").
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import minigrad as mg

__all__ = ["RegionProjection"]

Floats = NDArray[np.floating]

_KEYS = ("weight", "bias")
_ROUNDS = 12
# This share of the mean variance is added to that of each feature, so that one that is always 0 gets the weight 0. Real
# maps do not need it: the smallest singular value of those of 160 photos is 0.014 of the largest.
_RIDGE = 1e-6


@dataclass(frozen=True)
class RegionProjection:
    """An affine map from D features of a place to K: `weight` (D, K) and `bias` (K,), float32.

    Raises:
        ValueError: if they have other shapes or dtypes, or hold a NaN or infinity.

    Example:
        >>> projection = RegionProjection(np.eye(3, 2, dtype=np.float32), np.ones(2, np.float32))
        >>> projection.apply(np.ones((1, 7, 7, 3), np.float32)).shape
        (1, 49, 2)
    """

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        weight, bias = self.weight, self.bias
        if weight.ndim != 2 or bias.shape != weight.shape[1:] or not weight.dtype == bias.dtype == np.float32:
            found = f"{weight.dtype} {weight.shape} and {bias.dtype} {bias.shape}"
            raise ValueError(f"RegionProjection: weight and bias must be float32 (D, K) and (K,); got {found}")
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            raise ValueError("RegionProjection: weight and bias must be finite")

    @classmethod
    def fit(cls, maps: Floats, stored: NDArray[np.uint8], scale: Floats, offset: Floats) -> RegionProjection:
        """Find the projection that turned maps into stored regions, by least squares in float64.

        Args:
            maps: (N, h, w, D), as `FeatureExtractor.maps` gives them.
            stored: the regions of the same photos in the file, uint8 (N, h w, K), places by rows.
            scale, offset: (K,), those of the file: a region is stored * scale + offset.

        Raises:
            ValueError: if the shapes do not fit, or there are at most D + 1 places, the number of unknowns for each of
                the K numbers.
        """
        n, height, width, size = maps.shape
        count = stored.shape[2]
        if stored.shape[:2] != (n, height * width) or not np.shape(scale) == np.shape(offset) == (count,):
            raise ValueError(
                f"RegionProjection.fit: maps {maps.shape} need stored regions ({n}, {height * width}, K) and K scales "
                f"and offsets; got {stored.shape}, {np.shape(scale)} and {np.shape(offset)}"
            )
        places = n * height * width
        if places <= size + 1:
            raise ValueError(
                f"RegionProjection.fit: {n} photos have {places} places, but each column has {size + 1} unknowns: "
                f"at least {(size + 1) // (height * width) + 1} photos are needed, and several times as many are better"
            )
        x = np.array(maps, np.float64).reshape(places, size)
        y = stored.reshape(places, count).astype(np.float64)
        mean = x.mean(axis=0)
        x -= mean
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram) + np.finfo(np.float64).tiny
        inverse = np.linalg.solve(gram, x.T)  # (D, N h w): what each place adds to the weight
        highest, lowest = y == 255, y == 0
        filled = y.copy()
        for _ in range(_ROUNDS):
            level = filled.mean(axis=0)
            weight = inverse @ (filled - level)
            fitted = x @ weight + level
            filled[highest] = np.maximum(fitted, y)[highest]
            filled[lowest] = np.minimum(fitted, y)[lowest]
        return cls((weight * scale).astype(np.float32), ((level - mean @ weight) * scale + offset).astype(np.float32))

    def apply(self, maps: Floats) -> NDArray[np.float32]:
        """Return the regions (N, h w, K), float32, places by rows, of maps (N, h, w, D).

        Raises:
            ValueError: if the maps have another shape.
        """
        if np.ndim(maps) != 4 or maps.shape[-1] != len(self.weight):
            raise ValueError(
                f"RegionProjection: maps must be (N, h, w, {len(self.weight)}); got shape {np.shape(maps)}"
            )
        regions: NDArray[np.float32] = np.asarray(maps, np.float32) @ self.weight + self.bias
        return regions.reshape(len(maps), -1, len(self.bias))

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits that identify it; files of regions record them."""
        found = hashlib.sha256(f"{self.weight.shape}".encode())
        for array in (self.weight, self.bias):
            found.update(np.ascontiguousarray(array, "<f4").tobytes())
        return found.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, whole or not at all. Raises an OSError if that fails."""
        mg.save(path, {"weight": self.weight, "bias": self.bias})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RegionProjection:
        """Read what `save` wrote, in float32; exported runs have it in half precision.

        Raises:
            ValueError: if the file is damaged, or holds something else; names it.
            OSError: if it cannot be read.
        """
        arrays = mg.load(path)
        if set(arrays) != set(_KEYS):
            raise ValueError(f"{path}: must hold the weight and bias of a RegionProjection; it holds {sorted(arrays)}")
        try:
            halves = arrays["weight"].dtype == np.float16
            weight, bias = (arrays[key].astype(np.float32) if halves else arrays[key] for key in _KEYS)
            return cls(weight, bias)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
