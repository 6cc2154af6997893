"""JSON of hundreds of thousands of captions, read in bounded memory: entries that nobody asked for are not kept."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from captioning.data.errors import DataError
from captioning.preparing.text_files import read_text

__all__ = ["checked", "entry", "read_json"]

_KINDS = {str: "a text", list: "a list", dict: "an object", int: "a number"}


def read_json(path: Path, keys: Collection[str]) -> dict[str, Any]:
    """The object in a file of UTF-8 JSON; of it and of all objects in it only entries of the given keys.

    Whatever is wrong with the file is a DataError that names it.
    """

    def wanted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        return {key: value for key, value in pairs if key in keys}

    text = read_text(path)
    try:
        content = json.loads(text, object_pairs_hook=wanted)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    return checked(content, dict, str(path))  # type: ignore[no-any-return]


def entry(owner: Any, key: str, kind: type | tuple[type, ...], where: str) -> Any:
    """`owner[key]`, or a DataError that begins with `where` if there is no such entry or it is of another kind."""
    checked(owner, dict, where)
    if key not in owner:
        raise DataError(f"{where}: the key {key} is missing")
    return checked(owner[key], kind, f"{where}: {key}")


def checked(value: Any, kind: type | tuple[type, ...], where: str) -> Any:
    """The value, if it is of the kind and no bool."""
    if isinstance(value, bool) or not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        fits = " or ".join(_KINDS[k] for k in kinds)
        raise DataError(f"{where}: must be {fits}; got {type(value).__name__} {str(value)[:40]!r}")
    return value
