"""Photos as a sheet shows them: upright, and no larger than it can show, since it holds all of them at once."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from captioning.pictures.photos import placeholder
from captioning.vision.photo_files import PhotoError, read_photo

__all__ = ["sheet_photo"]

_SHOWN = 300  # pixels of the shorter side, or somewhat more: a photo is three inches of a hundred each


def sheet_photo(path: str | os.PathLike[str]) -> NDArray[np.uint8]:
    """A photo file's picture for a sheet, RGB uint8 (H, W, 3); a grey placeholder if it cannot be read.

    >>> sheet_photo("none.jpg").shape
    (224, 224, 3)
    """
    try:
        photo = read_photo(path, shortest=_SHOWN)
    except PhotoError:
        return placeholder()
    step = max(1, min(photo.shape[:2]) // _SHOWN)
    return photo[::step, ::step].copy()  # so that the whole one is freed
