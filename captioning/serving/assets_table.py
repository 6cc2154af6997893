"""The page's files, read once from the folder `assets`, and what each is to a browser."""

from __future__ import annotations

from importlib.resources import files

__all__ = ["PAGE", "read_assets"]

PAGE = "page.html"

_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml",
          "js": "text/javascript; charset=utf-8"}  # fmt: skip


def read_assets() -> dict[str, tuple[bytes, str]]:
    """Of each file's name its content and media type. No other name is ever looked for on the disk.

    >>> content, media_type = read_assets()[PAGE]
    >>> content.split()[0], media_type
    (b'<!DOCTYPE', 'text/html; charset=utf-8')
    """
    found = {}
    for file in (files(__package__) / "assets").iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in _TYPES:
            found[file.name] = file.read_bytes(), _TYPES[ending]
    return found
