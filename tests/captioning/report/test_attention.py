"""Where a model looked."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from captioning.report.attention import attention_strip, veil
from captioning.report.embedded_photos import EmbeddedPhoto

SQUARE = re.compile(r"M(\d+) (\d+)h1v1h-1z")


def darkness(look, side):
    """How dark each place is drawn."""
    found = np.zeros((side, side))
    for opacity, path in re.findall(r'fill-opacity="([\d.]+)" d="([^"]*)"', veil(look)):
        for x, y in SQUARE.findall(path):
            assert found[int(y), int(x)] == 0  # none is drawn twice
            found[int(y), int(x)] = float(opacity)
    return found.ravel()


@given(arrays(np.float64, 49, elements=st.floats(0, 1)))
def test_it_is_darker_where_less_was_looked(look):
    dark = darkness(look, 7)
    order = np.argsort(look, kind="stable")
    assert (np.diff(dark[order]) <= 0).all()
    if look.max() > 0:
        assert dark[look.argmax()] == 0
    np.testing.assert_allclose(dark, 0.85 * (1 - look / (look.max() or 1)), atol=0.85 / 16 + 0.006)


def test_the_middle_square_of_the_photo_fills_the_picture():
    photo = EmbeddedPhoto("data:,", 320, 200)
    strip = attention_strip(photo, "photo3", ["a"], np.full((1, 49), 1 / 49))
    scale, left, top = map(float, re.search(r"scale\(([\d.]+)\) translate\((\S+) (\S+)\)", strip).groups())
    corners = [(scale * (x + left), scale * (y + top)) for x, y in ((60, 0), (260, 200))]
    np.testing.assert_allclose(corners, [(0, 0), (7, 7)], atol=2e-3)
    assert 'href="#photo3"' in strip


def test_each_word_has_its_picture_and_is_escaped():
    strip = attention_strip(None, "", ["<b>", "dog"], np.eye(2, 4))
    assert re.findall("<figcaption>(.*?)</figcaption>", strip) == ["&lt;b&gt;", "dog"]
    assert "dog: looks most at row 1, column 2 of 2" in strip


@pytest.mark.parametrize("looks", [np.ones((1, 4)), np.ones((2, 5)), np.ones(4), np.ones((2, 0)),
                                   np.full((2, 4), np.nan), np.full((2, 4), -1.0)])  # fmt: skip
def test_looks_that_do_not_fit_are_refused(looks):
    with pytest.raises(ValueError, match="attention_strip: looks must be"):
        attention_strip(None, "", ["a", "dog"], looks)
