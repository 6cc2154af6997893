"""What goes with scores: captions as a file in COCO's results format, and a line that says what scores depend on.

The results format is a JSON array with an object for each image, `image_id` and `caption`, which other evaluation tools
read (https://cocodataset.org/#format-results). Scores can be compared if their signatures are equal; the idea is
sacreBLEU's: M. Post, A call for clarity in reporting BLEU scores (2018).
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
    return ids if len(set(ids)) == len(rows) else rows  # two images of one id cannot be told apart


def write_results(
    path: str | os.PathLike[str], split: Split, images: Iterable[int], said: Sequence[Sequence[str]]
) -> None:
    """Write the captions `said`, a list of words each, of some image rows of a split.

    Objects also have the image's `file_name` where the data set knows it. The file appears whole or not at all.
    """
    ids, names = image_ids(split), split.image_names if split.has_image_names else None
    results = []
    for i, words in zip(map(int, images), said, strict=True):
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
    """Return the signature of scores: of which images, against which references, and how captions were decoded.

    part, images: which part of the split, and how many images of it. drawn_by: the seed that drew them, if they are not
    all. decoding: such as 'greedy' or 'beam 3'. frequencies: of CIDEr-D, 'corpus' for those of the references, 'train'
    for those of the training captions; None without CIDEr-D. References are 'raw', whole as people wrote them, or
    'stored', cut as the data set has them.

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
