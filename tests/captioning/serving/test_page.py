"""The page in a real browser."""

from __future__ import annotations

import base64
import copy
import threading
import time

import pytest

from captioning.vision.photo_files import decode_photo
from tests.captioning.serving.served import ANSWER, PATIENCE, needs_server, photo, served, wait_until
from tests.render import browser as driver

pytestmark = needs_server


@pytest.fixture(scope="module")
def window():
    with driver.browser((1280, 800)) as window:
        yield window


class Captioner:
    """Answers with `answer` while `going` is set."""

    def __init__(self):
        self.answer, self.going, self.seen = copy.deepcopy(ANSWER), threading.Event(), []
        self.going.set()

    def __call__(self, content):
        self.seen.append(content)
        decode_photo(content)
        assert self.going.wait(PATIENCE)
        return self.answer


@pytest.fixture
def captioner():
    return Captioner()


@pytest.fixture
def server(captioner):
    with served(captioner, "the captioner of a test", upload_bytes=2 * 2**20, places=1) as server:
        yield server
        captioner.going.set()


@pytest.fixture
def page(window, server):
    """The open page. At the end it has requested its own files only, and broken no rule of its content policy."""
    window.resize(1280, 800)
    window.messages(), window.requests()
    window.visit(server.address)
    yield window
    refused = ("server responded with a status of", "net::ERR_CONNECTION_REFUSED")
    assert [text for text in window.messages() if not any(part in text for part in refused)] == []
    assert all(address.startswith((server.address, "blob:" + server.address)) for address in window.requests())


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(photo(size=(120, 60)))
    return path


def reach(page, state):
    wait_until(lambda: page.run("return document.body.dataset.state") == state)


def choose(page, path, state="answer"):
    page.choose("#file", path)
    reach(page, state)


def texts(page, selector):
    return page.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())", selector)


def text(page, selector):
    return texts(page, selector)[0]


def shown(page, *ids):
    return page.run("return arguments[0].map((id) => document.getElementById(id).checkVisibility())", ids)


GIVE = """
const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0)), data = new DataTransfer();
if (bytes.length) data.items.add(new File([bytes], "odd name.bin"));
else data.setData("text/plain", "words");
const options = { bubbles: true, cancelable: true };
document.body.dispatchEvent(arguments[0] === "paste"
  ? new ClipboardEvent("paste", { clipboardData: data, ...options })
  : new DragEvent("drop", { dataTransfer: data, ...options }));
"""
NAMELESS = """return [...document.querySelectorAll("button, input, img, [role=meter]")].filter((e) =>
    !(e.innerText.trim() || e.ariaLabel || e.alt || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML)"""
CONTRAST = """
const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).map((c) => linear(c / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (e) => {
  while (getComputedStyle(e).backgroundColor === "rgba(0, 0, 0, 0)") e = e.parentElement;
  return getComputedStyle(e).backgroundColor;
};
return arguments[0].map((name) => {
  const e = document.querySelector(name);
  const [dark, bright] = [luminance(getComputedStyle(e).color), luminance(behind(e))].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
});
"""
"""Of the first element of each selector: (L1 + 0.05) / (L2 + 0.05) of text and ground (WCAG 2.2, "contrast ratio")."""
TEXTS = ["h1", "#captioner", "#another", ".word", ".word.end", "#readout", ".beam", ".number", "#facts"]


