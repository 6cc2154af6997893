"""How the captions of a data set were split into words, as its captions file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from captioning.data.errors import DataError
from captioning.data.hdf5 import checked_attribute, open_hdf5
from captioning.data.tokens import TOKENIZERS

__all__ = ["recorded_name", "recorded_tokenizer"]


def recorded_name(path: Path) -> str:
    """The tokenizer that the attribute `tokenizer` of a captions file names; without the attribute it is "words".

    A name that is not known is a DataError.
    """
    with open_hdf5(path) as file:
        name = checked_attribute(file, path, "/", "tokenizer")
    if name is None:
        return "words"
    if name not in TOKENIZERS:
        raise DataError(f"{path}: the tokenizer {name!r} is none of {', '.join(TOKENIZERS)}")
    return name


def recorded_tokenizer(path: Path) -> Callable[[str], list[str]]:
    """The tokenizer of `recorded_name`.

    The references of a captions file are split by the same one, or words that a captioner cannot say would stand in
    them.
    """
    return TOKENIZERS[recorded_name(path)]
