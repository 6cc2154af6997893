"""Record the order in which a program flushes and renames files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


class DiskOrder:
    """Records os.fsync, os.replace and os.rename. A flushed file is known by its number, which a renaming keeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._events: list[tuple[str, object]] = []
        fsync = os.fsync

        def flush(handle: int) -> None:
            self._events.append(("flush", os.fstat(handle).st_ino))
            fsync(handle)

        monkeypatch.setattr(os, "fsync", flush)
        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, self._renaming(getattr(os, name)))

    def _renaming(self, inner):
        def rename(source: str | Path, target: str | Path) -> None:
            inner(source, target)
            self._events.append(("name", Path(target).name))

        return rename

    def flushed(self, path: Path) -> list[int]:
        """The times at which an existing file or folder was flushed."""
        return [n for n, event in enumerate(self._events) if event == ("flush", path.stat().st_ino)]

    def named(self, name: str) -> list[int]:
        """The times at which a file or folder got a name."""
        return [n for n, event in enumerate(self._events) if event == ("name", name)]

    def forget(self) -> None:
        """Delete all records."""
        self._events.clear()
