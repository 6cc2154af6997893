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
    assert (reply.status, list(reply.json), bool(reply.headers["allow"])) == (405, ["error"], True)


def test_health_reports_the_captioner_and_the_load(app):
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


def bomb():
    """A BMP that claims to have 60,000 x 60,000 pixels."""
    content = bytearray(photo("BMP"))
    content[18:26] = (60_000).to_bytes(4, "little") * 2
    return bytes(content)


@pytest.mark.parametrize(("body", "status", "words"), [
    (b"", 400, "no photo"), (b"hello", 422, "not a photo"), (photo("JPEG")[:300], 422, "photo"),
    (b"\0\0\0\x18ftypheic" + bytes(99), 422, "HEI"), (bomb(), 422, "megapixels"),
])  # fmt: skip
def test_a_body_that_is_not_a_photo_is_refused_in_one_line(app, body, status, words):
    reply = ask_app(app, "/caption", body, method="POST")
    assert (reply.status, words in reply.json["error"], "\n" in reply.json["error"]) == (status, True, False)


def test_the_content_type_does_not_matter_unless_it_is_a_form(app):
    for kind in ("image/jpeg", "text/plain", "", "nonsense"):
        reply = ask_app(app, "/caption", photo("GIF", (33, 22)), content_type=kind)
        assert (reply.json, "connection" in reply.headers) == ({"height": 22, "width": 33}, False)
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
    app = app_of(lambda content: {"same": content == b"".join(parts)}, upload_bytes=20, held_bytes=20)
    size = sum(map(len, parts))
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


HOSTS = {
    None: ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "127.0.0.1", "localhost:9"],
    421: ["", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io:8000",
          "localhost:8000@evil.example", "127.0.0.2:8000", "192.168.1.2:8000", "0.0.0.0:8000", "[::1]:8000",
          "localhost:8000, evil.example", "xlocalhost", "localhost:123456", "localhost:", "127x0x0x1", "localhost\n",
          "x" * 9000],
}  # fmt: skip
ORIGIN, SITE = "origin", "sec_fetch_site"
PAGES = {
    None: [{}, {ORIGIN: "http://127.0.0.1:8000"}, {ORIGIN: "http://127.0.0.1:8000", SITE: "same-origin"},
           {SITE: "same-origin"}, {SITE: "none"}],
    403: [{ORIGIN: "http://evil.example"}, {ORIGIN: "null"}, {ORIGIN: ""}, {ORIGIN: "http://127.0.0.1:9000"},
          {ORIGIN: "http://localhost:8000"}, {ORIGIN: "https://127.0.0.1:8000"},
          {ORIGIN: "http://127.0.0.1:8000.evil.example"}, {SITE: "cross-site"}, {SITE: "same-site"}],
}  # fmt: skip


@pytest.mark.parametrize("status", HOSTS)
def test_only_the_names_of_this_machine_are_answered(status):
    for host in HOSTS[status]:
        assert status_of("GET", host=host) == status_of("POST", host=host) == status, host


@pytest.mark.parametrize("status", PAGES)
def test_pages_of_other_sites_may_only_link_here(status):
    for headers in PAGES[status]:
        assert [status_of(method, **OURS, **headers) for method in ("POST", "PUT", "OPTIONS")] == [status] * 3, headers
        assert status_of("GET", **OURS, **headers) is None
