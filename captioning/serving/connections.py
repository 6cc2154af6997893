"""Connections that say nothing, or do not listen, are ended: uvicorn waits for both without end. And too many of them
are refused in the application's own words: what uvicorn says then is no JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from captioning.serving.asgi import App, Receive, Scope, Send
from captioning.serving.refusals import RefusedError
from minigrad.runtime.extras import require

__all__ = ["check_crowd", "impatient_protocol", "noting_crowds"]

_CROWDED = "captioning.crowded"


def impatient_protocol(seconds: float) -> Any:
    """uvicorn's protocol on h11, which ends a connection that has no whole request's head within `seconds`.

    They count from when the connection was made, and later from the first byte that belongs to no request of which the
    answer is due: a second request, or the rest of a body that nobody wants. As long may answers wait for a client that
    does not read them. The package uvicorn is needed.
    """
    protocol = require("uvicorn.protocols.http.h11_impl", "serve").H11Protocol

    class ImpatientProtocol(protocol):  # type: ignore[misc, valid-type]
        _timer: asyncio.TimerHandle | None = None
        _unread: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, error: Exception | None) -> None:
            self._stop()
            self.resume_writing()
            super().connection_lost(error)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unread = self._unread or self.loop.call_later(seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

        def _watch(self) -> None:
            if self.cycle is not None and not self.cycle.response_complete:
                self._stop()
            elif self._timer is None and not self.transport.is_closing():
                self._timer = self.loop.call_later(seconds, self.transport.abort)

        def _stop(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    return ImpatientProtocol


def noting_crowds(app: App, connections: Callable[[], int], most: int) -> App:
    """The application, told of each request whether it comes while `most` connections or more are open."""

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, _CROWDED: connections() >= most}, receive, send)

    return noting


def check_crowd(scope: Scope) -> None:
    """Raise a RefusedError if a request came while too many connections were open.

    >>> check_crowd({"type": "http"})
    """
    if scope.get(_CROWDED):
        raise RefusedError(503, "too many uploads are arriving: try again in a moment", retry_after=1, unread=True)
