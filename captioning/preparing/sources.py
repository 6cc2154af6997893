"""Read a source of captions, in any format, into a list of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.data.folder import read_text
from captioning.preparing.images import CaptionedImage, LeftOut, split_of
from captioning.preparing.json_sources import Ids, coco_images, json_format, karpathy_images, read_json
from captioning.vision.photo_files import ENDINGS, visible_files

__all__ = ["FORMATS", "read_sources"]

# COCO's caption JSON, JSON with splits like Karpathy's, a table `image,split,caption`, photos with text files.
FORMATS = ("coco", "karpathy", "csv", "folder")


def read_sources(paths: Sequence[Path], left_out: LeftOut, format: str | None = None) -> list[CaptionedImage]:
    """Return the images of a source with their captions, in its order.

    paths: one source, or several files of COCO's captions, whose names contain their splits, train or val.
    format: one of FORMATS; None detects it: a folder, the suffix .csv, JSON by its keys.

    Unusable entries are added to `left_out`. Unreadable content, duplicate images or ids, and a source without images
    raise a DataError.
    """
    images: dict[str, CaptionedImage] = {}
    first: dict[str, Path] = {}
    ids: Ids = {}
    for path in paths:
        split = _split_in_name(path) if len(paths) > 1 else None
        for image in _read(path, left_out, format, split, ids):
            if image.path in images:
                raise DataError(f"{path}: duplicate image {image.path!r}, first in {first[image.path]}")
            images[image.path], first[image.path] = image, path
    if not images:
        raise DataError(f"{' and '.join(map(str, paths))}: has no images")
    return list(images.values())


def _split_in_name(path: Path) -> str:
    """Return the split in the name of one of several files, such as captions_train2014.json."""
    found = [split for split in ("train", "val") if split in path.name.lower()]
    if len(found) != 1:
        raise DataError(f"{path}: if you pass several sources, each must have its split, train or val, in its name")
    return found[0]


def _read(path: Path, left_out: LeftOut, format: str | None, split: str | None, ids: Ids) -> list[CaptionedImage]:
    """Read one source. split: of one of several sources, which must be COCO's."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if format is not None and path.is_dir() != (format == "folder"):
        raise DataError(f"{path}: is {'a folder' if path.is_dir() else 'not a folder'}, but --format is {format}")
    if format is None:
        format = "folder" if path.is_dir() else {".csv": "csv", ".json": "json"}.get(path.suffix.lower())
    if format is None:
        raise DataError(f"{path}: is neither a folder nor a .json or .csv file; name its format with --format")
    content = read_json(path) if format in ("json", "coco", "karpathy") else {}
    if format == "json":
        format = json_format(content, path)
    if split is not None and format != "coco":
        raise DataError(f"{path}: if you pass several sources, each must be COCO's caption JSON")
    if format == "folder":
        return _folder_images(path, left_out)
    if format == "csv":
        return _csv_images(path)
    return karpathy_images(content, path) if format == "karpathy" else coco_images(content, path, left_out, split, ids)


def _csv_images(path: Path) -> list[CaptionedImage]:
    """Return the images of a table `image,split,caption` or `image,caption`, with one caption per line."""
    images: dict[str, CaptionedImage] = {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        columns = reader.fieldnames or ()
        if missing := {"image", "caption"} - set(columns):
            raise DataError(f"{path}: the first line must name the columns image,caption or image,split,caption; "
                            f"it lacks {' and '.join(sorted(missing))}; it has {','.join(columns)[:80]}")  # fmt: skip
        for row in reader:
            _add_row(images, row, f"{path}: line {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: is not a valid table row: {error}") from error
    return list(images.values())


def _add_row(images: dict[str, CaptionedImage], row: dict[Any, Any], where: str) -> None:
    """Add the caption of a row to its image."""
    if None in row:
        raise DataError(f"{where}: has more columns than the first line; a caption with a comma needs quotes around it")
    if None in row.values():
        raise DataError(f"{where}: has too few columns; it needs {','.join(row)}")
    name = row["image"].strip()
    if not name:
        raise DataError(f"{where}: names no image")
    split = split_of(row["split"].strip(), where) if "split" in row else None
    image = images.setdefault(name, CaptionedImage(name, split))
    if image.split != split:
        raise DataError(f"{where}: {name!r} is in the split {split}, but an earlier line puts it in {image.split}")
    image.add(row["caption"])


def _folder_images(folder: Path, left_out: LeftOut) -> list[CaptionedImage]:
    """Return the photos in a folder and its subfolders with the captions in `NAME.txt` beside `NAME.jpg`, by name.

    Text files without a photo, and photos whose names are not UTF-8, are left out. Two photos for one text file raise a
    DataError. Hidden files are ignored.
    """
    texts: dict[Path, Path] = {}
    photos: dict[Path, Path] = {}
    try:
        files = sorted(path for path in visible_files(folder, recursive=True) if path.is_file())
    except OSError as error:
        raise DataError(f"{error.filename or folder}: cannot be read: {error.strerror or error}") from error
    for path in files:
        stem, suffix, name = path.with_suffix(""), path.suffix.lower(), str(path.relative_to(folder))
        if name != name.encode(errors="replace").decode():
            if suffix in ENDINGS:
                left_out.add("photos with a name that is not UTF-8", name)
        elif suffix == ".txt":
            texts[stem] = path
        elif suffix in ENDINGS:
            if stem in photos:
                raise DataError(f"{path}: {photos[stem].name} has the same name; {stem.name}.txt would belong to both")
            photos[stem] = path
    for stem, path in texts.items():
        if stem not in photos:
            left_out.add("text files without a photo", str(path.relative_to(folder)))
    if not photos:
        raise DataError("; ".join([f"{folder}: has no photo ({', '.join(ENDINGS)})", *left_out.lines()]))
    images = [CaptionedImage(path.relative_to(folder).as_posix()) for path in photos.values()]
    for stem, image in zip(photos, images, strict=True):
        for line in read_text(texts[stem]).splitlines() if stem in texts else ():
            if line.strip():
                image.add(line)
    return images
