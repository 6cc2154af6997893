"""Drawings and pages of networks show the frames, boxes and edges that tests/networks/drawn.py expects."""

from __future__ import annotations

import shutil

import pytest

import minigrad as mg
from minigrad.render.drawing import lay_out
from minigrad.render.options import drawn_picture
from minigrad.render.page import content_of
from tests.networks.drawn import DRAWN, run
from tests.render.drawings import expectation, leaving, read_dot, read_page, read_svg


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_is_as_expected(name):
    dot = mg.render.to_dot(run(name), **DRAWN[name].options)
    readings = [read_dot(dot)]
    if shutil.which("dot"):
        svg = lay_out(dot, "svg").decode()
        assert leaving(svg) == [], "an edge leaves a frame around both of its ends"
        readings.append(read_svg(svg))
    for reading in readings:
        for found, wanted in zip(reading, expectation(DRAWN[name].expected), strict=True):
            assert found == wanted


@pytest.mark.parametrize("name", DRAWN)
def test_page_is_as_expected(name):
    depth = None if DRAWN[name].options else "auto"
    picture = drawn_picture(run(name), unroll="fold", max_nodes=400, depth=depth)
    frames, boxes, edges = expectation(DRAWN[name].expected)
    expected = frames, boxes, [edge for edge in edges if edge[1] == "-"]
    for found, wanted in zip(read_page(content_of(picture)), expected, strict=True):
        assert found == wanted
