"""Whom the server answers: this machine's own page, and programs. No page of another site may use it, or be it.

A browser on this machine can be made to send requests here by any site that it visits. What it says of each request
tells them apart:

- `Host` is the name that stands in the address. A site whose name was made to lead to 127.0.0.1 (DNS rebinding) sends
  its own name. The port may be another one, as where a tunnel leads here.
- `Origin` (the Fetch standard, 3.1) is the page that sends, of every request but plain GETs. It must be this one.
- `Sec-Fetch-Site` (Fetch Metadata, W3C) says the same where there is no `Origin`: `same-origin`, or `none` where the
  user typed the address.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from captioning.serving.asgi import Message, Send
from captioning.serving.refusals import RefusedError

__all__ = ["HEADERS", "check_sender", "with_headers"]

_OURS = re.compile(r"(127\.0\.0\.1|localhost)(:\d{1,5})?")
_READING = ("GET", "HEAD")
_HARMLESS = ("same-origin", "none")

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer: the page's own files and the photo that was chosen (`blob:`), and nothing else, are loaded, run or
sent to; no other page frames it, reads from it or keeps a hold of its window; nothing stays in the browser's cache."""


def check_sender(method: str, headers: Mapping[str, str]) -> None:
    """Raise a RefusedError unless a request is meant for this server and no other site's page sends it.

    headers: by names in lower case.

    >>> check_sender("POST", {"host": "localhost:8000", "origin": "http://localhost:8000"})
    >>> check_sender("GET", {"host": "evil.example:8000"})
    Traceback (most recent call last):
    captioning.serving.refusals.RefusedError: this server is 127.0.0.1 or localhost alone, not 'evil.example:8000'
    """
    host = headers.get("host", "")
    if not _OURS.fullmatch(host):
        raise RefusedError(421, f"this server is 127.0.0.1 or localhost alone, not {host[:100]!r}", unread=True)
    if method in _READING:
        return
    origin = headers.get("origin")
    other = headers.get("sec-fetch-site", "none") not in _HARMLESS if origin is None else origin != f"http://{host}"
    if other:
        raise RefusedError(403, "a page of another site may not use this server", unread=True)


def with_headers(send: Send) -> Send:
    """ASGI's `send`, with `HEADERS` in the head of what it sends."""
    ours = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), *ours]}
        await send(message)

    return sending
