"""Draw a sheet of pictures with their captions, references, names and judged statements."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.pictures.figures import GREEN, GREY, INK, RED, new_figure, save_figure
from minigrad.runtime.extras import require

__all__ = ["caption_sheet", "most_pictures"]

Image = NDArray[np.uint8]  # RGB (H,W,3) or grey (H,W)
Mark = tuple[str, bool]

# Lengths are in inches, font sizes in points (1/72 inch).
_CELL, _GAP, _MARGIN, _PICTURE = 3.0, 0.3, 0.3, 3.0
_TITLE_SIZE, _CAPTION_SIZE, _SMALL_SIZE, _NAME_SIZE, _LEADING = 16.0, 12.0, 10.5, 8.5, 1.3
_DPI = 100
_PIXEL_LIMIT = 2**16 - 1  # Agg draws nothing taller

Line = tuple[str, float, str]  # text, font size, colour
_SPACE: Line = ("", 3.0, INK)


def caption_sheet(
    images: Sequence[ArrayLike],
    captions: Sequence[str],
    references: Sequence[str | None] | None,
    path: str | os.PathLike[str],
    title: str | None = None,
    marks: Sequence[Sequence[Mark]] | None = None,
    columns: int = 4,
    names: Sequence[str | None] | None = None,
) -> None:
    """Draw a grid of pictures with their captions into the PNG file `path`. Long text wraps; nothing is cut.

    Args:
        images: N arrays of uint8, RGB (H,W,3) or grey (H,W), of any sizes.
        captions: N strings, printed beneath the pictures.
        references: N strings or Nones, printed in grey beneath the captions.
        marks: for each picture a list of (statement, is it true), printed in green with a tick or red with a cross.
        names: N strings or Nones, such as file names, printed small and grey at the bottom.

    Raises:
        ValueError: if there are no images, lists differ in length, an image has another shape or dtype, or the sheet
            would be taller than 65,535 pixels.
        TypeError: if a list is a str.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo = np.zeros((20, 30, 3), dtype=np.uint8)
    ...     caption_sheet([photo], ["a dark night"], ["the night is dark"], Path(folder, "sheet.png"))
    ...     Path(folder, "sheet.png").stat().st_size > 1_000
    True
    """
    lists = {"captions": captions, "references": references, "marks": marks, "names": names}
    pictures = _checked(images, lists, columns)
    filled = [[None] * len(pictures) if values is None else values for values in lists.values()]
    cells = [_cell_lines(*texts) for texts in zip(*filled, strict=True)]
    columns = min(columns, len(pictures))
    width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
    heading: list[Line] = [(line, _TITLE_SIZE, INK) for line in _wrap(title or "", _TITLE_SIZE, width - 2 * _MARGIN)]
    heights = [_row_height(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    tops = _MARGIN + _text_height(heading) + np.cumsum([0.0, *heights])
    height = float(tops[-1]) - _GAP + _MARGIN
    if height * _DPI > _PIXEL_LIMIT:
        raise ValueError(f"caption_sheet: {len(pictures)} pictures are too many for {columns} columns")
    figure = new_figure(width, height)
    _write(figure, heading, _MARGIN, _MARGIN)
    for i, (picture, lines) in enumerate(zip(pictures, cells, strict=True)):
        x, y = _MARGIN + i % columns * (_CELL + _GAP), float(tops[i // columns])
        _place(figure, picture, x, y)
        _write(figure, lines, x, y + _PICTURE)
    save_figure(figure, path, dpi=_DPI)


def most_pictures(columns: int = 4, named: bool = False) -> int:
    """Return how many pictures fit on a sheet without a title if each has one line of text, and a name if `named`.

    >>> most_pictures(), most_pictures(named=True)
    (704, 664)
    """
    row = _row_height([_cell_lines("a", None, None, "a" if named else None)])
    return columns * int((_PIXEL_LIMIT / _DPI - 2 * _MARGIN + _GAP) / row)


def _checked(images: Sequence[ArrayLike], lists: dict[str, Any], columns: int) -> list[Image]:
    if not len(images):
        raise ValueError("caption_sheet: there are no images")
    if columns < 1:
        raise ValueError(f"caption_sheet: columns must be at least 1; got {columns}")
    for name, value in lists.items():
        if isinstance(value, str):
            raise TypeError(f"caption_sheet: {name} must be a list with an entry for each image; got a str")
        if value is not None and len(value) != len(images):
            raise ValueError(f"caption_sheet: {len(images)} images, but {len(value)} {name}")
    pictures = [np.asarray(image) for image in images]
    for i, picture in enumerate(pictures):
        fits = picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] == 3)
        if picture.dtype != np.uint8 or not fits or not picture.size:
            raise ValueError(
                f"caption_sheet: image {i} must be uint8 of shape (H,W,3) or (H,W); "
                f"got {picture.dtype} of shape {picture.shape}"
            )
    return pictures


def _cell_lines(caption: str, reference: str | None, marks: Sequence[Mark] | None, name: str | None) -> list[Line]:
    """Return the wrapped lines beneath a picture."""
    drawable_name = (name or "").encode(errors="replace").decode()  # a file name may hold bytes that are not text
    blocks: list[list[Line]] = [
        [(caption or "(no words)", _CAPTION_SIZE, INK)],
        [(f"{'✓' if true else '✗'} {text}", _SMALL_SIZE, GREEN if true else RED) for text, true in marks or ()],
        [(reference or "", _SMALL_SIZE, GREY)],
        [(drawable_name, _NAME_SIZE, GREY)],
    ]
    lines: list[Line] = []
    for block in blocks:
        wrapped = [(line, size, colour) for text, size, colour in block for line in _wrap(text, size, _CELL)]
        lines += [_SPACE, *wrapped] if lines and wrapped else wrapped
    return lines


def _wrap(text: str, size: float, width: float) -> list[str]:
    """Break text into lines of at most `width` inches. A word that is wider fills several lines."""
    lines: list[str] = []
    for word in text.split():
        if lines and _text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
            continue
        while len(word) > 1 and _text_width(word, size) > width:
            cut = 1
            while _text_width(word[: cut + 1], size) <= width:
                cut += 1
            lines.append(word[:cut])
            word = word[cut:]
        lines.append(word)
    return lines


def _text_width(text: str, size: float) -> float:
    """Return the width of a line in inches, in the font that draws it."""
    font = require("matplotlib.font_manager", "caption").FontProperties(size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        measure = require("matplotlib.textpath", "caption").text_to_path.get_text_width_height_descent
        return 1.03 * float(measure(text, font, ismath=False)[0]) / 72  # drawn letters snap to pixels


def _text_height(lines: Sequence[Line]) -> float:
    return sum(size for _, size, _ in lines) * _LEADING / 72 + (0.2 if lines else 0)


def _row_height(cells: Sequence[Sequence[Line]]) -> float:
    return _PICTURE + max(map(_text_height, cells)) + _GAP


def _write(figure: Any, lines: Sequence[Line], x: float, y: float) -> None:
    """Write lines beneath each other from the point (x, y), in inches from the top left corner."""
    width, height = figure.get_size_inches()
    y += 0.1
    for text, size, colour in lines:
        figure.text(x / width, 1 - y / height, text, fontsize=size, color=colour, va="top", parse_math=False)
        y += size * _LEADING / 72


def _place(figure: Any, picture: Image, x: float, y: float) -> None:
    """Draw a picture at the bottom left of its cell, in its proportions."""
    width, height = figure.get_size_inches()
    box = (x / width, 1 - (y + _PICTURE) / height, _CELL / width, _PICTURE / height)
    axes = figure.add_axes(box, anchor="SW")
    axes.set_axis_off()
    small = max(picture.shape[:2]) < 100  # show the pixels of a small drawing sharp
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased")
