"""What cannot be drawn, or not so, is said at once."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from tests.render.graphs import leaf


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unroll": "all"}, "unroll must be 'steps', 'fold' or 'primitive', not 'all'"),
        ({"max_nodes": 0}, "max_nodes must be an int of at least 1, not 0"),
        ({"max_nodes": 1.5}, "not 1.5"),
        ({"depth": 0}, "depth must be an int of at least 1, 'auto' or None, not 0"),
        ({"depth": True}, "not True"),
        ({"depth": "all"}, "not 'all'"),
        ({"direction": "UP"}, "direction must be 'TB', 'BT', 'LR' or 'RL', not 'UP'"),
        ({"values": "sizes"}, "values must be 'shape', 'norm' or 'none', not 'sizes'"),
        ({"expand": {"tanh"}}, "tanh has no reference; these have one: .*lstm_step"),
        ({"gradients": (1.0, 0.5)}, "0 < low <= high"),
        ({"gradients": True}, "run the forward and the backward pass within"),
    ],
)
def test_options_that_do_not_exist(options, message):
    with pytest.raises(ValueError, match=message):
        mg.render.to_dot(leaf(2) * 2, **options)


def test_what_has_no_graph():
    with pytest.raises(ValueError, match="this tensor has no graph"):
        mg.render.to_dot(mg.tensor(1.0))
    with pytest.raises(ValueError, match="no tensor to draw"):
        mg.render.to_text([])
    with pytest.raises(TypeError, match="expected a Tensor or several, not int"):
        mg.render.to_text([leaf(1), 3])
    with pytest.raises(TypeError, match="expected a Tensor or several, not ndarray"):
        mg.render.to_text(np.ones((2, 2)))
