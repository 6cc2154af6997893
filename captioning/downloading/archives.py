"""Fetch zip archives and unpack them: resume after an interruption, and write files whole or not at all."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from captioning.downloading.sources import DownloadError, Source
from captioning.progress import Progress
from captioning.storage import crc32_of, write_all
from minigrad.formatting import byte_text
from minigrad.runtime.extras import require

__all__ = ["Patience", "Place", "fetch", "unpack"]

_TEMPORARY_STATUSES = (408, 425, 429, 500, 502, 503, 504)  # RFC 9110, 15; RFC 6585, 4; RFC 8470, 5.2


@dataclass(frozen=True)
class Patience:
    """timeout: seconds to wait for the next byte. attempts: the most attempts in a row without a new byte."""

    timeout: float = 30.0
    attempts: int = 5


class _TemporaryError(DownloadError):
    """An error that may not occur in a later attempt."""


def fetch(source: Source, folder: Path, progress: Progress, patience: Patience) -> Path:
    """Download an archive into a folder unless it exists, verify its checksum, and return its path.

    An interrupted download leaves `NAME.part` and `NAME.part.etag`, from which the next call resumes. The latter holds
    the server's validator (RFC 9110, 13.1.5), so that parts of two versions are never joined.

    Raises:
        DownloadError: if the download fails or the archive is not the expected one.
        OSError: if the disk is full; it names the file.
    """
    path = folder / source.file
    part, etag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.etag")
    if path.exists():
        progress.say(f"{path}: already exists")
        if error := _mismatch(path, source, progress):
            raise DownloadError(f"{path}: {error}; remove the file to fetch it again, or pass --no-verify")
        return path
    failures, most = 0, _size(part)
    while True:
        try:
            _download(source, part, etag, progress, patience.timeout)
            break
        except _TemporaryError as error:
            size = _size(part)
            failures = 1 if size > most else failures + 1
            most = max(most, size)
            if failures >= patience.attempts:
                raise DownloadError(
                    f"{error}; the same command resumes after {byte_text(size)}; if this machine has no network, fetch "
                    f"{source.address} elsewhere and save it as {path}"
                ) from error
            pause = min(2 ** (failures - 1), 300)
            progress.say(f"{error}; retrying in {pause} s")
            time.sleep(pause)
    error_text = _mismatch(part, source, progress)
    etag.unlink(missing_ok=True)
    if error_text:
        part.unlink()
        raise DownloadError(f"{source.address}: {error_text}; name another with --address, or pass --no-verify")
    os.replace(part, path)
    return path


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _mismatch(path: Path, source: Source, progress: Progress) -> str:
    """Return why a file is not the expected archive, or an empty string."""
    if not zipfile.is_zipfile(path):  # reads the list of members at the end
        return "is not a complete zip archive; it may be a login page"
    if source.checksum is None:
        progress.say(f"{source.file}: no checksum is known, so the file is not verified")
        return ""
    kind, _, expected = source.checksum.partition(":")
    found = require("pooch", "caption").file_hash(str(path), alg=kind)
    return "" if found == expected else f"has the {kind} checksum {found}, not {expected} ({source.known_from})"


def _download(source: Source, part: Path, etag: Path, progress: Progress, timeout: float) -> None:
    """Append to `part` what is missing, or raise a _TemporaryError or another DownloadError."""
    requests, pooch = require("requests", "caption"), require("pooch", "caption")
    # Ranges count bytes of the file itself, not of a compressed transfer.
    headers = {"User-Agent": "minigrad-captioning", "Accept-Encoding": "identity"}
    if _size(part) and _size(etag):
        headers |= {"Range": f"bytes={_size(part)}-", "If-Range": etag.read_text()}

    def begin(response: Any, **_: Any) -> None:  # requests calls this for each response, before the body arrives
        stack.callback(response.close)
        if source.address.startswith("https:") and not response.url.startswith("https:"):
            raise DownloadError(f"{source.address}: the server redirects to {response.url}, which is not encrypted; "
                                "pass another https address with --address NAME=URL")  # fmt: skip
        if response.status_code == 200:
            file.truncate(0)
            etag.write_text(response.headers.get("ETag") or response.headers.get("Last-Modified", ""))
        elif response.status_code != 206:
            return
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {_size(part)}-"):
            raise DownloadError(f"{source.address}: the server did not send the bytes from {_size(part)} on")
        length = response.headers.get("Content-Length")
        total = None if length is None else _size(part) + int(length)
        _check_room(part.parent, int(length or 0), source.file)
        resumed = f", resuming after {byte_text(_size(part))}" if _size(part) else ""
        progress.say(f"fetching {source.address}{'' if total is None else f', {byte_text(total)}'}{resumed}")
        progress.begin(total, _size(part), byte_text)

    with ExitStack() as stack:
        file = stack.enter_context(_PartFile(part, progress))
        try:
            # A broken connection loses at most one chunk.
            pooch.HTTPDownloader(chunk_size=2**14, timeout=timeout, headers=headers, hooks={"response": begin})(
                source.address, file, None
            )
        except requests.HTTPError as error:
            status = error.response.status_code
            text = f"{source.address}: the server answers {status} {error.response.reason}"
            if status in _TEMPORARY_STATUSES:
                raise _TemporaryError(text) from error
            if status != 416:  # 416: nothing is missing
                raise DownloadError(f"{text}; if it has moved, pass --address NAME=URL or --mirror URL") from error
        except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            raise _TemporaryError(f"{source.address}: the connection failed: {_reason(error)}") from error
        except requests.RequestException as error:  # such as a redirect to ftp
            raise DownloadError(f"{source.address}: cannot be fetched: {_reason(error)}") from error
        finally:
            if not _size(part):
                part.unlink()
                etag.unlink(missing_ok=True)


class _PartFile(io.FileIO):
    """A file to append to, without a buffer, that reports progress. A write error names the file."""

    def __init__(self, path: Path, progress: Progress) -> None:
        super().__init__(path, "a")
        self.path, self.progress = path, progress

    def write(self, block: Any) -> int:
        write_all(super(), block, self.path)
        self.progress.update(self.tell())
        return len(block)


def _reason(error: BaseException) -> str:
    """Return the innermost cause of an error; the libraries wrap it several times."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check_room(folder: Path, needed: int, what: str) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise DownloadError(
            f"{folder}: {what} needs {byte_text(needed)}, but the disk has {byte_text(free)} left; "
            "make room, or choose another folder with --out"
        )


