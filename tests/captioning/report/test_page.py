"""The page of a report."""

import dataclasses
import re
import xml.etree.ElementTree as ET
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image

from captioning.report.page import page_text, write_page
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.report.samples import HISTORY, captions, contents
from tests.render.browser import browser

HOSTILE = ("</script><script>document.title='taken'</script>", "<img src=x onerror=\"document.title='taken'\">",
           "\"'><svg onload=document.title='taken'>", "{{title}}", "\ud800\x00\u202edog", "a" * 100_000)  # fmt: skip


def hostile_contents(photo=None):
    """Hostile text in every place where a foreign run or data set can put text."""
    found = [dataclasses.replace(caption, name=HOSTILE[i % 6], references=[list(HOSTILE)] * 9)
             for i, caption in enumerate(captions(200, photo, attention=True, words=HOSTILE))]  # fmt: skip
    said = dict(zip(HOSTILE, HOSTILE, strict=True))
    history = [*HISTORY, {"iteration": 60, "val_loss": 1.0} | {f"val_{text}": 0.5 for text in HOSTILE},
               *({"iteration": i, "loss": 1.0 + i % 7} for i in range(2_000))]  # fmt: skip
    wide = {f"key{i}" * 30: "x" * 10_000 for i in range(500)}
    settings = said | {"model": said | {"deep": wide}, "training": wide | said}
    made = contents(found, history, settings, title=HOSTILE[0])
    made.scored.figures.update(dict.fromkeys(HOSTILE, 0.5))
    said = {"data": HOSTILE[1], "decoding": HOSTILE[2], "signature": HOSTILE[0]}
    return dataclasses.replace(made, scored=dataclasses.replace(made.scored, **said))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def page(photo):
    return page_text(contents(captions(30, photo, attention=True)))


@pytest.fixture(scope="module")
def hostile_page(photo):
    return page_text(hostile_contents(photo))


