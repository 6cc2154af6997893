"""Decode photos in a separate process with time and memory limits.

A photo from a stranger may crash a decoder, use up the memory or take hours. That ends only the child process, and the
next photo gets a new one.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from captioning.vision.photo_files import MOST_PIXELS, PhotoError, decode_photo

__all__ = ["PhotoReader"]

_START_SECONDS = 60.0  # starting Python from a slow disk takes several seconds
_BYTES_PER_PIXEL = 32  # WebP needs most: 2.5 GB for 112 megapixels, 22 bytes per pixel
_MEMORY = 2**30 + MOST_PIXELS * _BYTES_PER_PIXEL  # including Python and NumPy


class PhotoReader:
    """Reads photos as `captioning.vision.photo_files.decode_photo` does. Only one thread at a time may use it.

    seconds: the time for one photo. process: the child process.

    >>> with PhotoReader() as reader:
    ...     reader.read(b"hello")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    captioning.vision.photo_files.PhotoError: not a photo in a supported format (JPEG, ...
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self.seconds, self._closed = seconds, False
        self.process: Any = None
        self._killing = threading.Lock()  # while one thread waits for the process, it looks alive to others

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, even while another thread reads."""
        self._closed = True
        self._kill()

    def read(self, content: bytes, shortest: int | None = None) -> NDArray[np.uint8]:
        """Return a photo file's content as RGB uint8 (H, W, 3).

        Raises:
            PhotoError: as `decode_photo` does, and if decoding takes too long or crashes the process.
            ValueError: if the reader is closed.
            OSError: if the process does not start.
        """
        if self._closed:
            raise ValueError("this PhotoReader is closed")
        if not self.process.is_alive():
            self._start()
        try:
            self._pipe.send_bytes(b"%d" % (shortest or 0))
            self._pipe.send_bytes(content)
            if not self._pipe.poll(self.seconds):
                self._kill()
                raise PhotoError(f"decoding took more than {self.seconds:g} seconds: save the photo again as JPEG")
            if message := self._pipe.recv_bytes():
                raise PhotoError(message.decode())
            height, width = map(int, self._pipe.recv_bytes().split())
            return np.frombuffer(self._pipe.recv_bytes(), np.uint8).reshape(height, width, 3)
        except (EOFError, OSError):
            self._kill()
            raise PhotoError("the photo is damaged or too large: the decoder crashed or ran out of memory") from None

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self.process = context.Process(target=_decode_photos, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()
        try:
            if not self._pipe.poll(_START_SECONDS):
                raise EOFError
            self._pipe.recv_bytes()
        except EOFError:
            self._kill()
            raise OSError("the process that decodes photos did not start") from None

    def _kill(self) -> None:
        with self._killing:
            self.process.kill()
            self.process.join()


def _decode_photos(pipe: Any) -> None:
    """Decode photos until the pipe closes: the main function of the child process.

    It sends one message when it is ready. A request is two messages: the minimum length of the shorter side in pixels
    (or 0), and the file content. The answer is either one error message or three messages: an empty one, the height and
    width, and the pixels.
    """
    with open(os.devnull, "wb") as nowhere:
        for number in (1, 2):
            os.dup2(nowhere.fileno(), number)  # decoders print their own warnings
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which ends this process
    _limit_memory()
    pipe.send_bytes(b"ready")
    with contextlib.suppress(EOFError):
        while True:
            shortest = int(pipe.recv_bytes())
            try:
                photo = decode_photo(pipe.recv_bytes(), shortest or None)
            except PhotoError as error:
                pipe.send_bytes(str(error).encode())
            else:
                pipe.send_bytes(b"")
                pipe.send_bytes(b"%d %d" % photo.shape[:2])
                pipe.send_bytes(photo.reshape(-1))


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
