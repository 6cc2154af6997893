"""The names of ASGI (https://asgi.readthedocs.io), the interface of servers such as uvicorn with applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

__all__ = ["App", "Message", "Receive", "Scope", "Send"]

Scope = MutableMapping[str, Any]
"""What is known of a request before its body."""

Message = MutableMapping[str, Any]
"""A part of a request or an answer; its `type` says which."""

Receive = Callable[[], Awaitable[Message]]
"""The next part of a request, or that the client has gone."""

Send = Callable[[Message], Awaitable[None]]
"""Takes the next part of an answer."""

App = Callable[[Scope, Receive, Send], Awaitable[None]]
