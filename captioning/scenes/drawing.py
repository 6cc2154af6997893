"""Renders a scene to an RGB picture of any size; the geometry is the same at every size."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from captioning.scenes.backdrops import PAINTERS
from captioning.scenes.kinds import ARTISTS, PAINTS
from captioning.scenes.pen import Pen
from captioning.scenes.world import KINDS, SIZES, Scene, Thing

__all__ = ["render", "render_array"]

_SUPERSAMPLING = 4


def render(scene: Scene, size: int = 256) -> Image.Image:
    """The scene as an RGB picture of `size` x `size` pixels. The same scene always gives the same pixels.

    Raises:
        ValueError: a size below 16 or above 2048 pixels.

    Example:
        >>> from captioning.scenes.world import draw_lone_scene
        >>> render(draw_lone_scene(np.random.default_rng(0)), 64).size
        (64, 64)
    """
    if not 16 <= size <= 2048:
        raise ValueError(f"render: size must lie between 16 and 2048 pixels, got {size}")
    factor = _SUPERSAMPLING if size < 512 else 2
    image = _backdrop(scene.background, scene.view, size * factor).copy()
    for thing in reversed(scene.things):  # a base before the thing that it carries
        _draw_thing(image, thing)
    return image.reduce(factor)


def render_array(scene: Scene, size: int = 64) -> np.ndarray:
    """The same picture as an array (size, size, 3) of uint8."""
    return np.asarray(render(scene, size))


def _draw_thing(image: Image.Image, thing: Thing) -> None:
    kind, scale = KINDS[thing.kind], SIZES[thing.size]
    for x, y in thing.places:
        pen = Pen(image, 100 * x - kind.width * scale / 2, 100 * y - kind.height * scale, scale)
        ARTISTS[thing.kind](pen, PAINTS[thing.colour])


@lru_cache(maxsize=32)
def _backdrop(background: str, view: int, size: int) -> Image.Image:
    image = Image.new("RGB", (size, size))
    PAINTERS[background](Pen(image), view)
    return image
