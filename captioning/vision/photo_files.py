"""Photo files of all kinds as RGB pixels, and which photos lie in a folder.

What a viewer shows is what is read: turned as the camera noted (EXIF), of several pictures the first, transparent parts
on white, 16 bits as 8. Pillow decodes; formats that it would give to other programs (EPS to Ghostscript) are not tried.
Of a damaged TIFF the library libtiff may say something on standard error of its own.
"""

from __future__ import annotations

import io
import os
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from captioning.command import shown
from minigrad.runtime.extras import require
from minigrad.runtime.files import irregular

__all__ = [
    "ENDINGS", "MOST_PIXELS", "PhotoError", "decode_photo", "passed_over", "photo_paths", "read_photo", "visible_files",
]  # fmt: skip

Photo = NDArray[np.uint8]  # RGB, (H,W,3)
PhotoPath = str | os.PathLike[str]

MOST_PIXELS = 120_000_000
"""The largest photo that is read, in pixels: 360 MB once decoded. A file of some kB can claim any size."""

ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".gif", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm",
           ".jp2", ".avif", ".heic", ".heif")  # fmt: skip
"""What the names of photos end in, in a folder, in any case. HEIC is there to be refused by name, not left unseen."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")  # ISO/IEC 23008-12, annex B
_ORIENTATION = 0x0112  # EXIF's tag (CIPA DC-008, 4.6.4)
_TURNS = {
    2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE", 6: "ROTATE_270", 7: "TRANSVERSE",
    8: "ROTATE_90",
}  # fmt: skip
_reading = threading.Lock()  # which warnings are heard is a setting of the whole process


class PhotoError(ValueError):
    """A photo that cannot be read; the message names the file and what is wrong with it."""


def read_photo(path: PhotoPath, shortest: int | None = None) -> Photo:
    """A photo file's picture, RGB uint8 (H, W, 3).

    JPEG, PNG, GIF, WebP, TIFF, BMP, PPM, JPEG 2000 and AVIF, whatever the name ends in; turned as EXIF says, the first
    of several pictures, transparent parts on white, grey, palettes and CMYK as RGB, 16 bits as 8.

    Args:
        path: a regular file.
        shortest: how many pixels the shorter side needs at least. A JPEG that has two, four or eight times as many is
            then decoded at a half, a quarter or an eighth of its size, which is quicker; None for all pixels.

    Raises:
        PhotoError: if there is no such file, it is a folder, a pipe or a device, it cannot be opened, it is no photo of
            these formats, truncated or damaged, has more than `MOST_PIXELS` pixels, or needs more memory than there is.
            Nothing else.
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
        captioning.vision.photo_files.PhotoError: none.jpg: there is no such file
    """
    images = require("PIL.Image", "vision")
    with _told(f"{shown(path)}: "):
        _check_regular(path)
        with open(path, "rb") as file:
            return _decode(images, file, shortest)


def decode_photo(content: bytes, shortest: int | None = None) -> Photo:
    """The picture in a photo file's content, as `read_photo` reads a file; its PhotoErrors, which name no file.

    >>> decode_photo(b"GIF89a, and no picture")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    captioning.vision.photo_files.PhotoError: not a photo, or of a format that is not read here (JPEG, PNG, ...)
    """
    images = require("PIL.Image", "vision")
    with _told(), io.BytesIO(content) as file:
        if not content:
            raise PhotoError("an empty file")
        return _decode(images, file, shortest)


@contextmanager
def _told(where: str = "") -> Iterator[None]:
    """Whatever goes wrong with a photo becomes a PhotoError that begins with `where`."""
    try:
        with _reading, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is odd but readable is good enough
            yield
    except PhotoError as error:
        raise PhotoError(f"{where}{error}") from None
    except OSError as error:  # open's, as where a file may not be read, have a number, and Pillow's have none
        what = f"cannot be opened: {error.strerror}" if error.errno else f"not a whole photo: {error}"
        raise PhotoError(f"{where}{what}") from error
    except MemoryError as error:
        raise PhotoError(f"{where}needs more memory than there is") from error
    except Exception as error:  # decoders raise errors of many kinds on damaged bytes
        what = f"{type(error).__name__}: {error}".rstrip(": ").splitlines()[0]
        raise PhotoError(f"{where}not a whole photo, its content is damaged: {what}") from error


def photo_paths(paths: Iterable[PhotoPath], recursive: bool = False) -> list[Path]:
    """The photos that are meant by files and folders: of a folder those in it, sorted by their names.

    Files come in the order given, whatever their names end in. In a folder a photo's name ends in one of `ENDINGS`;
    hidden files, whose names begin with a dot, are passed over. What is named twice comes once.

    Args:
        recursive: also those in folders within a folder, but for hidden ones and links to folders.

    Raises:
        PhotoError: if nothing was named, there is no such file or folder, an address (https://…) was named, or a folder
            cannot be read or has no photos.
        TypeError: if paths is one path, not several.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.png", "a.JPG", ".hidden.jpg", "notes.txt"):
        ...         Path(folder, name).touch()
        ...     [path.name for path in photo_paths([folder])]
        ['a.JPG', 'b.png']
    """
    if isinstance(paths, str | bytes | os.PathLike):
        raise TypeError(f"photo_paths: wants several paths, such as [{paths!r}]")
    named = list(paths)
    _refuse_addresses(named)
    found: dict[Path, None] = {}
    for path in map(Path, named):
        if not os.path.lexists(path):
            raise PhotoError(f"{shown(path)}: there is no such file or folder")
        found.update(dict.fromkeys(_photos_in(path, recursive) if path.is_dir() else [path]))
    if not found:
        raise PhotoError("no photos: name at least one photo, or a folder of some")
    return list(found)


def passed_over(paths: Iterable[PhotoPath], recursive: bool = False) -> list[Path]:
    """The files in folders that `photo_paths` passes over, as their names are not those of photos, in its order.

    Without hidden files, those that are named themselves, and text files beside photos of the same name, which are
    their captions. The paths are such as `photo_paths` took.
    """
    named = list(map(Path, paths))
    inside = [file for path in named if path.is_dir() for file in visible_files(path, recursive)]
    photos = {file.with_suffix("") for file in inside if file.name.lower().endswith(ENDINGS)}
    others = (file for file in dict.fromkeys(inside) if not file.name.lower().endswith(ENDINGS) and file not in named)
    return [file for file in others if file.suffix.lower() != ".txt" or file.with_suffix("") not in photos]


def _refuse_addresses(paths: Iterable[PhotoPath]) -> None:
    for path in map(str, paths):
        if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+:/", path) and not os.path.lexists(path):
            raise PhotoError(f"{shown(path)}: addresses are not read, only files: save the photo first")


def _photos_in(folder: Path, recursive: bool) -> list[Path]:
    """The photos in a folder, sorted; a PhotoError if there are none."""
    try:
        photos = [path for path in visible_files(folder, recursive) if path.name.lower().endswith(ENDINGS)]
    except OSError as error:
        raise PhotoError(f"{shown(error.filename or folder)}: the folder cannot be read: {error.strerror}") from error
    if not photos:
        where = "or in folders within it" if recursive else "and folders within it are not looked into"
        endings = ", ".join(ENDINGS)
        raise PhotoError(f"{shown(folder)}: no photo is in this folder, {where}; names of photos end in {endings}")
    return photos


def visible_files(folder: Path, recursive: bool) -> Iterator[Path]:
    """The files in a folder, sorted, with `recursive` also those in folders within it; what is hidden is passed over.

    A folder that cannot be read is an OSError that names it. Links to folders are not followed.
    """

    def refuse(error: OSError) -> None:
        raise error

    for place, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _check_regular(path: PhotoPath) -> None:
    """Raise a PhotoError unless a path is that of a regular file that holds something."""
    if "\0" in os.fsdecode(path):
        raise PhotoError("no file has a name with a null character")
    if found := irregular(path):
        raise PhotoError(f"is {found}, not a photo")
    if not os.path.exists(path):
        raise PhotoError("there is no such file")
    if os.path.getsize(path) == 0:
        raise PhotoError("an empty file")


def _decode(images: Any, file: Any, shortest: int | None) -> Photo:
    """The picture in an open file; a PhotoError says what is wrong, or an error of Pillow's."""
    start = file.read(16)
    file.seek(0)
    try:
        images.init()  # then `OPEN` has all formats that this Pillow knows: an older one has no AVIF
        picture = images.open(file, formats=[name for name in _FORMATS if name in images.OPEN])
    except images.DecompressionBombError as error:
        raise PhotoError(f"more pixels than the limit of {_megapixels(MOST_PIXELS)}") from error
    except images.UnidentifiedImageError as error:
        raise PhotoError(_unknown(start)) from error
    with picture:
        if picture.width * picture.height > MOST_PIXELS:
            size = f"{picture.width}x{picture.height} pixels"
            raise PhotoError(f"{size} are more than the limit of {_megapixels(MOST_PIXELS)}")
        if shortest is not None:
            picture.draft(None, (shortest, shortest))
        picture.load()
        turn = _TURNS.get(_orientation(picture))
        rgb = _rgb(images, picture)
    return np.asarray(rgb if turn is None else rgb.transpose(images.Transpose[turn]))


def _unknown(start: bytes) -> str:
    """Of a file that no decoder knows, by its first bytes: what to do."""
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        return "a HEIC photo, which cannot be read here: save it as JPEG"
    return f"not a photo, or of a format that is not read here ({', '.join(_FORMATS)})"


def _orientation(picture: Any) -> int:
    """How EXIF says that the picture is turned, 1 to 8; 1 if it does not say so."""
    try:
        found = picture.getexif().get(_ORIENTATION, 1)
    except Exception:  # notes beside the picture are damaged, the picture is not
        return 1
    return found if isinstance(found, int) else 1


def _rgb(images: Any, picture: Any) -> Any:
    """A picture of any of Pillow's modes in RGB."""
    if picture.mode.startswith("I"):
        return images.fromarray(_eight_bits(np.asarray(picture))).convert("RGB")
    if picture.mode == "F":
        raise PhotoError("its pixels are floating-point numbers, whose range is not known: save it with 8 or 16 bits")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    white = images.new("RGBA", picture.size, "white")
    white.alpha_composite(picture.convert("RGBA"))
    return white.convert("RGB")


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of 16 bits, 0 to 65535, as 8: 65535 / 255 = 257 levels become one."""
    if grey.min() < 0 or grey.max() > 65535:
        raise PhotoError("its pixels are 32-bit numbers, whose range is not known: save it with 8 or 16 bits")
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _megapixels(pixels: int) -> str:
    return f"{pixels / 1e6:g} megapixels"
