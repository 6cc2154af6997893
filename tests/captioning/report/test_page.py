"""The page of a report."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from captioning.report.page import page_text, write_page
from minigrad.render.layout import DrawingError
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.report.samples import HISTORY, captions, contents

HOSTILE = ("</script><script>document.title='taken'</script>", "<img src=x onerror=\"document.title='taken'\">",
           "\"'><svg onload=document.title='taken'>", "{{title}}", "\ud800\x00\u202edog", "a" * 100_000)  # fmt: skip


def hostile_contents(photo=None):
    """Hostile text in every place where a foreign run or data set can put text."""
    found = [dataclasses.replace(caption, name=HOSTILE[i % 6], references=[list(HOSTILE)] * 9)
             for i, caption in enumerate(captions(30, photo, attention=True, words=HOSTILE))]  # fmt: skip
    said = dict(zip(HOSTILE, HOSTILE, strict=True))
    history = [*HISTORY, {"iteration": 60, "val_loss": 1.0} | {f"val_{text}": 0.5 for text in HOSTILE}]
    settings = said | {"model": said | {"deep": said}, "training": said}
    made = contents(found, history, settings, title=HOSTILE[0])
    figures = made.scored.figures | dict.fromkeys(HOSTILE, 0.5)
    said = {"data": HOSTILE[1], "decoding": HOSTILE[2], "signature": HOSTILE[0], "figures": figures}
    return dataclasses.replace(made, scored=dataclasses.replace(made.scored, **said))


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def page(photo):
    return page_text(contents(captions(30, photo, attention=True)))


def sections(page):
    """Return the ids of the sections of a page, which is also well-formed XML."""
    ids = [element.get("id") for element in ET.fromstring(page).iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    return [name for name in ids if not name.startswith("photo")]


def test_it_has_all_sections_and_links_to_them(page, photo):
    names = ["training", "scores", "captions", "words", "lengths", "calibration", "model", "settings"]
    assert sections(page) == re.findall('<a href="#([a-z]*)">', page) == names
    for text, count in {'<article class="card">': 24, "data:image/jpeg": 24, "<h4>Attention": 24, "<use": 72}.items():
        assert page.count(text) == count
    for text in ("a black dog", "confidence 77%", "first half of the validation images", "references:raw|split:val",
                 "<td>flickr8k</td>", "<title>Report: a run<", "30 images of the val split of flickr8k"):  # fmt: skip
        assert text in page
    assert page == page_text(contents(captions(30, photo, attention=True)))


def test_attention_covers_the_middle_square_of_the_photo(page):
    scale, left, top = map(float, re.search(r"scale\((\S+)\) translate\((\S+) (\S+)\)", page).groups())
    corners = [(scale * (x + left), scale * (y + top)) for x, y in ((32, 0), (288, 256))]  # of 320 x 256 pixels
    np.testing.assert_allclose(corners, [(0, 0), (1, 1)], atol=1e-9)


def test_hostile_text_stays_text_and_the_page_stays_small(photo):
    page = page_text(hostile_contents(photo))
    assert page.isascii()
    assert "taken" in page
    assert len(page) < 3_000_000
    assert len(sections(page)) == 8
    elements = list(ET.fromstring(page).iter())
    assert not {"script", "iframe", "object", "embed", "base", "form"} & {element.tag for element in elements}
    attributes = [(name, value) for element in elements for name, value in element.items()]
    assert not any(name.startswith("on") or name in ("style", "srcset", "action") for name, _ in attributes)
    addresses = [value for name, value in attributes if name in ("src", "href")]
    assert all(re.match(r"#|data:image/(jpeg|png|svg\+xml);base64,|data:,$", address) for address in addresses)


def test_a_page_of_much_stays_small(photo):
    history = [{"iteration": i, "loss": 1.0 + i % 7} for i in range(20_000)]
    wide = {f"key{i}" * 30: "x" * 10_000 for i in range(500)}
    page = page_text(contents(captions(2000, photo, attention=True), history, {"model": {"deep": wide} | wide}))
    assert len(page) < 3_000_000
    assert "441 more" in page


def test_it_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("captioning.report.page._model_graph", lambda _: {"problem": "<failed>"})
    (tmp_path / "a.jpg").write_text("no photo")
    made = contents([dataclasses.replace(caption, confidence=None) for caption in captions(2)], history=[])
    bare = page_text(dataclasses.replace(made, scored=dataclasses.replace(made.scored, raw=False)))
    alone = page_text(dataclasses.replace(made, scored=None))
    unreadable = page_text(contents(captions(3, tmp_path / "a.jpg", attention=True)))
    for text in ("has no history", "has no photos of these images", "no photo at hand", "has no raw captions", "&lt;f"):
        assert text in bare
        assert text not in unreadable or text == "&lt;f"
    assert "calibration" not in sections(bare)
    assert sections(alone) == ["training", "scores", "model", "settings"]
    assert "No data set was read" in alone
    assert (unreadable.count("cannot be read"), unreadable.count("<use")) == (3, 0)
    assert "the 6 places of a photo form no square" in page_text(contents(captions(1, attention=True, places=6)))


@pytest.mark.parametrize("error", [ModuleNotFoundError, DrawingError])
def test_without_a_layout_program_the_model_is_not_drawn(monkeypatch, error):
    def lay_out(*_):
        raise error("why")

    monkeypatch.setattr("captioning.report.page.lay_out", lay_out)
    assert "There is no drawing: why." in page_text(contents())


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("an older one")
    with files_of_at_most(10_000), pytest.raises(OSError, match=r"report\.html"):
        write_page(contents(), path)
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("report.html", "an older one")]
    assert write_page(contents(), path) == path.stat().st_size
