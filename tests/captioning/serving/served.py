"""A server in a thread of the test, and what asks it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import importlib.util
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from PIL import Image

from captioning.serving.app import make_app
from captioning.serving.limits import Limits
from captioning.serving.photo_reader import PhotoReader
from captioning.serving.server import listen, run_until
from captioning.serving.worker import Worker
from captioning.training.stopping import Stop

_MISSING = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
needs_server = pytest.mark.skipif(bool(_MISSING), reason=f"no server: {' and '.join(_MISSING)} not installed")

HEAD = "POST /caption HTTP/1.1\r\nHost: 127.0.0.1\r\n"
PATIENCE = 30.0  # seconds until a test gives up
ANSWER = {
    "caption": "a dog runs", "confidence": 0.62, "grid": [7, 7], "milliseconds": 12,
    "beams": [
        {"caption": "a dog runs", "score": -0.51, "confidence": 0.62, "ended": True, "end": 0.9, "words": [
            {"word": "a", "probability": 0.95, "look": [1 / 49] * 49},
            {"word": "dog", "probability": 0.4, "look": [1.0] + [0.0] * 48},
            {"word": "runs", "probability": 0.7, "look": [0.0] * 48 + [1.0]},
        ]},
        {"caption": "a cat sits", "score": -0.9, "confidence": 0.2, "ended": False, "end": None, "words": [
            {"word": "a", "probability": 0.95, "look": [1 / 49] * 49},
            {"word": "cat", "probability": 0.3, "look": [0.0] * 24 + [1.0] + [0.0] * 24},
            {"word": "sits", "probability": 0.6, "look": [1 / 49] * 49},
        ]},
    ],
}  # fmt: skip
"""What a captioner with beams and looks answers."""


def photo(kind: str = "PNG", size: tuple[int, int] = (40, 30), colour: str = "teal") -> bytes:
    """A photo file's content."""
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def endless_jpeg(side: int = 4000, scans: int = 4000) -> bytes:
    """A progressive JPEG that says the same over and over: each scan goes through all of the picture."""
    file = io.BytesIO()
    Image.new("L", (side, side), 99).save(file, "JPEG", progressive=True)
    content = file.getvalue()
    last = content.rindex(b"\xff\xda")  # start of a scan (ITU-T T.81, B.2.3)
    return content[:last] + content[last:-2] * scans + content[-2:]


@dataclass(frozen=True)
class Said:
    """An answer of the server."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


def read_answer(connection: socket.socket) -> Said:
    """The next answer on a connection, whole."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return _said(answer)


def _said(answer: http.client.HTTPResponse) -> Said:
    content = answer.read()
    return Said(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)


@dataclass(frozen=True)
class Served:
    """A server that runs. worker: its worker."""

    port: int
    worker: Worker

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(self, path: str, body: Any = None, method: str | None = None, **headers: str) -> Said:
        """Ask once, on a connection of its own; names of headers with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method or ("GET" if body is None else "POST"), path, body, named)
            return _said(connection.getresponse())
        finally:
            connection.close()

    def connect(self) -> socket.socket:
        """A connection on which nothing was said yet."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


def exchange(server: Served, text: str | bytes, wait: float = PATIENCE) -> bytes:
    """All that comes back on a connection until it ends; what is sent need not be HTTP."""
    with server.connect() as connection, contextlib.suppress(OSError):
        connection.settimeout(wait)
        connection.sendall(text if isinstance(text, bytes) else text.encode())
        found = b""
        while part := connection.recv(65536):
            found += part
        return found
    return b""


@contextlib.contextmanager
def served(
    answer: Callable[[bytes], dict[str, Any]] = lambda content: ANSWER, captioner: str = "a test", **limits: Any
) -> Iterator[Served]:
    """A server that answers uploads with what `answer` returns, until the block is left."""
    bounds = Limits(**limits)
    listener, stop, ready = listen(0), Stop(), threading.Event()
    port = listener.getsockname()[1]
    with Worker(answer, bounds.places) as worker:
        app = make_app(worker, captioner, bounds)
        thread = threading.Thread(target=lambda: asyncio.run(run_until(stop, app, listener, bounds, ready.set)))
        thread.start()
        try:
            assert ready.wait(PATIENCE)
            yield Served(port, worker)
        finally:
            stop.set()
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server does not stop"


@contextlib.contextmanager
def photo_sizes(seconds: float = 10.0) -> Iterator[Callable[[bytes], dict[str, Any]]]:
    """Answers with the size of the photo, which a process of its own decodes."""
    with PhotoReader(seconds) as reader:

        def answer(content: bytes) -> dict[str, Any]:
            height, width, _ = reader.read(content).shape
            return {"height": height, "width": width}

        yield answer
