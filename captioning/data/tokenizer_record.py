"""How the captions of a data set were split into words, as its captions file says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from captioning.data.errors import DataError
from captioning.data.hdf5 import checked_attribute, open_hdf5
from captioning.data.tokens import TOKENIZERS

__all__ = ["recorded_tokenizer", "recorded_tokenizer_name"]


def recorded_tokenizer(path: Path) -> Callable[[str], list[str]]:
    """The tokenizer that a captions file names: its references are split by the same one, or words that a captioner
    cannot say would stand in them. Errors as in `recorded_tokenizer_name`.
    """
    return TOKENIZERS[recorded_tokenizer_name(path)]


def recorded_tokenizer_name(path: Path) -> str:
    """What the attribute `tokenizer` of a captions file says, without one "words"; an unknown name is a DataError."""
    with open_hdf5(path) as file:
        name = checked_attribute(file, path, "/", "tokenizer") or "words"
    if name not in TOKENIZERS:
        raise DataError(f"{path}: the tokenizer {name!r} is none of {', '.join(TOKENIZERS)}")
    return name
