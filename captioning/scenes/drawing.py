"""Draw a scene as an RGB picture of any size: one function for each kind of thing and for each background.

A thing is drawn at big size in hundredths of the picture's side. Its box has the upper left corner at (0, 0) and the
size that `captioning.scenes.world.KINDS` says. The colour of a thing paints its largest parts; wheels, windows, trunks
and noses keep their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from captioning.scenes.world import KINDS, SIZES, Scene

__all__ = ["render", "render_array"]

_SUPERSAMPLING = 4


def render(scene: Scene, size: int = 256) -> Image.Image:
    """Return the scene as an RGB picture of `size` x `size` pixels. The same scene always gives the same pixels.

    Raises:
        ValueError: if the size is below 16 or above 2048 pixels.

    Example:
        >>> from captioning.scenes.world import draw_lone_scene
        >>> render(draw_lone_scene(np.random.default_rng(0)), 64).size
        (64, 64)
    """
    if not 16 <= size <= 2048:
        raise ValueError(f"render: size must lie between 16 and 2048 pixels, got {size}")
    factor = _SUPERSAMPLING if size < 512 else 2
    image = _background(scene.background, scene.view, size * factor).copy()
    for thing in reversed(scene.things):  # a base before the thing that it carries
        kind, scale = KINDS[thing.kind], SIZES[thing.size]
        for x, y in thing.places:
            pen = _Pen(image, 100 * x - kind.width * scale / 2, 100 * y - kind.height * scale, scale)
            _THINGS[thing.kind](pen, _PAINTS[thing.colour])
    return image.reduce(factor)


def render_array(scene: Scene, size: int = 64) -> np.ndarray:
    """Return the same picture as an array (size, size, 3) of uint8."""
    return np.asarray(render(scene, size))


@lru_cache(maxsize=32)
def _background(name: str, view: int, size: int) -> Image.Image:
    image = Image.new("RGB", (size, size))
    _BACKGROUNDS[name](_Pen(image), view)
    return image


# ---------------------------------------------------------------------- shapes
RGB = tuple[int, int, int]
Points = Sequence[tuple[float, float]]
_LINE: RGB = (46, 40, 56)  # colour of outlines


def _arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, steps: int = 18
) -> list[tuple[float, float]]:
    """Return points on an ellipse around (x, y), from angle `start` to `end` in degrees: 0 is right, 90 is down."""
    angles = [math.radians(start + (end - start) * i / steps) for i in range(steps + 1)]
    return [(x + rx * math.cos(a), y + ry * math.sin(a)) for a in angles]


def _smooth(points: Points, rounds: int = 2) -> list[tuple[float, float]]:
    """Round a closed polygon: cut its corners `rounds` times (Chaikin's algorithm)."""
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


class _Pen:
    """Draws on `image` from the origin (x, y), in hundredths of its side, scaled by `scale`.

    Outlines have the same width whatever the scale.
    """

    def __init__(self, image: Image.Image, x: float = 0.0, y: float = 0.0, scale: float = 1.0):
        self._draw = ImageDraw.Draw(image)
        self._unit = image.width / 100
        self._x, self._y, self._scale = x, y, scale
        self._line = 0.8 * self._unit  # width of outlines

    def _at(self, points: Points) -> list[tuple[float, float]]:
        u, s = self._unit, self._scale
        return [((self._x + x * s) * u, (self._y + y * s) * u) for x, y in points]

    def polygon(self, points: Points, fill: RGB, outline: bool = True) -> None:
        """Draw a closed polygon."""
        path = self._at(points)
        self._draw.polygon(path, fill)
        if outline:
            self._border(path)

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: RGB, outline: bool = True) -> None:
        """Draw an ellipse around (x, y)."""
        self.polygon(_arc(x, y, rx, ry, 0, 360, 28)[:-1], fill, outline)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: RGB, outline: bool = True) -> None:
        """Draw a rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, outline)

    def line(self, points: Points, width: float, fill: RGB = _LINE) -> None:
        """Draw an open path with round joints and ends."""
        self._stroke(self._at(points), width * self._unit * self._scale, fill)

    def body(self, shapes: Sequence[Points], fill: RGB) -> None:
        """Draw closed polygons with one outline around their union."""
        paths = [self._at(points) for points in shapes]
        for path in paths:
            self._border(path, 2)
        for path in paths:
            self._draw.polygon(path, fill)

    def _border(self, path: list[tuple[float, float]], factor: float = 1.0) -> None:
        self._stroke([*path, path[0], path[1]], self._line * factor, _LINE)

    def _stroke(self, path: list[tuple[float, float]], width: float, fill: RGB) -> None:
        self._draw.line(path, fill, max(1, round(width)), joint="curve")
        r = width / 2
        if r > 1:
            for x, y in (path[0], path[-1]):
                self._draw.ellipse((x - r, y - r, x + r, y + r), fill)


# ---------------------------------------------------------------------- things
_PAINTS: dict[str, RGB] = {
    "red": (218, 44, 48),
    "orange": (246, 142, 30),
    "yellow": (252, 220, 56),
    "green": (52, 158, 74),
    "blue": (46, 104, 214),
    "purple": (132, 66, 178),
    "pink": (248, 150, 196),
    "white": (250, 250, 250),
}
_GLASS: RGB = (178, 222, 242)
_WOOD: RGB = (126, 84, 52)
_TYRE: RGB = (58, 56, 64)
_METAL: RGB = (196, 200, 208)
_BLACK: RGB = (20, 18, 24)
_WHITE: RGB = (255, 255, 255)


def _mix(colour: RGB, other: RGB, share: float) -> RGB:
    r, g, b = (round(a + (z - a) * share) for a, z in zip(colour, other, strict=True))
    return r, g, b


def _shade(paint: RGB, share: float = 0.25) -> RGB:
    return _mix(paint, (20, 16, 50), share)


def _tint(paint: RGB, share: float = 0.45) -> RGB:
    return _mix(paint, _WHITE, share)


def _ellipse(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    return _arc(x, y, rx, ry, 0, 360, 24)[:-1]


def _eye(pen: _Pen, x: float, y: float, r: float = 1.5) -> None:
    pen.ellipse(x, y, r, r, _BLACK, outline=False)
    pen.ellipse(x + r * 0.3, y - r * 0.35, r * 0.35, r * 0.35, _WHITE, outline=False)


def _wheel(pen: _Pen, x: float, y: float, r: float) -> None:
    pen.ellipse(x, y, r, r, _TYRE)
    pen.ellipse(x, y, r * 0.45, r * 0.45, _METAL, outline=False)


def _dog(pen: _Pen, paint: RGB) -> None:
    pen.body(
        [
            *([(x, 22), (x + 4.6, 22), (x + 4.6, 37.4), (x, 37.4)] for x in (8.5, 14.5, 25, 31)),  # legs
            _smooth([(9, 20), (2, 11), (2.5, 6), (6, 7), (13, 18)]),  # tail
            _smooth([(6, 16), (12, 14), (30, 15), (37, 17), (36, 28), (22, 27.5), (8, 29)]),
            [(27, 18), (31, 8), (38, 17), (35, 25)],  # neck
            _ellipse(35.5, 11.5, 7.5, 7.2),  # head
            _ellipse(41, 14, 4.6, 3.7),  # muzzle
        ],
        paint,
    )
    for x in (14.5, 31):
        pen.line([(x - 0.7, 30), (x - 0.7, 37)], 0.9)
    pen.polygon(_smooth([(29, 5), (34, 5), (34, 13), (31, 20), (26.5, 17)]), _shade(paint, 0.4))
    _eye(pen, 38, 9.5)
    pen.ellipse(44.6, 12.2, 1.6, 1.4, _BLACK, outline=False)
    pen.line([(30, 21.5), (37.5, 20.5)], 2.0, (206, 52, 60) if paint != _PAINTS["red"] else (70, 120, 220))


def _cat(pen: _Pen, paint: RGB) -> None:
    pen.body(
        [
            _smooth([(24, 38), (33, 35), (33, 25), (29, 18), (33.5, 15), (35.5, 25), (34.5, 39), (25, 41.5)]),  # tail
            _smooth([(9, 20), (22, 20), (28, 34), (27.5, 42.5), (3, 42.5), (4, 32)]),
            [(4.5, 10), (5.5, 0.8), (13, 5)],  # ears
            [(18, 5), (25, 0.8), (26.5, 10)],
            _ellipse(15.5, 12, 11.2, 9.4),  # head
        ],
        paint,
    )
    for ear in ([(6.7, 7), (7, 3.2), (10.3, 5)], [(20.6, 5), (23.8, 3.2), (24.2, 7)]):
        pen.polygon(ear, (238, 150, 160), outline=False)
    pen.ellipse(15.5, 33, 5, 7.5, _tint(paint, 0.6), outline=False)
    for x in (10.2, 20.8):
        pen.ellipse(x, 11, 2.2, 2.6, (236, 240, 160), outline=False)
        pen.ellipse(x, 11, 0.9, 2.4, _BLACK, outline=False)
    pen.polygon([(14, 14.6), (17, 14.6), (15.5, 16.4)], (226, 96, 116), outline=False)
    for side in (-1, 1):
        pen.line([(15.5 + side * 4, 16), (15.5 + side * 13, 14.2)], 0.7)
        pen.line([(15.5 + side * 4, 17.4), (15.5 + side * 12.5, 18.6)], 0.7)
    pen.line([(12, 41.4), (12, 36)], 0.8)
    pen.line([(19, 41.4), (19, 36)], 0.8)


def _bird(pen: _Pen, paint: RGB) -> None:
    pen.polygon([(31.5, 14), (38, 17), (31, 19)], (246, 164, 28))
    body = _smooth([(5, 20), (14, 13), (24, 12), (33, 18), (28, 29), (15, 30)])
    pen.body([[(9, 17), (0.8, 12), (1.5, 23), (9, 24)], body, _ellipse(28, 14, 6.4, 6.2)], paint)
    pen.ellipse(24, 25, 5.5, 3, _tint(paint, 0.6), outline=False)
    pen.polygon(_smooth([(23, 20), (19, 4), (7, 0), (9, 14), (13, 22)]), _shade(paint, 0.28))
    pen.line([(12, 6.5), (17, 15)], 0.8)
    _eye(pen, 29.5, 12.8, 1.6)


def _fish(pen: _Pen, paint: RGB) -> None:
    pen.polygon(_smooth([(14, 10), (20, 0.5), (30, 4), (31, 9)], 1), _shade(paint))
    pen.polygon(_smooth([(19, 20), (23, 27.5), (28, 25), (28, 19)], 1), _shade(paint))
    pen.polygon([(13, 14), (0.8, 3), (4.2, 14), (0.8, 25)], _shade(paint))
    pen.polygon(_smooth([(9, 14), (17, 5.5), (30, 4), (43.5, 14), (30, 24), (17, 22.5)], 3), paint)
    for x in (18, 23.5):
        pen.line(_arc(x, 14, 3.2, 7, -65, 65, 8), 1.0, _shade(paint, 0.5))
    pen.line(_arc(35, 14, 4.4, 7, 125, 235, 8), 1.0)
    pen.ellipse(36.2, 11.8, 2.5, 2.5, _WHITE)
    pen.ellipse(36.8, 11.8, 1.1, 1.1, _BLACK, outline=False)


def _car(pen: _Pen, paint: RGB) -> None:
    cabin = [(9, 13), (15, 1), (34, 1), (41, 13)]
    hull = _smooth([(1, 12), (40, 11.5), (51, 14), (51, 23.5), (1, 23.5)], 1)
    pen.body([cabin, hull], paint)
    pen.polygon([(12.5, 12), (16.5, 3.8), (24, 3.8), (24, 12)], _GLASS)
    pen.polygon([(26.5, 12), (26.5, 3.8), (32.6, 3.8), (37, 12)], _GLASS)
    pen.line([(25.2, 13), (25.2, 22)], 0.8)
    pen.ellipse(49, 16, 1.6, 1.7, (255, 244, 170))
    pen.box(0.8, 15, 2.8, 18, (226, 60, 60))
    for x in (12, 39.5):
        _wheel(pen, x, 22.4, 5.4)


def _bus(pen: _Pen, paint: RGB) -> None:
    pen.polygon(_smooth([(0.6, 0.6), (57.4, 0.6), (57.4, 28), (0.6, 28)], 1), paint)
    pen.box(1.5, 19.5, 56.8, 22, _shade(paint, 0.35), outline=False)
    for x in (3.5, 13.5, 23.5, 33.5):
        pen.box(x, 4.6, x + 8, 14, _GLASS)
    pen.box(43.5, 4.6, 49.5, 26.5, _tint(paint, 0.6))
    pen.box(52, 4.6, 57, 16, _GLASS)
    for x in (13, 38):
        _wheel(pen, x, 27, 4.8)


def _boat(pen: _Pen, paint: RGB) -> None:
    pen.line([(23, 1), (23, 36)], 1.8, _WOOD)
    pen.polygon([(25, 2.5), (25, 31), (44, 31)], _tint(paint, 0.2))
    pen.polygon([(21, 7), (21, 31), (6, 31)], (244, 242, 234))
    pen.polygon([(23, 0.6), (23, 4.6), (14, 2.6)], (222, 60, 60))
    pen.polygon([(1, 34.5), (47, 34.5), (39, 47.4), (9, 47.4)], paint)
    pen.polygon([(2.5, 37), (45.5, 37), (44, 39.4), (4, 39.4)], _WHITE, outline=False)


def _tree(pen: _Pen, paint: RGB) -> None:
    pen.polygon([(17, 30), (23, 30), (24, 50), (27, 53.4), (13, 53.4), (16, 50)], _WOOD)
    crown = [
        (20, 10, 10.5, 9.4),
        (10.5, 18, 9.6, 9),
        (29.5, 18, 9.6, 9),
        (12, 28, 9.5, 8.4),
        (28, 28, 9.5, 8.4),
        (20, 24, 12, 12),
    ]
    pen.body([_ellipse(*leaf) for leaf in crown], paint)
    for x, y in ((15, 12), (25, 17), (13, 24), (28, 28)):
        pen.line(_arc(x, y, 4, 3, 20, 150, 8), 1.0, _shade(paint, 0.45))


def _house(pen: _Pen, paint: RGB) -> None:
    pen.box(35, 3, 40, 16, (158, 82, 66))
    pen.polygon([(3, 49.4), (3, 19), (25, 3), (47, 19), (47, 49.4)], paint)
    pen.line([(1.6, 20.4), (25, 2.4), (48.4, 20.4)], 4.4)
    pen.line([(1.6, 20.4), (25, 2.4), (48.4, 20.4)], 2.8, (150, 72, 60))
    pen.ellipse(25, 14, 3.2, 3.2, _GLASS)
    pen.box(10.5, 22, 39.5, 49.2, (92, 78, 84))
    pen.box(11.5, 45.5, 38.6, 48.6, (150, 120, 92), outline=False)
    for x in (4.9, 41.1):
        pen.box(x, 28, x + 4, 35, _GLASS)


def _ball(pen: _Pen, paint: RGB) -> None:
    pen.ellipse(16, 16, 15.4, 15.4, paint)
    pen.polygon(
        _arc(16, 16, 15, 15, -120, -60)
        + _arc(16, 16, 4, 15, -90, 90)[1:]
        + _arc(16, 16, 15, 15, 60, 120)[1:]
        + _arc(16, 16, 4, 15, 90, 270)[1:],
        _tint(paint, 0.75) if paint != _PAINTS["white"] else (206, 206, 214),
    )
    pen.line(_arc(16, 16, 14.8, 4.5, 0, 180), 1.1)
    pen.ellipse(9.5, 8.5, 2.2, 1.6, _WHITE, outline=False)


def _chair(pen: _Pen, paint: RGB) -> None:
    for x in (3, 24.5):
        pen.box(x, 27, x + 3.4, 45.4, _shade(paint, 0.4))
    pen.box(0.8, 1, 5.6, 30, paint)
    pen.box(0.8, 1, 5.6, 45.4, paint)
    pen.polygon([(5.6, 4), (9, 5.5), (9, 25), (5.6, 26)], _shade(paint, 0.35))
    pen.polygon([(1.5, 25.5), (28.5, 25.5), (29.4, 30.5), (1.5, 30.5)], paint)
    pen.box(24.5, 30.5, 28.4, 45.4, paint)


def _cup(pen: _Pen, paint: RGB) -> None:
    pen.body([_arc(26.5, 14, 9, 8.6, -90, 90)], paint)
    pen.ellipse(27, 14, 4.6, 4.6, (238, 238, 240))
    pen.polygon([(1, 4), (28, 4), (25, 26), (22, 29.4), (7, 29.4), (4, 26)], paint)
    pen.ellipse(14.5, 4.2, 13.5, 3.4, _tint(paint, 0.5))
    pen.ellipse(14.5, 4.9, 10.6, 2.0, (96, 60, 40), outline=False)
    pen.line([(5, 11), (7.6, 25)], 1.6, _tint(paint))


def _kite(pen: _Pen, paint: RGB) -> None:
    pen.line([(17, 31), (14, 36), (20, 40), (14, 44), (19, 49)], 1.1)
    for x, y in ((14.4, 36.6), (19.2, 40.4), (15, 44)):
        pen.polygon([(x - 3.4, y - 2), (x - 3.4, y + 2), (x + 3.4, y - 2), (x + 3.4, y + 2)], _tint(paint, 0.3))
    pen.polygon([(17, 0.8), (33.2, 13), (17, 32), (0.8, 13)], paint)
    pen.polygon([(17, 0.8), (33.2, 13), (17, 13)], _tint(paint, 0.55), outline=False)
    pen.polygon([(17, 32), (0.8, 13), (17, 13)], _shade(paint), outline=False)
    pen.line([(17, 1), (17, 32)], 1.0)
    pen.line([(1, 13), (33, 13)], 1.0)


def _umbrella(pen: _Pen, paint: RGB) -> None:
    pen.line([(23, 1), (23, 38), *_arc(26, 38, 3, 4.4, 180, 0, 10)], 1.9, _LINE)
    rim = [p for i in range(4) for p in _arc(6.2 + 11.2 * i, 20.5, 5.6, 3.4, 180, 360, 8)]
    pen.polygon([*_arc(23, 21, 22.4, 18.4, 180, 360, 24), *rim[::-1]], paint)
    for left, right, share in ((0.6, 11.8, 0.28), (34.2, 45.4, 0.28)):
        pen.polygon(
            [(23, 2.8), *_arc((left + right) / 2, 20.5, 5.6, 3.4, 180, 360, 8)],
            _shade(paint, share),
            outline=False,
        )
    for x in (11.8, 23, 34.2):
        pen.line([(23, 2.8), (x, 20.5)], 0.9)
    pen.line(_arc(23, 21, 22.4, 18.4, 180, 360, 24), 0.9)


def _box(pen: _Pen, paint: RGB) -> None:
    pen.box(0.6, 0.6, 47.4, 39.4, paint)
    pen.box(4, 4.4, 44, 36, _shade(paint, 0.62))
    pen.polygon([(4, 4.4), (10, 10), (10, 30), (4, 36)], _shade(paint, 0.45), outline=False)
    pen.polygon([(44, 4.4), (38, 10), (38, 30), (44, 36)], _shade(paint, 0.45), outline=False)
    pen.polygon([(4, 36), (10, 30), (38, 30), (44, 36)], _shade(paint, 0.25), outline=False)
    for x in (2.3, 45.7):
        for y in (2.5, 37.7):
            pen.ellipse(x, y, 0.8, 0.8, _LINE, outline=False)


_THINGS: dict[str, Callable[[_Pen, RGB], None]] = {
    "dog": _dog,
    "cat": _cat,
    "bird": _bird,
    "fish": _fish,
    "car": _car,
    "bus": _bus,
    "boat": _boat,
    "tree": _tree,
    "house": _house,
    "ball": _ball,
    "chair": _chair,
    "cup": _cup,
    "kite": _kite,
    "umbrella": _umbrella,
    "box": _box,
}


# ---------------------------------------------------------------------- backgrounds, each in three views
def _cloud(pen: _Pen, x: float, y: float, colour: RGB = _WHITE) -> None:
    for dx, dy, rx, ry in ((0, 0, 7, 3), (-4, 1, 5, 2.4), (5, 1, 5, 2.2), (1, -2, 4.4, 3)):
        pen.ellipse(x + dx, y + dy, rx, ry, colour, outline=False)


def _beach(pen: _Pen, view: int) -> None:
    pen.box(0, 0, 100, 42, (150, 212, 240), outline=False)
    pen.ellipse((84, 16, 60)[view], 11, 6, 6, (255, 236, 120), outline=False)
    _cloud(pen, (24, 70, 20)[view], (12, 16, 18)[view])
    pen.box(0, 40, 100, 64, (64, 156, 200), outline=False)
    for i, y in enumerate((46, 52)):
        x = (10, 40, 70)[(view + i) % 3]
        pen.line([(x, y), (x + 14, y)], 0.9, (140, 206, 230))
    shore = [(0, 60), (25, 63), (55, 59), (80, 62), (100, 60)]
    pen.polygon([*shore, (100, 100), (0, 100)], (206, 232, 240), outline=False)
    pen.polygon([*((x, y + 3) for x, y in shore), (100, 100), (0, 100)], (240, 220, 168), outline=False)
    for x, y in ((12, 74), (34, 95), (58, 72), (88, 80), (76, 96), (6, 92)):
        pen.ellipse((x + 7 * view) % 100, y, 0.7, 0.5, (206, 182, 128), outline=False)


def _street(pen: _Pen, view: int) -> None:
    pen.box(0, 0, 100, 50, (206, 222, 232), outline=False)
    walls = ((186, 150, 140), (168, 172, 186), (196, 184, 156), (160, 150, 164))
    for i, (x, width, top) in enumerate(((0, 22, 20), (22, 26, 9), (48, 24, 24), (72, 28, 14))):
        pen.box(x, top, x + width, 58, walls[(i + view) % 4], outline=False)
        for wx in range(round(x) + 3, round(x + width) - 5, 7):
            for wy in range(top + 4, 50, 10):
                pen.box(wx, wy, wx + 3.6, wy + 5, (222, 232, 240), outline=False)
    for y0, y1, colour in ((58, 66, (192, 190, 188)), (65.4, 66.6, (128, 128, 132)), (66.6, 100, (120, 122, 130))):
        pen.box(0, y0, 100, y1, colour, outline=False)
    for x in range(-20, 100, 24):
        pen.box(x + 6 * view, 80, x + 6 * view + 13, 82, (236, 236, 226), outline=False)


def _snow(pen: _Pen, view: int) -> None:
    pen.box(0, 0, 100, 62, (176, 196, 222), outline=False)
    peaks = ((14, 20), (46, 12), (82, 24))
    for x, y in peaks[view:] + peaks[:view]:
        pen.polygon([(x - 34, 60), (x, y), (x + 34, 60)], (142, 160, 192), outline=False)
        pen.polygon(
            [(x - 9, y + 10.6), (x, y), (x + 9, y + 10.6), (x + 3, y + 8), (x - 2, y + 12)],
            _WHITE,
            outline=False,
        )
    pen.polygon([(0, 56), (30, 52), (62, 58), (100, 53), (100, 100), (0, 100)], (226, 236, 246), outline=False)
    pen.polygon([(0, 76), (40, 70), (100, 78), (100, 100), (0, 100)], (238, 244, 250), outline=False)
    for i in range(18):
        pen.ellipse((i * 37 + 13 * view) % 100, (i * 23 + 7 * view) % 54, 0.9, 0.9, _WHITE, outline=False)


def _meadow(pen: _Pen, view: int) -> None:
    pen.box(0, 0, 100, 66, (166, 218, 246), outline=False)
    _cloud(pen, (22, 76, 50)[view], (14, 12, 18)[view])
    _cloud(pen, (72, 30, 90)[view], (22, 24, 10)[view])
    pen.polygon(_arc((26, 74, 50)[view], 74, 52, 26, 180, 360), (122, 184, 104), outline=False)
    pen.polygon([(0, 60), (40, 56), (100, 61), (100, 100), (0, 100)], (140, 200, 96), outline=False)
    for i in range(12):
        x, y = (i * 41 + 11 * view) % 100, 66 + (i * 29 + 5 * view) % 32
        pen.line([(x - 1.4, y - 2.2), (x, y), (x + 1.4, y - 2.4)], 0.7, (92, 158, 66))
    for i in range(6):
        x, y = (i * 53 + 17 * view + 9) % 100, 68 + (i * 17 + 3 * view) % 30
        pen.ellipse(x, y, 1.1, 1.1, ((250, 246, 250), (252, 226, 120))[i % 2], outline=False)


def _room(pen: _Pen, view: int) -> None:
    pen.box(0, 0, 100, 66, (232, 214, 190), outline=False)
    for x in range(6, 100, 12):
        pen.box(x, 0, x + 3, 66, (224, 202, 176), outline=False)
    window, frame, wood = (66, 12, 38)[view], (14, 64, 74)[view], (150, 108, 74)
    for x0, y0, x1, y1, colour in (
        (window, 8, window + 24, 36, wood),
        (window + 2, 10, window + 22, 34, (190, 226, 244)),
        (window + 11, 10, window + 13, 34, wood),
        (window + 2, 21, window + 22, 23, wood),
        (frame, 14, frame + 18, 28, (116, 84, 60)),
        (frame + 1.6, 15.6, frame + 16.4, 26.4, (206, 186, 160)),
        (0, 64, 100, 68, (166, 122, 86)),
        (0, 68, 100, 100, (198, 152, 106)),
    ):
        pen.box(x0, y0, x1, y1, colour, outline=False)
    for y in (76, 86, 96):
        pen.box(0, y, 100, y + 0.7, (170, 124, 82), outline=False)
    pen.polygon(_smooth([(10, 82), (90, 82), (98, 98), (2, 98)], 3), (178, 118, 100), outline=False)


_BACKGROUNDS: dict[str, Callable[[_Pen, int], None]] = {
    "beach": _beach,
    "street": _street,
    "snow": _snow,
    "meadow": _meadow,
    "room": _room,
}
