"""Whether a file is the archive that was meant."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from captioning.downloading.errors import DownloadError
from captioning.downloading.sources import Source
from captioning.progress import Progress
from minigrad.units import byte_text

__all__ = ["check_beginning", "check_content"]


def check_beginning(address: str, path: Path, content_type: str) -> None:
    """Raise a DownloadError unless a file begins as a zip archive does, so that no other is fetched to its end."""
    with open(path, "rb") as file:
        first = file.read(512)
    if first.startswith(b"PK"):
        return
    if "html" in content_type.lower() or first.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise DownloadError(f"{address}: gives a web page, not an archive; it may want a login, or the file has moved")
    raise DownloadError(f"{address}: gives no zip archive: it begins with {first[:16]!r}")


def check_content(path: Path, source: Source, progress: Progress) -> None:
    """Raise a DownloadError unless a file ends as a zip archive, with the size and checksum of the table, if any."""
    if not zipfile.is_zipfile(path):  # which reads its end, where the list of members is
        raise DownloadError("is no whole zip archive")
    size = path.stat().st_size
    if source.size is not None and size != source.size:
        raise DownloadError(
            f"has {size:,} bytes; {source.name} has {source.size:,} ({byte_text(source.size)}) by {source.known_from}"
        )
    if source.checksum is None:
        progress.say(f"{source.file}: no checksum is known, so none is checked")
        return
    kind, _, expected = source.checksum.partition(":")
    found = _digest(path, kind, progress)
    if found != expected:
        raise DownloadError(f"has the {kind} checksum {found}; {source.name} has {expected} by {source.known_from}")


def _digest(path: Path, kind: str, progress: Progress) -> str:
    """The checksum of a file; against accidents, and with MD5 against those alone."""
    digest, done = hashlib.new(kind, usedforsecurity=False), 0
    progress.begin(path.stat().st_size, unit=byte_text)
    with open(path, "rb") as file:
        while content := file.read(2**20):
            digest.update(content)
            done += len(content)
            progress.update(done)
    return digest.hexdigest()
