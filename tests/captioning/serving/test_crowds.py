"""Many clients at once, slow ones, and those that go away."""

import contextlib
import select
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from tests.captioning.serving.served import (
    ANSWER,
    HEAD,
    PATIENCE,
    exchange,
    needs_server,
    photo,
    photo_sizes,
    read_answer,
    served,
)

pytestmark = needs_server

CLOSING = "Connection: close\r\n"


def test_slow_clients_hold_nobody_up():
    with served(places=2, upload_seconds=2.0, silent_seconds=2.0, lingering_seconds=0.1) as server, \
            contextlib.ExitStack() as stack:  # fmt: skip
        silent = [stack.enter_context(server.connect()) for _ in range(20)]
        slow = [stack.enter_context(server.connect()) for _ in range(20)]
        for each in silent[:10]:
            each.sendall(b"POST /capt")
        for each in slow:
            each.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode())
        assert server.ask("/caption", b"photo").status == 200
        assert select.select([*slow, *silent], [], [], 0)[0] == []  # it did not wait until they were given up
        assert all(read_answer(each).status == 408 for each in slow)
        assert all(ended(each) for each in silent)


def ended(connection):
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_connection_that_is_kept_is_ended_when_it_says_half_a_thing():
    with served(silent_seconds=0.3) as server, server.connect() as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(connection).status == 200
        connection.sendall(b"GET /heal")
        assert ended(connection)


def test_who_does_not_read_its_answers_is_left():
    asked, whole = 2000, 0
    with served(silent_seconds=0.5) as server, socket.socket() as deaf:
        one = len(exchange(server, f"GET /assets/page.css HTTP/1.1\r\nHost: localhost\r\n{CLOSING}\r\n"))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENCE)
        deaf.connect(("127.0.0.1", server.port))
        with contextlib.suppress(OSError):  # it is ended while it still asks
            deaf.sendall(b"GET /assets/page.css HTTP/1.1\r\nHost: localhost\r\n\r\n" * asked)
            time.sleep(1.0)
        with contextlib.suppress(ConnectionResetError):
            while part := deaf.recv(2**20):
                whole += len(part)
    assert whole < asked * one / 2


def test_beyond_the_places_it_is_told_when_to_come_again_and_who_goes_frees_one():
    going = threading.Event()
    with served(lambda content: {"went": going.wait(PATIENCE)}, places=3) as server, contextlib.ExitStack() as stack:
        there = [stack.enter_context(server.connect()) for _ in range(3)]
        for each in there:
            each.sendall(f"{HEAD}Content-Length: 5\r\n\r\nphoto".encode())
        wait_until(lambda: server.worker.waiting == 3)
        said = server.ask("/caption", b"photo")
        assert (said.status, said.headers["retry-after"]) == (503, "1")
        assert server.ask("/health").json["waiting"] == 3
        there[2].close()
        wait_until(lambda: server.worker.waiting == 2)
        there[2] = stack.enter_context(server.connect())
        there[2].sendall(f"{HEAD}Content-Length: 5\r\n\r\nphoto".encode())
        wait_until(lambda: server.worker.waiting == 3)
        going.set()
        assert [read_answer(each).status for each in there] == [200] * 3


def test_beyond_the_connections_it_is_told_in_json_when_to_come_again():
    with served(connections=3) as server, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(2)]
        for each in slow:
            each.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode())
        said = server.ask("/caption", b"photo")
        assert (said.status, said.headers["retry-after"], said.headers["connection"]) == (503, "1", "close")
        assert said.json == {"error": "too many uploads are arriving: try again in a moment"}
        assert said.headers["x-content-type-options"] == "nosniff"
        slow.pop().close()
        wait_until(lambda: server.ask("/caption", b"photo").status == 200)


def wait_until(true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never was so"
        time.sleep(0.01)


def test_fifty_at_once_are_all_answered_in_the_end():
    def ask(i):
        for _ in range(500):
            said = server.ask("/caption", photo(size=(10 + i, 20)))
            statuses[said.status] += 1
            if said.status == 200:
                return said.json["width"]
            assert said.headers["retry-after"] == "1"
            time.sleep(0.05)
        raise AssertionError("never answered")

    statuses = Counter()
    with photo_sizes() as sizes, served(sizes, places=8) as server, ThreadPoolExecutor(50) as pool:
        assert list(pool.map(ask, range(50))) == [10 + i for i in range(50)]
    assert statuses[200] == 50
    assert set(statuses) <= {200, 503}


def test_more_bytes_than_are_held_are_refused():
    with served(upload_bytes=1000, held_bytes=1500) as server, server.connect() as slow:
        slow.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode() + bytes(900))
        wait_until(lambda: server.ask("/caption", bytes(900)).status == 503)
        assert server.ask("/caption", bytes(500)).status == 200
        slow.close()
        wait_until(lambda: server.ask("/caption", bytes(900)).status == 200)


def test_a_fault_of_the_captioner_is_no_fault_of_the_next_photo(capfd):
    def answer(content):
        if content == b"bad":
            raise ZeroDivisionError("in the model")
        return ANSWER

    with served(answer) as server:
        said = server.ask("/caption", b"bad")
        assert (said.status, "fault of the server" in said.json["error"]) == (500, True)
        assert "in the model" not in said.json["error"]
        assert server.ask("/caption", b"good").status == 200
    assert "ZeroDivisionError: in the model" in capfd.readouterr().err
