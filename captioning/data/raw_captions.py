"""Raw captions as people wrote them: the table `image,split,caption`."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from captioning.data.errors import DataError
from captioning.data.tokens import tokenise
from minigrad.runtime.files import irregular

__all__ = ["RawCaption", "each_raw_caption", "read_raw_captions"]

COLUMNS = ("image", "split", "caption")
_LONGEST = 200  # characters


class RawCaption(NamedTuple):
    """A line of the table; `image` is the file name without its folder."""

    image: str
    split: str
    caption: str


def each_raw_caption(path: Path) -> Iterator[RawCaption]:
    """The captions of all splits, one after the other; whatever is wrong with the table is a DataError."""
    if found := irregular(path):  # reading a pipe would wait for one who writes
        raise DataError(f"{path}: is {found}, not a regular file")
    line = 0
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:  # spreadsheets write a mark of the byte order
            reader = csv.DictReader(file, strict=True)
            missing = sorted(set(COLUMNS) - set(reader.fieldnames or ()))
            if missing:
                raise DataError(f"{path}: the columns {missing} are missing; it has {_told(reader.fieldnames)}")
            for row in reader:
                line = reader.line_num
                if None in row:
                    raise DataError(f"{path}: line {line} has more than {len(reader.fieldnames or ())} "
                                    "columns; a caption with a comma needs quotes")  # fmt: skip
                image, split, caption = (row[column] for column in COLUMNS)
                if image is None or split is None or caption is None:
                    raise DataError(f"{path}: line {line} is cut short; it needs {','.join(COLUMNS)}")
                yield RawCaption(image.rpartition("/")[2], split, caption)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a table of captions after line {line}: {error}") from error


def _told(columns: Sequence[str] | None) -> str:
    """The columns in a message, which a foreign file makes as long as it is."""
    text = str(list(columns)) if columns else "none"
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def read_raw_captions(
    path: Path, split: str, tokenizer: Callable[[str], list[str]] = tokenise
) -> dict[str, list[list[str]]]:
    """The tokenised captions of one split, by the file name of the image without its folder."""
    captions: dict[str, list[list[str]]] = {}
    for row in each_raw_caption(path):
        if row.split == split:
            captions.setdefault(row.image, []).append(tokenizer(row.caption))
    return captions
