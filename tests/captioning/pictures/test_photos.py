"""Photos from addresses."""

import contextlib
import http.server
import threading
import time

import numpy as np
import pytest
from PIL import Image

from captioning.pictures.photos import image_from_url, placeholder
from tests.captioning.pictures.samples import photo, png

PLACEHOLDER = placeholder()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            with contextlib.suppress(OSError):
                for _ in range(40):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            return
        if self.path.startswith("/to?"):
            self.send_response(302)
            self.send_header("Location", self.path.partition("?")[2])
            self.end_headers()
            return
        content = {"/a.png": png(photo()), "/page": b"<html>", "/cut.png": png(photo(60, 60))[:-200]}.get(self.path)
        self.send_response(200 if content else 404)
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, format, *args):
        pass


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        httpd.block_on_close = False
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")


@pytest.mark.parametrize("kind", [str, str.encode, np.str_, lambda url: np.array([url.encode()])[0]])
def test_a_picture_comes_from_its_address(server, kind):
    np.testing.assert_array_equal(image_from_url(kind(f"{server}/a.png")), photo(), strict=True)


def test_a_redirect_is_followed_to_the_web_only(server, tmp_path):
    (tmp_path / "a.png").write_bytes(png(photo()))
    np.testing.assert_array_equal(image_from_url(f"{server}/to?{server}/a.png"), photo(), strict=True)
    for target in (f"file://{tmp_path}/a.png", "ftp://127.0.0.1/a.png"):
        np.testing.assert_array_equal(image_from_url(f"{server}/to?{target}"), PLACEHOLDER, strict=True)


@pytest.mark.parametrize("page", ["/missing", "/page", "/cut.png"])
def test_an_address_without_a_picture_gives_the_placeholder(server, page):
    np.testing.assert_array_equal(image_from_url(server + page), PLACEHOLDER, strict=True)


@pytest.mark.parametrize(
    "url", ["", "http://", "http://127.0.0.1:9/x", "https://[", "ftp://x/y", "data:image/png,x", b"\xff"]
)
def test_a_dead_or_strange_address_gives_the_placeholder(url):
    np.testing.assert_array_equal(image_from_url(url, timeout=1.0), PLACEHOLDER, strict=True)


def test_the_timeout_bounds_an_answer_that_drips(server):
    start = time.perf_counter()
    np.testing.assert_array_equal(image_from_url(f"{server}/slow", timeout=0.3), PLACEHOLDER, strict=True)
    assert time.perf_counter() - start < 1.5


def test_a_file_is_read_inside_its_folder_only(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in (folder / "a.png", tmp_path / "outside.png"):
        path.write_bytes(png(photo()))
    np.testing.assert_array_equal(image_from_url("a.png", folder=folder), photo(), strict=True)
    assert image_from_url(f"file://{folder}/a.png").shape == PLACEHOLDER.shape
    for name in ("../outside.png", str(tmp_path / "outside.png"), "none.png", "", "a\0b"):
        np.testing.assert_array_equal(image_from_url(name, folder=folder), PLACEHOLDER, strict=True)
    np.testing.assert_array_equal(image_from_url(str(folder / "a.png")), PLACEHOLDER, strict=True)


def test_grey_pictures_become_rgb_and_bombs_are_refused(tmp_path, monkeypatch):
    (tmp_path / "grey.png").write_bytes(png(photo()[:, :, 0]))
    assert image_from_url("grey.png", folder=tmp_path).shape == (6, 8, 3)
    (tmp_path / "large.png").write_bytes(png(photo(60, 60)))
    assert image_from_url("large.png", folder=tmp_path).shape == (60, 60, 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 3000)
    assert image_from_url("large.png", folder=tmp_path).shape == PLACEHOLDER.shape


def test_an_address_is_text():
    with pytest.raises(TypeError, match="url must be str or bytes; got int"):
        image_from_url(3)
