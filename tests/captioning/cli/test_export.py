"""The command `export`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import minigrad as mg
from captioning.cli.entry import main
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import refused
from tests.captioning.vision.grid_extractor import GridExtractor


@pytest.fixture
def fitting(trained, monkeypatch):
    """A network of as many features as the small data set has, which is never loaded."""

    class Fitting(GridExtractor):
        name, size = "fitting", Run.open(trained).settings["model"]["feature_size"]

        def __init__(self):
            raise AssertionError("loaded")

    monkeypatch.setitem(EXTRACTORS, "fitting", Fitting)


def test_an_exported_run_captions_as_the_run_does(small_folder, trained, fitting, tmp_path, capsys):
    out = tmp_path / "sent"
    assert main(["export", str(trained), "--out", str(out), "--extractor", "fitting"]) == 0
    assert f"captioning caption PHOTO --run {out}" in capsys.readouterr().out
    said = []
    for run in (trained, out):
        assert main(["sample", str(run), "--data", str(small_folder), "--json", "-n", "8"]) == 0
        said.append(json.loads(capsys.readouterr().out)["captions"])
    assert said[0] == said[1]
    was, now = Run.open(trained).load_model().state_dict(), Run.open(out).load_model().state_dict()
    for name, array in was.items():
        assert now[name].dtype == array.dtype
        np.testing.assert_allclose(now[name], array, rtol=2**-11, atol=2**-25)
    assert Run.open(out).settings["data"]["extractor"] == "fitting"
    together = ["sample", str(trained), str(out), "--data", str(small_folder), "--json", "-n", "8"]
    assert main(together) == 0  # though only one says which network it was
    assert json.loads(capsys.readouterr().out)["captions"] == said[0]


def test_an_exported_run_holds_nothing_of_where_it_was_trained(trained, tmp_path, capsys):
    out = tmp_path / "sent"
    assert main(["export", str(trained), "--out", str(out)]) == 0
    told = capsys.readouterr().out  # of features that no network here gives
    assert f"use it by: captioning sample {out} --data DIR, or evaluate" in told
    assert "captioning caption" not in told
    assert {path.name for path in out.iterdir()} == {"settings.json", "vocabulary.json", "weights.safetensors"}
    text = (out / "settings.json").read_text()
    assert str(Run.open(trained).settings["data"]["folder"]) not in text
    assert "fingerprint" not in text
    assert all(array.dtype == np.float16 for array in mg.load(out / "weights.safetensors").values())


def test_a_run_that_cannot_make_its_regions_is_not_said_to_caption(looking, tmp_path, monkeypatch, capsys):
    """Until it has the projection of them."""
    columns = Run.open(looking).settings["model"]["feature_size"] - 4 * 2

    class Network(GridExtractor):
        name, size = "network", columns

    monkeypatch.setitem(EXTRACTORS, "network", Network)
    shutil.copytree(looking, tmp_path / "run")
    run, out = Run.open(tmp_path / "run"), tmp_path / "sent"
    assert main(["export", str(run.folder), "--out", str(out), "--extractor", "network"]) == 0
    told = capsys.readouterr().out
    assert f"use it by: captioning sample {out} --data DIR, or evaluate; it cannot caption photos" in told
    assert f"captioning regions {out} --data DIR finds that out" in told
    assert "captioning caption" not in told
    RegionProjection(np.eye(columns, 2, dtype=np.float32), np.ones(2, np.float32)).save(run.regions_path)
    assert main(["export", str(run.folder), "--out", f"{out}-2", "--extractor", "network"]) == 0
    assert f"captioning caption PHOTO --run {out}-2" in capsys.readouterr().out


def test_a_run_with_attention_is_still_one_where_it_was_sent(regions_folder, looking, tmp_path, capsys):
    sent, data = str(tmp_path / "sent"), ["--data", str(regions_folder), "--quiet"]
    assert main(["export", str(looking), "--out", sent]) == 0
    was, now = Run.open(looking).settings["data"], Run.open(sent).settings["data"]
    assert {key: was[key] for key in was if key not in ("folder", "fingerprint")} == now
    for runs in ([sent], [str(looking), sent]):
        assert main(["evaluate", *runs, *data]) == 0
    assert main(["reinforce", sent, "--out", str(tmp_path / "on"), "--epochs", "1", "--longest", "8", *data]) == 0


def test_what_cannot_be_exported_is_refused(run, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused(capsys, ["export", run, "--out", tmp_path / "full"], "exists already")
    refused(capsys, ["export", run, "--out", tmp_path / "new", "--extractor", "nonsense"], "no feature extractor")
    weights = dict(mg.load(run / "weights.safetensors"))
    weights["project.bias"] = np.full_like(weights["project.bias"], 1e6)
    mg.save(run / "weights.safetensors", weights)
    refused(capsys, ["export", run, "--out", tmp_path / "new"], "project.bias", "half precision")
    assert not (tmp_path / "new").exists()


def test_an_exported_run_appears_with_its_weights_or_not_at_all(trained, tmp_path, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(mg, "save", stopped)
    assert main(["export", str(trained), "--out", str(tmp_path / "new")]) == 130
    assert list(tmp_path.iterdir()) == []
