"""Where the photo of an image is, if the data set has it."""

from __future__ import annotations

from pathlib import Path

from captioning.data.splits import Split

__all__ = ["photo_path"]


def photo_path(split: Split, i: int) -> Path | None:
    """The photo file of image row `i`, or None.

    It is in the folder `photos`, by its name, or where the image's address says, if that is a path that stays inside
    the data set's folder, as that of a drawn scene.
    """
    photo = split.photo(i)
    if photo is None and split.has_urls:
        path = split.folder / split.urls[i].decode("utf-8", errors="replace")
        try:
            inside = path.is_file() and path.resolve().is_relative_to(split.folder.resolve())
        except (OSError, ValueError):  # an address can hold what no path can: a null byte, or too many characters
            inside = False
        photo = path if inside else None
    return photo
