"""A folder of photos, each with a text file beside it that has its captions, a line each."""

from __future__ import annotations

from pathlib import Path

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.table import CaptionedImage
from captioning.preparing.text_files import read_text
from captioning.vision.photo_files import ENDINGS, visible_files

__all__ = ["folder_images"]


def folder_images(folder: Path, gaps: Gaps) -> list[CaptionedImage]:
    """The photos in a folder and its subfolders that have `NAME.txt` beside `NAME.jpg`, by name, without splits.

    Photos without a text file and text files without a photo are gaps, and so are photos whose names are no UTF-8,
    which no list of names can have. Two photos for one text file, and text that is not UTF-8, are a DataError. What
    begins with a dot is not looked at.
    """
    texts: dict[Path, Path] = {}
    photos: dict[Path, Path] = {}
    for path in _files(folder):
        suffix, stem, name = path.suffix.lower(), path.with_suffix(""), str(path.relative_to(folder))
        if not _is_utf8(name):
            if suffix in ENDINGS:
                gaps.add("photos with a name that is not UTF-8", name)
        elif suffix == ".txt":
            texts[stem] = path
        elif suffix in ENDINGS:
            if stem in photos:
                raise DataError(f"{path}: {photos[stem].name} has the same name; {stem.name}.txt would speak of both")
            photos[stem] = path
    if not photos:
        others = "".join(f"; {line}" for line in gaps.lines())
        raise DataError(f"{folder}: has no photo ({', '.join(ENDINGS)}){others}")
    images = []
    for stem, path in photos.items():
        image = CaptionedImage(path.relative_to(folder).as_posix())
        for line in read_text(texts[stem]).splitlines() if stem in texts else ():
            if line.strip():
                image.say(line)
        images.append(image)
    for stem, path in texts.items():
        if stem not in photos:
            gaps.add("text files without a photo", str(path.relative_to(folder)))
    return images


def _is_utf8(name: str) -> bool:
    """Whether a file's name, as Python has it, can be written: bytes of others than UTF-8 are surrogates in it."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _files(folder: Path) -> list[Path]:
    """The files in a folder and its subfolders, by name."""
    try:
        return sorted(path for path in visible_files(folder, recursive=True) if path.is_file())
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
