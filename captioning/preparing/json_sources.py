"""Captions in JSON: MS-COCO's annotations, and split files like Karpathy's.

- COCO: `images` with `id` and `file_name`, `annotations` with `image_id` and `caption`. Source: cocodataset.org,
  "Format data", "Image Captioning".
- Karpathy: `images`, each with `filename`, `split` and `sentences`, each with `raw` or `tokens`. Source: the files
  `dataset_coco.json`, `dataset_flickr8k.json` of "Deep visual-semantic alignments" (Karpathy and Li 2015).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.data.folder import read_text
from captioning.preparing.images import CaptionedImage, LeftOut, split_of

__all__ = ["Ids", "coco_images", "json_format", "karpathy_images", "read_json"]

# `read_json` drops all other keys, so a new format has to add its own.
_KEYS = frozenset(("images", "id", "file_name", "annotations", "image_id", "caption",
                   "filename", "filepath", "split", "sentences", "raw", "tokens"))  # fmt: skip
_KINDS = {str: "a text", list: "a list", dict: "an object", int: "a number"}

Ids = dict[tuple[str, str], str]  # by (kind, id), with the kinds 'images' and 'annotations': the first place of the id


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a UTF-8 JSON file, without keys that no format uses, which bounds memory.

    Any problem with the file raises a DataError that names it.
    """
    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k in _KEYS})
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    _check(content, dict, str(path))
    return content  # type: ignore[no-any-return]


def json_format(content: dict[str, Any], path: Path) -> str:
    """Return 'coco' or 'karpathy', by keys that only one of them has."""
    if "annotations" in content:
        return "coco"
    images = content.get("images")
    if isinstance(images, list) and any(isinstance(image, dict) and "sentences" in image for image in images):
        return "karpathy"
    raise DataError(f"{path}: has neither the keys images and annotations, as COCO's captions, nor images with "
                    "sentences, as Karpathy's splits")  # fmt: skip


def coco_images(
    content: dict[str, Any], path: Path, left_out: LeftOut, split: str | None, ids: Ids
) -> list[CaptionedImage]:
    """Return the images of a COCO file at `path` with this content, in a split.

    ids: those of files that were read before; an id that is used twice raises a DataError.
    """
    images: dict[int | str, CaptionedImage] = {}
    for n, image in enumerate(_entry(content, "images", str(path), list)):
        where = f"{path}: images[{n}]"
        image_id, name = _entry(image, "id", where, int, str), _entry(image, "file_name", where, str)
        _check_first(ids, "images", image_id, where)
        images[image_id] = CaptionedImage(name, split)
    for n, annotation in enumerate(_entry(content, "annotations", str(path), list)):
        where = f"{path}: annotations[{n}]"
        image_id, caption = _entry(annotation, "image_id", where, int, str), _entry(annotation, "caption", where, str)
        if (own := annotation.get("id")) is not None:
            _check_first(ids, "annotations", own, where)
        if image_id in images:
            images[image_id].add(caption)
        else:
            left_out.add("captions of an image that is not in images", f"of image_id {image_id}")
    return list(images.values())


def karpathy_images(content: dict[str, Any], path: Path) -> list[CaptionedImage]:
    """Return the images of a Karpathy file at `path` with this content; an image without `split` has none."""
    images = []
    for n, image in enumerate(_entry(content, "images", str(path), list)):
        where = f"{path}: images[{n}]"
        name = _entry(image, "filename", where, str)
        folder = _entry(image, "filepath", where, str) if "filepath" in image else ""
        split = split_of(_entry(image, "split", where, str), where) if "split" in image else None
        images.append(CaptionedImage(f"{folder}/{name}" if folder else name, split))
        for k, sentence in enumerate(_entry(image, "sentences", where, list)):
            images[-1].add(_sentence(sentence, f"{where}: sentences[{k}]"))
    return images


def _sentence(sentence: Any, where: str) -> str:
    """Return the raw sentence, or its tokens with spaces."""
    _check(sentence, dict, where)
    if "raw" in sentence:
        return str(_entry(sentence, "raw", where, str))
    tokens = _entry(sentence, "tokens", where, list)
    for n, token in enumerate(tokens):
        _check(token, str, f"{where}: tokens[{n}]")
    return " ".join(tokens)


def _entry(owner: Any, key: str, where: str, *kinds: type) -> Any:
    """Return `owner[key]`; raise a DataError that begins with `where` if it is missing or of another kind."""
    _check(owner, dict, where)
    if key not in owner:
        raise DataError(f"{where}: the key {key} is missing")
    _check(owner[key], kinds, f"{where}: {key}")
    return owner[key]


def _check(value: Any, kinds: type | tuple[type, ...], where: str) -> None:
    """Raise a DataError unless the value is of one of the kinds, and not a bool."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        fits = " or ".join(_KINDS[kind] for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
        raise DataError(f"{where}: must be {fits}; got {type(value).__name__} {str(value)[:40]!r}")


def _check_first(ids: Ids, kind: str, own: Any, where: str) -> None:
    if (first := ids.setdefault((kind, str(own)), where)) != where:
        raise DataError(f"{where}: duplicate id {own}, first in {first}")
