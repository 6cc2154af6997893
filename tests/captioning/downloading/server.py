"""A web server on loopback with small versions of the published archives, which misbehaves on request."""

from __future__ import annotations

import io
import re
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any

import numpy as np

TOKENS = "".join(
    f"{name}.jpg#{i}\t{text}\n"
    for name, texts in {"b": ['A "dog" , here .', "Dogs"], "a": ["A cat", "Cats ."], "c": ["No split"]}.items()
    for i, text in enumerate(texts)
)
TEXTS = {
    "Flickr8k.token.txt": TOKENS,
    "Flickr_8k.trainImages.txt": "a.jpg\n",
    "Flickr_8k.devImages.txt": "b.jpg\r\n",
    "Flickr_8k.testImages.txt": "",
    "readme.txt": "thanks",
    "ExpertAnnotations.txt": "not needed",
    "__MACOSX/._readme.txt": "not needed",
}
PHOTOS = {f"Flicker8k_Dataset/{name}.jpg": name.encode() for name in "abc"} | {
    "__MACOSX/Flicker8k_Dataset/._a.jpg": b""
}


def members_of(folder):
    """The members of an archive as CS231n packs it: all in one folder, with what a Mac adds."""
    files = {f"coco_captioning/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    return {"coco_captioning/": b"", **files, "__MACOSX/coco_captioning/coco2014_captions.h5": b"junk",
            "coco_captioning/.DS_Store": b"junk"}  # fmt: skip


def zipped(members, method=zipfile.ZIP_DEFLATED):
    """A zip archive with members: content by name or by ZipInfo. The same members give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name) if isinstance(name, str) else name  # of the year 1980
            file.writestr(info, content, method)
    return buffer.getvalue()


def of_size(size, seed=0):
    """A zip archive of somewhat more than `size` bytes, which cannot be compressed."""
    return zipped({"a.bin": np.random.default_rng(seed).bytes(size)})


@dataclass
class Site:
    """The files of a server, and how it behaves.

    cuts: after how many bytes of a body a connection ends; one for each request, the last one for all that follow.
    statuses: for the first requests. drip: seconds between pieces of `piece` bytes. requests: paths and headers.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"one"'
    length: bool = True
    statuses: list[int] = field(default_factory=list)
    cuts: list[int | None] = field(default_factory=lambda: [None])
    redirects: dict[str, str] = field(default_factory=dict)
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
        elif self.path in site.redirects:
            self._head(302, {"Location": site.redirects[self.path], "Content-Length": "0"})
        elif self.path in site.files:
            self._send(site.files[self.path])
        else:
            self.send_error(404)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _send(self, content: bytes) -> None:
        site, start, headers = self.site, 0, {"ETag": self.site.etag} if self.site.etag else {}
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and site.ranges and self.headers.get("If-Range") in (None, site.etag):
            start = int(asked[1])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if start >= len(content) > 0:
            self._head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
            return
        if site.length:
            headers["Content-Length"] = str(len(content) - start)
        self._head(206 if start else 200, headers)
        cut = site.cuts.pop(0) if len(site.cuts) > 1 else site.cuts[0]
        body = content[start:][:cut]
        with suppress(OSError):  # the client has left
            for first in range(0, len(body), site.piece):
                self.wfile.write(body[first : first + site.piece])
                time.sleep(site.drip)
        self.close_connection = True


@contextmanager
def serving(site: Site):
    """Serve the site at `site.address` until the block ends."""
    handler = type("SiteHandler", (Handler,), {"site": site})
    with ThreadingTCPServer(
        ("127.0.0.1", 0), handler
    ) as server:  # HTTPServer looks up its own name, which may take long
        server.daemon_threads, server.block_on_close = True, False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        site.address = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield site
        finally:
            server.shutdown()
