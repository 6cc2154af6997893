"""The mean of the weights of runs: whose weights, settings and regions count."""

from __future__ import annotations

import numpy as np
import pytest
from captioning.training.derived_runs import average_runs

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection

WORDS = Vocabulary([*SPECIAL, "a", "dog"])
PLACES = (4, 2)


def a_looking_model(seed):
    """A captioner that looks at regions, of 100 features of mean 10 and 8 of places."""
    model = AttentionCaptioner(WORDS, 108, PLACES, 4, 5, 6, 4, 2, rng=seed)
    model.standardise(np.random.default_rng(0).normal(10, 1, (20, 108)))
    return model


def a_run(folder, model, settings=None, **files):
    """A run folder of a model, as if it was trained. settings: what is said of it, if not all there is to say."""
    kind = "attention" if isinstance(model, AttentionCaptioner) else "source"
    content = {"model": settings or {"kind": kind, **model.settings}, "training": {}, "data": {}}
    Run.create(folder, content, WORDS, best=model.state_dict(), **files)
    return Run.open(folder)


def moved(model, by=0.01):
    """The model, a little further on."""
    for parameter in model.parameters():
        parameter.data += np.asarray(by, parameter.dtype)
    return model


def test_features_that_are_large_do_not_hide_that_starts_differ(tmp_path):
    first, second = (a_run(tmp_path / str(seed), a_looking_model(seed)) for seed in (0, 1))
    with pytest.raises(RunError, match=r"1: cannot be averaged with .*0: .* did not start from the same run"):
        average_runs([first, second], tmp_path / "mean")
    average_runs([first, a_run(tmp_path / "on", moved(a_looking_model(0)))], tmp_path / "mean")


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, number):
    model = a_looking_model(0)
    model.bias.data[1] = number
    runs = [a_run(tmp_path / "sound", a_looking_model(0)), a_run(tmp_path / "damaged", model)]
    for order in (runs, runs[::-1]):
        with pytest.raises(RunError, match=r"damaged/weights\.safetensors: bias has a number that is not finite"):
            average_runs(order, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_the_first_projection_of_regions_that_is_there_is_taken(tmp_path):
    projection = RegionProjection(np.ones((100, 2), np.float32), np.zeros(2, np.float32))
    arrays = {"weight": projection.weight, "bias": projection.bias}
    without = a_run(tmp_path / "without", a_looking_model(0))
    having = a_run(tmp_path / "having", a_looking_model(0), regions=arrays)
    made = average_runs([without, having], tmp_path / "mean")
    assert RegionProjection.load(made.regions_path).fingerprint() == projection.fingerprint()


def test_models_are_compared_and_not_what_is_said_of_them(tmp_path):
    """An older run says less of the same model; and one that was just made has pairs where JSON has lists."""
    model = Captioner(WORDS, 3, 4, 5, rng=0)
    older = {key: model.settings[key] for key in model.settings if key != "feature_dropout"}
    average_runs([a_run(tmp_path / "old", model, older), a_run(tmp_path / "new", model)], tmp_path / "mean")
    looking = [a_run(tmp_path / name, a_looking_model(0)) for name in ("a", "b")]
    looking[0].settings["model"]["places"] = PLACES
    average_runs(looking, tmp_path / "looking")
    other = a_run(tmp_path / "other", Captioner(WORDS, 3, 4, 6, rng=0))
    with pytest.raises(RunError, match="its model has other sizes"):
        average_runs([Run.open(tmp_path / "old"), other], tmp_path / "wrong")
