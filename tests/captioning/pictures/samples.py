"""Small pictures for the tests, and a look at those that were drawn."""

import io

import numpy as np
from PIL import Image


def photo(height=6, width=8):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def has_colour(path, rgb, tolerance=6):
    return bool((np.abs(read(path) - rgb).max(axis=2) <= tolerance).any())
