"""Uploads as they arrive: no larger, no slower and no more of them than the limits say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from captioning.serving.asgi import Message, Receive, Send
from captioning.serving.limits import Limits
from captioning.serving.refusals import RefusedError

__all__ = ["ClientGoneError", "HeldBytes", "lingering", "read_body", "until_gone"]


class ClientGoneError(Exception):
    """Nobody is there any more to be answered."""


class HeldBytes:
    """How many bytes all uploads have in memory.

    >>> held = HeldBytes(10)
    >>> with held.account() as add:
    ...     add(4), held.count
    (None, 4)
    >>> held.count
    0
    """

    def __init__(self, most: int) -> None:
        self.most, self.count = most, 0

    @contextmanager
    def account(self) -> Iterator[Callable[[int], None]]:
        """Gives what one upload adds its bytes by, which are given back at the end; too many are refused, 503."""
        mine = 0

        def add(count: int) -> None:
            nonlocal mine
            if self.count + count > self.most:
                raise RefusedError(503, "other photos are arriving: try again in a moment", retry_after=1, unread=True)
            self.count += count
            mine += count

        try:
            yield add
        finally:
            self.count -= mine


async def read_body(receive: Receive, headers: Mapping[str, str], limits: Limits, add: Callable[[int], None]) -> bytes:
    """The body of a request. headers: by names in lower case. add: is told of each part how many bytes it has.

    Raises:
        RefusedError: 413 if it is too large, before anything is read where the head says so; 408 if it takes too long,
            400 if it is empty, and what `add` raises.
        ClientGoneError: if the client goes away.
    """
    length = headers.get("content-length")
    if length is not None and int(length) > limits.upload_bytes:  # h11 has seen that it is digits, 20 at most
        raise _too_large(limits)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            async for part in _parts(receive):
                size += len(part)
                if size > limits.upload_bytes:
                    raise _too_large(limits)
                add(len(part))
                parts.append(part)
    except TimeoutError:
        message = f"the photo did not arrive within {limits.upload_seconds:g} seconds: try again"
        raise RefusedError(408, message, unread=True) from None
    if not size:
        raise RefusedError(400, "the request has no photo: its body is the file's content")
    return b"".join(parts)


async def _parts(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def until_gone(receive: Receive) -> None:
    """Throw away what a client still sends, until it has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def lingering(send: Send, receive: Receive, seconds: float) -> Send:
    """ASGI's `send`, with which an answer that says `connection: close` ends when the client has sent all, or in time.

    Bytes that nobody read would turn the end of the connection into a reset, which takes the answer with it (RFC 9112,
    9.6), so they are thrown away meanwhile.
    """
    closes = False

    async def sending(message: Message) -> None:
        nonlocal closes
        if message["type"] == "http.response.start":
            closes = (b"connection", b"close") in message["headers"]
        elif closes and not message.get("more_body", False):
            await send({**message, "more_body": True})
            with suppress(TimeoutError, ClientGoneError):
                async with asyncio.timeout(seconds):
                    async for _ in _parts(receive):
                        pass
            message = {"type": "http.response.body", "body": b""}
        await send(message)

    return sending


def _too_large(limits: Limits) -> RefusedError:
    return RefusedError(
        413, f"the photo has more than {limits.upload_bytes / 2**20:g} MiB: make it smaller", unread=True
    )
