"""The routes: the page and its files, `POST /caption`, and `GET /health`.

| route | answers |
|---|---|
| `GET /` | the page; its files are `GET /assets/NAME` |
| `POST /caption` | the body is a photo file's content, of whatever type; JSON as in `captioning.serving.answers` |
| `GET /health` | JSON: `status`, `captioner`, `waiting` and `places`, `most_bytes` of an upload |

Whatever is refused is JSON with `error`, one line: 400 no body, 403 another site's page, 404 and 405 no such route,
408 too slow, 413 too large, 415 a form, 421 another host's name, 422 no photo (why), 500 a fault of ours, 503 too many,
with `Retry-After`.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Coroutine
from typing import Any

from captioning.serving.asgi import App, Receive, Scope, Send
from captioning.serving.assets_table import PAGE, read_assets
from captioning.serving.bodies import ClientGoneError, HeldBytes, lingering, read_body, until_gone
from captioning.serving.connections import check_crowd
from captioning.serving.guards import check_sender, with_headers
from captioning.serving.limits import Limits
from captioning.serving.refusals import RefusedError
from captioning.serving.worker import Worker
from captioning.vision.photo_files import PhotoError
from minigrad.runtime.extras import require

__all__ = ["make_app"]

_ROUTE_ERRORS = {404: "there is no such page here", 405: "that is asked by another method here"}


def make_app(worker: Worker, captioner: str, limits: Limits) -> App:
    """The application. captioner: what the page calls the one who speaks. The package Starlette is needed.

    worker: answers uploads, and is entered while the application is used.
    """
    applications = require("starlette.applications", "serve")
    responses = require("starlette.responses", "serve")
    routing = require("starlette.routing", "serve")
    requests = require("starlette.requests", "serve")
    HTTPException = require("starlette.exceptions", "serve").HTTPException
    assets, held = read_assets(), HeldBytes(limits.held_bytes)

    async def asset(request: Any) -> Any:
        name = request.path_params.get("name", PAGE)
        if name not in assets:
            raise RefusedError(404, "there is no such page here")
        content, media_type = assets[name]
        return responses.Response(content, media_type=media_type)

    async def health(request: Any) -> Any:
        facts = {"status": "ok", "captioner": captioner, "waiting": worker.waiting, "places": worker.places,
                 "most_bytes": limits.upload_bytes}  # fmt: skip
        return responses.JSONResponse(facts)

    async def caption(request: Any) -> Any:
        if request.headers.get("content-type", "").startswith("multipart/"):
            text = "a form is not read: the body is the file's content, as by curl --data-binary @photo.jpg"
            raise RefusedError(415, text, unread=True)
        with held.account() as add:
            try:
                content = await read_body(request.receive, request.headers, limits, add)
                answer = await _while_there(request.receive, worker.answer_to(content))
            except Exception as error:  # whatever happens in a photo or the captioner, nobody else is concerned
                raise _as_refusal(error) from None
            return responses.JSONResponse(answer)

    async def refuse(request: Any, error: Exception) -> Any:
        refusal = _as_refusal(error)
        allowed = error.headers or {} if isinstance(error, HTTPException) else {}  # which methods, of a 405
        return responses.JSONResponse({"error": str(refusal)}, refusal.status, {**allowed, **refusal.headers()})

    routes = [
        routing.Route("/", asset),
        routing.Route("/assets/{name}", asset),
        routing.Route("/caption", caption, methods=["POST"]),
        routing.Route("/health", health),
    ]
    handlers = dict.fromkeys((RefusedError, HTTPException), refuse)
    routed = applications.Starlette(routes=routes, exception_handlers=handlers)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        send = lingering(with_headers(send), receive, limits.lingering_seconds)
        request = requests.Request(scope)
        try:
            check_sender(request.method, request.headers)
            check_crowd(scope)
        except RefusedError as refusal:
            await (await refuse(request, refusal))(scope, receive, send)
        else:
            await routed(scope, receive, send)

    return app


async def _while_there(receive: Receive, asking: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    """What is asked for, as long as the client is there: a ClientGoneError ends the asking."""
    answer, gone = asyncio.create_task(asking), asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientGoneError
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


def _as_refusal(error: Exception) -> RefusedError:
    """What is told of an error; of one that is no client's fault standard error has the whole traceback."""
    if isinstance(error, RefusedError):
        return error
    if isinstance(error, PhotoError):
        return RefusedError(422, str(error))
    if isinstance(error, ClientGoneError):
        return RefusedError(400, "the client has gone")
    status = getattr(error, "status_code", None)
    if status is not None:  # Starlette's, of routes
        return RefusedError(status, _ROUTE_ERRORS.get(status, str(error)), unread=True)
    traceback.print_exception(error)
    return RefusedError(500, "a fault of the server, which says more in the window where it was started")
