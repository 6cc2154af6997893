"""Drawings of networks show the frames, boxes and edges that their code has."""

from __future__ import annotations

import shutil

import pytest

import minigrad as mg
from minigrad.render.drawing import lay_out
from tests.networks.drawn import DRAWN, run
from tests.render.drawings import expectation, leaving, read_dot, read_svg


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
