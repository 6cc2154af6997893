"""The mean of the weights of runs."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.models.kinds import kind_of
from captioning.training.derived_runs import average_runs
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection

WORDS = Vocabulary([*SPECIAL, "a", "dog"])


def attention_model(seed, by=0.0):
    """A captioner whose features have a large mean, with all weights moved by the same amount."""
    model = AttentionCaptioner(WORDS, 108, (4, 2), 4, 5, 6, 4, 2, rng=seed)
    model.standardise(np.random.default_rng(0).normal(10, 1, (20, 108)))
    for parameter in model.parameters():
        parameter.data += np.asarray(by, parameter.dtype)
    return model


def a_run(folder, model, settings=None, **files):
    content = {"model": settings or {"kind": kind_of(model), **model.settings}, "training": {}, "data": {}}
    return Run.create(folder, content, WORDS, best=model.state_dict(), **files)


def test_the_mean_of_runs_with_the_same_start(tmp_path):
    first, second = (a_run(tmp_path / str(seed), attention_model(seed)) for seed in (0, 1))
    with pytest.raises(RunError, match=r"1: cannot be averaged with .*0: "):
        average_runs([first, second], tmp_path / "mean")
    projection = {"weight": np.ones((100, 2), np.float32), "bias": np.zeros(2, np.float32)}
    on = a_run(tmp_path / "on", attention_model(0, by=0.01), regions=projection)
    made = Run.open(average_runs([first, on], tmp_path / "mean").folder)
    for name, array in attention_model(0, by=0.005).state_dict().items():
        np.testing.assert_allclose(made.load_model().state_dict()[name], array, atol=1e-6)
    assert made.settings["average"] == ["0", "on"]
    assert made.start_checksums() == [first.weights_checksum(), on.weights_checksum()]
    assert RegionProjection.load(made.regions_path).weight.shape == (100, 2)
    with pytest.raises(RunError, match="mean of other runs"):
        made.load_checkpoint()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = attention_model(0)
    model.bias.data[1] = np.nan
    runs = [a_run(tmp_path / "sound", attention_model(0)), a_run(tmp_path / "damaged", model)]
    with pytest.raises(RunError, match=r"damaged/weights\.safetensors: bias"):
        average_runs(runs, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_models_are_compared_and_not_their_settings(tmp_path):
    """An older run says less about the same model."""
    model = Captioner(WORDS, 3, 4, 5, rng=0)
    older = {key: model.settings[key] for key in model.settings if key != "feature_dropout"}
    first = a_run(tmp_path / "old", model, older)
    average_runs([first, a_run(tmp_path / "new", model)], tmp_path / "mean")
    with pytest.raises(RunError, match="other sizes"):
        average_runs([first, a_run(tmp_path / "other", Captioner(WORDS, 3, 4, 6, rng=0))], tmp_path / "wrong")
