"""Made-up data sets."""

from __future__ import annotations

import numpy as np

from captioning.data.dataset import open_captions
from captioning.data.synthetic import Size, write_synthetic
from captioning.models.captioner import Captioner
from captioning.training.settings import Settings
from captioning.training.solver import Solver

SMALL = Size(images=(1200, 100), captions=(3000, 200), columns=32, words=30)


def test_a_captioner_learns_from_it(tmp_path):
    write_synthetic(tmp_path / "data", SMALL)
    with open_captions(tmp_path / "data") as data:
        assert data.check() == []
        assert (len(data.train.features), len(data.val.features)) == SMALL.images
        assert (len(data.train), len(data.val)) == SMALL.captions
        assert (data.train.features.shape[1], len(data.vocabulary)) == (SMALL.columns, SMALL.words)
        assert 0.7 < (data.train.features[:] == 0).mean() < 0.8
        for i in range(0, len(data.train.features), 200):
            named = {word for caption in data.train.references(i) for word in caption if word.startswith("thing")}
            assert 1 <= len(named) <= 4
        model = Captioner(data.vocabulary, SMALL.columns, 16, 32, rng=0)
        solver = Solver(model, data.train, settings=Settings(epochs=3, batch_size=50, learning_rate=5e-3))
        losses = [entry["loss"] for entry in solver.train() if "loss" in entry]
    assert np.mean(losses[-20:]) < 0.5 * losses[0]


def test_the_seed_decides(tmp_path):
    size = Size(images=(30, 20), captions=(40, 20), columns=6, words=14)
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_synthetic(tmp_path / name, size, seed)
        with open_captions(tmp_path / name) as data:
            found.append((data.train.features[:].tolist(), data.train.captions.tolist()))
            assert not np.array_equal(data.train.features[:20], data.val.features[:20])
    assert found[0] == found[1]
    assert found[0][0] != found[2][0]
    assert found[0][1] != found[2][1]
