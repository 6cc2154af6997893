"""How each kind of thing looks: one function a kind, drawn at big size in hundredths of the picture's side.

The box of a kind has its upper left corner at (0, 0) and is as wide and as high as `captioning.scenes.world.KINDS`
says. The colour of the thing is the paint of its largest parts; wheels, windows, trunks and noses keep their own.
"""

from __future__ import annotations

from collections.abc import Callable

from captioning.scenes.pen import LINE, RGB, Pen, arc, mix, smooth

__all__ = ["ARTISTS", "PAINTS"]

PAINTS: dict[str, RGB] = {
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


def _shade(paint: RGB, share: float = 0.25) -> RGB:
    return mix(paint, (20, 16, 50), share)


def _tint(paint: RGB, share: float = 0.45) -> RGB:
    return mix(paint, _WHITE, share)


def _ellipse(x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    return arc(x, y, rx, ry, 0, 360, 24)[:-1]


def _eye(pen: Pen, x: float, y: float, r: float = 1.5) -> None:
    pen.ellipse(x, y, r, r, _BLACK, outline=False)
    pen.ellipse(x + r * 0.3, y - r * 0.35, r * 0.35, r * 0.35, _WHITE, outline=False)


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.ellipse(x, y, r, r, _TYRE)
    pen.ellipse(x, y, r * 0.45, r * 0.45, _METAL, outline=False)


def _dog(pen: Pen, paint: RGB) -> None:
    legs = [[(x, 22), (x + 4.6, 22), (x + 4.6, 37.4), (x, 37.4)] for x in (8.5, 14.5, 25, 31)]
    tail = smooth([(9, 20), (2, 11), (2.5, 6), (6, 7), (13, 18)])
    head = _ellipse(35.5, 11.5, 7.5, 7.2)
    muzzle = _ellipse(41, 14, 4.6, 3.7)
    neck = [(27, 18), (31, 8), (38, 17), (35, 25)]
    pen.body(
        [
            *legs,
            tail,
            smooth([(6, 16), (12, 14), (30, 15), (37, 17), (36, 28), (22, 27.5), (8, 29)]),
            neck,
            head,
            muzzle,
        ],
        paint,
    )
    for x in (14.5, 31):
        pen.line([(x - 0.7, 30), (x - 0.7, 37)], 0.9)
    pen.polygon(smooth([(29, 5), (34, 5), (34, 13), (31, 20), (26.5, 17)]), _shade(paint, 0.4))
    _eye(pen, 38, 9.5)
    pen.ellipse(44.6, 12.2, 1.6, 1.4, _BLACK, outline=False)
    pen.line([(30, 21.5), (37.5, 20.5)], 2.0, (206, 52, 60) if paint != PAINTS["red"] else (70, 120, 220))


def _cat(pen: Pen, paint: RGB) -> None:
    tail = smooth([(24, 38), (33, 35), (33, 25), (29, 18), (33.5, 15), (35.5, 25), (34.5, 39), (25, 41.5)])
    body = smooth([(9, 20), (22, 20), (28, 34), (27.5, 42.5), (3, 42.5), (4, 32)])
    ears = [[(4.5, 10), (5.5, 0.8), (13, 5)], [(18, 5), (25, 0.8), (26.5, 10)]]
    head = _ellipse(15.5, 12, 11.2, 9.4)
    pen.body([tail, body, *ears, head], paint)
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


def _bird(pen: Pen, paint: RGB) -> None:
    pen.polygon([(31.5, 14), (38, 17), (31, 19)], (246, 164, 28))
    tail = [(9, 17), (0.8, 12), (1.5, 23), (9, 24)]
    body = smooth([(5, 20), (14, 13), (24, 12), (33, 18), (28, 29), (15, 30)])
    pen.body([tail, body, _ellipse(28, 14, 6.4, 6.2)], paint)
    pen.ellipse(24, 25, 5.5, 3, _tint(paint, 0.6), outline=False)
    pen.polygon(smooth([(23, 20), (19, 4), (7, 0), (9, 14), (13, 22)]), _shade(paint, 0.28))
    pen.line([(12, 6.5), (17, 15)], 0.8)
    _eye(pen, 29.5, 12.8, 1.6)


def _fish(pen: Pen, paint: RGB) -> None:
    pen.polygon(smooth([(14, 10), (20, 0.5), (30, 4), (31, 9)], 1), _shade(paint))
    pen.polygon(smooth([(19, 20), (23, 27.5), (28, 25), (28, 19)], 1), _shade(paint))
    pen.polygon([(13, 14), (0.8, 3), (4.2, 14), (0.8, 25)], _shade(paint))
    pen.polygon(smooth([(9, 14), (17, 5.5), (30, 4), (43.5, 14), (30, 24), (17, 22.5)], 3), paint)
    for x in (18, 23.5):
        pen.line(arc(x, 14, 3.2, 7, -65, 65, 8), 1.0, _shade(paint, 0.5))
    pen.line(arc(35, 14, 4.4, 7, 125, 235, 8), 1.0)
    pen.ellipse(36.2, 11.8, 2.5, 2.5, _WHITE)
    pen.ellipse(36.8, 11.8, 1.1, 1.1, _BLACK, outline=False)


def _car(pen: Pen, paint: RGB) -> None:
    cabin = [(9, 13), (15, 1), (34, 1), (41, 13)]
    hull = smooth([(1, 12), (40, 11.5), (51, 14), (51, 23.5), (1, 23.5)], 1)
    pen.body([cabin, hull], paint)
    pen.polygon([(12.5, 12), (16.5, 3.8), (24, 3.8), (24, 12)], _GLASS)
    pen.polygon([(26.5, 12), (26.5, 3.8), (32.6, 3.8), (37, 12)], _GLASS)
    pen.line([(25.2, 13), (25.2, 22)], 0.8)
    pen.ellipse(49, 16, 1.6, 1.7, (255, 244, 170))
    pen.box(0.8, 15, 2.8, 18, (226, 60, 60))
    for x in (12, 39.5):
        _wheel(pen, x, 22.4, 5.4)


def _bus(pen: Pen, paint: RGB) -> None:
    pen.polygon(smooth([(0.6, 0.6), (57.4, 0.6), (57.4, 28), (0.6, 28)], 1), paint)
    pen.box(1.5, 19.5, 56.8, 22, _shade(paint, 0.35), outline=False)
    for x in (3.5, 13.5, 23.5, 33.5):
        pen.box(x, 4.6, x + 8, 14, _GLASS)
    pen.box(43.5, 4.6, 49.5, 26.5, _tint(paint, 0.6))
    pen.box(52, 4.6, 57, 16, _GLASS)
    for x in (13, 38):
        _wheel(pen, x, 27, 4.8)


def _boat(pen: Pen, paint: RGB) -> None:
    pen.line([(23, 1), (23, 36)], 1.8, _WOOD)
    pen.polygon([(25, 2.5), (25, 31), (44, 31)], _tint(paint, 0.2))
    pen.polygon([(21, 7), (21, 31), (6, 31)], (244, 242, 234))
    pen.polygon([(23, 0.6), (23, 4.6), (14, 2.6)], (222, 60, 60))
    pen.polygon([(1, 34.5), (47, 34.5), (39, 47.4), (9, 47.4)], paint)
    pen.polygon([(2.5, 37), (45.5, 37), (44, 39.4), (4, 39.4)], _WHITE, outline=False)


def _tree(pen: Pen, paint: RGB) -> None:
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
        pen.line(arc(x, y, 4, 3, 20, 150, 8), 1.0, _shade(paint, 0.45))


def _house(pen: Pen, paint: RGB) -> None:
    pen.box(35, 3, 40, 16, (158, 82, 66))
    pen.polygon([(3, 49.4), (3, 19), (25, 3), (47, 19), (47, 49.4)], paint)
    pen.line([(1.6, 20.4), (25, 2.4), (48.4, 20.4)], 4.4)
    pen.line([(1.6, 20.4), (25, 2.4), (48.4, 20.4)], 2.8, (150, 72, 60))
    pen.ellipse(25, 14, 3.2, 3.2, _GLASS)
    pen.box(10.5, 22, 39.5, 49.2, (92, 78, 84))
    pen.box(11.5, 45.5, 38.6, 48.6, (150, 120, 92), outline=False)
    for x in (4.9, 41.1):
        pen.box(x, 28, x + 4, 35, _GLASS)


def _ball(pen: Pen, paint: RGB) -> None:
    pen.ellipse(16, 16, 15.4, 15.4, paint)
    pen.polygon(
        arc(16, 16, 15, 15, -120, -60)
        + arc(16, 16, 4, 15, -90, 90)[1:]
        + arc(16, 16, 15, 15, 60, 120)[1:]
        + arc(16, 16, 4, 15, 90, 270)[1:],
        _tint(paint, 0.75) if paint != PAINTS["white"] else (206, 206, 214),
    )
    pen.line(arc(16, 16, 14.8, 4.5, 0, 180), 1.1)
    pen.ellipse(9.5, 8.5, 2.2, 1.6, _WHITE, outline=False)


def _chair(pen: Pen, paint: RGB) -> None:
    for x in (3, 24.5):
        pen.box(x, 27, x + 3.4, 45.4, _shade(paint, 0.4))
    pen.box(0.8, 1, 5.6, 30, paint)
    pen.box(0.8, 1, 5.6, 45.4, paint)
    pen.polygon([(5.6, 4), (9, 5.5), (9, 25), (5.6, 26)], _shade(paint, 0.35))
    pen.polygon([(1.5, 25.5), (28.5, 25.5), (29.4, 30.5), (1.5, 30.5)], paint)
    pen.box(24.5, 30.5, 28.4, 45.4, paint)


def _cup(pen: Pen, paint: RGB) -> None:
    pen.body([arc(26.5, 14, 9, 8.6, -90, 90)], paint)
    pen.ellipse(27, 14, 4.6, 4.6, (238, 238, 240))
    pen.polygon([(1, 4), (28, 4), (25, 26), (22, 29.4), (7, 29.4), (4, 26)], paint)
    pen.ellipse(14.5, 4.2, 13.5, 3.4, _tint(paint, 0.5))
    pen.ellipse(14.5, 4.9, 10.6, 2.0, (96, 60, 40), outline=False)
    pen.line([(5, 11), (7.6, 25)], 1.6, _tint(paint))


def _kite(pen: Pen, paint: RGB) -> None:
    pen.line([(17, 31), (14, 36), (20, 40), (14, 44), (19, 49)], 1.1)
    for x, y in ((14.4, 36.6), (19.2, 40.4), (15, 44)):
        pen.polygon([(x - 3.4, y - 2), (x - 3.4, y + 2), (x + 3.4, y - 2), (x + 3.4, y + 2)], _tint(paint, 0.3))
    pen.polygon([(17, 0.8), (33.2, 13), (17, 32), (0.8, 13)], paint)
    pen.polygon([(17, 0.8), (33.2, 13), (17, 13)], _tint(paint, 0.55), outline=False)
    pen.polygon([(17, 32), (0.8, 13), (17, 13)], _shade(paint), outline=False)
    pen.line([(17, 1), (17, 32)], 1.0)
    pen.line([(1, 13), (33, 13)], 1.0)


def _umbrella(pen: Pen, paint: RGB) -> None:
    pen.line([(23, 1), (23, 38), *arc(26, 38, 3, 4.4, 180, 0, 10)], 1.9, LINE)
    rim = [p for i in range(4) for p in arc(6.2 + 11.2 * i, 20.5, 5.6, 3.4, 180, 360, 8)]
    pen.polygon([*arc(23, 21, 22.4, 18.4, 180, 360, 24), *rim[::-1]], paint)
    for left, right, share in ((0.6, 11.8, 0.28), (34.2, 45.4, 0.28)):
        pen.polygon(
            [(23, 2.8), *arc((left + right) / 2, 20.5, 5.6, 3.4, 180, 360, 8)],
            _shade(paint, share),
            outline=False,
        )
    for x in (11.8, 23, 34.2):
        pen.line([(23, 2.8), (x, 20.5)], 0.9)
    pen.line(arc(23, 21, 22.4, 18.4, 180, 360, 24), 0.9)


def _box(pen: Pen, paint: RGB) -> None:
    pen.box(0.6, 0.6, 47.4, 39.4, paint)
    pen.box(4, 4.4, 44, 36, _shade(paint, 0.62))
    pen.polygon([(4, 4.4), (10, 10), (10, 30), (4, 36)], _shade(paint, 0.45), outline=False)
    pen.polygon([(44, 4.4), (38, 10), (38, 30), (44, 36)], _shade(paint, 0.45), outline=False)
    pen.polygon([(4, 36), (10, 30), (38, 30), (44, 36)], _shade(paint, 0.25), outline=False)
    for x in (2.3, 45.7):
        for y in (2.5, 37.7):
            pen.ellipse(x, y, 0.8, 0.8, LINE, outline=False)


ARTISTS: dict[str, Callable[[Pen, RGB], None]] = {
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
"""The function that draws each kind: it takes the pen and the paint."""
