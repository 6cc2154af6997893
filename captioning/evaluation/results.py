"""Write captions in COCO's results format, and the signature of scores.

The results format is a JSON array of objects with `image_id` and `caption`, which other evaluation tools read
(https://cocodataset.org/#format-results). Two scores compare only if their signatures are equal, as in sacreBLEU:
M. Post, A call for clarity in reporting BLEU scores (2018).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence

from captioning.data.splits import Split
from captioning.data.tokens import recorded_tokenizer_name
from minigrad.runtime.files import replacing

__all__ = ["image_ids", "signature", "write_results"]

_COCO_NAME = re.compile(r"(?:.*_)?(\d{12})(?:\.\w+)?")  # such as COCO_val2014_000000391895.jpg


def image_ids(split: Split) -> list[int]:
    """Return the id of each image of a split: the number in its file name if all names are COCO's, else its row.

    >>> [match[1] for name in ("COCO_val2014_000000000042.jpg", "dog.jpg") if (match := _COCO_NAME.fullmatch(name))]
    ['000000000042']
    """
    rows = list(range(len(split.features)))
    if not split.has_image_names:
        return rows
    found = [_COCO_NAME.fullmatch(name) for name in split.image_names]
    ids = [int(match[1]) for match in found if match]
    return ids if len(set(ids)) == len(rows) else rows  # duplicate ids would be ambiguous


def write_results(
    path: str | os.PathLike[str], split: Split, images: Iterable[int], captions: Sequence[Sequence[str]]
) -> None:
    """Write captions, lists of words, of some image rows of a split.

    Objects also have the image's `file_name`, if the data set has names. The file appears whole or not at all.
    """
    ids, names = image_ids(split), split.image_names if split.has_image_names else None
    results = []
    for i, words in zip(map(int, images), captions, strict=True):
        result: dict[str, int | str] = {"image_id": ids[i], "caption": " ".join(words)}
        results.append(result if names is None else result | {"file_name": names[i]})
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def signature(
    split: Split,
    part: str,
    images: int,
    decoding: str,
    max_length: int,
    drawn_by: int | None = None,
    frequencies: str | None = None,
) -> str:
    """Return the signature of scores: the images, the references, and how captions were decoded.

    part, images: the part of the split, and the number of images. drawn_by: the seed that drew them, unless they are
    all images of the part. decoding: a description such as 'greedy' or 'beam 3'. frequencies: 'corpus' if CIDEr-D used
    those of the references, 'train' for the training captions; None without CIDEr-D.

    References are 'raw', as people wrote them, or 'stored', cut as in the data set:

    ```
    references:raw|tokenizer:words|split:val|part:all|images:1000|decoding:greedy|max_length:34|frequencies:corpus
    ```
    """
    fields = {
        "references": "raw" if split.has_raw_captions else "stored",
        "tokenizer": recorded_tokenizer_name(split.captions_path),
        "split": split.name,
        "part": part,
        "images": images if drawn_by is None else f"{images} drawn by {drawn_by}",
        "decoding": decoding,
        "max_length": max_length,
    }
    if frequencies is not None:
        fields["frequencies"] = frequencies
    return "|".join(f"{name}:{value}" for name, value in fields.items())
