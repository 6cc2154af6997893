"""A real server: where it listens, how it ends, and clients that are slow, many or hostile."""

import contextlib
import random
import select
import signal
import socket
import threading
import time
from collections import Counter

import pytest

from captioning.command import Terminated, sigterm_raises
from captioning.serving.server import address_of, listen, run
from captioning.serving.upload_limits import Limits
from tests.captioning.serving.served import (
    HEAD,
    PATIENCE,
    needs_server,
    photo,
    photo_sizes,
    read_all,
    read_reply,
    served,
    wait_until,
)  # fmt: skip

pytestmark = needs_server

HALF = f"{HEAD}Content-Length: 1000\r\n\r\nhalf"
WHOLE = f"{HEAD}Content-Length: 5\r\n\r\nphoto"
QUICK = {"upload_seconds": 0.5, "silent_seconds": 0.5, "discard_seconds": 0.1}


def test_it_listens_on_this_machine_only_and_names_a_port_that_it_cannot_use():
    with listen(0) as listener:
        host, port = listener.getsockname()
        assert (host, address_of(listener)) == ("127.0.0.1", f"http://127.0.0.1:{port}/")
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: another program .*--port N"):
            listen(port)
    for port in (-1, 65536):
        with pytest.raises(ValueError, match=f"65535; got {port}"):
            listen(port)


@pytest.mark.parametrize(("number", "kind"), [(2, KeyboardInterrupt), (15, Terminated)])
def test_a_signal_ends_it_as_it_ends_every_command(number, kind):
    with pytest.raises(KeyboardInterrupt) as stopped, sigterm_raises():
        run(None, listen(0), Limits(), lambda: signal.raise_signal(number))
    assert type(stopped.value) is kind


def test_it_ends_amid_requests_and_its_port_is_free():
    going = threading.Event()
    with contextlib.ExitStack() as stack:
        with served(lambda content: {"went": going.wait(PATIENCE)}) as server:
            connections = [stack.enter_context(server.connect(text)) for text in (HEAD, HALF, WHOLE)]
            wait_until(lambda: server.queue.waiting == 1)
        wait_until(lambda: server.queue.waiting == 0)
        assert [read_all(connection) for connection in connections] == [b""] * 3
        listen(server.port).close()
        going.set()


def test_slow_and_silent_clients_are_dropped_and_hold_nobody_up():
    with served(**QUICK) as server, contextlib.ExitStack() as stack:
        used = stack.enter_context(server.connect())
        silent = [stack.enter_context(server.connect(text)) for text in [b""] * 10 + [b"POST /capt"] * 10]
        slow = [stack.enter_context(server.connect(HALF)) for _ in range(20)]
        assert server.ask("/caption", b"photo").status == 200
        assert select.select([*slow, *silent], [], [], 0)[0] == []
        for _ in range(10):  # for longer than a connection may be silent
            used.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(used).status == 200
            time.sleep(0.1)
        used.sendall(b"GET /heal")
        assert all(read_reply(each).status == 408 for each in slow)
        assert [read_all(each) for each in [used, *silent]] == [b""] * 21


def test_a_client_that_does_not_read_its_answers_is_dropped():
    request, count = "GET /assets/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n", 2000
    with served(silent_seconds=0.5) as server, socket.socket() as deaf:
        one = len(server.ask("/assets/page.css").content)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENCE)
        deaf.connect(("127.0.0.1", server.port))
        with contextlib.suppress(OSError):  # it is dropped while it still sends
            deaf.sendall(request.encode() * count)
            time.sleep(1.0)
        assert len(read_all(deaf)) < count * one / 2


def test_limits_on_all_uploads_are_told_in_json_and_end_with_the_uploads():
    going = threading.Event()
    limits = {"uploads": 4, "places": 2, "upload_bytes": 1000, "held_bytes": 1500}
    with served(lambda content: {"went": going.wait(PATIENCE)}, **limits) as server, contextlib.ExitStack() as stack:

        def refusal():
            reply = server.ask("/caption", bytes(900))
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            return reply.json["error"]

        waiting = [stack.enter_context(server.connect(WHOLE)) for _ in range(2)]
        wait_until(lambda: server.queue.waiting == 2)
        assert refusal().startswith("2 other photos are waiting")
        with server.connect(HALF.encode() + bytes(900)):
            wait_until(lambda: refusal().startswith("other photos are arriving"))
            with server.connect(HALF):
                wait_until(lambda: refusal().startswith("too many uploads"))
        going.set()
        assert [read_reply(each).status for each in waiting] == [200] * 2
        assert server.ask("/caption", bytes(900)).status == 200


