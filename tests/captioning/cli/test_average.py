"""The command `average`: the mean of several runs with one start."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, output_of, refused, status_of

SHORT = ["--epochs", "1", "--batch-size", "8", "--longest", "8", "--quiet"]


@pytest.fixture(scope="module")
def runs(small_folder, trained, tmp_path_factory, no_curves):
    """Two runs that continued one, one of another start, and one of another size."""
    folder = tmp_path_factory.mktemp("average")
    data = ["--data", small_folder]
    for seed in (0, 1):
        assert status_of("reinforce", trained, "--out", folder / f"{seed}", "--seed", seed, *data, *SHORT) == 0
    assert status_of("train", "--out", folder / "other", "--seed", "9", *data, *SMALL) == 0
    assert status_of("train", "--out", folder / "wider", *data, *SMALL, "--hidden", "13") == 0
    return folder


def test_the_mean_of_the_weights_captions_and_can_be_trained_further(runs, small_folder, tmp_path, capsys):
    out = tmp_path / "mean"
    assert "captioning evaluate" in output_of(capsys, "average", runs / "0", runs / "1", "--out", out)
    arrays = [mg.load(path / "weights.safetensors") for path in (runs / "0", runs / "1", out)]
    for name, array in arrays[2].items():
        np.testing.assert_allclose(array, (arrays[0][name] + arrays[1][name]) / 2, rtol=1e-6, atol=1e-8)
        assert array.dtype == arrays[0][name].dtype
    made = Run.open(out)
    assert (made.settings["average"], made.history()) == (["0", "1"], [])
    data = ["--data", small_folder, "--quiet"]
    assert status_of("evaluate", out, *data) == 0
    assert status_of("reinforce", out, "--out", tmp_path / "on", *data, *SHORT) == 0
    assert status_of("export", out, "--out", tmp_path / "sent") == 0
    refused(capsys, ["reinforce", "--out", out, "--resume"], "mean of other runs")


@pytest.mark.parametrize(("others", "message"), [
    ([], "at least two runs"), (["0"], "same run twice"), (["other"], "did not start from the same run"),
    (["wider"], "different sizes"),
])  # fmt: skip
def test_runs_that_cannot_be_averaged_are_refused(runs, tmp_path, capsys, others, message):
    refused(capsys, ["average", runs / "0", *(runs / name for name in others), "--out", tmp_path / "mean"], message)
    refused(capsys, ["average", runs / "0", runs / "1", "--out", runs / "other"], "already exists")
    assert not (tmp_path / "mean").exists()
