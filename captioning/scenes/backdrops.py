"""How each background looks, in each of its views: one function a background, in hundredths."""

from __future__ import annotations

from collections.abc import Callable

from captioning.scenes.pen import RGB, Pen, arc, smooth

__all__ = ["PAINTERS"]

_WHITE: RGB = (255, 255, 255)


def _cloud(pen: Pen, x: float, y: float, colour: RGB = _WHITE) -> None:
    for dx, dy, rx, ry in ((0, 0, 7, 3), (-4, 1, 5, 2.4), (5, 1, 5, 2.2), (1, -2, 4.4, 3)):
        pen.ellipse(x + dx, y + dy, rx, ry, colour, outline=False)


def _beach(pen: Pen, view: int) -> None:
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


def _street(pen: Pen, view: int) -> None:
    pen.box(0, 0, 100, 50, (206, 222, 232), outline=False)
    walls = ((186, 150, 140), (168, 172, 186), (196, 184, 156), (160, 150, 164))
    for i, (x, width, top) in enumerate(((0, 22, 20), (22, 26, 9), (48, 24, 24), (72, 28, 14))):
        pen.box(x, top, x + width, 58, walls[(i + view) % 4], outline=False)
        for wx in range(round(x) + 3, round(x + width) - 5, 7):
            for wy in range(top + 4, 50, 10):
                pen.box(wx, wy, wx + 3.6, wy + 5, (222, 232, 240), outline=False)
    pen.box(0, 58, 100, 66, (192, 190, 188), outline=False)
    pen.box(0, 65.4, 100, 66.6, (128, 128, 132), outline=False)
    pen.box(0, 66.6, 100, 100, (120, 122, 130), outline=False)
    for x in range(-20, 100, 24):
        pen.box(x + 6 * view, 80, x + 6 * view + 13, 82, (236, 236, 226), outline=False)


def _snow(pen: Pen, view: int) -> None:
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


def _meadow(pen: Pen, view: int) -> None:
    pen.box(0, 0, 100, 66, (166, 218, 246), outline=False)
    _cloud(pen, (22, 76, 50)[view], (14, 12, 18)[view])
    _cloud(pen, (72, 30, 90)[view], (22, 24, 10)[view])
    pen.polygon(arc((26, 74, 50)[view], 74, 52, 26, 180, 360), (122, 184, 104), outline=False)
    pen.polygon([(0, 60), (40, 56), (100, 61), (100, 100), (0, 100)], (140, 200, 96), outline=False)
    for i in range(12):
        x, y = (i * 41 + 11 * view) % 100, 66 + (i * 29 + 5 * view) % 32
        pen.line([(x - 1.4, y - 2.2), (x, y), (x + 1.4, y - 2.4)], 0.7, (92, 158, 66))
    for i in range(6):
        x, y = (i * 53 + 17 * view + 9) % 100, 68 + (i * 17 + 3 * view) % 30
        pen.ellipse(x, y, 1.1, 1.1, ((250, 246, 250), (252, 226, 120))[i % 2], outline=False)


def _room(pen: Pen, view: int) -> None:
    pen.box(0, 0, 100, 66, (232, 214, 190), outline=False)
    for x in range(6, 100, 12):
        pen.box(x, 0, x + 3, 66, (224, 202, 176), outline=False)
    x = (66, 12, 38)[view]
    pen.box(x, 8, x + 24, 36, (150, 108, 74), outline=False)
    pen.box(x + 2, 10, x + 22, 34, (190, 226, 244), outline=False)
    pen.box(x + 11, 10, x + 13, 34, (150, 108, 74), outline=False)
    pen.box(x + 2, 21, x + 22, 23, (150, 108, 74), outline=False)
    x = (14, 64, 74)[view]
    pen.box(x, 14, x + 18, 28, (116, 84, 60), outline=False)
    pen.box(x + 1.6, 15.6, x + 16.4, 26.4, (206, 186, 160), outline=False)
    pen.box(0, 64, 100, 68, (166, 122, 86), outline=False)
    pen.box(0, 68, 100, 100, (198, 152, 106), outline=False)
    for y in (76, 86, 96):
        pen.box(0, y, 100, y + 0.7, (170, 124, 82), outline=False)
    pen.polygon(smooth([(10, 82), (90, 82), (98, 98), (2, 98)], 3), (178, 118, 100), outline=False)


PAINTERS: dict[str, Callable[[Pen, int], None]] = {
    "beach": _beach,
    "street": _street,
    "snow": _snow,
    "meadow": _meadow,
    "room": _room,
}
"""The function that paints each background: it takes the pen and the view, 0 to 2."""
