"""A web server of the test's own, on loopback, that behaves as it is told."""

from __future__ import annotations

import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any


@dataclass
class Site:
    """What the server has and how it behaves.

    cuts: so many bytes of a body are sent, then the connection ends; by request, the last one for all that follow.
    statuses: answered to the first requests, one each. drip: seconds between pieces of `piece` bytes.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"one"'
    content_type: str = "application/zip"
    length: bool = True
    total: bool = True  # whether the header of a part says how long the whole is
    claimed: int | None = None  # Content-Length in place of the true one
    statuses: list[int] = field(default_factory=list)
    cuts: list[int | None] = field(default_factory=list)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0.0
    piece: int = 2**16
    requests: list[tuple[str, Any]] = field(default_factory=list)
    address: str = ""


class Handler(BaseHTTPRequestHandler):
    site: Site

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        site = self.site
        site.requests.append((self.path, dict(self.headers)))
        if site.statuses and (status := site.statuses.pop(0)) != 200:
            self.send_error(status)
            return
        if self.path in site.redirects:
            self.send_response(302)
            self.send_header("Location", site.redirects[self.path])
            self.end_headers()
            return
        if self.path not in site.files:
            self.send_error(404)
            return
        self._send(site.files[self.path])

    def _send(self, content: bytes) -> None:
        site, start = self.site, 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        fresh = self.headers.get("If-Range") in (None, site.etag)
        if asked and site.ranges and fresh:
            start = int(asked[1])
            if start >= len(content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(206)
            total = len(content) if site.total else "*"
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{total}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", site.content_type)
        if site.length:
            self.send_header("Content-Length", str(site.claimed or len(content) - start))
        if site.etag:
            self.send_header("ETag", site.etag)
        for name, value in site.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._body(content[start:])

    def _body(self, body: bytes) -> None:
        site = self.site
        cut = (site.cuts.pop(0) if len(site.cuts) > 1 else site.cuts[0]) if site.cuts else None
        body = body if cut is None else body[:cut]
        try:
            for start in range(0, len(body), site.piece):
                self.wfile.write(body[start : start + site.piece])
                if site.drip:
                    time.sleep(site.drip)
        except OSError:
            pass  # who asked has left
        self.close_connection = True


class Server(ThreadingHTTPServer):
    """Without a look-up of its own name, which may take long."""

    daemon_threads, block_on_close = True, False

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "loopback", self.server_address[1]


@contextmanager
def serving(site: Site):
    """The site, at `site.address`, until the block ends."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
