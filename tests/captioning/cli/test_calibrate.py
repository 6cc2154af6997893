"""The command `calibrate`, and what `caption` makes of a calibration."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.evaluation.calibration import MEASURES, Calibration
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import refused
from tests.captioning.cli.test_caption import Colours


def said(capsys, *words):
    capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return capsys.readouterr().out


def test_a_run_is_calibrated(small_folder, run, capsys):
    calibrate = ["calibrate", run, "--data", small_folder, "--quiet"]
    out = said(capsys, *calibrate, "--beam", "4", "--length-power", "0.7", "--n-best", "3")
    assert "val split, beam 4, length power 0.7, 3 captions an image" in out
    assert out.count("  kept") == 1
    made = Calibration.load(run)
    assert made.is_of(run)
    assert (made.beam.width, made.beam.length_power, made.count) == (4, 0.7, 3)
    assert made.max_length == 9  # two times the longest caption, and its end
    told = json.loads(said(capsys, *calibrate, "--json"))
    assert set(told) == {"run", "split", "decoding", "measure", "unsure_below", "human_cider_d", "first", "second",
                         "confidence", "share", "error", "cider_d_sure", "cider_d_unsure", "unsure"}  # fmt: skip
    assert set(told["first"]) == set(told["second"]) == set(MEASURES)
    assert told["first"][told["measure"]] == max(rho for rho in told["first"].values() if rho is not None)
    few = Calibration.load(run)
    assert (few.measure, few.unsure_below) == (told["measure"], told["unsure_below"])
    said(capsys, *calibrate, "--unsure", "0.5")
    assert few.unsure_below < Calibration.load(run).unsure_below
    alone = json.loads(said(capsys, *calibrate, "--beam", "1", "--json"))
    assert alone["first"]["margin"] is alone["second"]["agreement"] is None  # a beam of one has no second caption
    (margin,) = (line.split() for line in said(capsys, *calibrate, "--beam", "1").splitlines() if "margin " in line)
    assert margin[:3] == ["margin", "-", "-"]


def test_what_cannot_be_is_refused_and_leaves_no_file(small_folder, other_folder, run, capsys):
    calibrate = ["calibrate", run, "--data", small_folder]
    refused(capsys, [*calibrate, "--n-best", "1"], "--n-best: must be an int from 2 to 100; got 1")
    refused(capsys, [*calibrate, "--unsure", "1.5"], "--unsure: must be a number from 0 to 1; got 1.5")
    refused(capsys, [*calibrate, "--max-images", "1"], "--max-images: must be an int of at least 2; got 1")
    refused(capsys, [*calibrate, "--with", "zzzz"], "--with: required: 'zzzz'")
    refused(capsys, ["calibrate", run, "--data", other_folder], "another vocabulary")
    assert not (run / "confidence.json").exists()
    (run / "confidence.json").mkdir()
    refused(capsys, calibrate, "confidence.json")


@pytest.fixture
def calibrated(run, monkeypatch):
    """A run of colours that is unsure of what is below its threshold."""
    monkeypatch.setattr(Colours, "size", Run.open(run).settings["model"]["feature_size"])
    monkeypatch.setitem(EXTRACTORS, "colours", Colours)
    settings = json.loads((run / "settings.json").read_text())
    settings["data"]["extractor"] = "colours"
    (run / "settings.json").write_text(json.dumps(settings))
    Calibration("likelihood", 0.0, 1.0, 1.0, 0.0, 1.0).save(run)
    return run


@pytest.fixture
def caption(calibrated, tmp_path, capsys):
    """Captions a photo and returns what is said of it."""
    Image.new("RGB", (9, 7), "red").save(tmp_path / "a.png")

    def run(*options):
        out = said(capsys, "caption", tmp_path / "a.png", "--run", calibrated, *options)
        return json.loads(out) if "--json" in options else out

    return run


def test_captions_of_which_it_is_not_sure_are_marked(calibrated, caption):
    assert caption().endswith("  (not sure)\n")
    told = caption("--json")
    assert told["decoding"] == "beam 3"
    (entry,) = told["captions"]
    assert set(entry) == {"photo", "caption", "confidence", "unsure"}
    assert entry["unsure"] is True
    assert 0 < entry["confidence"] < 1
    Calibration("likelihood", 0.0, 1.0, 1.0, 0.0, 0.0).save(calibrated)
    assert "not sure" not in caption()
    assert set(caption("--beam", "7", "--json")["captions"][0]) == {"photo", "caption"}  # another beam


def test_of_captions_that_are_cut_nobody_is_sure(calibrated, caption):
    (entry,) = caption("--json", "--max-length", "1")["captions"]
    assert (entry["confidence"], entry["unsure"]) == (None, False)
    content = json.loads((calibrated / "confidence.json").read_text())
    (calibrated / "confidence.json").write_text(json.dumps(content | {"max_length": 20}))
    assert "confidence" not in caption("--json", "--max-length", "19")["captions"][0]
    assert "confidence" in caption("--json", "--max-length", "20")["captions"][0]


def test_a_calibration_of_other_weights_is_told_and_not_used(calibrated, tmp_path, caption, capsys):
    content = json.loads((calibrated / "confidence.json").read_text())
    (calibrated / "confidence.json").write_text(json.dumps(content | {"weights": 1}))
    assert "not sure" not in caption()
    assert main(["caption", str(tmp_path / "a.png"), "--run", str(calibrated)]) == 0
    assert "confidence.json is of other weights" in capsys.readouterr().err
    (calibrated / "confidence.json").write_text("{")
    refused(capsys, ["caption", tmp_path / "a.png", "--run", calibrated], "confidence.json: is not a calibration")


def test_several_captions_with_scores(calibrated, caption):
    (entry,) = caption("--n-best", "7", "--json")["captions"]
    assert ["confidence" in beam for beam in entry["beams"]] == [True] * 5 + [False] * 2  # it is of five
    (calibrated / "confidence.json").unlink()
    first, *others = caption("--n-best", "3").splitlines()
    assert len(others) == 3
    assert others[0].split(maxsplit=1)[1:] == first.split(": ")[1:]
    scores = [float(line.split()[0]) for line in others]
    assert scores == sorted(scores, reverse=True)
    told = caption("--n-best", "3", "--beam", "4", "--groups", "2", "--json")
    assert told["decoding"] == "beam 4, 2 groups at diversity 0.5"
    (entry,) = told["captions"]
    assert entry["beams"][0]["caption"] == entry["caption"]
    for beam in entry["beams"]:
        assert [each["word"] for each in beam["words"]] == beam["caption"].split()
        chances = [each["probability"] for each in beam["words"]] + [beam["end"]] * beam["ended"]
        assert np.log(chances).mean() == pytest.approx(beam["score"], abs=1e-4)
