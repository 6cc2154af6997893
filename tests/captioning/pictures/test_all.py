"""Photos from addresses, and pictures that are drawn without a display."""

import contextlib
import http.server
import io
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from captioning.pictures.all import (
    _moving_mean,
    _placeholder,
    _text_width,
    _wrap,
    caption_sheet,
    image_from_url,
    loss_curve,
)

PLACEHOLDER = _placeholder()


def photo(height=6, width=8):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, format="PNG")
    return stream.getvalue()


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def has_colour(path, rgb, tolerance=6):
    return bool((np.abs(read(path) - rgb).max(axis=2) <= tolerance).any())


# Photos ----------------------------------------------------------------------------------------


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
        content = {"/a.png": png(photo()), "/page": b"<html>", "/cut.png": png(photo(60, 60))[:-200]}.get(
            self.path
        )
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


# The curve -------------------------------------------------------------------------------------


def run(iterations=60, epoch=20):
    history = []
    for i in range(1, iterations + 1):
        history.append({"iteration": i, "epoch": (i - 1) // epoch + 1, "loss": 75 / i**0.3})
        if i % epoch == 0:
            scores = {"val_loss": 60 / i**0.2, "val_bleu": i / 200, "learning_rate": 5e-3}
            history.append({"epoch": i // epoch, "iteration": i, **scores})
    return history


def test_loss_curve_draws_one_panel_or_two(tmp_path):
    loss_curve(run(), tmp_path / "two.png", title="A run that costs $5 and $6")
    loss_curve([entry for entry in run() if "loss" in entry], tmp_path / "one.png")
    loss_curve([entry | {"val_bleu": None} for entry in run() if "val_loss" in entry], tmp_path / "val.png")
    assert read(tmp_path / "two.png").shape[0] > read(tmp_path / "one.png").shape[0]
    assert has_colour(tmp_path / "two.png", (0xD9, 0x54, 0x1E))
    assert not has_colour(tmp_path / "one.png", (0xD9, 0x54, 0x1E))
    assert has_colour(tmp_path / "one.png", (0x1F, 0x6F, 0xB4))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png", "val.png"]


@pytest.mark.parametrize(
    "losses", [[5.0], [100.0, 0.1, 1e-4], [0.0, 100.0], [1.0, np.nan, np.inf, 2.0], [np.nan] * 3]
)
def test_loss_curve_draws_odd_losses(tmp_path, losses):
    loss_curve([{"iteration": i, "epoch": 1, "loss": x} for i, x in enumerate(losses)], tmp_path / "a.png")
    assert has_colour(tmp_path / "a.png", (0xB3, 0x26, 0x1E), 12) == (not np.isfinite(losses).all())


def test_loss_curve_says_what_is_missing(tmp_path):
    with pytest.raises(ValueError, match="no entry with a loss"):
        loss_curve([{"epoch": 1, "iteration": 3}], tmp_path / "a.png")
    with pytest.raises(ValueError, match="entry 1 of the history has loss but no iteration"):
        loss_curve([{"epoch": 1}, {"loss": 3.0}], tmp_path / "a.png")
    assert not list(tmp_path.iterdir())


@given(
    st.lists(st.one_of(st.floats(-1e3, 1e3), st.just(np.nan)), min_size=1, max_size=30), st.integers(1, 40)
)
def test_the_moving_mean_is_of_the_finite_values_around(values, window):
    got = _moving_mean(np.array(values), window)
    assert got.shape == (len(values),)
    before = window - 1 - (window - 1) // 2
    for k, mean in enumerate(got):
        near = [x for x in values[max(0, k - before) : k + (window - 1) // 2 + 1] if np.isfinite(x)]
        assert mean == pytest.approx(np.mean(near), abs=1e-9) if near else np.isnan(mean)


# The sheet -------------------------------------------------------------------------------------


def test_a_sheet_shows_pictures_captions_references_and_marks(tmp_path):
    pictures = [photo(20, 30), photo(300, 120), photo(40, 40)[:, :, 0]]
    captions = ["a dog", "", "a caption that costs $5 and $6 and is " + "very " * 30 + "long"]
    marks = [[("there is a dog", True)], [("there is a cat", False)], []]
    path = tmp_path / "sheet.png"
    caption_sheet(
        pictures, captions, ["one dog", None, "unmöglich ✓ 犬"], path, title="Three", marks=marks, columns=2
    )
    assert read(path).shape[1] == round((2 * 0.3 + 2 * 3.0 + 0.3) * 100)
    for colour in ((0x1B, 0x7F, 0x3B), (0xB3, 0x26, 0x1E), (0x6B, 0x6B, 0x6B), (0x1A, 0x1A, 0x1A)):
        assert has_colour(path, colour, 40)
    margin = read(path)[:, -20:]
    assert (margin == 255).all(), "text runs into the margin"
    caption_sheet(pictures, captions, None, tmp_path / "plain.png")
    assert read(tmp_path / "plain.png").shape[1] == round((2 * 0.3 + 3 * 3.0 + 2 * 0.3) * 100)


@given(st.lists(st.text("abc$iW-é", min_size=1, max_size=60), max_size=12), st.sampled_from([10.5, 16.0]))
def test_wrapping_keeps_all_the_text_and_the_width(words, size):
    lines = _wrap(" ".join(words), size, 3.0)
    assert "".join("".join(lines).split()) == "".join(words)
    assert all(_text_width(line, size) <= 3.0 for line in lines)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": []}, ValueError, "there are no images"),
        ({"captions": ["a"]}, ValueError, "2 images, but 1 captions"),
        ({"captions": "ab"}, TypeError, "captions must be a list"),
        ({"references": ["a"] * 3}, ValueError, "2 images, but 3 references"),
        ({"marks": [[]]}, ValueError, "2 images, but 1 marks"),
        ({"columns": 0}, ValueError, "columns must be at least 1; got 0"),
        (
            {"images": [photo(), photo() / 255]},
            ValueError,
            r"image 1 must be uint8.*got float64 of shape \(6, 8, 3\)",
        ),
        ({"images": [photo()[:, :, :2], photo()]}, ValueError, r"image 0 must be uint8.*\(6, 8, 2\)"),
        ({"images": [photo()[:0], photo()]}, ValueError, r"image 0 must be uint8.*\(0, 8, 3\)"),
    ],
)
def test_a_sheet_says_what_does_not_fit(tmp_path, change, error, message):
    arguments = {
        "images": [photo(), photo()],
        "captions": ["a", "b"],
        "references": None,
        "path": tmp_path / "a.png",
    }
    with pytest.raises(error, match=message):
        caption_sheet(**(arguments | change))
    assert not list(tmp_path.iterdir())


def test_a_sheet_has_a_limit(tmp_path):
    with pytest.raises(ValueError, match="300 pictures are too many for 1 columns"):
        caption_sheet([photo()] * 300, ["a"] * 300, None, tmp_path / "a.png", columns=1)


def test_drawing_touches_no_pyplot(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from captioning.pictures.all import caption_sheet, loss_curve\n"
        "caption_sheet([np.zeros((9, 9), np.uint8)], ['a'], None, sys.argv[1] + '/a.png')\n"
        "loss_curve([{'iteration': 1, 'loss': 2.0}], sys.argv[1] + '/b.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=Path(__file__).parents[3])
