"""The page of a report in a real browser: what a reader sees and does, and that nothing on it acts by itself."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from captioning.report.page import write_page
from tests.captioning.report.samples import HISTORY, captions, contents
from tests.captioning.report.test_page import hostile_contents
from tests.render import browser as driver


@pytest.fixture(scope="module")
def window():
    with driver.browser() as window:
        yield window


@pytest.fixture
def photo(tmp_path):
    Image.radial_gradient("L").resize((500, 400)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def opened(window, tmp_path):
    """Opens a page and checks on the way out that it kept silent and asked for nothing but itself."""

    def open_page(made, width=1280, height=900):
        write_page(made, tmp_path / "report.html")
        window.messages(), window.requests()
        window.resize(width, height)
        window.open(tmp_path / "report.html")
        return window

    yield open_page
    window.prefer("light")
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data"}


WIDTHS = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"


@pytest.mark.parametrize("width", [320, 360, 390, 768, 1280])
@pytest.mark.parametrize("hostile", [False, True])
def test_no_page_is_wider_than_the_window(opened, photo, width, hostile):
    made = hostile_contents(photo) if hostile else contents(captions(30, photo, looks=True))
    assert opened(made, width).run(WIDTHS) == [width, width]


def test_what_is_hostile_does_nothing(opened, photo):
    window = opened(hostile_contents(photo))
    assert window.run("return document.title").startswith("Report: </script><script>")
    assert window.run("return document.querySelectorAll('script').length") == 1
    assert window.run("return document.querySelectorAll('[onload], [onerror], img[src=x]').length") == 0


BOXES = """
const box = (element) => {
  const { left, right, top, bottom } = element.getBoundingClientRect();
  return [left, right, top, bottom];
};
return [...document.querySelectorAll("svg.chart")].map((e) => [e, ...e.querySelectorAll("text")].map(box));
"""


def test_no_letters_lie_on_each_other_or_leave_their_chart(opened, photo):
    long = [{"iteration": 1_250_000 * i, "val_loss": 1e-5 * i} for i in range(1, 9)]
    window = opened(contents(captions(30, photo), history=[*HISTORY, *long]), 360)
    for (left, right, top, bottom), *texts in window.run(BOXES):
        assert len(texts) > 4
        for k, (a, b, c, d) in enumerate(texts):
            assert left - 1 <= a <= b <= right + 1
            assert top - 1 <= c <= d <= bottom + 1
            assert not any(a < f and e < b and c < h - 3 and g < d - 3 for e, f, g, h in texts[:k])


def test_photos_and_where_it_looked_are_seen(opened, photo):
    window = opened(contents(captions(30, photo, looks=True)))
    sizes = "return [...document.querySelectorAll(arguments[0])].map((e) => e.getBoundingClientRect().width)"
    assert min(window.run(sizes, ".photo image")) > 150
    assert min(window.run(sizes, ".strip use")) > 50
    loaded = "const i = document.querySelector('.graph img'); return i === null || (i.complete && i.naturalWidth > 100)"
    assert window.run(loaded)


TIP = "const tip = document.getElementById('tip'); return tip.hidden ? null : tip.textContent"


def test_the_pointer_finds_a_value(opened):
    window = opened(contents())
    assert window.run(TIP) is None
    window.run("document.querySelector('.chart').scrollIntoView({ block: 'center', behavior: 'instant' })")
    window.click(".chart .mark:last-child")
    assert window.run(TIP) == "validation, iteration 60: 25"
    x, y = window.middle("h1")
    window.drag((max(x, 1), max(y, 1)), (0, 0))
    assert window.run(TIP) is None


def test_what_a_finger_finds_stays_until_it_touches_something_else(opened):
    window = opened(contents(), 390)
    window.resize(390, 900, touch=True)
    window.run("document.querySelector('.chart').scrollIntoView({ block: 'center', behavior: 'instant' })")
    window.tap(".chart .mark:last-child")
    assert window.run(TIP) == "validation, iteration 60: 25"
    window.tap("figcaption")
    assert window.run(TIP) is None


def test_the_signature_can_be_copied(opened):
    window = opened(contents())
    window.run("document.querySelector('[data-copy]').scrollIntoView({ block: 'center', behavior: 'instant' })")
    window.click("[data-copy]")
    assert window.run("return String(getSelection())") == "references:raw|split:val"
    assert window.run("return document.querySelector('[data-copy]').textContent") in ("copy", "copied", "selected")


CONTRAST = """
const light = (text) => {
  const linear = (x) => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = text.match(/[0-9.]+/g).map((x) => linear(x / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const paper = light(getComputedStyle(document.body).backgroundColor);
return arguments[0].map((selector) => {
  const style = getComputedStyle(document.querySelector(selector));
  const ink = light(selector.startsWith("svg") ? style.fill : style.color);
  return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_can_be_read_by_day_and_by_night(opened, scheme):
    window = opened(contents())
    window.prefer(scheme)
    selectors = ["h1", "p", ".note", ".card ul", "a", ".tiles dt", "svg.chart text", ".legend"]
    assert min(window.run(CONTRAST, selectors)) >= 4.5  # WCAG 2.1, 1.4.3
    assert min(window.run(CONTRAST, ["svg .fill1", "svg .fill2"])) >= 3  # 1.4.11, of what is drawn


UNTORN = """
const rules = [...document.styleSheets[0].cssRules].filter((rule) => rule.media?.mediaText === "print");
return rules.flatMap((rule) => [...rule.cssRules]).some((rule) =>
  rule.selectorText.includes(".card") && rule.style.breakInside === "avoid");
"""


def test_it_is_printed_without_torn_cards(opened, photo):
    window = opened(contents(captions(30, photo, looks=True)))
    printed = window.pdf()
    assert printed.startswith(b"%PDF-")
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 20
    assert window.run(UNTORN)
