"""Photos from an address, or from a file inside a folder."""

from __future__ import annotations

import contextlib
import io
import os
import threading
import urllib.request
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minigrad.runtime.extras import require

__all__ = ["image_from_url", "placeholder"]

Image = NDArray[np.uint8]  # RGB, (H,W,3)

_BYTES_LIMIT = 32 * 2**20  # no photo is larger; an endless answer is cut off


def image_from_url(url: str | bytes, folder: str | os.PathLike[str] | None = None, timeout: float = 3.0) -> Image:
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
    return placeholder() if picture is None else picture


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


def placeholder(size: int = 224) -> Image:
    """A grey square with a frame and the words "no picture", RGB uint8 (size, size, 3).

    >>> placeholder(100).shape
    (100, 100, 3)
    """
    pil, draw = require("PIL.Image", "caption"), require("PIL.ImageDraw", "caption")
    picture = pil.new("RGB", (size, size), "#ececec")
    pen = draw.Draw(picture)
    pen.rectangle((6, 6, size - 7, size - 7), outline="#b0b0b0", width=2)
    font = require("PIL.ImageFont", "caption").load_default(size=24)
    left, top, right, bottom = pen.textbbox((0, 0), "no picture", font=font)
    corner = ((size - left - right) / 2, (size - top - bottom) / 2)
    pen.text(corner, "no picture", fill="#8a8a8a", font=font)
    return np.asarray(picture, dtype=np.uint8)
