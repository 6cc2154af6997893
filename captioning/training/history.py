"""The history of a training: a file that grows by a JSON line for each iteration and for each validation."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from captioning.checks import Check, check_values
from captioning.training.errors import RunError
from minigrad.runtime.files import flush_to_disk, irregular, replacing

__all__ = ["SCORES", "Entry", "History", "check_regular"]

Entry = dict[str, Any]

SCORES = ("val_loss", "val_bleu", "val_cider", "val_exercise_bleu")
"""What a validation finds."""

_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("iteration", "epoch"), (lambda value: type(value) is int, "an int")),
    **dict.fromkeys(
        ("loss", "learning_rate", *SCORES, "reward"), (lambda value: type(value) in (int, float), "a number")
    ),
}


class History:
    """Entries, in memory until `flush` and then in the file `path`, whose last line may be torn.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     history = History(Path(folder, "history.jsonl"))
    ...     history.add({"iteration": 1, "loss": 2.5})
    ...     history.add({"iteration": 2, "loss": 2.0})
    ...     history.flush()
    ...     history.cut(1)
    [{'iteration': 1, 'loss': 2.5}]
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []

    def add(self, entry: Entry) -> None:
        """Add an entry, which `flush` writes."""
        self._lines.append(json.dumps(entry) + "\n")

    def flush(self) -> None:
        """Write the added entries to the disk itself: a checkpoint that is written next must not outlive them.

        An OSError names the file, which is then as it was before.
        """
        if not self._lines:
            return
        size = self.path.stat().st_size if self.path.exists() else None
        try:
            with open(self.path, "a", encoding="utf-8") as file:
                file.writelines(self._lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, size) if size is not None else self.path.unlink()
            raise OSError(error.errno, error.strerror, os.fspath(self.path)) from error
        if size is None:
            with suppress(OSError):  # not every system flushes folders
                flush_to_disk(self.path.parent)
        self._lines.clear()

    def read(self) -> list[Entry]:
        """Return all entries of the file; a RunError names a damaged line, but the last one may be torn."""
        check_regular(self.path)
        if not self.path.is_file():
            return []
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        entries = []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("not an object")
                check_values(entry, _CHECKS)
            except ValueError as error:
                if number == len(lines):
                    break
                raise RunError(f"{self.path}: line {number} is damaged: {error}") from error
            entries.append(entry)
        return entries

    def until(self, iteration: int) -> list[Entry]:
        """Return the entries up to an iteration."""
        return [entry for entry in self.read() if entry.get("iteration", 0) <= iteration]

    def cut(self, iteration: int) -> list[Entry]:
        """Remove the entries after an iteration from the file; return the others."""
        kept = self.until(iteration)
        with replacing(self.path, durable=True) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        return kept


def check_regular(path: Path) -> None:
    """Raise a RunError if the path is a pipe, a folder or a device."""
    if found := irregular(path):
        raise RunError(f"{path}: is {found}, not a regular file")
