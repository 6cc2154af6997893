"""Zip archives of strangers: judged by what they say of themselves, and unpacked whole or not at all.

The rules, all checked before a byte is unpacked: no member has a path that leads out of the folder (absolute, with
`..`, a drive or a backslash), is a link or a device, is encrypted, or is packed by another method than Deflate, as
some let the archive say how much memory they take; no two are for the same place; what they declare to need is at most
the limit, and the disk has room. Unpacking stops at the declared size, and the CRC-32 of each member must be the
archive's.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from captioning.downloading.errors import DownloadError
from captioning.downloading.folders import check_room
from captioning.progress import Progress
from captioning.storage import crc32_of, write_all
from minigrad.units import byte_text

__all__ = ["unpack"]

STAGING = ".unpacking"
"""The folder for what is unpacked until all of it is; whoever has the folder around it alone may remove it."""

_PIECE = 2**20
_MOST_MEMBERS = 200_000
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeDecodeError, RuntimeError, ValueError,
            OverflowError, IndexError)  # fmt: skip
"""What zipfile raises on damaged archives. NotImplementedError, for a method it does not know, is a RuntimeError."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

Choice = Callable[[str], str | None]


def unpack(
    archive: Path, folder: Path, choose: Choice, needed: Collection[str], largest: int, progress: Progress
) -> list[Path]:
    """Unpack members of a zip archive into a folder; the files, in the order of the archive.

    choose: from the name of a member to its place in the folder, with `/` between folders, or None to leave it out.
    needed: places for which there must be a member.
    largest: bytes that all members together may take. What is in its place already is left alone, and is a
    DownloadError if it is not the same; so is an archive that is damaged or breaks a rule. Files appear when all of
    them have been unpacked and found whole. The caller has the folder alone.
    """
    staging = folder / STAGING
    with _opened(archive) as file:
        places = _judged(archive, file, choose, largest)
        if lacking := sorted(set(needed) - set(places)):
            raise DownloadError(
                f"{archive}: has no {', '.join(map(_name, lacking))}; it is not the archive that is meant"
            )
        missing = _missing(archive, folder, places, progress)
        size = sum(info.file_size for info in missing.values())
        check_room(folder, size, f"the content of {archive.name}")
        shutil.rmtree(staging, ignore_errors=True)
        try:
            staging.mkdir()
            progress.begin(max(size, 1), unit=byte_text)
            done = 0
            for i, info in enumerate(missing.values()):
                done = _unpack_member(file, info, staging / str(i), progress, done)
            for i, place in enumerate(missing):
                (folder / place).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / str(i), folder / place)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return [folder / place for place in places]


def _name(place: str) -> str:
    return place.rpartition("/")[2]


@contextmanager
def _opened(archive: Path) -> Iterator[zipfile.ZipFile]:
    """The archive, and whatever shows that it is damaged as a DownloadError."""
    try:
        with zipfile.ZipFile(archive) as file:
            yield file
    except DownloadError:
        raise
    except (*_DAMAGED, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which a place before the file's start gives
            raise
        what = str(error) or type(error).__name__
        raise DownloadError(
            f"{archive}: is a damaged zip archive: {what}; remove it, and the same command fetches it anew"
        ) from error


def _judged(archive: Path, file: zipfile.ZipFile, choose: Choice, largest: int) -> dict[str, zipfile.ZipInfo]:
    """The chosen members by their places; a DownloadError for an archive that breaks a rule."""
    members = [info for info in file.infolist() if not info.is_dir()]
    if len(members) > _MOST_MEMBERS:
        raise DownloadError(f"{archive}: has {len(members):,} members; at most {_MOST_MEMBERS:,} are taken")
    places: dict[str, zipfile.ZipInfo] = {}
    for info in file.infolist():
        if fault := _fault(info):
            raise DownloadError(f"{archive}: is not unpacked: its member {info.filename!r} {fault}")
        place = None if info.is_dir() else choose(info.filename)
        if place is not None and place in places:
            raise DownloadError(f"{archive}: is not unpacked: two of its members are for {place}")
        if place is not None:
            places[place] = info
    total = sum(info.file_size for info in places.values())
    if total > largest:
        raise DownloadError(
            f"{archive}: is not unpacked: its content would take {byte_text(total)}, "
            f"more than the {byte_text(largest)} that such an archive may"
        )
    return places


def _fault(info: zipfile.ZipInfo) -> str:
    """What is wrong with a member, in words, or nothing."""
    name, kind = info.orig_filename, stat.S_IFMT(info.external_attr >> 16)
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name.partition("/")[0] or "\0" in name:
        return "has a path that leads out of the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    if info.flag_bits & 1:
        return "is encrypted"
    return "" if info.compress_type in _METHODS else f"is packed by method {info.compress_type}, not by Deflate"


def _missing(
    archive: Path, folder: Path, places: dict[str, zipfile.ZipInfo], progress: Progress
) -> dict[str, zipfile.ZipInfo]:
    """Those that are not in their places."""
    missing, done = {}, 0
    progress.begin(max(sum(info.file_size for info in places.values()), 1), unit=byte_text)
    for place, info in places.items():
        if not _is_there(archive, folder / place, info):
            missing[place] = info
        done += info.file_size
        progress.update(done)
    return missing


def _is_there(archive: Path, path: Path, info: zipfile.ZipInfo) -> bool:
    """Whether a member is in its place; a DownloadError if something else is."""
    if not os.path.lexists(path):
        return False
    if path.is_file() and path.stat().st_size == info.file_size and crc32_of(path) == info.CRC:
        return True
    raise DownloadError(
        f"{path}: is there already and is not what {archive.name} has; remove it, or choose another folder with --out"
    )


def _unpack_member(file: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, progress: Progress, done: int) -> int:
    """Unpack a member into a new file; the bytes done so far."""
    end = done + info.file_size
    with file.open(info) as packed, open(path, "xb", buffering=0) as target:
        while piece := packed.read(_PIECE):  # never more than the declared size, and its CRC is compared at the end
            write_all(target, piece, path)
            done += len(piece)
            progress.update(done)
    if done != end:
        raise zipfile.BadZipFile(f"{info.filename!r} is shorter than it says")
    return done
