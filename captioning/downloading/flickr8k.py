"""Flickr8k: its archives become photos and a table `image,split,caption`, for `captioning prepare`.

In the archive of texts `Flickr8k.token.txt` has a line for each caption, `NAME.jpg#NUMBER`, a tab and the caption,
and `Flickr_8k.{train,dev,test}Images.txt` have the names of the photos of a split, a line each. Photos that are in no
split are left out of the table.

Source: M. Hodosh, P. Young and J. Hockenmaier, "Framing Image Description as a Ranking Task", JAIR 47, 2013.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from captioning.data.folder import PHOTOS_FOLDER, RAW_CAPTIONS_FILE
from captioning.downloading.archives import unpack
from captioning.downloading.errors import DownloadError
from captioning.downloading.sources import Source
from captioning.progress import Progress
from minigrad.runtime.files import replacing

__all__ = ["caption_table", "make_flickr8k"]

TEXT_FOLDER = "text"

_CAPTIONS = "Flickr8k.token.txt"
_SPLIT_FILES = {
    "train": "Flickr_8k.trainImages.txt",
    "val": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
_LINE = re.compile(r"(?P<image>[^\t#]+)#\d+\t(?P<caption>.*)")


def make_flickr8k(folder: Path, archives: Mapping[Source, Path], progress: Progress) -> str:
    """Unpack the archives into `photos` and `text` of a folder and write its `captions.csv`; what is there, in words.

    A DownloadError if a photo of a split is not there, or has no caption.
    """
    for source, archive in archives.items():
        progress.say(f"unpacking {archive.name}")
        if source.name == "Flickr8k_Dataset":
            unpack(archive, folder, _place_of_photo, (), source.largest, progress)
        else:
            needed = [f"{TEXT_FOLDER}/{name}" for name in (_CAPTIONS, *_SPLIT_FILES.values())]
            unpack(archive, folder, _place_of_text, needed, source.largest, progress)
    table = folder / RAW_CAPTIONS_FILE
    rows = caption_table(folder / TEXT_FOLDER)
    photos = folder / PHOTOS_FOLDER
    there = {path.name for path in photos.glob("*")}
    lost = sorted({image for image, _, _ in rows} - there)
    if lost:
        raise DownloadError(f"{photos}: {len(lost)} photos of the splits are missing, the first {lost[0]}")
    _write_table(table, rows)
    lines = [f"{photos}: {len(there):,} photos"]
    for split in _SPLIT_FILES:
        images = [image for image, own, _ in rows if own == split]
        lines.append(f"{table}: {split}: {len(images):,} captions of {len(set(images)):,} photos")
    return "\n".join(lines)


def caption_table(folder: Path) -> list[tuple[str, str, str]]:
    """The rows (image, split, caption) from the files of the archive of texts; in the order of their splits' lists.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     _ = Path(name, "Flickr8k.token.txt").write_text("b.jpg#0\\tA dog .\\na.jpg#0\\tA cat .\\n")
    ...     for split, images in (("train", "a.jpg"), ("dev", "b.jpg"), ("test", "")):
    ...         _ = Path(name, f"Flickr_8k.{split}Images.txt").write_text(images)
    ...     caption_table(Path(name))
    [('a.jpg', 'train', 'A cat .'), ('b.jpg', 'val', 'A dog .')]
    """
    captions = _captions(folder / _CAPTIONS)
    split_of: dict[str, str] = {}
    for split, name in _SPLIT_FILES.items():
        for image in filter(None, map(str.strip, _lines(folder / name))):
            if split_of.setdefault(image, split) != split:
                raise DownloadError(f"{folder / name}: {image} is in the split {split_of[image]} already")
            if image not in captions:
                raise DownloadError(f"{folder / name}: {image} has no caption in {_CAPTIONS}")
    return [(image, split, caption) for image, split in split_of.items() for caption in captions[image]]


def _captions(path: Path) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for number, line in enumerate(_lines(path), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DownloadError(f"{path}: line {number} is not NAME#NUMBER, a tab and a caption: {line[:60]!r}")
        captions.setdefault(match["image"], []).append(match["caption"].strip())
    return captions


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DownloadError(f"{path}: cannot be read as text: {error}") from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def _write_table(path: Path, rows: list[tuple[str, str, str]]) -> None:
    """Write the table, unless it is there; another one in its place is a DownloadError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "split", "caption"])
    writer.writerows(rows)
    content = text.getvalue().encode()
    if path.is_file() and path.read_bytes() != content:
        raise DownloadError(f"{path}: is there already and is another table; remove it, or choose another --out")
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _place_of_photo(member: str) -> str | None:
    path = PurePosixPath(member)
    return f"{PHOTOS_FOLDER}/{path.name}" if path.suffix.lower() == ".jpg" and path.parts[0] != "__MACOSX" else None


def _place_of_text(member: str) -> str | None:
    path = PurePosixPath(member)
    wanted = path.name == "readme.txt" or path.name in (_CAPTIONS, *_SPLIT_FILES.values())
    return f"{TEXT_FOLDER}/{path.name}" if wanted and path.parts[0] != "__MACOSX" else None