def test_a_photo_and_its_caption_word_by_word(page, captioner, picture):
    assert (text(page, "#captioner"), "up to 2 MB" in text(page, "#choice")) == ("the captioner of a test", True)
    assert shown(page, "choice", "choose", "take", "answer", "photo") == [True, True, False, False, False]
    choose(page, picture)
    assert captioner.seen == [picture.read_bytes()]
    assert (texts(page, ".word"), text(page, "#percent")) == (["a", "dog", "runs", "end"], "62 %")
    assert "a dog runs" in text(page, "#status")
    widths = page.run("return [...document.querySelectorAll('.word .fill')].map((e) => e.style.width)")
    assert widths == ["95%", "40%", "70%", "90%"]

    page.click(".word:nth-child(2)")
    assert text(page, "#readout") == "dog had a probability of 40 %, looking at the upper left."
    time.sleep(0.3)  # until the veil is drawn
    places = page.run("return [...document.querySelectorAll('#places div')].map((e) => +getComputedStyle(e).opacity)")
    assert places == pytest.approx([1] + [0.6] * 48, abs=0.01)  # the first has a frame
    page.run("document.querySelector('.word').focus()")
    page.keys(driver.RIGHT + driver.RIGHT)
    assert "runs had a probability of 70 %, looking at the lower right" in text(page, "#readout")
    page.keys(driver.LEFT + driver.ESCAPE)
    assert text(page, "#readout").startswith("Choose a word")

    assert "log-probability" in text(page, "#others")  # what the numbers are
    assert "score" in text(page, "#beams li:not([hidden]) .number")
    others = "#beams li:not([hidden]) .beam"
    assert [row.split("\n")[0] for row in texts(page, others)] == ["a cat sits …"]
    page.click(others)
    assert texts(page, ".word") == ["a", "cat", "sits"]
    assert [row.split("\n")[0] for row in texts(page, others)] == ["a dog runs"]
    assert page.run("return document.activeElement.matches(arguments[0])", others)


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_photo_that_is_dropped_or_pasted(page, captioner, how):
    page.run(GIVE, how, "")  # no file
    reach(page, "failure")
    page.run(GIVE, how, base64.b64encode(photo("JPEG")).decode())
    reach(page, "answer")
    assert captioner.seen == [photo("JPEG")]


def test_a_photo_can_be_cancelled_and_those_that_come_meanwhile_wait(page, captioner, server, picture):
    captioner.going.clear()
    choose(page, picture, "busy")
    page.click("#cancel")
    reach(page, "empty")
    wait_until(lambda: server.queue.waiting == 0)
    choose(page, picture, "busy")
    for side in (50, 60):
        page.run(GIVE, "drop", base64.b64encode(photo("GIF", (side, side))).decode())
    assert text(page, "#waiting") == "2 more photos are waiting."
    captioner.going.set()
    for width, button in ((120, "Next photo (2 waiting)"), (50, "Next photo (1 waiting)"), (60, "Another photo")):
        reach(page, "answer")
        assert page.run("return document.querySelector('#picture').naturalWidth") == width
        assert text(page, "#another") == button
        page.click("#another")
    reach(page, "empty")


def test_files_that_the_captioner_or_the_browser_cannot_read(page, captioner, tmp_path):
    files = {"notes.jpg": b"<script>alert(1)</script>", "large.png": photo() + bytes(3 * 2**20), "a.tif": photo("TIFF")}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    choose(page, tmp_path / "notes.jpg", "failure")
    assert text(page, "#why").startswith("Not a photo")
    assert shown(page, "again", "other", "photo") == [False, True, False]
    choose(page, tmp_path / "a.tif")
    assert text(page, "#unshown").startswith("This browser cannot show")
    choose(page, tmp_path / "large.png", "failure")
    assert "has 3 MB, more than 2 MB" in text(page, "#why")
    assert files["large.png"] not in captioner.seen  # it is not even sent


def test_a_stopped_server_is_reported(window, captioner, picture):
    with served(captioner) as stopped:
        window.visit(stopped.address)
    choose(window, picture, "failure")
    assert "is captioning serve still running?" in text(window, "#why")
    assert shown(window, "again") == [True]
    window.messages()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_never_scrolls_sideways_and_everything_is_accessible(page, picture, scheme):
    page.prefer(scheme)
    page.resize(360, 640, touch=True)
    assert shown(page, "take") == [True]
    page.choose("#camera", picture)
    reach(page, "answer")
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert page.run(NAMELESS) == []
    assert min(page.run(CONTRAST, TEXTS)) >= 4.5