def sections(page):
    """Return the ids of the sections of a page, which is also well-formed XML."""
    ids = [element.get("id") for element in ET.fromstring(page).iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    return [name for name in ids if not name.startswith("photo")]


def test_it_has_all_sections_and_links_to_them(page):
    best = max(captions(), key=lambda caption: caption.score)
    names = ["training", "scores", "captions", "words", "lengths", "calibration", "model", "settings"]
    assert sections(page) == re.findall('<a href="#([a-z]*)">', page) == names
    counts = [page.count(text) for text in ('<article class="card">', "data:image/jpeg", "<h4>Attention", "<use")]
    assert counts == [24, 24, 24, 72]
    texts = ("a black dog", f"CIDEr-D {best.score:.2f}, confidence {best.confidence:.0%}", "references:raw|split:val",
             "first half of the validation images", "<td>flickr8k</td>", "<title>Report: a run<",
             "30 images of the val split of flickr8k")  # fmt: skip
    assert [text for text in texts if text not in page] == []


def test_attention_covers_the_middle_square_of_the_photo(page):
    scale, left, top = map(float, re.search(r"scale\((\S+)\) translate\((\S+) (\S+)\)", page).groups())
    corners = [(scale * (x + left), scale * (y + top)) for x, y in ((32, 0), (288, 256))]  # of 320 x 256 pixels
    np.testing.assert_allclose(corners, [(0, 0), (1, 1)], atol=1e-9)


def test_attention_says_and_frames_where_it_is_largest(photo):
    corner = np.eye(49, dtype=np.float32)[[6, 24]]
    (caption,) = captions(1, photo, attention=True, words=("a", "dog"))
    page = page_text(contents([dataclasses.replace(caption, attention=corner)]))
    assert re.findall('attention at the word (.*?)"', page) == [
        "a, largest at the upper right",
        "dog, largest at the middle",
    ]
    frames = [[float(n) for n in row] for row in re.findall(r'class="most" x="(\S+)" y="(\S+)" width="(\S+)"', page)]
    np.testing.assert_allclose(frames, np.array([[6, 0, 1], [3, 3, 1]]) / 7)


def test_hostile_text_stays_text_and_the_page_stays_small(hostile_page):
    assert (hostile_page.isascii(), "taken" in hostile_page, "446 more" in hostile_page) == (True, True, True)
    assert (len(sections(hostile_page)), len(hostile_page) < 3_000_000) == (8, True)
    elements = list(ET.fromstring(hostile_page).iter())
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {element.tag for element in elements}
    attributes = [(name, value) for element in elements for name, value in element.items()]
    assert not any(name.startswith("on") or name in ("style", "srcset", "action") for name, _ in attributes)
    addresses = [value for name, value in attributes if name in ("src", "href")]
    assert all(re.match(r"#|data:image/(jpeg|png|svg\+xml);base64,|data:,$", address) for address in addresses)


def test_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("captioning.report.page.lay_out", Mock(side_effect=ModuleNotFoundError("<failed>")))
    (tmp_path / "a.jpg").write_text("no photo")
    made = contents([dataclasses.replace(caption, confidence=None) for caption in captions(2)], history=[])
    bare = page_text(dataclasses.replace(made, scored=dataclasses.replace(made.scored, raw=False)))
    alone, again = (page_text(dataclasses.replace(made, scored=None)) for _ in range(2))
    unreadable = page_text(contents(captions(3, tmp_path / "a.jpg", attention=True)))
    texts = ["&lt;f", "has no history of", "has no photos of these images", "no photo available", "has no raw captions"]
    assert [[text for text in texts if text in page] for page in (bare, unreadable)] == [texts, texts[:1]]
    assert "calibration" not in sections(bare)
    assert (sections(alone), "No data" in alone) == (["training", "scores", "model", "settings"], True)
    assert alone == again
    assert (unreadable.count("cannot be read"), unreadable.count("<use")) == (3, 0)
    assert "the 6 places of a photo do not form a square" in page_text(contents(captions(1, attention=True, places=6)))


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    (path := tmp_path / "report.html").write_text("an older one")
    small = dataclasses.replace(contents(history=[]), scored=None)
    with files_of_at_most(1_000), pytest.raises(OSError, match=r"report\.html"):
        write_page(small, path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("report.html", "an older one")]
    assert write_page(small, path) == path.stat().st_size


CONTRAST = """
const light = (text) => {
  const linear = (x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = text.match(/[0-9.]+/g).map((x) => linear(x / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light(getComputedStyle(document.body).backgroundColor);
return arguments[0].map((selector) => {
  const ink = light(getComputedStyle(document.querySelector(selector)).color);
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
});
"""


@pytest.fixture(scope="module", params=["usual", "hostile"])
def window(request, page, hostile_page, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page if request.param == "usual" else hostile_page)
    with browser() as window:
        window.requests()
        window._send("/url", {"url": path.as_uri()})  # waits for all images
        yield window


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_fits_every_window(window, width):
    window.resize(width, 900)
    assert window.run("return document.documentElement.scrollWidth") == width


def test_hostile_text_does_nothing_and_nothing_else_is_requested(window):
    assert window.run("return document.title").startswith(("Report: a run", "Report: </script><script>"))
    assert window.run("return document.querySelectorAll('script, [onload], [onerror], img[src=x]').length") == 0
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data"}


def test_charts_photos_and_attention_are_visible(window):
    window.resize(1280, 900)
    sizes = "return [...document.querySelectorAll(arguments[0])].map((e) => e.getBoundingClientRect().width)"
    for selector, least in ((".photo image", 150), (".strip use", 90), (".mask", 90), (".chart", 300)):
        assert min(window.run(sizes, selector)) > least
    assert window.run("return [...document.images].every((e) => e.complete && e.naturalWidth > 100)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark_mode(window, scheme):
    window.prefer(scheme)
    texts = ["h1", "p", ".faint", ".card ul", "a", ".tiles dt", "th.one", "th.two"]
    assert min(window.run(CONTRAST, texts)) >= 4.5  # WCAG 2.1, 1.4.3
    assert window.run("return getComputedStyle(document.querySelector('.chart')).filter != 'none'") == (
        scheme == "dark"
    )


def test_it_prints_on_few_pages(window):
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", window.pdf())) <= 40
