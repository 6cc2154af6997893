"""Photos from web addresses and from files."""

import base64
import http.server
import io
import threading
import time

import numpy as np
import pytest
from PIL import Image

from captioning.pictures.photos import embedded_photo, image_from_url, placeholder, sheet_photo

PLACEHOLDER = placeholder()
PHOTO = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
NOISE = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        target = self.path.partition("?")[2]
        content = {"/a.png": png(PHOTO), "/page": b"<html>", "/cut.png": png(NOISE)[:-200]}.get(self.path)
        self.send_response(302 if target else 200 if content else 404)
        self.send_header("Location", target)
        self.end_headers()
        self.wfile.write(content or b"")
        for _ in range(40 if self.path == "/slow" else 0):
            self.wfile.write(b"x")
            time.sleep(0.05)


@pytest.fixture(scope="module")
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd, pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "*")
        threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


@pytest.fixture
def folder(tmp_path):
    """A folder with a photo that has one outside of it, too."""
    (tmp_path / "photos").mkdir()
    for path in (tmp_path / "photos" / "a.png", tmp_path / "outside.png"):
        path.write_bytes(png(PHOTO))
    return tmp_path / "photos"


@pytest.mark.parametrize("kind", [str, str.encode, np.str_, lambda url: np.array([url.encode()])[0]])
@pytest.mark.parametrize("address", ["SERVER/a.png", "SERVER/to?SERVER/a.png", "a.png"])
def test_a_picture_comes_from_its_address_or_folder(server, folder, kind, address):
    found = image_from_url(kind(address.replace("SERVER", server)), folder=folder)
    np.testing.assert_array_equal(found, PHOTO, strict=True)


@pytest.mark.parametrize("url", [
    "SERVER/missing", "SERVER/page", "SERVER/cut.png", "SERVER/slow", "SERVER/to?file://FOLDER/a.png",
    "SERVER/to?ftp://127.0.0.1/a.png", "file://FOLDER/a.png", "FOLDER/../outside.png", "../outside.png", "none.png",
    "", "http://", "http://127.0.0.1:9/x", "https://[", "ftp://x/y", "data:image/png,x", "\udcff", "a\0b",
])  # fmt: skip
def test_an_address_without_a_picture_gives_the_placeholder_in_time(server, folder, url):
    start = time.perf_counter()
    address = url.replace("SERVER", server).replace("FOLDER", str(folder)).encode(errors="surrogateescape")
    np.testing.assert_array_equal(image_from_url(address, folder, timeout=0.5), PLACEHOLDER, strict=True)
    np.testing.assert_array_equal(image_from_url(f"{folder}/a.png"), PLACEHOLDER, strict=True)
    assert time.perf_counter() - start < 1.5


def test_an_address_is_text():
    with pytest.raises(TypeError, match="str or bytes; got int"):
        image_from_url(3)


def decoded(path):
    """Return the size and the image of a photo as a page embeds it."""
    found = embedded_photo(path)
    head, _, content = found["address"].partition(",")
    assert head == "data:image/jpeg;base64"
    return (found["width"], found["height"]), Image.open(io.BytesIO(base64.b64decode(content)))


@pytest.mark.parametrize(("size", "on_sheet", "on_page"), [
    ((3000, 1700), range(300, 600), (320, 181)), ((100, 1000), [100], (32, 320)), ((40, 3), [3], (40, 3)),
])  # fmt: skip
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_photos_shrink_in_proportion(tmp_path, size, on_sheet, on_page, ending):
    Image.new("RGB", size, "red").save(tmp_path / f"a.{ending}")
    shown = sheet_photo(tmp_path / f"a.{ending}")
    assert min(shown.shape[:2]) in on_sheet
    assert shown.base is None
    found, image = decoded(tmp_path / f"a.{ending}")
    assert found == image.size == on_page
    assert np.abs(np.asarray(image).astype(int) - [255, 0, 0]).max() < 10


def test_photos_stand_upright_and_lose_their_metadata(tmp_path):
    notes = Image.Exif()
    notes[0x0112], notes[0x010F] = 6, "a camera"  # turned; its maker
    left_half = np.where(np.arange(30) < 15, 255, 0)[:, None]  # the left of the file is the top of the photo
    Image.fromarray(np.full((20, 30, 3), left_half, np.uint8)).save(tmp_path / "lying.png", exif=notes)
    _, image = decoded(tmp_path / "lying.png")
    for shown in (sheet_photo(tmp_path / "lying.png"), np.asarray(image)):
        assert shown[:14, :20].mean() > 250 > 5 > shown[16:30].mean()
    assert not image.getexif()


def test_what_is_no_photo_is_replaced(tmp_path):
    (tmp_path / "text.png").write_text("no photo")
    for path in (tmp_path / "text.png", tmp_path / "none.png", tmp_path):
        np.testing.assert_array_equal(sheet_photo(path), PLACEHOLDER)
        assert embedded_photo(path) is None
