"""All passes together: a picture that is drawn shows no step as one that stands for several, but as an elision."""

from __future__ import annotations

import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES
from tests.render.graphs import leaf
from tests.render.pictures import arranged, check_drawn, labels


@pytest.fixture
def same():
    """A user's primitive that makes a picture smaller when it is expanded: its reference is the identity."""

    @mg.primitive
    def same(x):
        return x.copy(), ()

    @same.reference
    def _(x):
        return x

    yield same
    del PRIMITIVES[f"{same.__module__}.same"]


@pytest.mark.parametrize("most", range(4, 15))
def test_a_step_that_stands_for_several_becomes_an_elision_however_much_is_left_to_show(same, most):
    """The three operations that go when they are expanded had left no room for all six steps, if `most` is 8 to 10."""
    x = leaf(2, 6, 3)
    for _ in range(3):
        x = same(x)
    h, _ = mg.lstm(x, leaf(2, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    picture = check_drawn(arranged(h.sum(), "steps", most, expand={"same"}))
    shown = labels(picture)
    assert shown.count("lstm_step") == 6 if most > 10 else any(label.startswith("4 more steps") for label in shown)
