"""The page of a report in a real browser."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from captioning.report.page import write_page
from tests.captioning.report.samples import captions, contents
from tests.captioning.report.test_page import hostile_contents
from tests.render import browser as driver

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
TEXTS = ["h1", "p", ".faint", ".card ul", "a", ".tiles dt", "th.one", "th.two"]


@pytest.fixture(scope="module", params=[False, True])
def hostile(request):
    return request.param


@pytest.fixture(scope="module")
def window(hostile, tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    Image.radial_gradient("L").resize((500, 400)).save(folder / "photo.png")
    usual = contents(captions(30, folder / "photo.png", attention=True))
    write_page(hostile_contents(folder / "photo.png") if hostile else usual, folder / "report.html")
    with driver.browser() as window:
        window._send("/url", {"url": (folder / "report.html").as_uri()})  # waits for all images
        yield window


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_the_page_fits_every_window(window, width):
    window.resize(width, 900)
    assert window.run("return document.documentElement.scrollWidth") == width


def test_hostile_text_does_nothing_and_nothing_else_is_requested(window, hostile):
    assert window.run("return document.title").startswith("Report: </script><script>") == hostile
    assert window.run("return document.querySelectorAll('script, [onload], [onerror], img[src=x]').length") == 0
    assert window.messages() == []
    assert {address.partition(":")[0] for address in window.requests()} <= {"file", "data", "about"}


def test_charts_photos_and_attention_are_visible(window):
    window.resize(1280, 900)
    sizes = "return [...document.querySelectorAll(arguments[0])].map((e) => e.getBoundingClientRect().width)"
    for selector, least in ((".photo image", 150), (".strip use", 50), (".mask", 50), (".chart", 300)):
        assert min(window.run(sizes, selector)) > least
    assert window.run("return [...document.images].every((e) => e.complete && e.naturalWidth > 100)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark_mode(window, scheme):
    window.prefer(scheme)
    assert min(window.run(CONTRAST, TEXTS)) >= 4.5  # WCAG 2.1, 1.4.3
    inverted = window.run("return getComputedStyle(document.querySelector('.chart')).filter !== 'none'")
    assert inverted == (scheme == "dark")


def test_it_prints_on_few_pages(window):
    assert 4 <= len(re.findall(rb"/Type\s*/Page\b", window.pdf())) <= 25
