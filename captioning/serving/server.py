"""The server: an address of this machine alone, and an application that is run there until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
from collections.abc import Callable
from typing import Any

from captioning.command import Terminated
from captioning.serving.asgi import App
from captioning.serving.connections import impatient_protocol, noting_crowds
from captioning.serving.limits import Limits
from captioning.training.stopping import Stop, stop_on_signals
from minigrad.runtime.extras import require

__all__ = ["HOST", "address_of", "listen", "run", "run_until"]

HOST = "127.0.0.1"
"""Of this machine alone: who is elsewhere cannot connect."""

_HIGHEST = 65535
_POLL = 0.05  # seconds until a stop is seen


def listen(port: int) -> socket.socket:
    """A socket that takes connections of this machine; port 0 is any free one.

    Raises:
        ValueError: if there is no such port.
        OSError: if it is in use or may not be used, in words that say what to do.

    >>> with listen(0) as taken:
    ...     try:
    ...         listen(taken.getsockname()[1])
    ...     except OSError as error:
    ...         print(str(error).partition(": ")[2])  # doctest: +ELLIPSIS
    another program uses it (perhaps this one, in another window): choose another by --port N, ...
    """
    if not 0 <= port <= _HIGHEST:
        raise ValueError(f"--port must be from 0 to {_HIGHEST}; got {port}")
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if (
            os.name == "posix"
        ):  # what ended a moment ago does not hold its port; elsewhere the option means another thing
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen()
    except OSError as error:
        found.close()
        raise OSError(f"{HOST}:{port}: {_what_to_do(error)}") from error
    return found


def _what_to_do(error: OSError) -> str:
    choose = "choose another by --port N, or any free one by --port 0"
    if error.errno == errno.EADDRINUSE:
        return f"another program uses it (perhaps this one, in another window): {choose}"
    if error.errno == errno.EACCES:
        return f"this user may not use that port: {choose}"
    return str(error.strerror)


def address_of(listener: socket.socket) -> str:
    """What to type into a browser."""
    return f"http://{HOST}:{listener.getsockname()[1]}/"


def run(app: App, listener: socket.socket, limits: Limits, started: Callable[[], Any]) -> None:
    """Run an application until Ctrl-C or SIGTERM, which ends it at once: requests that are under way are dropped.

    started: called when requests are taken.

    Raises:
        KeyboardInterrupt: always; `captioning.command.Terminated` after SIGTERM.
        ModuleNotFoundError: if uvicorn is not installed.
    """
    with stop_on_signals() as stop:
        asyncio.run(run_until(stop, app, listener, limits, started))
    raise Terminated if stop.signal == signal.SIGTERM else KeyboardInterrupt


async def run_until(stop: Stop, app: App, listener: socket.socket, limits: Limits, started: Callable[[], Any]) -> None:
    """Run an application until `stop` is set, on a socket that is closed then."""
    server = _server(app, limits)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(_POLL / 10)
        started()
        while not stop.is_set() and not serving.done():
            await asyncio.sleep(_POLL)
    finally:
        for each in getattr(server, "servers", []):
            each.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()
        tasks = [serving, *server.server_state.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        listener.close()


def _server(app: App, limits: Limits) -> Any:
    uvicorn = require("uvicorn", "serve")

    class Quiet(uvicorn.Server):  # type: ignore[misc, name-defined]
        def capture_signals(self) -> Any:
            return contextlib.nullcontext()  # whoever runs it handles them

    def connections() -> int:
        return len(server.server_state.connections)

    server = Quiet(uvicorn.Config(
        noting_crowds(app, connections, limits.connections), http=impatient_protocol(limits.silent_seconds),
        loop="asyncio", ws="none", lifespan="off", log_config=None, log_level="critical", access_log=False,
        proxy_headers=False, server_header=False,
    ))  # fmt: skip
    return server
