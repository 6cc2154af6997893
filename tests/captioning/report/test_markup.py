"""Markup: what is foreign stays text."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.report.markup import Markup, element, joined, shortened, text


class Parsed(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.attributes, self.said = [], [], ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.said += data


anything = st.text(st.characters(exclude_categories=["Cc", "Cs"]))  # a surrogate has no place in a file


@given(anything, anything)
def test_what_is_said_comes_back_as_it_was_and_is_never_an_element(content, value):
    found = Parsed(element("p", content, title=value))
    assert found.tags == ["p"]
    assert found.attributes == [("title", value)]
    assert found.said == content


@given(st.text(st.sampled_from("<>&\"'`/=!-abc ")))
def test_nor_is_what_looks_like_one(content):
    found = Parsed(joined(element("b", content, id=content), content))
    assert found.tags == ["b"]
    assert found.said == content + content


@given(st.text(st.characters(categories=["Cc", "Cs"])))
def test_characters_that_no_page_may_have_are_replaced(content):
    written = text(content)
    assert written.isascii()
    assert Parsed(written).said == "".join(c if c in "\t\n" else "\ufffd" for c in content)


def test_markup_is_put_in_as_it_is_and_only_markup():
    assert element("p", Markup("<br>"), "<br>", None, 3) == "<p><br>&lt;br&gt;3</p>"
    assert isinstance(joined("a"), Markup)


def test_attributes():
    assert element("br", class_="x", data_copy="y", hidden=True, id=None, open=False) == (
        '<br class="x" data-copy="y" hidden>'
    )
    assert element("g", x=1.005, y=2.0, z=3) == '<g x="1" y="2" z="3"></g>'


@pytest.mark.parametrize("most", [1, 2, 5])
@given(content=st.text())
def test_a_long_text_is_shortened(most, content):
    found = shortened(content, most)
    assert len(found) <= most
    assert found == content or found.endswith("…")
