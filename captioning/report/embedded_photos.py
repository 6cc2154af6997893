"""Photos that stand in a page itself: small JPEGs as addresses of the kind `data:`."""

from __future__ import annotations

import base64
import io
import os
from dataclasses import dataclass

from captioning.vision.photo_files import PhotoError, read_photo
from minigrad.runtime.extras import require

__all__ = ["MOST_BYTES", "SIDE", "EmbeddedPhoto", "embedded"]

SIDE = 320
"""The longer side of a photo in a page, in pixels, or less."""
MOST_BYTES = 48_000
"""A photo's JPEG is no larger: one that would be is stored more coarsely."""

_QUALITIES = (80, 65, 45, 25, 10)


@dataclass(frozen=True)
class EmbeddedPhoto:
    """A photo as it stands in a page: its address, and its width and height in pixels."""

    address: str
    width: int
    height: int


def embedded(path: str | os.PathLike[str]) -> EmbeddedPhoto | None:
    """A photo file for a page, upright and without whatever else the file holds; None if it cannot be read.

    The same file gives the same text. Errors: ModuleNotFoundError if Pillow is not installed.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (800, 400), "green").save(f"{folder}/a.png")
    ...     photo = embedded(f"{folder}/a.png")
    >>> photo.width, photo.height, photo.address[:23], embedded("none.jpg")
    (320, 160, 'data:image/jpeg;base64,', None)
    """
    images = require("PIL.Image", "caption")
    try:
        pixels = read_photo(path, shortest=SIDE)
    except PhotoError:
        return None
    picture = images.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))  # keeps its proportions, and what is smaller as it is
    for quality in _QUALITIES:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= MOST_BYTES:
            break
    return EmbeddedPhoto("data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode(), *picture.size)
