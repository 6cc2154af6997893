"""The folder `.preparing` in that of a data set, where its files are made; whole, they move out, the captions last.

Nothing opens a folder without a captions file, so it is a data set at once or not at all. What a kill leaves is the
workshop, by which a folder is known as one to go on with, and perhaps files that had moved out: those are listed in
the workshop, and the next attempt, which may be of other options, removes them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from captioning.data.errors import DataError
from captioning.data.folder import CAPTIONS_FILE
from captioning.storage import FolderLock
from minigrad.runtime.files import replacing

__all__ = ["Workshop", "is_begun"]

_PLACE, _FEATURES, _REDUCTION = ".preparing", "features.part", "regions.part"
_KEPT = (_FEATURES, _REDUCTION)  # what a later job goes on with
_MOVED = "moved.txt"  # what moves out, a line each, a folder before what is in it


def is_begun(folder: str | os.PathLike[str]) -> bool:
    """Whether there are features in the workshop of a folder, for a later job to go on with."""
    return Path(folder, _PLACE, _FEATURES).is_file()


class Workshop:
    """The workshop in `folder`, made with it; in a `with` block this process has the folder alone, and behind it
    what it goes on with stays for a later one: `features`, and `reduction` that they are made with.

    Raises:
        DataError: the folder is a data set, or has files and is none that was begun; at `with`, another process has it.
        OSError: it cannot be made or written into.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / _PLACE
        self.features, self.reduction = self.place / _FEATURES, self.place / _REDUCTION
        self._refuse_data_set()
        if folder.exists() and not folder.is_dir():
            raise DataError(f"{folder}: exists and is no folder")
        if folder.is_dir() and not self.place.is_dir():
            self._check_empty()
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        self.place.mkdir(parents=True, exist_ok=True)
        self._lock: FolderLock | None = None

    def path(self, name: str) -> Path:
        """Where a file is made that will be called so."""
        return self.place / name

    def finish(self) -> None:
        """Move everything that was made out into the folder, and leave the data set alone there."""
        made = sorted(path.relative_to(self.place).as_posix() for path in self.place.rglob("*"))
        with replacing(self.path(_MOVED)) as temporary:
            temporary.write_text("\n".join(name for name in made if name not in _KEPT), encoding="utf-8")
        names = {path.name for path in self.place.iterdir()} - {*_KEPT, _MOVED}
        for name in sorted(names, key=lambda name: name == CAPTIONS_FILE):
            os.rename(self.place / name, self.folder / name)
        shutil.rmtree(self.place, ignore_errors=True)  # a data set it is, whatever stays

    def __enter__(self) -> Self:
        self._lock = FolderLock(self.folder, "preparing a data set", DataError)
        try:
            self._refuse_data_set()  # whoever had the lock before may have made it
            self._sweep()
            self._check_empty()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.place.is_dir():
                self._leave()
        finally:
            if self._lock is not None:
                self._lock.release()
        with suppress(OSError):  # there is something in it
            for path in self._made:
                path.rmdir()

    def _leave(self) -> None:
        """Leave nothing beside a data set, else what a later job goes on with, or nothing."""
        if (self.folder / CAPTIONS_FILE).exists():
            shutil.rmtree(self.place, ignore_errors=True)
            return
        self._sweep()
        if not any(path.exists() for path in (self.features, self.reduction)):
            self.place.rmdir()

    def _refuse_data_set(self) -> None:
        if (self.folder / CAPTIONS_FILE).exists():
            shutil.rmtree(self.place, ignore_errors=True)  # of a job that was killed when all was done
            raise DataError(f"{self.folder}: is a data set already; choose another folder with --out")

    def _check_empty(self) -> None:
        """Raise a DataError if something that is not of this job is in the folder."""
        if names := sorted(_visible(self.folder)):
            raise DataError(f"{self.folder}: has {names[0]!r} in it; choose a new or an empty folder with --out")

    def _sweep(self) -> None:
        """Remove all but what a later job goes on with, also what has moved out."""
        if self.path(_MOVED).is_file():
            for name in reversed(self.path(_MOVED).read_text(encoding="utf-8").split("\n")):
                _remove(self.folder / name)
        for path in self.place.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name not in _KEPT:
                path.unlink()


def _visible(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")]


def _remove(path: Path) -> None:
    """Remove a file, a link or an empty folder, if it is there."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        with suppress(OSError):  # somebody else put something there
            path.rmdir()
