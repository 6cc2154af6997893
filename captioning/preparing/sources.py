"""A source of captions, of whichever kind, becomes the common table of images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.coco_json import COCO_KEYS, Places, coco_images
from captioning.preparing.csv_table import csv_images
from captioning.preparing.gaps import Gaps
from captioning.preparing.json_files import read_json
from captioning.preparing.karpathy_json import KARPATHY_KEYS, karpathy_images
from captioning.preparing.photo_folder import folder_images
from captioning.preparing.table import CaptionedImage
from minigrad.runtime.files import irregular

__all__ = ["FORMATS", "read_source", "read_sources"]

FORMATS = ("coco", "karpathy", "csv", "folder")
"""COCO's caption JSON, JSON with splits as Karpathy's, a table `image,split,caption`, photos with text files."""


def read_sources(paths: Sequence[Path], gaps: Gaps, format: str | None = None) -> list[CaptionedImage]:
    """As `read_source` of one path; several are files of COCO's captions, of a split each, by train or val in the name.

    An id of an image or of a caption, and a name of an image, that stands in two of them is a DataError.
    """
    if len(paths) == 1:
        return read_source(paths[0], gaps, format)
    images: dict[str, CaptionedImage] = {}
    first: dict[str, Path] = {}
    places: Places = {}
    for path in paths:
        split = _split_in_name(path)
        _check_place(path, "coco")
        content = read_json(path, {*COCO_KEYS, *KARPATHY_KEYS})
        if (format or _json_format(content, path)) != "coco":
            raise DataError(f"{path}: of several sources each must be COCO's caption JSON")
        for image in coco_images(content, path, gaps, split, places):
            if image.path in images:
                raise DataError(f"{path}: the image {image.path!r} stands twice, first in {first[image.path]}")
            images[image.path], first[image.path] = image, path
    return list(images.values())


def _split_in_name(path: Path) -> str:
    """The split that the name of one of several files says, as captions_train2014.json does."""
    found = [split for split in ("train", "val") if split in path.name.lower()]
    if len(found) != 1:
        raise DataError(
            f"{path}: of several sources each must have either train or val in its name, which is its split"
        )
    return found[0]


def read_source(path: Path, gaps: Gaps, format: str | None = None) -> list[CaptionedImage]:
    """The images of a source with what was said of each, in the order of the source.

    format: one of FORMATS; None finds it: a folder, the suffix .csv, JSON by its keys. What the source lacks is added
    to `gaps`. What cannot be read, two images by one name, and a source without images are a DataError.
    """
    images = _read(path, gaps, format)
    if not images:
        raise DataError(f"{path}: has no images")
    names: set[str] = set()
    for image in images:
        if image.path in names:
            raise DataError(f"{path}: the image {image.path!r} stands twice")
        names.add(image.path)
    return images


def _check_place(path: Path, format: str | None) -> None:
    """Raise a DataError unless there is what can be read as such a format."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if format is not None and path.is_dir() != (format == "folder"):
        raise DataError(f"{path}: is {'a folder' if path.is_dir() else 'no folder'}, which is not --format {format}")
    if not path.is_dir() and (found := irregular(path)):
        raise DataError(f"{path}: is {found}, not a regular file")


def _read(path: Path, gaps: Gaps, format: str | None) -> list[CaptionedImage]:
    _check_place(path, format)
    if path.is_dir():
        return folder_images(path, gaps)
    if format == "csv" or (format is None and path.suffix.lower() == ".csv"):
        return csv_images(path, gaps)
    if format is None and path.suffix.lower() != ".json":
        raise DataError(f"{path}: neither a folder nor a file .json or .csv; say what it is with --format")
    content = read_json(path, {*COCO_KEYS, *KARPATHY_KEYS})
    reader = karpathy_images if (format or _json_format(content, path)) == "karpathy" else coco_images
    return reader(content, path, gaps)


def _json_format(content: dict[str, Any], path: Path) -> str:
    """Which of the two kinds of JSON it is, by keys that only one has."""
    if "annotations" in content:
        return "coco"
    images = content.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return "karpathy"
    raise DataError(f"{path}: has neither the keys images and annotations, as COCO's captions, nor images with "
                    "sentences, as Karpathy's splits")  # fmt: skip
