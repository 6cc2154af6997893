"""Raw captions as people wrote them: the table `image,split,caption`."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from captioning.data.errors import DataError
from captioning.data.tokens import tokenise

__all__ = ["read_raw_captions"]


def read_raw_captions(
    path: Path, split: str, tokenizer: Callable[[str], list[str]] = tokenise
) -> dict[str, list[list[str]]]:
    """The tokenised captions of one split, by the file name of the image without its folder."""
    captions: dict[str, list[list[str]]] = {}
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            missing = {"image", "split", "caption"} - set(reader.fieldnames or ())
            if missing:
                found = reader.fieldnames or "none"
                raise DataError(f"{path}: the columns {sorted(missing)} are missing; it has {found}")
            for row in reader:
                if row["caption"] is None:
                    line = reader.line_num
                    raise DataError(f"{path}: line {line} is cut short; it needs image,split,caption")
                if row["split"] == split:
                    name = row["image"].rpartition("/")[2]
                    captions.setdefault(name, []).append(tokenizer(row["caption"]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of captions: {error}") from error
    return captions
