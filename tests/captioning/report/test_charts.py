"""Charts of lines and of bars."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from captioning.report.bars import bar, bar_chart
from captioning.report.charts import Line, line_chart


def drawn(chart):
    """The parsed drawing; the chart may have a legend before it."""
    return ET.fromstring(chart[chart.index("<svg") :])


def dots(chart):
    return [(float(e.get("cx")), float(e.get("cy"))) for e in drawn(chart).iter("circle")]


def test_dots_are_where_the_values_are():
    line = Line("loss", np.array([0.0, 5.0, 10.0]), np.array([1.0, 3.0, 2.0]), ["a", "b", "c"])
    (x0, y0), (x1, y1), (x2, y2) = dots(line_chart([line], "the loss", "epoch"))
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 - y1 == pytest.approx(2 * (y0 - y2), abs=0.02)  # upwards, in proportion
    marks = [e for e in drawn(line_chart([line], "the loss", "epoch")).iter("g") if e.get("class") == "mark"]
    assert [e.find("title").text for e in marks] == ["a", "b", "c"]


def test_values_that_cannot_be_drawn_are_left_out():
    y = np.array([1.0, np.nan, 2.0, np.inf, 1e200])
    line = Line("x", np.arange(5.0), y, list("abcde"), band=(y, y))
    chart = line_chart([line], "x", "x")
    assert len(dots(chart)) == 2
    assert not re.search(r"nan|inf", chart)


@pytest.mark.parametrize("count", [0, 1])
def test_a_line_of_one_dot_or_none(count):
    line = Line("x", np.ones(count), np.ones(count), ["a"] * count, band=(np.ones(count), np.ones(count)))
    assert len(dots(line_chart([line], "x", "x"))) == count


def test_several_lines_have_a_legend_and_one_has_none():
    lines = [Line(name, np.arange(2.0), np.arange(2.0), "ab", k) for k, name in enumerate(("<one>", "two"), 1)]
    assert "&lt;one&gt;</span>" in line_chart(lines, "x", "x")
    assert "legend" not in line_chart(lines[:1], "x", "x")


def test_bars_stand_on_the_axis_as_high_as_they_are():
    heights = np.array([1.0, np.nan, 2.0, 0.0])
    chart = bar_chart(["1", "2", "3", "4"], [("n", heights, list("abcd"))], "n", "n")
    found = [(float(e.get("y")), float(e.get("height"))) for e in drawn(chart).iter("rect")]
    assert len(found) == 3
    assert {round(y + height, 1) for y, height in found} == {206}
    assert found[1][1] == pytest.approx(2 * found[0][1], abs=0.03)
    assert 0 < found[2][1] < 1  # there, but nothing


@pytest.mark.parametrize(("heights", "tips"), [(3, 2), (2, 3), (1, 1)])
def test_a_series_of_another_length_is_refused(heights, tips):
    with pytest.raises(ValueError, match=f"n has {heights} heights, {tips} tips and 2 groups"):
        bar_chart(["1", "2"], [("n", np.ones(heights), ["a"] * tips)], "n", "n")


def test_of_many_groups_some_are_named():
    groups = [str(n) for n in range(40)]
    chart = bar_chart(groups, [("n", np.ones(40), groups)], "n", "words")
    named = [e.text for e in drawn(chart).iter("text") if e.get("class") == "across"]
    assert named[:4] == ["words", "0", "3", "6"]
    assert len(named) == 15


@pytest.mark.parametrize(("share", "width"), [(-1.0, "0"), (0.333, "33.3"), (7.0, "100")])
def test_a_bar_stays_within_its_room(share, width):
    assert f' width="{width}" ' in bar(share)
