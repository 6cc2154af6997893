"""The server as its clients see it."""

import contextlib
import socket
import time

import pytest

from captioning.serving.guards import HEADERS
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


@pytest.fixture(scope="module")
def server():
    with photo_sizes() as sizes, served(sizes) as running:
        yield running


def still_answers(server):
    said = server.ask("/caption", photo(size=(33, 22)))
    assert (said.status, said.json) == (200, {"height": 22, "width": 33})


# Routes ----------------------------------------------------------------------------------------


def test_the_page_and_its_files(server):
    page = server.ask("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        said = server.ask(f"/assets/{name}")
        assert (said.status, said.headers["content-type"].partition(";")[0]) == (200, kind)
        assert f"/assets/{name}" in page.content.decode()
    assert server.ask("/", method="HEAD").content == b""


@pytest.mark.parametrize("path", [
    "/assets/../app.py", "/assets/%2e%2e/app.py", "/assets/..%2fapp.py", "/assets/", "/assets/none.js", "/none", "//",
    "/health/x", "/assets/%00", "/caption/../health",
])  # fmt: skip
def test_nothing_else_is_served(server, path):
    said = server.ask(path)
    assert (said.status, list(said.json)) == (404, ["error"])


@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/caption"), ("PUT", "/caption"), ("DELETE", "/caption"), ("POST", "/"), ("POST", "/health"), ("BREW", "/"),
])  # fmt: skip
def test_other_methods_are_refused(server, method, path):
    said = server.ask(path, method=method)
    assert (said.status, list(said.json)) == (405, ["error"])
    assert said.headers["allow"]


def test_health_says_who_speaks_and_how_busy_it_is(server):
    assert server.ask("/health").json == {
        "status": "ok", "captioner": "a test", "waiting": 0, "places": 16, "most_bytes": 32 * 2**20,
    }  # fmt: skip


def test_every_answer_has_the_headers_that_shut_others_out(server):
    answers = [server.ask("/"), server.ask("/none"), server.ask("/caption", b"x"), server.ask("/", Host="evil.example")]
    for said in answers:
        assert {name: said.headers.get(name) for name in HEADERS} == HEADERS
    assert "unsafe" not in HEADERS["content-security-policy"]
    assert "access-control-allow-origin" not in answers[0].headers


# Uploads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "", "application/octet-stream", "nonsense"])
def test_the_content_counts_and_not_its_type(server, kind):
    assert server.ask("/caption", photo("GIF"), Content_Type=kind).json == {"height": 30, "width": 40}


@pytest.mark.parametrize(("body", "status", "told"), [
    (b"", 400, "no photo"), (b"hello", 422, "not a photo"), (photo("JPEG")[:300], 422, "not a"),
    (b"\0\0\0\x18ftypheic" + bytes(99), 422, "HEIC"),
])  # fmt: skip
def test_what_is_no_photo_is_told_why(server, body, status, told):
    said = server.ask("/caption", body)
    assert said.status == status
    assert told in said.json["error"]
    assert "\n" not in said.json["error"]


def test_a_form_is_told_how_it_is_done(server):
    said = server.ask("/caption", b"--x\r\n\r\n", Content_Type="multipart/form-data; boundary=x")
    assert (said.status, "--data-binary" in said.json["error"]) == (415, True)


def test_a_photo_of_absurd_dimensions_is_refused(server):
    bomb = bytearray(photo("BMP"))
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2
    said = server.ask("/caption", bytes(bomb))
    assert (said.status, "megapixels" in said.json["error"]) == (422, True)
    still_answers(server)


def test_a_length_that_is_too_large_is_refused_before_it_is_sent(server):
    began = time.monotonic()
    with server.connect() as connection:
        connection.sendall(f"{HEAD}Content-Length: {2**40}\r\n\r\n".encode())
        said = read_answer(connection)
    assert (said.status, "more than 32 MiB" in said.json["error"]) == (413, True)
    assert time.monotonic() - began < 2


def test_who_sends_too_much_all_the_same_gets_to_read_why():
    with served(upload_bytes=10_000) as server:
        said = server.ask("/caption", bytes(3_000_000))  # http.client reads only when it has sent all
        assert (said.status, said.headers["connection"]) == (413, "close")


def test_chunks_without_end_are_refused():
    with served(upload_bytes=10_000, lingering_seconds=0.2) as server, server.connect() as connection:
        connection.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            while True:
                connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")
        connection.settimeout(PATIENCE)
        with contextlib.suppress(ConnectionResetError):  # it went on sending when all time was up
            assert read_answer(connection).status == 413
        assert server.ask("/caption", b"photo").status == 200


@pytest.mark.parametrize("head", [
    "Content-Length: -1\r\n", "Content-Length: 99999999999999999999999\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: five\r\n", "Transfer-Encoding: gzip\r\n",
    "Expect: 100-continue\r\nContent-Length: 99999999999\r\n",
    "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n",
    "X: " + "x" * 100_000 + "\r\n",
])  # fmt: skip
def test_odd_heads_are_refused(server, head):
    said = exchange(server, f"{HEAD}{head}Connection: close\r\n\r\nhello\r\n")
    assert b" 4" in said[:12], said[:100]
    still_answers(server)


def test_a_program_that_asks_first_is_answered_before_it_sends(server):
    with server.connect() as connection:
        connection.sendall(f"{HEAD}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n".encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
        connection.sendall(b"hello")
        assert read_answer(connection).status == 422


# Who asks --------------------------------------------------------------------------------------


def test_another_hosts_name_is_refused(server):
    for path in ("/", "/health", "/assets/page.js"):
        assert server.ask(path, Host="evil.example").status == 421
    assert server.ask("/caption", photo(), Host=f"evil.example:{server.port}").status == 421
    assert server.ask("/health", Host=f"localhost:{server.port}").status == 200
    assert exchange(server, "GET / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 400 ")  # no host at all
    assert exchange(server, "GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 421 ")


def test_uploads_of_other_sites_pages_are_refused():
    seen = []
    with served(lambda content: seen.append(content) or ANSWER) as server:
        assert server.ask("/caption", photo(), Origin="http://evil.example").status == 403
        assert server.ask("/caption", photo(), Sec_Fetch_Site="cross-site").status == 403
        assert seen == []
        assert server.ask("/caption", photo(), Origin=server.address.rstrip("/")).status == 200


def test_it_listens_on_this_machine_alone(server):
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} | {"127.0.0.2"}
    for address in others - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|timed out"):
            socket.create_connection((address, server.port), timeout=2)
