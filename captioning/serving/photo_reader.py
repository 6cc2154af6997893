"""Photos decoded in a process of their own, each within a time limit; after whatever happens to it there is another."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from captioning.serving.reading_process import ANSWER, PHOTO, READY, REQUEST
from captioning.vision.photo_files import PhotoError

__all__ = ["PhotoReader"]

_STARTING = 60.0  # seconds until a process that says nothing is given up; on a slow disk, Python takes a few
_ROOT = Path(__file__).parents[2]  # where this package is found
_COMMAND = (sys.executable, "-P", "-m", "captioning.serving.reading_process")


class PhotoReader:
    """Reads photos as `captioning.vision.photo_files.decode_photo` does. One thread at a time may use it.

    seconds: that a photo may take; what takes longer is a PhotoError. command: of the process, for tests.

    >>> with PhotoReader() as reader:
    ...     reader.read(b"hello")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    captioning.vision.photo_files.PhotoError: not a photo, or of a format that is not read here (JPEG, ...
    """

    def __init__(self, seconds: float = 10.0, command: tuple[str, ...] = _COMMAND) -> None:
        self.seconds, self.command = seconds, command
        self._closed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._takes_requests = False

    def __enter__(self) -> Self:
        self._living()  # so that the first photo need not wait for it
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, content: bytes, shortest: int | None = None) -> NDArray[np.uint8]:
        """A photo file's content as RGB uint8 (H, W, 3).

        Raises:
            PhotoError: as `decode_photo` does, and if decoding it takes too long, or takes the process down.
        """
        process = self._ready()
        with _killed_after(process, self.seconds) as late:
            try:
                return _asked(process, content, shortest or 0)
            except PhotoError:
                raise
            except (EOFError, OSError, ValueError):  # it was killed, died, or its pipes were closed while it was asked
                _ended(process)
                if late.is_set():
                    what = f"decoding it takes more than {self.seconds:g} seconds: save it anew as JPEG"
                else:
                    what = "not a whole photo: its decoder crashed, or needs too much memory for it"
                raise PhotoError(what) from None

    def close(self) -> None:
        """End the process, also while another thread reads; nothing can be read afterwards."""
        self._closed = True
        if self._process is not None:
            _ended(self._process)

    def _living(self) -> subprocess.Popen[bytes]:
        """The process, or another one where it has ended; it may still be starting."""
        if self._closed:
            raise ValueError("the reader of photos is closed")
        if self._process is not None and self._process.poll() is not None:
            _ended(self._process)
            self._process = None
        if self._process is None:
            self._process, self._takes_requests = self._started(), False
        return self._process

    def _ready(self) -> subprocess.Popen[bytes]:
        """The process, once it has started, which is no photo's fault."""
        process = self._living()
        if not self._takes_requests:
            with _killed_after(process, _STARTING):
                assert process.stdout is not None
                if process.stdout.read(len(READY)) != READY:
                    _ended(process)
                    raise OSError("the process that decodes photos does not start")
            self._takes_requests = True
        return process

    def _started(self) -> subprocess.Popen[bytes]:
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        # One thread: decoding needs no matrix products. A session of its own: Ctrl-C is for the server.
        environment = {**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment,
                                start_new_session=True)  # fmt: skip


def _asked(process: subprocess.Popen[bytes], content: bytes, shortest: int) -> NDArray[np.uint8]:
    """The photo, or the PhotoError, that a process answers with; an EOFError or OSError where it does not."""
    assert process.stdin is not None
    process.stdin.write(REQUEST.pack(len(content), shortest))
    process.stdin.write(content)
    process.stdin.flush()
    kind, height, width = ANSWER.unpack(_read(process, ANSWER.size))
    if kind != PHOTO:
        raise PhotoError(_read(process, height).decode())
    return np.frombuffer(_read(process, height * width * 3), np.uint8).reshape(height, width, 3)


def _read(process: subprocess.Popen[bytes], count: int) -> bytes:
    assert process.stdout is not None
    found = process.stdout.read(count)
    if len(found) < count:
        raise EOFError
    return found


@contextlib.contextmanager
def _killed_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Kill a process unless the block is left within so many seconds; the event says whether it was killed."""
    late = threading.Event()

    def kill() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, kill)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()  # or it might kill the process when that has the next photo


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Kill a process, and let go of it."""
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # what was not sent is not wanted any more
                pipe.close()
