"""Seeds and generators: what repeats, and what is no seed."""

from __future__ import annotations

import json

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


# --- the library's generator, kept and restored ----------------------------------------------------------


def test_a_state_goes_through_json_and_gives_the_same_numbers():
    mg.manual_seed(4)
    generator().integers(10, dtype=np.int32)  # half of 64 bits are left over
    state = json.loads(json.dumps(mg.rng_state()))
    first = generator().integers(2**31, size=3, dtype=np.int32).tolist()
    mg.manual_seed(5)
    mg.set_rng_state(state)
    assert generator().integers(2**31, size=3, dtype=np.int32).tolist() == first


@pytest.mark.parametrize("state", [None, 3, {}, {"bit_generator": "MT19937"}, {"bit_generator": "PCG64", "state": 1}])
def test_what_is_no_state_is_refused(state):
    before = mg.rng_state()
    with pytest.raises((TypeError, ValueError), match=r"set_rng_state: .* mg\.rng_state\(\)"):
        mg.set_rng_state(state)
    assert mg.rng_state() == before


@pytest.mark.parametrize("restored", [True, False])
def test_training_with_dropout_resumes_to_the_bit_if_random_numbers_go_on(restored, tmp_path):
    x, y = np.random.default_rng(0).standard_normal((24, 5)).astype(np.float32), np.arange(24) % 3

    def parts():
        model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Dropout(0.5), nn.Linear(16, 3))
        adam = mg.optim.Adam(model.parameters(), lr=0.01)
        return model, adam, mg.optim.CosineLR(adam, 20), mg.data.batches(x, y, size=7)

    def train(steps, model, adam, schedule, batches):
        for _ in range(steps):
            for a, b in batches:
                adam.zero_grad()
                mg.cross_entropy(model(a), b).backward()
                adam.step()
            schedule.step()

    mg.manual_seed(0)
    whole = parts()
    train(3, *whole)
    for number, part in enumerate(whole):
        mg.save(tmp_path / str(number), part.state_dict())
    (tmp_path / "rng.json").write_text(json.dumps(mg.rng_state()))
    train(3, *whole)
    mg.manual_seed(99)  # as in another process
    resumed = parts()
    for number, part in enumerate(resumed):
        part.load_state_dict(mg.load(tmp_path / str(number)))
    if restored:
        mg.set_rng_state(json.loads((tmp_path / "rng.json").read_text()))
    train(3, *resumed)
    ends = [part.state_dict()["0.weight"].tolist() for part in (whole[0], resumed[0])]
    assert (ends[0] == ends[1]) is restored


@pytest.mark.parametrize("seed", ["a", 1.5, object(), -1])
def test_what_is_no_seed_is_refused(seed):
    mg.manual_seed(0)
    for draw in (
        lambda: mg.manual_seed(seed), lambda: mg.dropout(np.ones(3), rng=seed), lambda: nn.Linear(2, 3, rng=seed),
        lambda: mg.gradcheck(mg.sin, [np.ones(1)], rng=seed),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=rf"integer of at least 0.* not (-1|{type(seed).__name__})"):
            draw()
    after = generator().random()  # nothing was drawn, and no seed taken
    mg.manual_seed(0)
    assert generator().random() == after
