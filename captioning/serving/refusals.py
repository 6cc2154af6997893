"""What a client is told instead of an answer: a status of HTTP, one line, and when it may come again."""

from __future__ import annotations

__all__ = ["RefusedError"]


class RefusedError(Exception):
    """Why there is no answer.

    status: of HTTP (RFC 9110, 15). retry_after: in how many seconds it is worth another try; None where it is not.
    unread: whether the client may still be sending.

    >>> RefusedError(413, "the photo has more than 32 MiB").headers()
    {}
    >>> RefusedError(503, "other photos are waiting", retry_after=1).headers()
    {'retry-after': '1'}
    """

    def __init__(self, status: int, message: str, retry_after: int | None = None, unread: bool = False) -> None:
        super().__init__(message)
        self.status, self.retry_after, self.unread = status, retry_after, unread

    def headers(self) -> dict[str, str]:
        """What goes into the answer's head. Who may still be sending is not heard any more after it."""
        retry = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return {**retry, **({"connection": "close"} if self.unread else {})}
