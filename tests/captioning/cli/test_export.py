"""The command `export`."""

from __future__ import annotations

import json

import numpy as np

import minigrad as mg
from captioning.cli.entry import main
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import refused


def test_an_exported_run_captions_as_the_run_does(small_folder, trained, tmp_path, capsys):
    out = tmp_path / "sent"
    assert main(["export", str(trained), "--out", str(out), "--extractor", "efficientnet-lite0"]) == 0
    assert f"captioning caption PHOTO --run {out}" in capsys.readouterr().out
    said = []
    for run in (trained, out):
        assert main(["sample", str(run), "--data", str(small_folder), "--json", "-n", "8"]) == 0
        said.append(json.loads(capsys.readouterr().out)["captions"])
    assert said[0] == said[1]
    was, now = Run.open(trained).load_model().state_dict(), Run.open(out).load_model().state_dict()
    for name, array in was.items():
        assert now[name].dtype == array.dtype
        np.testing.assert_allclose(now[name], array, rtol=2**-11, atol=1e-7)


def test_an_exported_run_holds_nothing_of_where_it_was_trained(trained, tmp_path):
    out = tmp_path / "sent"
    assert main(["export", str(trained), "--out", str(out)]) == 0
    assert {path.name for path in out.iterdir()} == {"settings.json", "vocabulary.json", "weights.safetensors"}
    text = (out / "settings.json").read_text()
    assert str(Run.open(trained).settings["data"]["folder"]) not in text
    assert "fingerprint" not in text
    assert all(array.dtype == np.float16 for array in mg.load(out / "weights.safetensors").values())


def test_the_projection_of_regions_goes_along(run, tmp_path):
    projection = RegionProjection(np.eye(3, 2, dtype=np.float32), np.ones(2, np.float32))
    projection.save(Run.open(run).regions_path)
    assert main(["export", str(run), "--out", str(tmp_path / "sent")]) == 0
    sent = RegionProjection.load(Run.open(tmp_path / "sent").regions_path)
    np.testing.assert_array_equal(sent.weight, projection.weight, strict=True)
    np.testing.assert_array_equal(sent.bias, projection.bias, strict=True)


def test_what_cannot_be_exported_is_refused(run, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    refused(capsys, ["export", run, "--out", tmp_path / "full"], "exists already")
    weights = dict(mg.load(run / "weights.safetensors"))
    weights["project.bias"] = np.full_like(weights["project.bias"], 1e6)
    mg.save(run / "weights.safetensors", weights)
    refused(capsys, ["export", run, "--out", tmp_path / "new"], "project.bias", "half precision")
    assert not (tmp_path / "new").exists()
