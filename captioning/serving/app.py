"""The web application: the page and its files, `POST /caption`, and `GET /health`.

| route | answer |
|---|---|
| `GET /` | the page; its files are `GET /assets/NAME` |
| `POST /caption` | JSON as in `captioning.serving.answers`; the body is a photo file, of any content type |
| `GET /health` | JSON: `status`, `captioner`, `waiting`, `places`, and `most_bytes` of an upload |

A refused request gets a JSON object whose `error` is one line. Its status is one of

| status | reason |
|---|---|
| 400 | no photo |
| 403 | page of another site |
| 404, 405 | no such page or method |
| 408 | upload too slow |
| 413 | upload too large |
| 415 | a form |
| 421 | other host name |
| 422 | not a photo |
| 500 | server error |
| 503 | busy, with `Retry-After` |

Any web site can make a browser on this machine send requests to this server (CSRF). `check_sender` rejects such
requests by three headers:

- `Host` is the name in the address. A site that points its own name to 127.0.0.1 (DNS rebinding) sends that name. The
  port may differ, because requests may arrive through a tunnel.
- `Origin` (Fetch standard, 3.1) names the page that sends the request; a plain GET has none. It must be this server's
  page.
- `Sec-Fetch-Site` (Fetch Metadata, W3C) is `same-origin`, or `none` if the user typed the address. It is checked only
  if there is no `Origin`.
"""

from __future__ import annotations

import asyncio
import re
import traceback
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from captioning.serving.answers import Answer, AnswerQueue
from captioning.serving.upload_limits import Limits, RefusedError, Uploads
from captioning.vision.photo_files import PhotoError
from minigrad.runtime.extras import require

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["HEADERS", "check_sender", "make_app"]

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every response. The page may load only its own files and the chosen photo (`blob:`). No other site can
frame or read it, and the browser caches nothing."""

_OUR_HOST = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
_MEDIA_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_ROUTE_ERRORS = {404: "page not found", 405: "this page does not accept that method"}


def check_sender(method: str, headers: Mapping[str, str]) -> None:
    """Raise a RefusedError if a request is for another host or comes from a page of another site.

    headers: the request headers, with lower-case names.

    >>> check_sender("POST", {"host": "LOCALHOST:8000", "origin": "http://localhost:8000"})
    >>> check_sender("GET", {"host": "evil.example"})
    Traceback (most recent call last):
    captioning.serving.upload_limits.RefusedError: the Host header must be 127.0.0.1 or localhost, not 'evil.example'
    """
    host = headers.get("host", "").lower()
    if not _OUR_HOST.fullmatch(host):
        raise RefusedError(421, f"the Host header must be 127.0.0.1 or localhost, not {host[:100]!r}")
    origin = headers.get("origin")
    foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none") if origin is None else (
        origin != f"http://{host}")  # fmt: skip
    if foreign and method not in ("GET", "HEAD"):
        raise RefusedError(403, "pages of other web sites may not use this server")


def make_app(queue: AnswerQueue, captioner: str, limits: Limits) -> ASGIApp:
    """Return the ASGI application. queue: captions the uploads. captioner: the name to show on the page.

    Raises:
        ModuleNotFoundError: if Starlette is not installed.
    """
    require("starlette", "caption")
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    uploads = Uploads(limits)
    assets = {file.name: file.read_bytes() for file in (files(__package__) / "assets").iterdir()}

    async def asset(request: Any) -> Any:
        name = request.path_params.get("name", "page.html")
        if name not in assets:  # other names never reach the disk
            raise HTTPException(404)
        return Response(assets[name], media_type=_MEDIA_TYPES[name.rpartition(".")[2]])

    async def health(request: Any) -> Any:
        return JSONResponse({"status": "ok", "captioner": captioner, "waiting": queue.waiting, "places": queue.places,
                             "most_bytes": limits.upload_bytes})  # fmt: skip

    async def caption(request: Any) -> Any:
        if request.headers.get("content-type", "").startswith("multipart/"):
            raise RefusedError(415, "send the content of the file, not a form: curl --data-binary @photo.jpg")
        async with uploads.receive(request) as content:
            answer = await _while_connected(request.receive, queue.answer_to(content))
        if answer is None:
            raise ClientDisconnect
        return JSONResponse(answer)

    async def refuse(request: Any, error: Exception) -> Any:
        headers = {}
        match error:
            case RefusedError():
                status, message = error.status, str(error)
                headers = {"retry-after": "1"} if status == 503 else {}
            case PhotoError():
                status, message = 422, str(error)
            case HTTPException():  # from the routes
                status, message = error.status_code, _ROUTE_ERRORS.get(error.status_code, error.detail)
                headers = dict(error.headers or {})
            case ClientDisconnect():
                status, message = 400, "the client disconnected"
            case _:
                traceback.print_exception(error)
                status, message = 500, "internal server error; the terminal where the server runs shows details"
        return JSONResponse({"error": message}, status, headers)

    routes = [
        Route("/", asset),
        Route("/assets/{name}", asset),
        Route("/caption", caption, methods=["POST"]),
        Route("/health", health),
    ]
    kinds = (RefusedError, PhotoError, HTTPException, ClientDisconnect, Exception)
    starlette = Starlette(routes=routes, exception_handlers=dict.fromkeys(kinds, refuse))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        exchange = _Exchange(receive, send, limits.discard_seconds)
        request = Request(scope)
        try:
            check_sender(request.method, request.headers)
        except RefusedError as error:
            response = await refuse(request, error)
            await response(scope, exchange.receive, exchange.send)
        else:
            await starlette(scope, exchange.receive, exchange.send)

    return app


async def _while_connected(receive: Receive, answering: Coroutine[Any, Any, Answer]) -> Answer | None:
    """Return the answer, or None if the client disconnects first."""
    answer, gone = asyncio.create_task(answering), asyncio.create_task(_disconnect(receive))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        return answer.result() if answer.done() else None
    finally:
        answer.cancel()
        gone.cancel()


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class _Exchange:
    """Wrap ASGI's `receive` and `send` for one request: add `HEADERS`, and let a client read why it was refused.

    An error response before the whole body was read closes the connection. First the rest of the body is discarded, for
    at most `discard_seconds`.
    """

    def __init__(self, receive: Receive, send: Send, discard_seconds: float) -> None:
        self._receive, self._send, self._discard_seconds = receive, send, discard_seconds
        self._unread, self._closes = True, False

    async def receive(self) -> Message:
        message = await self._receive()
        self._unread = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._closes = self._unread and message["status"] >= 400
            extra = HEADERS | ({"connection": "close"} if self._closes else {})
            encoded = [(name.encode(), value.encode()) for name, value in extra.items()]
            message = {**message, "headers": [*message.get("headers", []), *encoded]}
        elif self._closes and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(self._discard_seconds):
                    while self._unread:
                        await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
