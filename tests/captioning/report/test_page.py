"""The page of a report as a whole."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from captioning.report.page import page_text, write_page
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.report.samples import HISTORY, captions, contents

HOSTILE = ("</script><script>document.title='taken'</script>", "<img src=x onerror=\"document.title='taken'\">",
           "\"'><svg onload=document.title='taken'>", "{{title}}", "\ud800\x00\u202edog", "a" * 100_000)  # fmt: skip
VOID = {"meta", "link", "br", "img"}


def hostile_contents(photo=None):
    """Everything that a foreign run or data set can say, each said by all that is hostile."""
    found = [dataclasses.replace(caption, name=HOSTILE[i % 6], references=[list(HOSTILE)] * 9)
             for i, caption in enumerate(captions(30, photo, looks=True, words=HOSTILE))]  # fmt: skip
    said = dict(zip(HOSTILE, HOSTILE, strict=True))
    history = [*HISTORY, {"iteration": 60, "val_loss": 1.0} | {f"val_{text}": 0.5 for text in HOSTILE}]
    settings = said | {"model": said | {"deep": said}, "training": said}
    made = contents(found, history, settings, title=HOSTILE[0])
    figures = made.scored.figures | dict.fromkeys(HOSTILE, 0.5)
    said = {"data": HOSTILE[1], "decoding": HOSTILE[2], "signature": HOSTILE[0], "figures": figures}
    return dataclasses.replace(made, scored=dataclasses.replace(made.scored, **said))


class Elements(HTMLParser):
    """The elements of a page, each with its attributes; raises where they are not closed in order."""

    def __init__(self, page):
        super().__init__()
        self.found, self.open = [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        assert len(dict(attributes)) == len(attributes)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (400, 500, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def sections(page):
    return re.findall('<section id="([a-z]*)">', page)


def test_it_has_all_sections_and_links_to_them(photo):
    page = page_text(contents(captions(30, photo, looks=True)))
    names = ["training", "scores", "captions", "words", "lengths", "calibration", "model", "settings"]
    assert sections(page) == names
    assert re.findall('<a href="#([a-z]*)">', page) == names
    assert page.count('<article class="card">') == 24
    assert page.count("data:image/jpeg") == 24
    assert page.count("Where it looked") == 24
    assert "The weights were chosen on the first half of the validation images." in page


def test_it_is_well_formed_and_each_id_is_there_once(photo):
    for made in (contents(captions(30, photo, looks=True)), hostile_contents(photo)):
        found = Elements(page_text(made)).found
        ids = [attributes["id"] for _, attributes in found if "id" in attributes]
        assert len(ids) == len(set(ids))
        used = {attributes["href"] for tag, attributes in found if tag in ("a", "use")}
        assert used <= {f"#{name}" for name in ids}


def test_it_is_the_same_each_time(photo):
    assert page_text(contents(captions(30, photo))) == page_text(contents(captions(30, photo)))


def test_nothing_on_it_comes_from_elsewhere_or_acts_by_itself(photo):
    for tag, attributes in Elements(page_text(hostile_contents(photo))).found:
        assert not any(name.startswith("on") or name in ("style", "srcset", "action") for name in attributes)
        for name in ("src", "href", "xlink:href"):
            assert re.match(r"#|data:image/(jpeg|svg\+xml);base64,|data:,$|$", attributes.get(name, "")), tag
        assert tag not in ("iframe", "object", "embed", "base", "form")


def test_what_is_hostile_makes_no_element(photo):
    kinds = [tag for tag, _ in Elements(page_text(hostile_contents(photo))).found]
    assert kinds.count("script") == kinds.count("style") == 1
    assert kinds.count("img") <= 1  # the drawing of the model
    assert "taken" in page_text(hostile_contents(photo))  # it was there to be tried


def test_its_size_is_bounded(photo):
    assert len(page_text(hostile_contents(photo))) < 3_000_000
    assert len(page_text(contents(captions(5000, photo, looks=True)))) < 3_000_000


def test_what_is_missing_is_said():
    made = contents(captions(2), history=[])
    page = page_text(dataclasses.replace(made, scored=dataclasses.replace(made.scored, raw=False)))
    assert "has no history" in page
    assert "has no photos of these images" in page
    assert page.count("no photo at hand") == 2
    assert "has no raw captions" in page
    assert sections(page_text(dataclasses.replace(made, scored=None))) == ["training", "scores", "model", "settings"]
    assert "No data set was looked at" in page_text(dataclasses.replace(made, scored=None))


def test_a_model_without_confidence_has_no_calibration():
    unsure = [dataclasses.replace(caption, confidence=None) for caption in captions()]
    assert "calibration" not in sections(page_text(contents(unsure)))


@pytest.mark.parametrize(("places", "factor"), [(6, 1.0), (49, np.nan), (0, 1.0)])
def test_looks_that_no_square_has_are_left_out(places, factor):
    """A data set may have any number of places."""
    found = captions(3, looks=True)
    found = [dataclasses.replace(caption, looks=factor * caption.looks[:, :places]) for caption in found]
    page = page_text(contents(found))
    assert page.count('<article class="card">') == 3
    assert "Where it looked</h4>" not in page


def test_a_report_of_one_picture_has_all_sections():
    assert {"scores", "captions", "words", "lengths"} <= set(sections(page_text(contents(captions(1)))))


def test_a_photo_that_cannot_be_read_has_its_place(tmp_path):
    (tmp_path / "a.jpg").write_text("no photo")
    page = page_text(contents(captions(3, tmp_path / "a.jpg", looks=True)))
    assert page.count("cannot be read") == 3
    assert '<use href="#' not in page


def test_places_that_make_no_square_are_not_drawn_and_the_page_says_so():
    page = page_text(contents(captions(30, looks=True, places=6)))
    assert "Where it looked is not drawn: the 6 places of a photo make no square." in page
    assert "<h4>Where it looked" not in page
    assert "is not drawn" not in page_text(contents(captions(30, looks=True)))
    assert "is not drawn" not in page_text(contents(captions(30)))


def test_of_few_photos_captions_are_chosen_among_all(photo):
    some = [dataclasses.replace(caption, photo=photo if caption.row < 4 else None) for caption in captions(60)]
    assert "Chosen among" not in page_text(contents(some))
    many = [dataclasses.replace(caption, photo=photo if caption.row < 24 else None) for caption in captions(60)]
    page = page_text(contents(many))
    assert "Chosen among the 24 images whose photos are at hand." in page
    assert "no photo at hand" not in page


@pytest.mark.parametrize("error", ["no program", "failed"])
def test_without_a_layout_program_the_model_is_not_drawn(monkeypatch, error):
    from minigrad.render.layout import DrawingError

    def lay_out(*_):
        raise ModuleNotFoundError("<no program>") if error == "no program" else DrawingError("<failed>")

    monkeypatch.setattr("captioning.report.model_drawing.lay_out", lay_out)
    assert f"It is not drawn: &lt;{error}&gt;." in page_text(contents())


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("an older one")
    with files_of_at_most(10_000), pytest.raises(OSError, match=r"report\.html"):
        write_page(contents(), path)
    assert path.read_text() == "an older one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]
    assert write_page(contents(), path) == path.stat().st_size
