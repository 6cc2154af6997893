"""Listen on this machine only, and run an application until Ctrl-C."""

from __future__ import annotations

import asyncio
import errno
import socket
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from captioning.serving.upload_limits import Limits
from minigrad.runtime.extras import require

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["HOST", "address_of", "listen", "make_server", "run"]

HOST = "127.0.0.1"
"""The loopback address: other machines cannot connect."""

_HIGHEST_PORT = 65535
_REASONS = {
    errno.EADDRINUSE: "another program uses this port, perhaps captioning serve in another window",
    errno.EACCES: "you do not have permission to use this port",
}


def listen(port: int) -> socket.socket:
    """Return a socket that accepts connections from this machine; port 0 picks a free port.

    Raises:
        ValueError: if there is no such port.
        OSError: if it is in use or not permitted; the message says what to do.
    """
    if not 0 <= port <= _HIGHEST_PORT:
        raise ValueError(f"--port must be from 0 to {_HIGHEST_PORT}; got {port}")
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror)
        hint = "Choose another port with --port N, or any free one with --port 0."
        raise OSError(f"{HOST}:{port}: {reason}. {hint}") from error


def address_of(listener: socket.socket) -> str:
    """Return the address for a browser."""
    return f"http://{HOST}:{listener.getsockname()[1]}/"


def run(app: ASGIApp, listener: socket.socket, limits: Limits, started: Callable[[], Any]) -> None:
    """Run an application until Ctrl-C or SIGTERM, then drop all requests in progress.

    started: called as soon as the server accepts requests.

    Raises:
        KeyboardInterrupt: after Ctrl-C, and `captioning.command.Terminated` after SIGTERM, as the process handles them.
        ModuleNotFoundError: if uvicorn is not installed.
    """
    asyncio.run(make_server(app, limits, started).serve(sockets=[listener]))


def make_server(app: ASGIApp, limits: Limits, started: Callable[[], Any]) -> Any:
    """Return a `uvicorn.Server` that closes idle connections, and all connections when it stops."""
    uvicorn = require("uvicorn", "caption")

    silence: weakref.WeakKeyDictionary[Any, tuple[Any, float]] = weakref.WeakKeyDictionary()

    class Server(uvicorn.Server):  # type: ignore[misc, name-defined]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started()

        async def on_tick(self, counter: int) -> bool:  # ten times a second
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                request = connection.cycle
                last, since = silence.get(connection, (None, now))
                answering = request is not None and not request.response_complete
                if request is not last or (answering and not connection.flow.write_paused):
                    since = now
                silence[connection] = request, since
                if now - since > limits.silent_seconds:
                    connection.transport.abort()
            return bool(await super().on_tick(counter))

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            self.force_exit = True
            for connection in list(self.server_state.connections):
                connection.transport.abort()
            await super().shutdown(sockets)

    return Server(uvicorn.Config(
        app, http="h11", loop="asyncio", ws="none", lifespan="off", log_config=None, log_level="critical",
        access_log=False, proxy_headers=False, server_header=False,
    ))  # fmt: skip
