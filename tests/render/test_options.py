"""All passes together."""

from __future__ import annotations

import pytest

import minigrad as mg
from minigrad.primitives import PRIMITIVES
from tests.render.graphs import leaf
from tests.render.pictures import arranged, check, labels


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
def test_the_limit_counts_what_is_left_to_show(same, most):
    """Expanding removes three operations, so that eight are left."""
    x = leaf(2, 6, 3)
    for _ in range(3):
        x = same(x)
    h, _ = mg.lstm(x, leaf(2, 4), leaf(3, 16), leaf(4, 16), leaf(16))
    shown = labels(check(arranged(h.sum(), "steps", most, expand={"same"})))
    assert shown.count("lstm_step") == 6 if most >= 8 else any(label.startswith("4 more steps") for label in shown)
