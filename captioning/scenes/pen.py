"""A pen for flat illustrations: shapes in hundredths of the picture, outlined, on a supersampled canvas."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw

__all__ = ["LINE", "RGB", "Pen", "arc", "mix", "smooth"]

RGB = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
LINE: RGB = (46, 40, 56)
"""The colour of outlines."""


def mix(colour: RGB, other: RGB, share: float) -> RGB:
    """`share` of `other` in `colour`, which is how shades and tints are made.

    Example:
        >>> mix((0, 0, 0), (200, 100, 0), 0.5)
        (100, 50, 0)
    """
    r, g, b = (round(a + (z - a) * share) for a, z in zip(colour, other, strict=True))
    return r, g, b


def arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 18
) -> list[tuple[float, float]]:
    """Points on an ellipse around (x, y) from angle `start` to `end`, in degrees, 0 to the right, 90 down."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def smooth(points: Points, rounds: int = 2) -> list[tuple[float, float]]:
    """A closed polygon with its corners cut `rounds` times (Chaikin), which makes a curve of it."""
    points = list(points)
    for _ in range(rounds):
        pairs = zip(points, [*points[1:], points[0]], strict=True)
        points = [
            p
            for (x0, y0), (x1, y1) in pairs
            for p in (
                (0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1),
                (0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1),
            )
        ]
    return points


class Pen:
    """Draws on `image` in hundredths, from the origin (x, y) (hundredths of the picture) and scaled by
    `scale`.

    Every filled shape has an outline of the same width, whatever the scale. `body` outlines the union of
    its shapes, so that an animal of many ellipses is one silhouette.
    """

    def __init__(self, image: Image.Image, x: float = 0.0, y: float = 0.0, scale: float = 1.0, line: float = 0.8):
        self._draw = ImageDraw.Draw(image)
        self._unit = image.width / 100
        self._x, self._y, self._scale = x, y, scale
        self._line = line * self._unit

    def _at(self, points: Points) -> list[tuple[float, float]]:
        u, s = self._unit, self._scale
        return [((self._x + x * s) * u, (self._y + y * s) * u) for x, y in points]

    def polygon(self, points: Points, fill: RGB, outline: bool = True) -> None:
        """A closed polygon."""
        path = self._at(points)
        self._draw.polygon(path, fill)
        if outline:
            self._border(path)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: RGB, outline: bool = True) -> None:
        """An ellipse around (x, y)."""
        self.polygon(arc(x, y, rx, ry, 0, 360, 28)[:-1], fill, outline)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB, outline: bool = True) -> None:
        """A rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline)

    def line(self, points: Points, width: float, fill: RGB = LINE) -> None:
        """An open path with round joints and ends; `width` in hundredths."""
        self._stroke(self._at(points), width * self._unit * self._scale, fill)

    def body(self, shapes: Sequence[Points], fill: RGB) -> None:
        """The union of closed polygons with one outline around it."""
        paths = [self._at(points) for points in shapes]
        for path in paths:
            self._border(path, 2)
        for path in paths:
            self._draw.polygon(path, fill)

    def _border(self, path: list[tuple[float, float]], factor: float = 1.0) -> None:
        self._stroke([*path, path[0], path[1]], self._line * factor, LINE)

    def _stroke(self, path: list[tuple[float, float]], width: float, fill: RGB) -> None:
        self._draw.line(path, fill, max(1, round(width)), joint="curve")
        r = width / 2
        if r > 1:
            for x, y in (path[0], path[-1]):
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill)
