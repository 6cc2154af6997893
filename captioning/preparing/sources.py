"""A source of captions, of whichever kind, becomes the common table of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.coco_json import COCO_KEYS, coco_images
from captioning.preparing.csv_table import csv_images
from captioning.preparing.gaps import Gaps
from captioning.preparing.json_files import read_json
from captioning.preparing.karpathy_json import KARPATHY_KEYS, karpathy_images
from captioning.preparing.photo_folder import folder_images
from captioning.preparing.table import CaptionedImage
from minigrad.runtime.files import irregular

__all__ = ["FORMATS", "read_source"]

FORMATS = ("coco", "karpathy", "csv", "folder")
"""COCO's caption JSON, JSON with splits as Karpathy's, a table `image,split,caption`, photos with text files."""


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


def _read(path: Path, gaps: Gaps, format: str | None) -> list[CaptionedImage]:
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if format is not None and path.is_dir() != (format == "folder"):
        raise DataError(f"{path}: is {'a folder' if path.is_dir() else 'no folder'}, which is not --format {format}")
    if path.is_dir():
        return folder_images(path, gaps)
    if found := irregular(path):
        raise DataError(f"{path}: is {found}, not a regular file")
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
