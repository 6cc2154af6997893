"""Drawings of networks show the frames, boxes and edges that their code has."""

from __future__ import annotations

import pytest

import minigrad as mg
from tests.networks.drawn import DRAWN, run
from tests.render.drawings import expectation, read_dot


@pytest.mark.parametrize("name", DRAWN)
def test_drawing_is_as_expected(name):
    dot = mg.render.to_dot(run(name), **DRAWN[name].options)
    for found, wanted in zip(read_dot(dot), expectation(DRAWN[name].expected), strict=True):
        assert found == wanted
