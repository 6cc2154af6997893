"""A table `image,split,caption`, a caption a line; the column of splits may be missing."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.table import CaptionedImage, split_of

__all__ = ["csv_images"]


def csv_images(path: Path, gaps: Gaps) -> list[CaptionedImage]:
    """The images of a UTF-8 table in the order in which they first stand there."""
    images: dict[str, CaptionedImage] = {}
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            _check_columns(path, reader.fieldnames)
            for row in reader:
                _add(images, row, f"{path}: line {reader.line_num}")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 near byte {error.start}: save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num}: is no line of a table: {error}") from error
    return list(images.values())


def _check_columns(path: Path, columns: Any) -> None:
    if missing := {"image", "caption"} - set(columns or ()):
        found = ",".join(columns) if columns else "nothing"
        raise DataError(f"{path}: the first line must name the columns image,caption or image,split,caption; "
                        f"it lacks {' and '.join(sorted(missing))}, it has {found[:80]}")  # fmt: skip


def _add(images: dict[str, CaptionedImage], row: dict[Any, Any], where: str) -> None:
    """Add the caption of a row to its image."""
    if None in row:
        raise DataError(f"{where}: has more columns than the first line; a caption with a comma needs quotes around it")
    if None in row.values():
        raise DataError(f"{where}: is cut short; it needs {','.join(row)}")
    name = row["image"].strip()
    if not name:
        raise DataError(f"{where}: names no image")
    split = split_of(row["split"].strip(), where) if "split" in row else None
    image = images.setdefault(name, CaptionedImage(name, split))
    if image.split != split:
        raise DataError(f"{where}: {name!r} is in the split {split}, but above it was in {image.split}")
    image.say(row["caption"])
