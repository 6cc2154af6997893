"""A campaign of requests that no well-behaved client sends."""

import random
from collections import Counter

import pytest

from tests.captioning.serving.served import exchange, needs_server, photo, photo_sizes, served

pytestmark = needs_server


def odd_upload(rng):
    """What goes over a connection: a request, or what claims to be one, that no well-behaved client sends."""
    content = bytearray(photo(rng.choice(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]), (60, 40)))
    change = rng.choice(["random", "cut", "flip", "sizes", "whole", "empty"])
    if change == "random":
        content = bytearray(rng.randbytes(rng.randrange(1, 5000)))
    elif change == "cut":
        del content[rng.randrange(len(content)) :]
    elif change == "flip":
        for _ in range(rng.randrange(1, 30)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif change == "sizes":  # four bytes that may be a width or a length
        start = rng.randrange(min(40, len(content) - 4))
        content[start : start + 4] = rng.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"])
    elif change == "empty":
        content.clear()
    length = rng.choice([len(content)] * 6 + [0, len(content) // 2, len(content) + 100, 2**31, 2**64, -1])
    kind = rng.choice(["image/png", "text/html", "multipart/form-data", "\xff", "application/json"])
    if rng.random() < 0.15:
        head, body = (
            "Transfer-Encoding: chunked",
            b"".join(b"%x\r\n%s\r\n" % (len(content), bytes(content)) for _ in range(2)),
        )
    else:
        head, body = f"Content-Length: {length}", bytes(content)
    method = rng.choice(["POST"] * 8 + ["GET", "PUT", "OPTIONS", "P\0ST"])
    path = rng.choice(["/caption"] * 8 + ["/", "/caption/", "/%ff", "/" + "x" * 9000, "http://evil.example/"])
    host = rng.choice(["127.0.0.1"] * 9 + ["evil.example"])
    start = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n{head}\r\nConnection: close\r\n\r\n"
    return start.encode("latin-1") + body


@pytest.mark.slow
def test_a_thousand_odd_uploads_do_no_harm(full):
    statuses = Counter()
    limits = {"upload_seconds": 0.3, "silent_seconds": 0.3, "lingering_seconds": 0.1}
    rng = random.Random(0)
    with photo_sizes(seconds=5) as sizes, served(sizes, **limits) as server:
        for i in range(1000 if full else 60):
            said = exchange(server, odd_upload(rng), wait=20)
            statuses[said[9:12].decode()] += 1
            assert said.startswith(b"HTTP/1.1 ") or not said, said[:100]
            assert said[9:10] != b"5", said
            if i % 20 == 0:
                assert server.ask("/caption", photo(size=(33, 22))).json == {"height": 22, "width": 33}
        assert server.ask("/caption", photo(size=(33, 22))).json == {"height": 22, "width": 33}
        assert server.ask("/health").json["waiting"] == 0
    assert statuses["200"] > 0
    assert statuses["422"] > 0
