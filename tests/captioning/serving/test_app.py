"""The application as its clients see it, in this process."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.serving.answers import AnswerQueue
from captioning.serving.app import HEADERS, check_sender, make_app
from captioning.serving.upload_limits import Limits, RefusedError
from tests.captioning.serving.served import ANSWER, PATIENCE, ask_app, needs_server, photo, photo_sizes

pytestmark = needs_server
OURS = {"host": "127.0.0.1:8000"}


@pytest.fixture(scope="module")
def app():
    with photo_sizes() as sizes, AnswerQueue(sizes) as queue:
        yield make_app(queue, "a test", Limits())


def app_of(answer, **limits):
    return make_app(AnswerQueue(answer, limits.pop("places", 16)), "a test", Limits(**limits))


def test_the_page_and_its_files(app):
    page = ask_app(app, "/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name, kind in (("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")):
        reply = ask_app(app, f"/assets/{name}")
        assert (reply.status, reply.headers["content-type"].partition(";")[0]) == (200, kind)
        assert f"/assets/{name}" in page.content.decode()


@pytest.mark.parametrize("path", [
    "/assets/../app.py", "/assets/..%2fapp.py", "/assets/", "/assets/none.js", "/none", "//", "/health/x", "/assets/\0",
])  # fmt: skip
def test_nothing_else_is_served(app, path):
    reply = ask_app(app, path)
    assert (reply.status, list(reply.json), reply.headers["connection"]) == (404, ["error"], "close")


@pytest.mark.parametrize(("method", "path"), [("GET", "/caption"), ("PUT", "/caption"), ("POST", "/"), ("BREW", "/")])
def test_other_methods_are_refused(app, method, path):
    reply = ask_app(app, path, method=method)
    assert (reply.status, list(reply.json)) == (405, ["error"])
    assert reply.headers["allow"]


def test_health_tells_the_captioner_and_the_load(app):
    assert ask_app(app, "/health").json == {
        "status": "ok", "captioner": "a test", "waiting": 0, "places": 16, "most_bytes": 32 * 2**20,
    }  # fmt: skip


def test_every_answer_has_the_security_headers(app):
    foreign = [ask_app(app, "/", host="evil.example"), ask_app(app, "/caption", photo(), origin="http://evil.example")]
    replies = [ask_app(app, "/"), ask_app(app, "/none"), ask_app(app, "/caption", b"x"), *foreign]
    assert [reply.status for reply in replies] == [200, 404, 422, 421, 403]
    for reply in replies:
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS
        assert "access-control-allow-origin" not in reply.headers
    assert "unsafe" not in HEADERS["content-security-policy"]


@pytest.mark.parametrize("kind", ["image/jpeg", "text/plain", "", "nonsense"])
def test_the_content_counts_and_not_its_type(app, kind):
    reply = ask_app(app, "/caption", photo("GIF"), content_type=kind)
    assert (reply.json, "connection" in reply.headers) == ({"height": 30, "width": 40}, False)


def bomb():
    """A BMP that claims to have 60,000 x 60,000 pixels."""
    content = bytearray(photo("BMP"))
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    return bytes(content)


@pytest.mark.parametrize(("body", "status", "words"), [
    (b"", 400, "no photo"), (b"hello", 422, "not a photo"), (photo("JPEG")[:300], 422, "not a"),
    (b"\0\0\0\x18ftypheic" + bytes(99), 422, "HEIC"), (bomb(), 422, "megapixels"),
])  # fmt: skip
def test_a_body_that_is_not_a_photo_is_refused_in_one_line(app, body, status, words):
    reply = ask_app(app, "/caption", body, method="POST")
    assert (reply.status, words in reply.json["error"], "\n" in reply.json["error"]) == (status, True, False)
    assert ask_app(app, "/caption", photo(size=(33, 22))).json == {"height": 22, "width": 33}


def test_a_form_is_refused_with_the_command_to_use(app):
    reply = ask_app(app, "/caption", b"--x\r\n\r\n", content_type="multipart/form-data; boundary=x")
    assert (reply.status, "--data-binary" in reply.json["error"]) == (415, True)


def test_a_client_that_leaves_frees_its_place():
    going = threading.Event()
    app = app_of(lambda content: {"went": going.wait(PATIENCE)}, places=1)
    assert ask_app(app, "/caption", b"photo", end="leaves").status == 400
    assert ask_app(app, "/health").json["waiting"] == 0
    going.set()
    assert ask_app(app, "/caption", b"photo").json == {"went": True}


@pytest.mark.parametrize("error", [ZeroDivisionError, TimeoutError])
def test_an_error_in_the_captioner_concerns_one_photo_only(capfd, error):
    def answer(content):
        if content == b"bad":
            raise error("in the model")
        return ANSWER

    app = app_of(answer)
    reply = ask_app(app, "/caption", b"bad")
    assert (reply.status, "in the model" in reply.json["error"]) == (500, False)
    assert f"{error.__name__}: in the model" in capfd.readouterr().err
    assert ask_app(app, "/caption", b"good").json == ANSWER


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_an_upload_is_its_parts_up_to_the_limit(parts):
    app, size = (
        app_of(lambda content: {"same": content == b"".join(parts)}, upload_bytes=20, held_bytes=20),
        sum(map(len, parts)),
    )
    reply = ask_app(app, "/caption", *parts, method="POST")
    assert reply.status == (400 if not size else 200 if size <= 20 else 413)
    assert size not in range(1, 21) or reply.json == {"same": True}
    assert ask_app(app, "/caption", b"x" * 20).status == 200  # nothing is held any more


def test_uploads_that_are_announced_too_large_or_do_not_arrive(app):
    assert ask_app(app, "/caption", b"x", content_length=str(2**25 + 1)).status == 413
    assert ask_app(app, "/caption", photo(), content_length=str(2**25)).status == 200
    assert ask_app(app_of(lambda content: ANSWER, upload_seconds=0.05), "/caption", b"half", end="stalls").status == 408


# Who sends a request ------------------------------------------------------------------------------------------------


def status_of(method="POST", **headers):
    """The status of a refusal, or None."""
    try:
        check_sender(method, {name.replace("_", "-"): value for name, value in headers.items()})
    except RefusedError as error:
        return error.status if "\n" not in str(error) and len(str(error)) < 700 else "not one line"
    return None


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "127.0.0.1", "localhost:9"])
def test_this_machine_by_its_names_and_any_port(host):
    assert status_of("GET", host=host) is None


@pytest.mark.parametrize("host", [
    "", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io:8000",
    "localhost:8000@evil.example", "127.0.0.2:8000", "192.168.1.2:8000", "0.0.0.0:8000", "[::1]:8000",
    "localhost:8000, evil.example", "xlocalhost", "localhost:123456", "localhost:", "127x0x0x1", "localhost\n",
    "x" * 9000,
])  # fmt: skip
def test_other_hosts_are_refused(host):
    assert status_of("GET", host=host) == status_of("POST", host=host) == 421


@pytest.mark.parametrize("headers", [
    {}, {"origin": "http://127.0.0.1:8000"}, {"origin": "http://127.0.0.1:8000", "sec_fetch_site": "same-origin"},
    {"sec_fetch_site": "same-origin"}, {"sec_fetch_site": "none"},
])  # fmt: skip
def test_the_page_and_programs_may_upload(headers):
    assert status_of(**OURS, **headers) is None


@pytest.mark.parametrize("headers", [
    {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": ""}, {"origin": "http://127.0.0.1:9000"},
    {"origin": "http://localhost:8000"}, {"origin": "https://127.0.0.1:8000"},
    {"origin": "http://127.0.0.1:8000.evil.example"}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"},
])  # fmt: skip
def test_pages_of_other_sites_may_only_link_here(headers):
    assert [status_of(method, **OURS, **headers) for method in ("POST", "PUT", "OPTIONS")] == [403] * 3
    assert status_of("GET", **OURS, **headers) is None
