"""Read photo files of all common formats as RGB pixels, and find the photos in a folder.

The pixels are what a viewer shows: rotated as EXIF says, the first of several pictures, transparent parts on white,
16 bits as 8. Pillow decodes. Formats that it passes on to other programs (EPS to Ghostscript) are refused. The library
libtiff may print its own messages about a damaged TIFF.
"""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.command import shown
from minigrad.runtime.extras import how_to_install, require
from minigrad.runtime.files import irregular

__all__ = [
    "ENDINGS", "MOST_PIXELS", "PhotoError", "decode_photo", "passed_over", "photo_paths", "read_photo", "visible_files",
]  # fmt: skip

Photo = NDArray[np.uint8]  # RGB, (H, W, 3)
PhotoPath = str | os.PathLike[str]

MOST_PIXELS = 120_000_000
"""The most pixels that an accepted photo has: 360 MB once decoded. A file of a few kB can claim any size."""

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm",
           ".jp2", ".avif", ".heic", ".heif")  # fmt: skip
"""Endings of photos in a folder, in upper or lower case."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF", "HEIF")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO/IEC 23008-12, annex B
_reading = threading.Lock()  # the warning filters belong to the whole process


class PhotoError(ValueError):
    """A photo that cannot be read; the message names the file and the problem."""


def read_photo(path: PhotoPath, shortest: int | None = None) -> Photo:
    """Read a photo file as RGB uint8 (H, W, 3).

    Reads JPEG, PNG, GIF, WebP, TIFF, BMP, PPM, JPEG 2000, AVIF and HEIC, whatever the ending of the name.

    Args:
        path: a regular file.
        shortest: the pixels that the shorter side needs. A JPEG with at least two, four or eight times as many is
            decoded at a half, a quarter or an eighth of its size, which is faster. None reads all pixels.

    Raises:
        PhotoError: if the file is missing, not a regular file, unreadable, of another format, damaged, larger than
            `MOST_PIXELS`, or larger than memory. No other error.
        ModuleNotFoundError: if Pillow is not installed.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "grey.png")
        ...     Image.new("L", (3, 2), 200).save(path)
        ...     read_photo(path)[0, 0], read_photo(path).shape
        (array([200, 200, 200], dtype=uint8), (2, 3, 3))
        >>> read_photo("none.jpg")
        Traceback (most recent call last):
        captioning.vision.photo_files.PhotoError: none.jpg: cannot be opened: No such file or directory
    """
    require("PIL.Image", "caption")
    with _photo_errors(f"{shown(path)}: "):
        if found := irregular(path):
            raise PhotoError(f"is {found}, not a photo")
        with open(path, "rb") as file:
            return _decode(file, shortest)


def decode_photo(content: bytes, shortest: int | None = None) -> Photo:
    """Decode the content of a photo file, as `read_photo` does; its PhotoErrors name no file.

    >>> decode_photo(b"GIF89a, and no picture")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    captioning.vision.photo_files.PhotoError: not a photo in a supported format (JPEG, PNG, ...)
    """
    require("PIL.Image", "caption")
    with _photo_errors(), io.BytesIO(content) as file:
        return _decode(file, shortest)


@contextmanager
def _photo_errors(where: str = "") -> Iterator[None]:
    """Turn any error into a PhotoError that begins with `where`, and silence warnings."""
    try:
        with _reading, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PhotoError as error:
        raise PhotoError(f"{where}{error}") from None
    except OSError as error:  # only those of the operating system have a number; Pillow's have none
        what = f"cannot be opened: {error.strerror}" if error.errno else f"the photo is incomplete or damaged: {error}"
        raise PhotoError(f"{where}{what}") from error
    except MemoryError as error:
        raise PhotoError(f"{where}needs more memory than is available") from error
    except Exception as error:  # decoders raise errors of many kinds on damaged bytes
        what = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
        raise PhotoError(f"{where}the photo is damaged: {what}") from error


def _decode(file: Any, shortest: int | None) -> Photo:
    from PIL import Image, ImageOps, UnidentifiedImageError

    start = file.read(16)
    if not start:
        raise PhotoError("an empty file")
    file.seek(0)
    is_heic = start[4:8] == b"ftyp" and start[8:12] in _HEIC
    if is_heic:
        with suppress(ModuleNotFoundError):
            require("pillow_heif", "caption").register_heif_opener()
    try:
        Image.init()  # fills Image.OPEN; AVIF is not in it if this Pillow was built without it
        picture = Image.open(file, formats=[name for name in _FORMATS if name in Image.OPEN])
    except Image.DecompressionBombError as error:
        raise PhotoError(f"more pixels than the limit of {MOST_PIXELS / 1e6:g} megapixels") from error
    except UnidentifiedImageError as error:
        if is_heic and "HEIF" not in Image.OPEN:
            raise PhotoError(f"a HEIC photo: save it as JPEG, or {how_to_install('caption', 'pillow_heif')}") from error
        raise PhotoError(f"not a photo in a supported format ({', '.join(_FORMATS)})") from error
    with picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise PhotoError(
                f"{picture.width}x{picture.height} pixels are more than the limit of {MOST_PIXELS / 1e6:g} megapixels"
            )
        if shortest is not None:
            picture.draft(None, (shortest, shortest))
        picture.load()
        with suppress(Exception):  # damaged EXIF does not make the picture unreadable
            ImageOps.exif_transpose(picture, in_place=True)
        return np.asarray(_rgb(picture))


def _rgb(picture: Any) -> Any:
    """Convert a picture of any of Pillow's modes to RGB."""
    from PIL import Image

    if picture.mode == "F":
        raise PhotoError("its pixels are floating-point numbers, whose range is not known: save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        grey = np.asarray(picture)
        if grey.min() < 0 or grey.max() > 65535:
            raise PhotoError("its pixels are 32-bit numbers, whose range is not known: save it with 8 or 16 bits")
        eight_bits = ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 / 255 = 257
        return Image.fromarray(eight_bits).convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = Image.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


# ---------------------------------------------------------------------- photos in folders
def photo_paths(paths: Iterable[PhotoPath], recursive: bool = False) -> list[Path]:
    """List the named files and the photos in the named folders.

    Files come in the given order, whatever their ending. A folder gives the visible files that end in one of
    `ENDINGS`, sorted by name. Each path comes once. A missing file is listed too, so that its reader reports it
    like a damaged one, unless all are missing.

    Args:
        recursive: also look into folders within a folder, except hidden ones and links.

    Raises:
        PhotoError: if nothing is named or nothing named exists, an address (https://…) is named, or a folder cannot be
            read or has no photos.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.png", "a.JPG", ".hidden.jpg", "notes.txt"):
        ...         Path(folder, name).touch()
        ...     [path.name for path in photo_paths([folder])]
        ['a.JPG', 'b.png']
    """
    found: dict[Path, None] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            found.update(dict.fromkeys(_photos_in(path, recursive)))
        elif not os.path.lexists(path) and re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", str(name)):
            raise PhotoError(f"{shown(name)}: addresses are not read, only files: save the photo first")
        else:
            found[path] = None
    if not found:
        raise PhotoError("no photos: name at least one photo, or a folder of photos")
    if not any(map(os.path.lexists, found)):
        raise PhotoError(f"{shown(next(iter(found)))}: there is no such file or folder")
    return list(found)


def passed_over(paths: Iterable[PhotoPath], recursive: bool = False) -> list[Path]:
    """List the visible files in folders that `photo_paths` leaves out because of their ending, in its order.

    Files that are named themselves do not count, nor do text files beside a photo of the same name: its captions.
    """
    named = list(map(Path, paths))
    inside = [file for path in named if path.is_dir() for file in visible_files(path, recursive)]
    photos = {file.with_suffix("") for file in inside if file.name.lower().endswith(ENDINGS)}
    others = (file for file in dict.fromkeys(inside) if not file.name.lower().endswith(ENDINGS) and file not in named)
    return [file for file in others if file.suffix.lower() != ".txt" or file.with_suffix("") not in photos]


def _photos_in(folder: Path, recursive: bool) -> list[Path]:
    try:
        photos = [path for path in visible_files(folder, recursive) if path.name.lower().endswith(ENDINGS)]
    except OSError as error:
        raise PhotoError(f"{shown(error.filename or folder)}: the folder cannot be read: {error.strerror}") from error
    if not photos:
        where = "or its subfolders" if recursive else "(its subfolders are not searched)"
        raise PhotoError(
            f"{shown(folder)}: found no photo in this folder {where}; names of photos end in {', '.join(ENDINGS)}"
        )
    return photos


def visible_files(folder: Path, recursive: bool) -> Iterator[Path]:
    """Yield the files in a folder that are not hidden, sorted; with `recursive` also those in folders within it.

    Links to folders are not followed. Raises an OSError that names a folder that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))
