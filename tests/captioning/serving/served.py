"""Clients for the tests: of the application in this process, and of a server in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http.client
import importlib.util
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from captioning.decoding.captions import Caption
from captioning.serving.answers import AnswerQueue, as_json
from captioning.serving.app import make_app
from captioning.serving.photo_reader import PhotoReader
from captioning.serving.server import listen, make_server
from captioning.serving.upload_limits import Limits

_MISSING = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
needs_server = pytest.mark.skipif(bool(_MISSING), reason=f"no server: {' and '.join(_MISSING)} not installed")

HEAD = "POST /caption HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PATIENCE = 30.0  # seconds until a test gives up
EVEN, CORNERS = np.full((7, 7), 1 / 49, np.float32), np.eye(49, dtype=np.float32)[[0, -1]].reshape(2, 7, 7)
ANSWER = as_json([
    Caption(["a", "dog", "runs"], np.log([0.95, 0.4, 0.7, 0.9]), -0.51, True, np.stack([EVEN, *CORNERS]), 0.62),
    Caption(["a", "cat", "sits"], np.log([0.95, 0.3, 0.6]), -0.9, False, np.stack([EVEN] * 3), 0.2),
]) | {"milliseconds": 12}  # fmt: skip
"""The answer of a captioner with beams and attention."""


def photo(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "teal") -> bytes:
    """A photo file's content."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


@functools.cache
def endless_jpeg(side: int = 2000, scans: int = 8000) -> bytes:
    """A progressive JPEG that takes hours: each of its scans repeats the whole picture."""
    file = io.BytesIO()
    Image.new("L", (side, side), 99).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")  # start of a scan (ITU-T T.81, B.2.3)
    return content[:last] + content[last:-2] * scans + content[-2:]


class Reply(NamedTuple):
    """A response. headers: by names in lower case."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def ask_app(
    app: Any, path: str = "/caption", *parts: bytes, method: str | None = None, end: str = "", **headers: str
) -> Reply:
    """Call an application in this process with the parts of a body; names of headers have _ for -.

    end: "leaves" if the client leaves after the body, "stalls" if it never ends the body.
    """
    names = {"host": "127.0.0.1"} | {name.replace("_", "-"): value for name, value in headers.items()}
    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in names.items()]
    scope = {"type": "http", "path": path, "method": method or ("POST" if parts else "GET"), "headers": encoded}
    bodies, sent = [*parts, b""], []

    async def receive() -> Any:
        if len(bodies) > (end == "stalls"):
            return {"type": "http.request", "body": bodies.pop(0), "more_body": bool(bodies)}
        await asyncio.sleep(0 if end == "leaves" else PATIENCE)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    with contextlib.suppress(ArithmeticError, TimeoutError):  # Starlette answers, and then raises what is not a refusal
        asyncio.run(app(scope, receive, send))
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], found, b"".join(message["body"] for message in sent[1:]))


def read_reply(connection: socket.socket) -> Reply:
    """Read the next whole response from a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    content = response.read()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)


class Served(NamedTuple):
    """A server that runs. queue: its queue of uploads."""

    port: int
    queue: AnswerQueue

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, body: bytes | None = None) -> Reply:
        """Send one request on a connection of its own."""
        method, content = ("GET", b"") if body is None else ("POST", body)
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
        with self.connect(head.encode() + content) as connection:
            return read_reply(connection)

    def connect(self, text: str | bytes = b"") -> socket.socket:
        """Open a connection and send something, which need not be HTTP."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(text if isinstance(text, bytes) else text.encode())
        return connection


def read_all(connection: socket.socket) -> bytes:
    """Read a connection to its end, which may be a reset."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            found += part
    return found


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, or fail."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "never true"
        time.sleep(0.01)


@contextlib.contextmanager
def served(
    answer: Callable[[bytes], dict[str, Any]] = lambda content: ANSWER, captioner: str = "a test", **limits: Any
) -> Iterator[Served]:
    """Run a server that answers uploads with what `answer` returns, until the block ends."""
    bounds, listener, ready = Limits(**limits), listen(0), threading.Event()
    with AnswerQueue(answer, bounds.places) as queue:
        server = make_server(make_app(queue, captioner, bounds), bounds, ready.set)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield Served(listener.getsockname()[1], queue)
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server does not stop"


@contextlib.contextmanager
def photo_sizes(seconds: float = 10.0) -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """Answer with the size of the photo, which a process of its own decodes."""
    with PhotoReader(seconds) as reader:

        def answer(content: bytes) -> dict[str, Any]:
            height, width, _ = reader.read(content).shape
            return {"height": height, "width": width}

        yield answer
