"""COCO's caption JSON: `images` with `id` and `file_name`, `annotations` with `image_id` and `caption`.

Source: the format of MS-COCO's annotations, cocodataset.org/#format-data, "Image Captioning".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.gaps import Gaps
from captioning.preparing.json_files import entry
from captioning.preparing.table import CaptionedImage

__all__ = ["COCO_KEYS", "Places", "coco_images"]

COCO_KEYS = ("images", "id", "file_name", "annotations", "image_id", "caption")


Places = dict[tuple[str, str], str]
"""Where an id stands first: by its kind, 'images' or 'annotations', and itself."""


def coco_images(
    content: dict[str, Any], path: Path, gaps: Gaps, split: str | None = None, places: Places | None = None
) -> list[CaptionedImage]:
    """The images of a file at `path` with this content, in a split; captions of images that it lacks are gaps.

    places: of the ids of files that were read before, which stand nowhere else; those of this one are added.
    """
    places = {} if places is None else places
    images = _images(content, path, split, places)
    for n, annotation in enumerate(entry(content, "annotations", list, str(path))):
        where = f"{path}: annotations[{n}]"
        image_id = entry(annotation, "image_id", (int, str), where)
        caption = entry(annotation, "caption", str, where)
        if (own := annotation.get("id")) is not None:
            _check_first(places, "annotations", own, where, path)
        if image_id in images:
            images[image_id].say(caption)
        else:
            gaps.add("captions of an image that is not in images", f"of image_id {image_id}")
    return list(images.values())


def _check_first(places: Places, kind: str, own: Any, where: str, path: Path) -> None:
    """Raise a DataError if an id stands elsewhere too; of the same file the place in it is told."""
    first = places.setdefault((kind, str(own)), where)
    if first != where:
        raise DataError(f"{where}: the id {own} stands twice, first in {first.removeprefix(f'{path}: ')}")


def _images(content: dict[str, Any], path: Path, split: str | None, places: Places) -> dict[int | str, CaptionedImage]:
    """The images by their ids."""
    images: dict[int | str, CaptionedImage] = {}
    for n, image in enumerate(entry(content, "images", list, str(path))):
        where = f"{path}: images[{n}]"
        image_id, name = entry(image, "id", (int, str), where), entry(image, "file_name", str, where)
        if image_id in images:
            raise DataError(f"{where}: the id {image_id} stands twice, for {images[image_id].path!r} and {name!r}")
        _check_first(places, "images", image_id, where, path)
        images[image_id] = CaptionedImage(name, split)
    return images
