"""A file fetched to its end, whatever interrupts it: after growing pauses it goes on where it stopped."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from captioning.downloading.connections import UnreachableError, ask
from captioning.downloading.errors import DownloadError, PassingError
from captioning.downloading.folders import check_room
from captioning.downloading.part_files import PartFile, Version
from captioning.downloading.sources import Source
from captioning.downloading.verification import check_beginning, check_content
from captioning.progress import Progress
from captioning.storage import write_all
from minigrad.runtime.files import irregular
from minigrad.units import byte_text

__all__ = ["Patience", "fetch"]

_PIECE = 2**18
_LONGEST_PAUSE = 300.0  # seconds


@dataclass(frozen=True)
class Patience:
    """How long to wait. timeout: seconds without a byte. attempts: in a row that bring nothing new. pause: seconds
    before the second attempt, twice as many before each further one, up to five minutes. sleep: waits so many seconds.
    """

    timeout: float = 30.0
    attempts: int = 5
    pause: float = 1.0
    sleep: Callable[[float], None] = time.sleep


def fetch(source: Source, folder: Path, progress: Progress, patience: Patience) -> Path:
    """The archive of a source in a folder, fetched unless it is there; its size and checksum are as the table has them.

    What has arrived when this is interrupted is a `PartFile`, and the next call goes on with it. DownloadError: what
    went wrong, and what to do; OSError, naming the file: the disk is full.
    """
    path = folder / source.file
    if found := irregular(path):
        raise DownloadError(f"{path}: is {found}, not a regular file")
    if path.is_file():
        progress.say(f"{path}: is there already")
        _check(path, source, progress, f"{path}: {{}}; remove the file to have it fetched")
        return path
    part = PartFile(path)
    try:
        _attempt_all(source, part, progress, patience)
    except UnreachableError as error:
        raise DownloadError(
            f"{error}; if this machine has no network, fetch {source.address} elsewhere and put it to {path}, "
            "then run the same command"
        ) from error
    try:
        _check(part.path, source, progress, f"{source.address}: what it gives {{}}")
    except DownloadError:
        part.discard()  # to go on with it would not mend it
        raise
    part.finish(path)
    return path


def _check(path: Path, source: Source, progress: Progress, message: str) -> None:
    try:
        check_content(path, source, progress)
    except DownloadError as error:
        hint = "--no-verify takes it as it is"
        raise DownloadError(f"{message.format(error)}; {hint}") from error


def _attempt_all(source: Source, part: PartFile, progress: Progress, patience: Patience) -> None:
    """Ask for what is missing until nothing is, or until several attempts in a row brought nothing."""
    failures, most = 0, part.length
    begun = most
    while not part.whole:
        try:
            _attempt(source, part, progress, patience)
            return
        except PassingError as error:
            failures = 1 if part.length > most else failures + 1
            if failures >= patience.attempts or (isinstance(error, UnreachableError) and most == begun):
                raise type(error)(f"{error}{_kept(part)}") from error
            most = max(most, part.length)
            wait = min(patience.pause * 2 ** (failures - 1), _LONGEST_PAUSE)
            progress.say(f"{error}; again in {wait:g} s")
            patience.sleep(wait)


def _kept(part: PartFile) -> str:
    if not part.length:
        return ""
    return f"; {byte_text(part.length)} are in {part.path}, and the same command goes on there"


def _attempt(source: Source, part: PartFile, progress: Progress, patience: Patience) -> None:
    version, start = part.version, part.length
    headers = {}
    if version is not None and version.validator is not None and start:
        headers = {"Range": f"bytes={start}-", "If-Range": version.validator}
    with ask(source.address, headers, patience.timeout) as response:
        if response.status == 416:
            part.discard()
            raise PassingError(f"{source.address}: has no more than {start} bytes, so the part here is of another file")
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError(f"{source.address}: the server packs the file ({response.headers['Content-Encoding']})")
        size = _size_of_whole(source, response, start if headers else 0)
        going_on = response.status == 206
        if going_on and version is not None and size is None:
            size = version.size  # a part need not say how long the whole is
        if going_on and version is not None and version.size not in (None, size):
            part.discard()
            raise PassingError(f"{source.address}: another size by the same name: {size} bytes, not {version.size}")
        have = start if going_on else 0
        if size is not None:
            check_room(part.path.parent, size - have, source.file)
        if start and not going_on:
            progress.say(f"{source.file}: begins anew; the server has another version, or sends no parts")
        progress.say(_announcement(source.address, size, have))
        with part.go_on() if going_on else part.begin(Version.of(response.headers, size)) as file:
            _receive(source.address, response, file, part, size, progress)


def _announcement(address: str, size: int | None, have: int) -> str:
    of_size = "" if size is None else f", {byte_text(size)}"
    return f"fetching {address}{of_size}" + (f", going on after {byte_text(have)}" if have else "")


def _size_of_whole(source: Source, response: http.client.HTTPResponse, start: int) -> int | None:
    """The size of the whole file, checked against the table and, of a part, against what was asked for."""
    if response.status == 206:
        text = response.headers.get("Content-Range", "")
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", text.strip())
        if match is None or int(match[1]) != start or not start:
            asked = f"bytes from {start}" if start else "the whole file"
            raise DownloadError(f"{source.address}: was asked for {asked}, answers with a part ({text!r})")
        size = None if match[3] == "*" else int(match[3])
    else:
        length = response.headers.get("Content-Length", "")
        size = int(length) if re.fullmatch(r"\d{1,18}", length) else None
    if size is not None and source.size is not None and size != source.size:
        raise DownloadError(
            f"{source.address}: is {size:,} bytes long; {source.name} has {source.size:,} by {source.known_from}; "
            "--no-verify takes it as it is"
        )
    return size


def _receive(
    address: str, response: http.client.HTTPResponse, file: BinaryIO, part: PartFile, size: int | None,
    progress: Progress,
) -> None:  # fmt: skip
    """Write what arrives; a PassingError if the connection ends before the file does."""
    done = begun = part.length
    unchecked = begun == 0
    progress.begin(size, begun, byte_text)
    while size is None or done < size:
        try:
            piece = response.read1(_PIECE)
        except (OSError, http.client.HTTPException, ValueError) as error:
            what = getattr(error, "strerror", None) or error or type(error).__name__
            raise PassingError(f"{address}: the connection broke after {byte_text(done)}: {what}") from error
        if not piece:
            break
        write_all(file, piece, part.path)
        done += len(piece)
        if unchecked and done >= 4:
            _check_beginning(address, part, response.headers.get("Content-Type", ""))
            unchecked = False
        progress.update(done)
    if size is not None and done != size:
        raise PassingError(f"{address}: the connection ended after {byte_text(done)} of {byte_text(size)}")
    if unchecked:
        _check_beginning(address, part, response.headers.get("Content-Type", ""))


def _check_beginning(address: str, part: PartFile, content_type: str) -> None:
    try:
        check_beginning(address, part.path, content_type)
    except DownloadError:
        part.discard()
        raise