# Hostile requests ---------------------------------------------------------------------------------------------------


def test_a_client_can_read_why_its_upload_is_too_large():
    with served(upload_bytes=10_000) as server:
        reply = server.ask("/caption", bytes(3_000_000))  # http.client reads after it has sent everything
        assert (reply.status, reply.headers["connection"]) == (413, "close")
        with server.connect(f"{HEAD}Content-Length: {2**40}\r\n\r\n") as connection:
            assert read_reply(connection).status == 413
        with server.connect(f"{HEAD}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n") as connection:
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b"photo")
            assert read_reply(connection).status == 200


def hostile_request(rng):
    """Return a request, or something like it, that no well-behaved client sends."""
    content = bytearray(photo(rng.choice(["JPEG", "PNG", "GIF", "TIFF", "WEBP", "BMP", "PPM"]), (60, 40)))
    start = rng.randrange(min(40, len(content) - 4))
    change = rng.choice(["random", "cut", "flip", "sizes", "whole", "empty"])
    if change == "flip":
        for _ in range(rng.randrange(1, 30)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif change == "sizes":  # four bytes that may be a width or a length
        content[start : start + 4] = rng.choice([b"\xff" * 4, b"\x7f\xff\xff\xff", bytes(4), b"\0\0\xff\xff"])
    parts = {"random": rng.randbytes(2000), "cut": content[: rng.randrange(len(content))], "empty": b""}
    body = bytes(parts.get(change, content))
    length = rng.choice([len(body)] * 6 + [0, len(body) // 2, len(body) + 100, 2**31, 2**64, -1])
    kind = rng.choice(["image/png", "text/html", "multipart/form-data", "\xff", "application/json"])
    head = f"Content-Length: {length}"
    if rng.random() < 0.15:
        head, body = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(body), body) * 2
    method = rng.choice(["POST"] * 8 + ["GET", "PUT", "OPTIONS", "P\0ST"])
    path = rng.choice(["/caption"] * 8 + ["/", "/caption/", "/%ff", "/" + "x" * 9000, "http://evil.example/"])
    host = rng.choice(["127.0.0.1"] * 9 + ["evil.example"])
    start = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\n{head}\r\nConnection: close\r\n\r\n"
    return start.encode("latin-1") + body


ODD_HEADS = [
    "Content-Length: -1\r\n", "Content-Length: 99999999999999999999999\r\n", "Content-Length: five\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n", "Expect: 100-continue\r\nContent-Length: 99999999999\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", "X: " + "x" * 100_000 + "\r\n",
]  # fmt: skip


@pytest.mark.slow
def test_hostile_requests_do_no_harm(full):
    statuses, rng = Counter(), random.Random(0)
    requests = [f"{HEAD}{head}Connection: close\r\n\r\nhello\r\n".encode() for head in ODD_HEADS]
    requests += [b"GET / HTTP/1.1\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\0" * 100]
    requests += [hostile_request(rng) for _ in range(1000 if full else 40)]
    with photo_sizes(seconds=5) as sizes, served(sizes, **QUICK) as server:
        for i, request in enumerate(requests):
            with server.connect(request) as connection:
                reply = read_all(connection)
            status = reply[9:12].decode()
            statuses[status] += 1
            assert reply.startswith(b"HTTP/1.1 ") or not reply, reply[:100]
            assert status[:1] == "4" if i < len(ODD_HEADS) else status[:1] != "5", (request[:100], reply)
        assert server.ask("/caption", photo(size=(33, 22))).json == {"height": 22, "width": 33}
        assert server.ask("/health").json["waiting"] == 0
    assert min(statuses["200"], statuses["422"], statuses["400"]) > 0
