"""The command `average`: one captioner of several runs of one start."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad as mg
from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused

SHORT = ["--epochs", "1", "--batch-size", "8", "--longest", "8", "--quiet"]


@pytest.fixture(scope="module")
def soup(small_folder, trained, tmp_path_factory):
    """Two runs that went on from one, and one of another start."""
    folder = tmp_path_factory.mktemp("soup")
    data = ["--data", str(small_folder)]
    for seed in ("0", "1"):
        line = ["reinforce", str(trained), "--out", str(folder / seed), "--seed", seed]
        assert main([*line, *data, *SHORT]) == 0
    assert main(["train", "--out", str(folder / "other"), "--seed", "9", *data, *SMALL]) == 0
    return folder


def test_the_mean_of_the_weights_speaks_and_learns_on(soup, small_folder, tmp_path, capsys):
    out = tmp_path / "mean"
    assert main(["average", str(soup / "0"), str(soup / "1"), "--out", str(out)]) == 0
    assert "captioning evaluate says how good it is" in capsys.readouterr().out
    arrays = [mg.load(path / "weights.safetensors") for path in (soup / "0", soup / "1", out)]
    for name, array in arrays[2].items():
        np.testing.assert_allclose(array, (arrays[0][name] + arrays[1][name]) / 2, rtol=1e-6, atol=1e-8)
        assert array.dtype == arrays[0][name].dtype
    made = Run.open(out)
    assert made.settings["average"] == ["0", "1"]
    assert made.history() == []
    data = ["--data", str(small_folder), "--quiet"]
    assert main(["evaluate", str(out), *data]) == 0
    assert main(["reinforce", str(out), "--out", str(tmp_path / "on"), *data, *SHORT]) == 0
    assert main(["export", str(out), "--out", str(tmp_path / "sent")]) == 0
    capsys.readouterr()
    refused(
        capsys, ["reinforce", "--out", out, "--resume"], "is the mean of other runs: there is nothing to go on with"
    )


def test_what_cannot_be_averaged_is_refused_and_nothing_is_made(soup, small_folder, tmp_path, capsys):
    out = tmp_path / "mean"
    capsys.readouterr()
    refused(capsys, ["average", soup / "0", "--out", out], "at least two runs")
    refused(capsys, ["average", soup / "0", soup / "0", "--out", out], "the same run twice cannot be averaged")
    refused(capsys, ["average", soup / "0", soup / "other", "--out", out], "did not start from the same run")
    wider = ["train", "--data", str(small_folder), "--out", str(tmp_path / "wider"), *SMALL]
    wider[wider.index("--hidden") + 1] = "13"
    assert main(wider) == 0
    capsys.readouterr()
    refused(capsys, ["average", soup / "0", tmp_path / "wider", "--out", out], "its model has other sizes")
    refused(capsys, ["average", soup / "0", soup / "1", "--out", soup / "other"], "exists already")
    assert not out.exists()
