"""A file while it arrives: what is there of it, and of which version of the file on the server it is a part.

`NAME.part` holds the bytes, `NAME.part.json` what the server said of the file: its size, and the validator by which
the rest may be asked for (RFC 9110, 13.1.5: a strong ETag, or the date of the last change). The second is written
before the first byte, so that bytes are never taken for those of another version.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from captioning.downloading.errors import DownloadError
from minigrad.runtime.files import irregular, replacing

__all__ = ["PartFile", "Version"]


@dataclass(frozen=True)
class Version:
    """What a server says of a file. size: bytes, None if it is silent. validator: for If-Range, None if none fits."""

    size: int | None
    validator: str | None

    @classmethod
    def of(cls, headers: Any, size: int | None) -> Version:
        """From the headers of a response.

        >>> Version.of({"ETag": 'W/"1"', "Last-Modified": "Tue, 10 Jul 2018 16:46:29 GMT"}, 9).validator
        'Tue, 10 Jul 2018 16:46:29 GMT'
        """
        etag = headers.get("ETag")
        strong = etag if etag and etag.startswith('"') else None  # a weak one does not promise the same bytes
        return cls(size, strong or headers.get("Last-Modified"))


class PartFile:
    """The part of `target` that is there."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        for path in (self.path, self._notes):
            if found := irregular(path):
                raise DownloadError(f"{path}: is {found}, not a regular file")

    @property
    def length(self) -> int:
        """How many bytes are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def version(self) -> Version | None:
        """Of which version they are; None if that is not known, and so nobody can go on with them."""
        try:
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            size, validator = notes["size"], notes["validator"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        fits = isinstance(validator, str) and validator.isascii() and validator.isprintable()
        return Version(size, validator) if fits and (size is None or type(size) is int) else None

    @property
    def whole(self) -> bool:
        """Whether all bytes are there."""
        version = self.version
        return version is not None and version.size is not None and version.size == self.length

    def begin(self, version: Version) -> BinaryIO:
        """Begin anew with a version; the file to write into, without a buffer: what is written is there."""
        self.discard()
        with replacing(self._notes) as temporary:
            temporary.write_text(json.dumps(asdict(version)), encoding="utf-8")
        return open(self.path, "wb", buffering=0)

    def go_on(self) -> BinaryIO:
        """The file to write into, behind what is there."""
        return open(self.path, "ab", buffering=0)

    def discard(self) -> None:
        """Remove what is there. The bytes go first: notes without bytes do no harm."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """It is whole: give it its name."""
        os.replace(self.path, target)
        self._notes.unlink(missing_ok=True)
