"""Where a model looked while it said each word: the photo once a word, dark where it did not look."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.report.embedded_photos import EmbeddedPhoto
from captioning.report.markup import Markup, element, joined, shortened

__all__ = ["attention_strip", "can_be_drawn", "is_square", "veil"]

_LEVELS = 8  # of darkness: more cannot be told apart
_DARKEST = 0.85


def can_be_drawn(looks: ArrayLike) -> bool:
    """Whether looks (words, places) are over a square of places, finite and not negative, as a strip must have them.

    >>> can_be_drawn([[0.25] * 4]), can_be_drawn([[0.5, 0.5]]), can_be_drawn([[float("nan")] * 4])
    (True, False, False)
    """
    rows = np.asarray(looks, np.float64)
    return rows.ndim == 2 and is_square(rows.shape[1]) and bool(np.isfinite(rows).all() and (rows >= 0).all())


def attention_strip(photo: EmbeddedPhoto | None, reference: str, words: Sequence[str], looks: ArrayLike) -> Markup:
    """A small picture a word, in the order in which they were said.

    photo: what is looked at, drawn by the `<image>` of the page whose id is `reference`, scaled so that it is `photo`'s
    width and height; None where there is no photo: then only the veil is drawn. looks: (len(words), places), each row
    not negative, places a square number, row by row over the middle square of the photo, which is all that the model
    sees. Anything else is a ValueError.

    >>> strip = attention_strip(None, "", ["a", "dog"], [[0.25] * 4, [1.0, 0, 0, 0]])
    >>> strip.count("<figure"), strip.count("<svg")
    (2, 2)
    """
    rows = np.asarray(looks, np.float64)
    if len(rows) != len(words) or not can_be_drawn(rows):
        raise ValueError(f"attention_strip: looks must be ({len(words)}, places), a row a word and a square number of "
                         f"places, finite and not negative; got {rows.shape}")  # fmt: skip
    return element("div", *(_tile(photo, reference, word, row) for word, row in zip(words, rows, strict=True)),
                   class_="strip")  # fmt: skip


def is_square(places: int) -> bool:
    """Whether places can be drawn: whether they are the cells of a square.

    >>> is_square(49), is_square(6), is_square(0)
    (True, False, False)
    """
    return places > 0 and math.isqrt(places) ** 2 == places


def _tile(photo: EmbeddedPhoto | None, reference: str, word: str, look: NDArray[np.float64]) -> Markup:
    side = math.isqrt(look.size)
    below: Markup | None = None
    if photo is not None:
        # The middle square fills the picture: the whole photo is moved so that it begins at its corner.
        square = min(photo.width, photo.height)
        left, top = (photo.width - square) / 2, (photo.height - square) / 2
        below = element("use", href=f"#{reference}", transform=f"scale({side / square:.5f}) translate({-left} {-top})")
    shown = shortened(word, 24)
    place = int(look.argmax())
    label = f"{shown}: looks most at row {place // side + 1}, column {place % side + 1} of {side}"
    drawing = element("svg", element("title", label), below, veil(look), viewBox=f"0 0 {side} {side}", role="img")
    return element("figure", drawing, element("figcaption", shown))


def veil(look: NDArray[np.float64]) -> Markup:
    """Squares of side 1, row by row, the darker the less was looked there; the place looked at most is clear.

    look: (places,), not negative, places a square number. Squares that are as dark are one path.

    >>> veil(np.array([1.0, 0.0, 0.0, 1.0]))
    '<path class="veil" fill-opacity="0.85" d="M1 0h1v1h-1zM0 1h1v1h-1z"></path>'
    """
    side = math.isqrt(look.size)
    levels = np.round((1 - look / (look.max() or 1.0)) * _LEVELS).astype(int)
    paths = []
    for level in sorted(set(levels[levels > 0].tolist())):
        places = np.flatnonzero(levels == level).tolist()
        squares = "".join(f"M{place % side} {place // side}h1v1h-1z" for place in places)
        paths.append(element("path", class_="veil", fill_opacity=level / _LEVELS * _DARKEST, d=squares))
    return joined(*paths)
