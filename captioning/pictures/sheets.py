"""A sheet of pictures with their captions, references, names, and marks of what is true."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from captioning.pictures.figures import GREEN, GREY, INK, RED, new_figure, save_figure
from minigrad.runtime.extras import require

__all__ = ["caption_sheet", "most_pictures"]

Image = NDArray[np.uint8]  # RGB (H,W,3) or grey (H,W)
Mark = tuple[str, bool]

# Inches, but font sizes, which are points (1/72 inch).
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
    """Draw a grid of pictures with their captions to the PNG `path`.

    images: N arrays of uint8, RGB (H,W,3) or grey (H,W), of any sizes. captions: N strings, printed
    beneath. references: None or N strings or Nones, printed in grey beneath the caption. marks: None or
    for each picture a list of (statement, is it true), printed in green with a tick or red with a cross.
    names: None or N strings or Nones, such as file names, printed small and grey beneath all that.
    Long text is broken into lines, never cut. Lists of other lengths, a wrong shape or dtype, no
    images, or more than one picture of 65,535 pixels' height can hold are a ValueError or TypeError.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo = np.zeros((20, 30, 3), dtype=np.uint8)
    ...     caption_sheet([photo], ["a dark night"], ["the night is dark"], Path(folder, "sheet.png"))
    ...     Path(folder, "sheet.png").stat().st_size > 1_000
    True
    """
    pictures = _check_sheet(images, captions, references, marks, names, columns)
    nothing: list[None] = [None] * len(pictures)
    grey, statements = nothing if references is None else references, nothing if marks is None else marks
    texts = list(map(_cell_lines, captions, grey, statements, nothing if names is None else names))
    columns = min(columns, len(pictures))
    width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
    heading: list[Line] = [(line, _TITLE_SIZE, INK) for line in _wrap(title or "", _TITLE_SIZE, width - 2 * _MARGIN)]
    rows = [range(start, min(start + columns, len(texts))) for start in range(0, len(texts), columns)]
    tops, height = _row_tops(_MARGIN + _text_height(heading), [[texts[i] for i in row] for row in rows])
    if height * _DPI > _PIXEL_LIMIT:
        raise ValueError(f"caption_sheet: {len(pictures)} pictures are too many for {columns} columns")
    figure = new_figure(width, height)
    _write(figure, heading, _MARGIN, _MARGIN)
    for row, y in zip(rows, tops, strict=True):
        for column, i in enumerate(row):
            x = _MARGIN + column * (_CELL + _GAP)
            _place(figure, pictures[i], x, y)
            _write(figure, texts[i], x, y + _PICTURE)
    save_figure(figure, path, dpi=_DPI)


def most_pictures(columns: int = 4, named: bool = False) -> int:
    """How many pictures a sheet without a title can hold, if each has but a line beneath; with more lines it is fewer.

    named: each has a line with its name, too.

    >>> most_pictures(), most_pictures(named=True)
    (704, 664)
    """
    row = _PICTURE + _text_height(_cell_lines("a", None, None, "a" if named else None)) + _GAP
    return columns * int((_PIXEL_LIMIT / _DPI - 2 * _MARGIN + _GAP) / row)


def _row_tops(y: float, rows: Sequence[Sequence[Sequence[Line]]]) -> tuple[list[float], float]:
    """Where each row of cells begins, the first at `y`, and the height of the sheet, in inches."""
    tops = []
    for row in rows:
        tops.append(y)
        y += _PICTURE + max(map(_text_height, row)) + _GAP
    return tops, y - _GAP + _MARGIN


def _check_sheet(
    images: Sequence[ArrayLike],
    captions: Sequence[str],
    references: Sequence[str | None] | None,
    marks: Sequence[Sequence[Mark]] | None,
    names: Sequence[str | None] | None,
    columns: int,
) -> list[Image]:
    if not len(images):
        raise ValueError("caption_sheet: there are no images")
    if columns < 1:
        raise ValueError(f"caption_sheet: columns must be at least 1; got {columns}")
    lists = {"captions": captions, "references": references, "marks": marks, "names": names}
    for name, value in lists.items():
        if isinstance(value, str):
            raise TypeError(f"caption_sheet: {name} must be a list, an entry for each image; got a str")
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


def _cell_lines(
    caption: str, reference: str | None, marks: Sequence[Mark] | None, name: str | None = None
) -> list[Line]:
    """The wrapped lines beneath a picture."""
    lines = [(line, _CAPTION_SIZE, INK) for line in _wrap(caption or "(no words)", _CAPTION_SIZE, _CELL)]
    lines += [_SPACE] if marks else []
    for text, true in marks or ():
        sign, colour = ("✓ ", GREEN) if true else ("✗ ", RED)
        lines += [(line, _SMALL_SIZE, colour) for line in _wrap(sign + text, _SMALL_SIZE, _CELL)]
    lines += [_SPACE] if reference else []
    lines += [(line, _SMALL_SIZE, GREY) for line in _wrap(reference or "", _SMALL_SIZE, _CELL)]
    lines += [_SPACE] if name else []
    lines += [(line, _NAME_SIZE, GREY) for line in _wrap(_drawable(name or ""), _NAME_SIZE, _CELL)]
    return lines


def _drawable(name: str) -> str:
    """A file's name, of which a font can draw all but bytes that are no text."""
    return name.encode(errors="replace").decode()


def _wrap(text: str, size: float, width: float) -> list[str]:
    """Break text into lines of at most `width` inches, measured in the font that draws it."""
    lines: list[str] = []
    for word in text.split():
        for piece in _pieces(word, size, width):
            longer = f"{lines[-1]} {piece}" if lines else piece
            if lines and _text_width(longer, size) <= width:
                lines[-1] = longer
            else:
                lines.append(piece)
    return lines


def _pieces(word: str, size: float, width: float) -> Iterator[str]:
    """The word itself if it fits into a line, else pieces of it that do."""
    while len(word) > 1 and _text_width(word, size) > width:
        cut = 1
        while _text_width(word[: cut + 1], size) <= width:
            cut += 1
        yield word[:cut]
        word = word[cut:]
    yield word


def _text_width(text: str, size: float) -> float:
    """The width of a line of text in inches."""
    font = require("matplotlib.font_manager", "caption").FontProperties(size=size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        measure = require("matplotlib.textpath", "caption").text_to_path.get_text_width_height_descent
        return 1.03 * float(measure(text, font, ismath=False)[0]) / 72  # drawn letters snap to pixels


def _text_height(lines: Sequence[Line]) -> float:
    return sum(size for _, size, _ in lines) * _LEADING / 72 + (0.2 if lines else 0)


def _write(figure: Any, lines: Sequence[Line], x: float, y: float) -> None:
    """Write lines beneath each other from the point (x, y), in inches from the top left corner."""
    width, height = figure.get_size_inches()
    y += 0.1
    for text, size, colour in lines:
        figure.text(
            x / width,
            1 - y / height,
            text,
            fontsize=size,
            color=colour,
            va="top",
            ha="left",
            parse_math=False,
        )
        y += size * _LEADING / 72


def _place(figure: Any, picture: Image, x: float, y: float) -> None:
    """Draw a picture into its cell, whole, in its proportions, at the left and bottom of the cell."""
    width, height = figure.get_size_inches()
    box = (x / width, 1 - (y + _PICTURE) / height, _CELL / width, _PICTURE / height)
    axes = figure.add_axes(box, anchor="SW")
    axes.set_axis_off()
    small = max(picture.shape[:2]) < 100  # a drawing of few pixels: show the pixels, do not blur them
    axes.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest" if small else "antialiased")
