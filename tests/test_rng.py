"""Seeds and generators: what repeats, and what is no seed."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.rng import generator


def test_a_seed_repeats_and_a_generator_goes_on():
    assert generator(3).random() == generator(np.int64(3)).random()
    ours = np.random.default_rng(3)
    assert generator(ours) is ours
    mg.manual_seed(5)
    first = generator().random()
    assert generator().random() != first
    mg.manual_seed(5)
    assert generator().random() == first


@pytest.mark.parametrize("seed", ["a", 1.5, b"1", object()])
def test_what_is_no_seed_is_refused(seed):
    kind = type(seed).__name__
    mg.manual_seed(0)
    with pytest.raises(TypeError, match=f"manual_seed: the seed must be an integer of at least 0, not {kind}"):
        mg.manual_seed(seed)
    expected = rf"rng must be a numpy\.random\.Generator, a seed \(an integer of at least 0\) or None, not {kind}"
    for draw in (
        lambda: mg.dropout(np.ones(3), rng=seed),
        lambda: nn.Linear(2, 3, rng=seed),
        lambda: nn.init.normal((2,), rng=seed),
        lambda: mg.gradcheck(mg.sin, [np.ones(1)], rng=seed),
    ):
        with pytest.raises(TypeError, match=expected):
            draw()
    after = generator().random()  # nothing was drawn, and no seed taken
    mg.manual_seed(0)
    assert generator().random() == after


def test_negative_seeds_are_refused():
    with pytest.raises(ValueError, match="manual_seed: the seed must be an integer of at least 0, not -1"):
        mg.manual_seed(-1)
    with pytest.raises(ValueError, match=r"rng must be .*, a seed \(an integer of at least 0\) or None, not -2"):
        nn.Linear(2, 3, rng=-2)
