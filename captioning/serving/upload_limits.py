"""Limits on the size, number and duration of uploads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["Limits", "RefusedError", "Uploads"]


@dataclass(frozen=True)
class Limits:
    """Bounds on uploads, connections and photos.

    Attributes:
        upload_bytes: the size of one upload. Phone photos are 2 to 15 MB.
        upload_seconds: the time limit for an upload. Uploads from this machine take milliseconds; a phone may upload
            through a slow tunnel.
        held_bytes: the size of all uploads in memory.
        uploads: the most uploads in progress: arriving, waiting or being captioned.
        places: the most complete uploads in the queue, including the one being captioned.
        photo_seconds: the time for decoding one photo. PNG and WebP files of 120 megapixels take up to 12 seconds on a
            busy laptop, and a crafted JPEG of a few kB can take hours.
        silent_seconds: how long a connection may stay open without a complete request, or without reading its answer.
        discard_seconds: how long the rest of a refused upload is read and discarded. Otherwise closing the
            connection would reset it, and the client would lose the response (RFC 9112, 9.6).

    >>> Limits(places=2).upload_bytes // 2**20
    32
    """

    upload_bytes: int = 32 * 2**20
    upload_seconds: float = 15.0
    held_bytes: int = 256 * 2**20
    uploads: int = 200
    places: int = 16
    photo_seconds: float = 20.0
    silent_seconds: float = 10.0
    discard_seconds: float = 2.0


class RefusedError(Exception):
    """A refused request. status: the HTTP status; the message is one line for the client."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Uploads:
    """The uploads in progress: their number, and how many of their bytes are in memory."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.count, self.held_bytes = limits, 0, 0

    @asynccontextmanager
    async def receive(self, request: Any) -> AsyncIterator[bytes]:
        """Read the body of a Starlette request; it counts as held until the block ends.

        Raises:
            RefusedError: 503 if there are too many uploads or bytes; 413 if the body is too large, before reading
                anything if the header says so; 408 if it takes too long; 400 if it is empty.
            starlette.requests.ClientDisconnect: if the client disconnects.
        """
        limits, size = self.limits, 0
        parts: list[bytes] = []
        if self.count >= limits.uploads:
            raise RefusedError(503, "too many uploads at once: try again in a moment")
        too_large = RefusedError(413, f"the photo has more than {limits.upload_bytes / 2**20:g} MiB: make it smaller")
        if int(request.headers.get("content-length", 0)) > limits.upload_bytes:  # h11 accepts at most 20 digits
            raise too_large
        self.count += 1
        try:
            try:
                async with asyncio.timeout(limits.upload_seconds):
                    async for part in request.stream():
                        if size + len(part) > limits.upload_bytes:
                            raise too_large
                        if self.held_bytes + len(part) > limits.held_bytes:
                            raise RefusedError(503, "other photos are arriving: try again in a moment")
                        self.held_bytes += len(part)
                        size += len(part)
                        parts.append(part)
            except TimeoutError:
                message = f"the photo did not arrive within {limits.upload_seconds:g} seconds: try again"
                raise RefusedError(408, message) from None
            if not size:
                raise RefusedError(400, "the request has no photo: send the content of the file as its body")
            content = b"".join(parts)
            parts.clear()
            yield content
        finally:
            self.count -= 1
            self.held_bytes -= size
