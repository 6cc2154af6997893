"""Captions as a file in the results format of the COCO captioning task, which evaluation tools of others read.

It is a JSON array with an object an image, `image_id` and `caption`. Source: https://cocodataset.org/#format-results.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence

from captioning.data.splits import Split
from minigrad.runtime.files import replacing

__all__ = ["image_ids", "write_results"]

_COCO_NAME = re.compile(r"(?:.*_)?(\d{12})(?:\.\w+)?")  # such as COCO_val2014_000000391895.jpg


def image_ids(split: Split) -> list[int]:
    """The id of each image of a split: the number in its file name, where all names are COCO's, else its row.

    >>> [match[1] for name in ("COCO_val2014_000000000042.jpg", "dog.jpg") if (match := _COCO_NAME.fullmatch(name))]
    ['000000000042']
    """
    rows = list(range(len(split.features)))
    if not split.has_image_names:
        return rows
    found = [_COCO_NAME.fullmatch(name) for name in split.image_names]
    ids = [int(match[1]) for match in found if match]
    return ids if len(set(ids)) == len(rows) else rows  # two images of one id cannot be told apart


def write_results(
    path: str | os.PathLike[str], split: Split, images: Iterable[int], said: Sequence[Sequence[str]]
) -> None:
    """Write what was said, a list of words each, of some image rows of a split; an OSError if that cannot be.

    Objects also have the image's `file_name` where the data set knows it. The file is there whole or not at all.
    """
    ids, names = image_ids(split), split.image_names if split.has_image_names else None
    results = []
    for i, words in zip(map(int, images), said, strict=True):
        result: dict[str, int | str] = {"image_id": ids[i], "caption": " ".join(words)}
        results.append(result if names is None else result | {"file_name": names[i]})
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
