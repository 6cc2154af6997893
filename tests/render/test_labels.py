"""Names of leaves."""

from __future__ import annotations

import numpy as np

from minigrad import nn
from minigrad.render.labels import leaf_names
from tests.render.graphs import captioner, leaf
from tests.render.pictures import picture_of


def test_leaves_come_in_the_order_of_use_and_have_their_own_names():
    picture = picture_of(captioner())
    assert list(leaf_names(picture).values()) == [
        "Captioner.embed.weight", "Captioner.project.weight", "Captioner.project.bias", "Wx", "Wh", "b",
        "Captioner.predict.weight", "Captioner.predict.bias",
    ]  # fmt: skip


def test_names_of_leaves_differ():
    a, b, c = leaf(2), leaf(2), leaf(2)
    picture = picture_of(a * b * c, names={"input1": c})
    assert sorted(leaf_names(picture).values()) == ["input1", "input2", "input3"]
    cell = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    assert "Sequential.0.weight" in leaf_names(picture_of(cell(np.ones((1, 2), np.float32)))).values()
