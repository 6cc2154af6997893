"""A process that decodes photos for another one: `python -m captioning.serving.reading_process`.

What strangers' bytes do to a decoder, they do to this process alone: it may be killed, run out of memory, or crash in a
library that is written in C, and the server starts another one.

It reads requests from standard input until that ends, and writes an answer to each on standard output:

    ready     `READY`, once, when it takes requests
    request   bytes of the content (uint64), pixels that the shorter side needs at least or 0 (uint32), the content
    answer    `PHOTO`, height, width (uint8, 2 uint64), then height * width * 3 bytes RGB; or
              `ERROR`, bytes of the text (and 0), then why it is no photo, in UTF-8
"""

from __future__ import annotations

import os
import struct
import sys
from typing import BinaryIO

from captioning.vision.photo_files import MOST_PIXELS, PhotoError, decode_photo

__all__ = ["ANSWER", "ERROR", "PHOTO", "READY", "REQUEST", "answer_requests"]

REQUEST, ANSWER = struct.Struct("<QI"), struct.Struct("<BQQ")
PHOTO, ERROR = 0, 1
READY = b"R"

_BYTES_A_PIXEL = 32  # most is needed of WebP: 2.5 GB were measured where it has 112 megapixels, 22 bytes a pixel
_MEMORY = 2**29 + MOST_PIXELS * _BYTES_A_PIXEL  # what a photo within the limit may need, beside Python and NumPy


def answer_requests(requests: BinaryIO, answers: BinaryIO) -> None:
    """Decode what comes until nothing does.

    >>> import io
    >>> answers = io.BytesIO()
    >>> answer_requests(io.BytesIO(REQUEST.pack(5, 448) + b"hello"), answers)
    >>> said = answers.getvalue().removeprefix(READY)
    >>> ANSWER.unpack(said[: ANSWER.size])[0] == ERROR, said[ANSWER.size :][:11]
    (True, b'not a photo')
    """
    answers.write(READY)
    answers.flush()
    while len(head := requests.read(REQUEST.size)) == REQUEST.size:
        length, shortest = REQUEST.unpack(head)
        try:
            photo = decode_photo(requests.read(length), shortest or None)
            answers.write(ANSWER.pack(PHOTO, *photo.shape[:2]))
            answers.write(photo.data)
        except PhotoError as error:
            text = str(error).encode()
            answers.write(ANSWER.pack(ERROR, len(text), 0) + text)
        answers.flush()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # pragma: no cover - Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = _MEMORY if hard == resource.RLIM_INFINITY else min(_MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def _main() -> None:
    _limit_memory()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what a library prints is no answer
        answer_requests(sys.stdin.buffer, answers)


if __name__ == "__main__":
    _main()
