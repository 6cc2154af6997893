"""Asking a server for a file, by HTTP or HTTPS and nothing else."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import minigrad as mg
from captioning.downloading.errors import DownloadError, PassingError

__all__ = ["UnreachableError", "ask"]

_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Statuses of a server that may answer later. RFC 9110, 15; RFC 6585, 4; RFC 8470, 5.2."""


class UnreachableError(PassingError):
    """No server answered at all."""


def ask(address: str, headers: dict[str, str], timeout: float) -> http.client.HTTPResponse:
    """What a server answers to a GET, its body not yet read: status 200 or 206, or 416 for a range that is none.

    timeout: seconds that may pass without a byte. Any other status is a DownloadError, a PassingError if it may be
    worth another attempt, and so is a server that does not answer. Redirects are followed to http and https alone,
    and not from https back to http.
    """
    request = urllib.request.Request(address, headers={
        "User-Agent": f"minigrad-captioning/{mg.__version__}",
        "Accept-Encoding": "identity",  # ranges and sizes are those of the file itself
        **headers,
    })  # fmt: skip
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            return error  # type: ignore[return-value]  # which is a response, too
        error.close()
        raise _refusal(address, error) from error
    except urllib.error.URLError as error:
        raise UnreachableError(f"cannot reach {urlsplit(address).netloc}: {_reason(error.reason)}") from error
    except (OSError, http.client.HTTPException) as error:
        raise PassingError(f"{address}: no answer: {_reason(error)}") from error
    except ValueError as error:  # such as a redirect to no address
        raise DownloadError(f"{address}: the server's answer makes no sense: {error}") from error
    if response.status not in (200, 206):
        response.close()
        raise DownloadError(f"{address}: the server answers with status {response.status}, not with a file")
    return response


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        schemes = ("https",) if req.full_url.startswith("https:") else ("http", "https")
        if urlsplit(newurl).scheme not in schemes:
            raise urllib.error.HTTPError(req.full_url, code, f"redirects to {newurl}", headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """With proxies of the environment; without files, FTP and data: addresses, which `build_opener` would bring."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


def _refusal(address: str, error: urllib.error.HTTPError) -> DownloadError:
    text = f"{address}: the server answers {error.code} {error.reason}"
    if error.code in _PASSING:
        return PassingError(text)
    if error.code // 100 == 3:
        location = error.headers.get("Location", "nowhere")
        return DownloadError(f"{address}: redirects to {location}, which is not followed (status {error.code})")
    return DownloadError(f"{text}; the file may have moved: --address NAME=URL or --mirror URL say where it is now")


def _reason(error: Any) -> str:
    """An error in words: of the system's errors only those, without the number."""
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
