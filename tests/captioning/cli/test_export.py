"""The command `export`."""

from __future__ import annotations

import json
import shutil
from unittest.mock import Mock

import numpy as np
import pytest

import minigrad as mg
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import output_of, refused, status_of
from tests.captioning.vision.grid_extractor import GridExtractor


class Network(GridExtractor):
    """A network of as many features as the small data set has, which is never loaded."""

    name, size = "network", 6

    def __init__(self):
        raise AssertionError("loaded")


@pytest.fixture(autouse=True)
def _network(monkeypatch):
    monkeypatch.setitem(EXTRACTORS, "network", Network)


def test_an_exported_run_captions_as_the_run_does(small_folder, trained, tmp_path, capsys):
    out = tmp_path / "sent"
    printed = output_of(capsys, "export", trained, "--out", out, "--extractor", "network")
    assert f"captioning caption PHOTO --run {out}" in printed
    said = [
        json.loads(output_of(capsys, "sample", *runs, "--data", small_folder, "--json", "-n", "8"))["captions"]
        for runs in ([trained], [out], [trained, out])  # together, though only one knows its network
    ]
    assert said[0] == said[1] == said[2]
    was, now = Run.open(trained).load_model().state_dict(), Run.open(out).load_model().state_dict()
    for name, array in was.items():
        assert now[name].dtype == array.dtype
        np.testing.assert_allclose(now[name], array, rtol=2**-11, atol=2**-25)
    assert Run.open(out).settings["data"]["extractor"] == "network"


def test_an_exported_run_does_not_say_where_it_was_trained(trained, tmp_path, capsys):
    out = tmp_path / "sent"
    printed = output_of(capsys, "export", trained, "--out", out)  # of features that no network here gives
    assert f"captioning sample {out} --data DIR" in printed
    assert "captioning caption" not in printed
    assert {path.name for path in out.iterdir()} == {"settings.json", "vocabulary.json", "weights.safetensors"}
    text = (out / "settings.json").read_text()
    assert str(Run.open(trained).settings["data"]["folder"]) not in text
    assert "fingerprint" not in text
    assert all(array.dtype == np.float16 for array in mg.load(out / "weights.safetensors").values())


def test_a_run_with_attention_captions_photos_once_it_has_its_projection(
    regions_folder, attention_run, tmp_path, monkeypatch, capsys
):
    columns = Run.open(attention_run).settings["model"]["feature_size"] - 4 * 2
    monkeypatch.setattr(Network, "size", columns)
    run, sent = Run.open(shutil.copytree(attention_run, tmp_path / "run")), tmp_path / "sent"
    printed = output_of(capsys, "export", run.folder, "--out", sent)
    assert f"captioning sample {sent} --data DIR" in printed
    assert "captioning caption" not in printed
    was, now = Run.open(attention_run).settings["data"], Run.open(sent).settings["data"]
    assert {key: was[key] for key in was if key not in ("folder", "fingerprint")} == now
    data = ["--data", regions_folder, "--quiet"]
    assert status_of("evaluate", attention_run, sent, *data) == 0
    assert status_of("reinforce", sent, "--out", tmp_path / "on", "--epochs", "1", "--longest", "8", *data) == 0
    export = ["export", run.folder, "--extractor", "network", "--out"]
    assert f"captioning regions {sent}-1 --data DIR" in output_of(capsys, *export, f"{sent}-1")
    RegionProjection(np.eye(columns, 2, dtype=np.float32), np.ones(2, np.float32)).save(run.regions_path)
    assert f"captioning caption PHOTO --run {sent}-2" in output_of(capsys, *export, f"{sent}-2")


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(run, tmp_path, capsys, monkeypatch):
    new = tmp_path / "new"
    assert status_of("export", run, "--out", run) == 2
    assert capsys.readouterr().err.endswith("already exists: choose another folder\n")
    refused(capsys, ["train", "--out", run], "already exists", "resume this run with --resume")
    refused(capsys, ["export", run, "--out", new, "--extractor", "nonsense"], "unknown feature extractor")
    with monkeypatch.context() as patch:
        patch.setattr(mg, "save", Mock(side_effect=KeyboardInterrupt))
        assert status_of("export", run, "--out", new) == 130
    weights = dict(mg.load(run / "weights.safetensors"))
    weights["project.bias"] = np.full_like(weights["project.bias"], 1e6)
    mg.save(run / "weights.safetensors", weights)
    refused(capsys, ["export", run, "--out", new], "project.bias", "half precision")
    assert list(tmp_path.iterdir()) == [run]
