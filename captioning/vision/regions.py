"""Maps of a network as the regions that a data set has: a reduction that was not stored with the data, found again.

A data set's regions are a map (h, w, D) reduced to K numbers a place by a PCA, which is an affine map

    y = x W + b,    x (D,), y (K,), W (D, K), b (K,),

rounded to uint8 with a scale and an offset for each of the K. Of photos whose maps x and stored regions are both known,
W and b follow by least squares. But what was more than 255 steps was stored as 255, and what was less than none as 0:
such an entry says "this much or more". Taken for the number itself it bends the fit where features are largest, so it
is filled in with what the fit says, if that lies beyond it, and all is fitted again (Schmee and Hahn, 1979, "A simple
method for regression analysis with censored data").
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
# Of the mean variance of a feature, added to each, so that one that is always 0 has the weight 0 rather than none at
# all. Real maps do not need it: the smallest singular value of 160 photos' is 0.014 of the largest.
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
        """The projection by which maps became stored regions, by least squares in float64.

        Args:
            maps: (N, h, w, D) of N photos, as `FeatureExtractor.maps` gives them.
            stored: their regions as the file has them, uint8 (N, h w, K), places by rows.
            scale, offset: (K,), the file's: a region is stored * scale + offset.

        Raises:
            ValueError: if shapes or dtypes do not fit, something is not finite, or there are no more places than the
                D + 1 unknowns of each of the K.
        """
        x, y, step = _as_rows(maps, stored, scale, offset)
        mean = x.mean(axis=0)
        x -= mean
        gram = x.T @ x
        gram[np.diag_indices_from(gram)] += _RIDGE * np.trace(gram) / len(gram) + np.finfo(np.float64).tiny
        inverse = np.linalg.solve(gram, x.T)  # (D, N h w): what each place adds to the weight
        flat = stored.reshape(y.shape)
        highest, lowest = flat == 255, flat == 0
        filled = y.copy()
        for _ in range(_ROUNDS):
            level = filled.mean(axis=0)
            weight = inverse @ (filled - level)
            says = x @ weight + level
            filled[highest] = np.maximum(says, y)[highest]
            filled[lowest] = np.minimum(says, y)[lowest]
        return cls((weight * step).astype(np.float32), ((level - mean @ weight) * step + offset).astype(np.float32))

    def apply(self, maps: Floats) -> NDArray[np.float32]:
        """Regions (N, h w, K), float32, places by rows, of maps (N, h, w, D).

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
        """64 hexadecimal digits that another projection would have others of; a file of regions names it so."""
        found = hashlib.sha256(f"{self.weight.shape}".encode())
        for array in (self.weight, self.bias):
            found.update(np.ascontiguousarray(array, "<f4").tobytes())
        return found.hexdigest()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a safetensors file, in whole or not at all; an OSError if that cannot be."""
        mg.save(path, {"weight": self.weight, "bias": self.bias})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RegionProjection:
        """What `save` wrote; half precision, in which a run that was exported has it, becomes float32.

        Raises:
            ValueError: if the file is damaged, or holds something else; names it.
            OSError: if it cannot be read.
        """
        arrays = mg.load(path)
        if set(arrays) != set(_KEYS):
            raise ValueError(f"{path}: must hold the weight and bias of a RegionProjection; it holds {sorted(arrays)}")
        try:
            weight, bias = (_widened(arrays[key]) for key in _KEYS)
            return cls(weight, bias)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _widened(array: NDArray[np.generic]) -> NDArray[np.float32]:
    return array.astype(np.float32) if array.dtype == np.float16 else array  # type: ignore[return-value]


def _as_rows(
    maps: Floats, stored: NDArray[np.uint8], scale: Floats, offset: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Maps (N h w, D) and stored regions (N h w, K), in steps, and the step (K,), float64; else a ValueError."""
    if maps.ndim != 4:
        raise ValueError(f"RegionProjection.fit: maps must be (N, h, w, D); got shape {maps.shape}")
    n, height, width, size = maps.shape
    if stored.dtype != np.uint8 or stored.ndim != 3 or stored.shape[:2] != (n, height * width):
        raise ValueError(
            f"RegionProjection.fit: stored regions must be uint8 ({n}, {height * width}, K), as of maps {maps.shape}; "
            f"got {stored.dtype} {stored.shape}"
        )
    count = stored.shape[2]
    for name, values in (("scale", scale), ("offset", offset)):
        if np.shape(values) != (count,):
            raise ValueError(f"RegionProjection.fit: {name} must be ({count},); got shape {np.shape(values)}")
    places = n * height * width
    if places <= size + 1:
        raise ValueError(
            f"RegionProjection.fit: {n} photos have {places} places, and each region has {size + 1} unknowns: "
            f"at least {(size + 1) // (height * width) + 1} photos are needed, better several times as many"
        )
    if not all(np.isfinite(values).all() for values in (maps, scale, offset)):
        raise ValueError("RegionProjection.fit: maps, scale and offset must be finite")
    x = np.array(maps, np.float64).reshape(places, size)
    return x, stored.reshape(places, count).astype(np.float64), np.asarray(scale, np.float64)