# --- unpacking ----------------------------------------------------------------------------------------

_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, struct.error, UnicodeDecodeError, RuntimeError, ValueError,
            OverflowError, IndexError)  # fmt: skip
"""What zipfile raises for damaged archives; a RuntimeError also for encrypted members and unknown methods."""

Place = Callable[[str], str | None]
"""Takes the last part of a member's name; returns its path in the folder, or None to leave the member out."""


def unpack(
    archive: Path, folder: Path, place: Place, needed: Collection[str], largest: int, progress: Progress
) -> list[Path]:
    """Unpack members of a zip archive into a folder, all or none; return the files, in the order of the archive.

    A file that already exists stays as it is. No other process may use the folder.

    Args:
        needed: paths in the folder that the archive must provide.
        largest: the most bytes that the content may have.

    Raises:
        DownloadError: if the archive is damaged, lacks a needed file or is unsafe, or if a file in the folder differs
            from the archive's. Unsafe are members outside of the folder, links and devices, two members for one path,
            more content than `largest`, and methods other than Deflate, which may take any amount of memory.
    """
    staging = folder / ".unpacking"
    try:
        with zipfile.ZipFile(archive) as file:
            members = _checked_members(archive, file, place, largest)
            if missing := sorted(set(needed) - set(members)):
                raise DownloadError(f"{archive}: has no {', '.join(missing)}; it is not the expected archive")
            new = {name: member for name, member in members.items() if not _is_there(archive, folder / name, member)}
            size, done = sum(member.file_size for member in new.values()), 0
            _check_room(folder, size, f"the content of {archive.name}")
            progress.begin(max(size, 1), unit=byte_text)
            staging.mkdir(exist_ok=True)
            for number, member in enumerate(new.values()):
                with file.open(member) as source, open(staging / str(number), "wb") as target:
                    shutil.copyfileobj(source, target)  # at most the declared size; then the CRC-32 is compared
                done += member.file_size
                progress.update(done)
            for number, name in enumerate(new):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staging / str(number), folder / name)
            return [folder / name for name in members]
    except DownloadError:
        raise
    except _DAMAGED as error:
        what = str(error) or type(error).__name__
        raise DownloadError(
            f"{archive}: is a damaged zip archive: {what}; remove it, and the same command fetches it again"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _checked_members(archive: Path, file: zipfile.ZipFile, place: Place, largest: int) -> dict[str, zipfile.ZipInfo]:
    """Return the chosen members by their paths in the folder, or raise a DownloadError for an unsafe archive."""
    members: dict[str, zipfile.ZipInfo] = {}
    refused = f"{archive}: was not unpacked, because"
    for member in file.infolist():
        if problem := _problem(member):
            raise DownloadError(f"{refused} its member {member.filename!r} {problem}")
        path = PurePosixPath(member.filename)
        if member.is_dir() or path.parts[0] == "__MACOSX" or (name := place(path.name)) is None:
            continue
        if name in members:
            raise DownloadError(f"{refused} it has two members for {name}")
        members[name] = member
    if (total := sum(member.file_size for member in members.values())) > largest:
        raise DownloadError(f"{refused} its content has {byte_text(total)}, more than {byte_text(largest)}")
    return members


def _problem(member: zipfile.ZipInfo) -> str:
    """Return why a member is unsafe, or an empty string."""
    name, kind = member.orig_filename, stat.S_IFMT(member.external_attr >> 16)
    if name.startswith("/") or ".." in name.split("/") or ":" in name.partition("/")[0] or {"\\", "\0"} & set(name):
        return "has a path outside of the folder"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or a device"
    known = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and member.header_offset >= 0
    return "" if known else f"is damaged, or compressed with method {member.compress_type} instead of Deflate"


def _is_there(archive: Path, path: Path, member: zipfile.ZipInfo) -> bool:
    """Return whether a member is in its place; raise a DownloadError if something else is."""
    if os.path.lexists(path) and not (path.is_file() and crc32_of(path) == member.CRC):
        raise DownloadError(
            f"{path}: already exists and differs from {archive.name}; remove it, or choose another folder with --out"
        )
    return path.exists()
