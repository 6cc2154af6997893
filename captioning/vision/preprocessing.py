"""A photo as the network sees it: the largest square in its middle, 224x224, as numbers from -1 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from minigrad.runtime.extras import require

__all__ = ["SIDE", "prepare"]

SIDE = 224
"""The side, in pixels, of the pictures that EfficientNet-Lite0 was trained on."""

_MEAN, _SCALE = 127, 128  # EfficientNet-Lite's, of all channels


def prepare(photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A photo (H, W, 3), RGB uint8, as float32 (3, 224, 224): (rgb - 127) / 128 of its middle.

    The middle is the largest square, min(H, W) wide: half of the rest is cut off on either side, and an odd pixel at
    the right or the bottom. It is brought to 224x224 by bicubic interpolation, which averages where it shrinks; what
    has that size stays as it is.

    Raises:
        ValueError: if the photo has another shape or dtype, or no pixels.
        ModuleNotFoundError: if Pillow is not installed.

    >>> prepared = prepare(np.full((300, 400, 3), 255, np.uint8))
    >>> prepared.shape, prepared.dtype, prepared.max().item()
    ((3, 224, 224), dtype('float32'), 1.0)
    """
    if not isinstance(photo, np.ndarray) or photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3:
        found = f"{photo.dtype} {photo.shape}" if isinstance(photo, np.ndarray) else type(photo).__name__
        raise ValueError(f"prepare: a photo must be RGB, uint8 (H, W, 3); got {found}")
    height, width = photo.shape[:2]
    side = min(height, width)
    if side < 1:
        raise ValueError(f"prepare: a photo must have pixels; got shape {photo.shape}")
    top, left = (height - side) // 2, (width - side) // 2
    square = photo[top : top + side, left : left + side]
    if side != SIDE:
        images = require("PIL.Image", "vision")
        picture = images.fromarray(np.ascontiguousarray(square))
        square = np.asarray(picture.resize((SIDE, SIDE), images.Resampling.BICUBIC))
    pixels = np.ascontiguousarray(square.transpose(2, 0, 1), np.float32)
    prepared: NDArray[np.float32] = (pixels - np.float32(_MEAN)) / np.float32(_SCALE)
    return prepared
