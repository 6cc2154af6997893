"""The folder `.NAME.preparing` beside the data set NAME, in which its files are made.

The data set appears at once, by a rename, or not at all. After a kill, the folder keeps what was computed.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Self

from captioning.data.errors import DataError
from captioning.data.folder import CAPTIONS_FILE
from captioning.storage import FolderLock, remove_temporaries

__all__ = ["WorkFolder", "has_features"]


def has_features(out: str | os.PathLike[str]) -> bool:
    """Return whether an earlier job left features of the data set `out`, for a later job to resume."""
    return WorkFolder(Path(out)).features.is_file()


class WorkFolder:
    """The work folder of the data set `out`. In a `with` block only this process has it.

    Fill `new`; `finish` makes it the data set. If the block ends without `finish`, `features` and the `reduction` that
    computes their regions stay, for a later job to resume.

    Raises (at `with`):
        DataError: if `out` exists and is not an empty folder, or another process has the work folder.
        OSError: if the work folder cannot be created or written to.
    """

    def __init__(self, out: Path) -> None:
        self.out = Path(os.path.realpath(out))
        self.path = self.out.with_name(f".{self.out.name}.preparing")
        self.features, self.reduction, self.new = (
            self.path / name for name in ("features.part", "regions.part", "new")
        )

    def __enter__(self) -> Self:
        self._check_free()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self.out)) from error
        self._lock = FolderLock(self.path, "preparing a data set", DataError)
        try:
            self._check_free()  # the previous holder of the lock may have made it
            shutil.rmtree(self.new, ignore_errors=True)
            remove_temporaries(self.path)
            self.new.mkdir()
        except BaseException:
            self._lock.release()
            raise
        return self

    def finish(self) -> None:
        """Make what is in `new` the data set, and remove the work folder."""
        self._check_free()
        os.rename(self.new, self.out)
        self.features.unlink(missing_ok=True)
        self.reduction.unlink(missing_ok=True)

    def __exit__(self, *exception: object) -> None:
        shutil.rmtree(self.new, ignore_errors=True)
        self._lock.release()
        with suppress(OSError):  # not empty if a later job can resume
            self.path.rmdir()

    def _check_free(self) -> None:
        """Raise a DataError unless a data set can appear at `out`."""
        if self.out.exists() and not self.out.is_dir():
            raise DataError(f"{self.out}: exists and is not a folder")
        if (self.out / CAPTIONS_FILE).exists():
            raise DataError(f"{self.out}: is already a data set; choose another folder with --out")
        if self.out.exists() and (names := sorted(path.name for path in self.out.iterdir())):
            raise DataError(f"{self.out}: contains {names[0]!r}; choose a new or empty folder with --out")
