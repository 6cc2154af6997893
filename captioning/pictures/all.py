"""Pictures: photos from an address, the curve of a training run, a sheet of captioned photos.

Everything is drawn by matplotlib's Agg canvas without pyplot, so no window system and no global state
is touched, and each PNG is written to a temporary name and renamed. Packages of the extra `caption`
are imported when a function needs them.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import urllib.request
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing

__all__ = ["caption_sheet", "image_from_url", "loss_curve"]

Image = NDArray[np.uint8]
Mark = tuple[str, bool]

_BYTES_LIMIT = 32 * 2**20  # no photo is larger; an endless answer is cut off

INK, GREY, BLUE, ORANGE = "#1a1a1a", "#6b6b6b", "#1f6fb4", "#d9541e"
GREEN, RED = "#1b7f3b", "#b3261e"


# Photos ----------------------------------------------------------------------------------------


def image_from_url(
    url: str | bytes, folder: str | os.PathLike[str] | None = None, timeout: float = 3.0
) -> Image:
    """The picture at an address, RGB uint8 (H,W,3), or a grey placeholder (224,224,3) if there is none.

    url: an http or https address, or, if `folder` is given, the path of a file inside that folder.
    Other schemes and paths that lead out of the folder are never opened. An address that is dead, slow
    (more than `timeout` seconds in all) or no picture gives the placeholder and raises nothing; only a
    `url` that is neither str nor bytes is a TypeError. Source: homework 1-1.

    >>> image_from_url("file:///etc/passwd").shape
    (224, 224, 3)
    """
    if not isinstance(url, str | bytes):
        raise TypeError(f"image_from_url: url must be str or bytes; got {type(url).__name__}")
    address = url.decode("utf-8", errors="replace") if isinstance(url, bytes) else str(url)
    if address.lower().startswith(("http://", "https://")):
        content = _fetch(address, timeout)
    else:
        content = None if folder is None else _read_inside(Path(folder), address)
    picture = None if content is None else _decode(content)
    return _placeholder() if picture is None else picture


def _fetch(address: str, timeout: float) -> bytes | None:
    """Download in a thread, because no timeout of a socket bounds the look-up of a name or a slow drip."""
    box: list[bytes] = []

    def work() -> None:
        with contextlib.suppress(Exception):  # whatever fails, the answer is the placeholder
            box.append(_download(address, timeout))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout)
    return box[0] if box else None


def _download(address: str, timeout: float) -> bytes:
    opener = urllib.request.OpenerDirector()  # without the default handlers for file, ftp and data
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    request = urllib.request.Request(address, headers={"User-Agent": "minigrad captioning"})
    with opener.open(request, timeout=timeout) as answer:
        content: bytes = answer.read(_BYTES_LIMIT)
    return content


def _read_inside(folder: Path, name: str) -> bytes | None:
    try:
        path = (folder / name).resolve()
        return path.read_bytes() if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError):  # ValueError: a path with a null byte
        return None


def _decode(content: bytes) -> Image | None:
    pil = require("PIL.Image", "caption")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a picture that is odd but readable is good enough
            warnings.simplefilter("error", pil.DecompressionBombWarning)
            with pil.open(io.BytesIO(content)) as picture:
                return np.asarray(picture.convert("RGB"), dtype=np.uint8)
    except Exception:  # decoders raise errors of many kinds on damaged bytes
        return None


def _placeholder(size: int = 224) -> Image:
    """A grey square with a frame and the words "no picture"."""
    pil, draw = require("PIL.Image", "caption"), require("PIL.ImageDraw", "caption")
    picture = pil.new("RGB", (size, size), "#ececec")
    pen = draw.Draw(picture)
    pen.rectangle((6, 6, size - 7, size - 7), outline="#b0b0b0", width=2)
    font = require("PIL.ImageFont", "caption").load_default(size=24)
    left, top, right, bottom = pen.textbbox((0, 0), "no picture", font=font)
    corner = ((size - left - right) / 2, (size - top - bottom) / 2)
    pen.text(corner, "no picture", fill="#8a8a8a", font=font)
    return np.asarray(picture, dtype=np.uint8)


# The curve of a run ----------------------------------------------------------------------------


def loss_curve(
    history: Sequence[Mapping[str, Any]], path: str | os.PathLike[str], title: str | None = None
) -> None:
    """Draw a run's losses, and its validation BLEU beneath if it has one, to the PNG `path`.

    history: dicts of two kinds, as a run logs them: `{"iteration": i, "epoch": e, "loss": x}` an
    iteration and `{"epoch": e, "iteration": i, "val_loss": x, "val_bleu": y, "learning_rate": lr}` at
    the end of an epoch (`val_loss` and `val_bleu` may be missing or None). The loss of each iteration
    is a light line, its mean over a window of 1/50 of the run a strong one; losses that are not finite
    are marked with crosses. The axis of the loss is logarithmic if the loss falls by more than 20
    times. A history without any loss is a ValueError.

    >>> import tempfile
    >>> history = [{"iteration": i, "epoch": 1, "loss": 75.0 / i} for i in range(1, 50)]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     loss_curve(history, Path(folder, "loss.png"))
    ...     Path(folder, "loss.png").stat().st_size > 10_000
    True
    """
    train, validation = _series(history, "loss"), _series(history, "val_loss")
    bleu = _series(history, "val_bleu")
    if not len(train) and not len(validation):
        raise ValueError("loss_curve: the history has no entry with a loss or a val_loss")
    heights = [3, 1.4] if len(bleu) else [1]
    size = 9, 6.4 if len(bleu) else 4.8
    figure = require("matplotlib.figure", "caption").Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    _draw_losses(panels[0], train, validation)
    if len(bleu):
        panels[1].plot(bleu[:, 0], bleu[:, 1], "o-", color=ORANGE, markersize=4, linewidth=1.5)
        panels[1].set_ylabel("validation BLEU", fontsize=12)
        panels[1].set_ylim(bottom=0)
        _clean(panels[1])
    panels[-1].set_xlabel("iteration", fontsize=12)
    figure.suptitle(title or "Training run", fontsize=14, color=INK, parse_math=False)
    _save(figure, path, dpi=120)


def _series(history: Sequence[Mapping[str, Any]], key: str) -> NDArray[np.float64]:
    """The pairs (iteration, value) of the entries that have the key: float64 (n,2)."""
    points = []
    for k, entry in enumerate(history):
        if entry.get(key) is None:
            continue
        if "iteration" not in entry:
            raise ValueError(f"loss_curve: entry {k} of the history has {key} but no iteration: {entry}")
        points.append((entry["iteration"], entry[key]))
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _draw_losses(panel: Any, train: NDArray[np.float64], validation: NDArray[np.float64]) -> None:
    if len(train):
        iterations, losses = train.T
        window = max(1, len(losses) // 50)
        panel.plot(iterations, losses, color=BLUE, alpha=0.3, linewidth=0.8, label="training, each iteration")
        smooth = _moving_mean(losses, window)
        panel.plot(iterations, smooth, color=BLUE, linewidth=2, label=f"training, mean of {window}")
    if len(validation):
        panel.plot(*validation.T, "o-", color=ORANGE, markersize=4, linewidth=1.5, label="validation")
    _mark_not_finite(panel, np.concatenate([train, validation]))
    values = np.concatenate([train[:, 1], validation[:, 1]])
    values = values[np.isfinite(values)]
    if values.size and values.min() > 0 and values.max() > 20 * values.min():
        panel.set_yscale("log")
        ticker = require("matplotlib.ticker", "caption")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())
    panel.set_ylabel("loss", fontsize=12)
    _clean(panel)
    panel.legend(fontsize=11, frameon=False, loc="upper right")  # losses fall: that corner is free


def _moving_mean(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """The mean of the finite values among the `window` around each; NaN where there are none."""
    finite = np.isfinite(values)
    ones = np.ones(window)
    # mode "full" and a cut, because "same" gives max(len, window) values
    start = (window - 1) // 2
    total = np.convolve(np.where(finite, values, 0.0), ones)[start : start + len(values)]
    count = np.convolve(finite.astype(float), ones)[start : start + len(values)].round()
    mean: NDArray[np.float64] = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
    return mean


def _mark_not_finite(panel: Any, points: NDArray[np.float64]) -> None:
    lost = points[~np.isfinite(points[:, 1]), 0]
    if len(lost):
        place = panel.get_xaxis_transform()  # x in iterations, y from 0 at the bottom to 1 at the top
        label = f"not finite ({len(lost)})"
        panel.plot(lost, np.full(len(lost), 0.03), "x", color=RED, transform=place, label=label)


def _clean(panel: Any) -> None:
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(True, color="#e6e6e6", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.tick_params(labelsize=11, colors=INK)


def _save(figure: Any, path: str | os.PathLike[str], dpi: int) -> None:
    with replacing(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # drawn as a box; no reason to stop
        figure.savefig(temporary, format="png", dpi=dpi)


# The sheet of captions -------------------------------------------------------------------------

# Inches, but font sizes, which are points (1/72 inch).
_CELL, _GAP, _MARGIN, _PICTURE = 3.0, 0.3, 0.3, 3.0
_TITLE_SIZE, _CAPTION_SIZE, _SMALL_SIZE, _LEADING = 16.0, 12.0, 10.5, 1.3
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
) -> None:
    """Draw a grid of pictures with their captions to the PNG `path`.

    images: N arrays of uint8, RGB (H,W,3) or grey (H,W), of any sizes. captions: N strings, printed
    beneath. references: None or N strings or Nones, printed in grey beneath the caption. marks: None or
    for each picture a list of (statement, is it true), printed in green with a tick or red with a cross.
    Long text is broken into lines, never cut. Lists of other lengths, a wrong shape or dtype, no
    images, or more than one picture of 65,535 pixels' height can hold are a ValueError or TypeError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     photo = np.zeros((20, 30, 3), dtype=np.uint8)
    ...     caption_sheet([photo], ["a dark night"], ["the night is dark"], Path(folder, "sheet.png"))
    ...     Path(folder, "sheet.png").stat().st_size > 1_000
    True
    """
    pictures = _check_sheet(images, captions, references, marks, columns)
    nothing: list[None] = [None] * len(pictures)
    grey, statements = nothing if references is None else references, nothing if marks is None else marks
    texts = list(map(_cell_lines, captions, grey, statements))
    columns = min(columns, len(pictures))
    width = 2 * _MARGIN + columns * (_CELL + _GAP) - _GAP
    heading: list[Line] = [
        (line, _TITLE_SIZE, INK) for line in _wrap(title or "", _TITLE_SIZE, width - 2 * _MARGIN)
    ]
    rows = [range(start, min(start + columns, len(texts))) for start in range(0, len(texts), columns)]
    tops, height = _row_tops(_MARGIN + _text_height(heading), [[texts[i] for i in row] for row in rows])
    if height * _DPI > _PIXEL_LIMIT:
        raise ValueError(f"caption_sheet: {len(pictures)} pictures are too many for {columns} columns")
    figure = require("matplotlib.figure", "caption").Figure(figsize=(width, height))
    _write(figure, heading, _MARGIN, _MARGIN)
    for row, y in zip(rows, tops, strict=True):
        for column, i in enumerate(row):
            x = _MARGIN + column * (_CELL + _GAP)
            _place(figure, pictures[i], x, y)
            _write(figure, texts[i], x, y + _PICTURE)
    _save(figure, path, dpi=_DPI)


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
    columns: int,
) -> list[Image]:
    if not len(images):
        raise ValueError("caption_sheet: there are no images")
    if columns < 1:
        raise ValueError(f"caption_sheet: columns must be at least 1; got {columns}")
    for name, value in (("captions", captions), ("references", references), ("marks", marks)):
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


def _cell_lines(caption: str, reference: str | None, marks: Sequence[Mark] | None) -> list[Line]:
    """The wrapped lines beneath a picture."""
    lines = [(line, _CAPTION_SIZE, INK) for line in _wrap(caption or "(no words)", _CAPTION_SIZE, _CELL)]
    lines += [_SPACE] if marks else []
    for text, true in marks or ():
        sign, colour = ("✓ ", GREEN) if true else ("✗ ", RED)
        lines += [(line, _SMALL_SIZE, colour) for line in _wrap(sign + text, _SMALL_SIZE, _CELL)]
    lines += [_SPACE] if reference else []
    lines += [(line, _SMALL_SIZE, GREY) for line in _wrap(reference or "", _SMALL_SIZE, _CELL)]
    return lines


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
