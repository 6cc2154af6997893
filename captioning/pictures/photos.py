"""Photos from web addresses, and photo files at the size that a sheet or a page needs."""

from __future__ import annotations

import base64
import contextlib
import io
import os
import threading
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.vision.photo_files import PhotoError, decode_photo, read_photo
from minigrad.runtime.extras import require

__all__ = ["embedded_photo", "image_address", "image_from_url", "placeholder", "sheet_photo"]

Image = NDArray[np.uint8]  # RGB, (H,W,3)

_BYTES_LIMIT = 32 * 2**20  # stops reading an endless response
_SHEET_SIDE = 300  # pixels of the shorter side, or somewhat more: sheets show photos at 300 pixels
_PAGE_SIDE = 320  # pixels of the longer side


def image_from_url(url: str | bytes, folder: str | os.PathLike[str] | None = None, timeout: float = 3.0) -> Image:
    """Return the picture at an address, RGB uint8 (H,W,3), or a grey placeholder (224,224,3) if there is none.

    Args:
        url: an http or https address, or, if `folder` is given, the path of a file inside that folder. Other schemes,
            and paths that lead out of the folder, are never opened.
        timeout: the most seconds that a download may take.

    Raises:
        TypeError: if url is neither str nor bytes. Any other problem gives the placeholder.

    >>> image_from_url("file:///etc/passwd").shape
    (224, 224, 3)
    """
    if not isinstance(url, str | bytes):
        raise TypeError(f"image_from_url: url must be str or bytes; got {type(url).__name__}")
    address = url.decode("utf-8", errors="replace") if isinstance(url, bytes) else str(url)
    with contextlib.suppress(OSError, ValueError):  # PhotoError, and paths with a null byte
        if address.lower().startswith(("http://", "https://")):
            return decode_photo(_fetch(address, timeout))
        if folder is not None and (Path(folder) / address).resolve().is_relative_to(Path(folder).resolve()):
            return read_photo(Path(folder) / address)
    return placeholder()


def _fetch(address: str, timeout: float) -> bytes:
    """Download in a thread, because a socket's timeout bounds neither the DNS lookup nor a slow drip of bytes."""
    found: list[bytes] = []

    def download() -> None:
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
        opener.addheaders = [("User-Agent", "minigrad captioning")]
        with contextlib.suppress(Exception), opener.open(address, timeout=timeout) as response:
            found.append(response.read(_BYTES_LIMIT))

    thread = threading.Thread(target=download, daemon=True)
    thread.start()
    thread.join(timeout)
    return found[0] if found else b""


def placeholder(size: int = 224) -> Image:
    """Return a grey square with a frame and the words "no picture", RGB uint8 (size, size, 3).

    >>> placeholder(100).shape
    (100, 100, 3)
    """
    picture = require("PIL.Image", "caption").new("RGB", (size, size), "#ececec")
    pen = require("PIL.ImageDraw", "caption").Draw(picture)
    pen.rectangle((6, 6, size - 7, size - 7), outline="#b0b0b0", width=2)
    font = require("PIL.ImageFont", "caption").load_default(size=24)
    pen.text((size / 2, size / 2), "no picture", fill="#8a8a8a", font=font, anchor="mm")
    return np.asarray(picture, dtype=np.uint8)


def sheet_photo(path: str | os.PathLike[str]) -> Image:
    """Return a photo file's picture for a sheet, RGB uint8 (H, W, 3), or a placeholder if it cannot be read.

    >>> sheet_photo("none.jpg").shape
    (224, 224, 3)
    """
    try:
        photo = read_photo(path, shortest=_SHEET_SIDE)
    except PhotoError:
        return placeholder()
    step = max(1, min(photo.shape[:2]) // _SHEET_SIDE)
    return photo[::step, ::step].copy()  # a view would keep the whole photo in memory


def embedded_photo(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return a photo file as a small JPEG without metadata, or None if it cannot be read.

    The dict has the `data:` address, and the width and height in pixels.

    >>> import tempfile
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Image.new("RGB", (800, 400), "green").save(f"{folder}/a.png")
    ...     photo = embedded_photo(f"{folder}/a.png")
    >>> photo["width"], photo["height"], photo["address"][:23], embedded_photo("none.jpg")
    (320, 160, 'data:image/jpeg;base64,', None)
    """
    try:
        picture = require("PIL.Image", "caption").fromarray(read_photo(path, shortest=_PAGE_SIDE))
    except PhotoError:
        return None
    picture.thumbnail((_PAGE_SIDE, _PAGE_SIDE))  # keeps the proportions, and never enlarges
    address = image_address(picture, "jpeg", quality=75, optimize=True)
    return {"address": address, "width": picture.width, "height": picture.height}


def image_address(picture: Any, kind: str, **options: Any) -> str:
    """Return a Pillow image as a `data:` address of a kind of image file, with Pillow's options for it."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
