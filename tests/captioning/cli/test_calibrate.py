"""The command `calibrate`, and what `caption` makes of a calibration."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.evaluation.calibration import MEASURES, Calibration
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import refused
from tests.captioning.cli.test_caption import Colours


def test_a_run_is_calibrated(small_folder, run, capsys):
    calibrate = ["calibrate", str(run), "--data", str(small_folder), "--quiet"]
    assert main([*calibrate, "--beam", "4", "--length-power", "0.7", "--n-best", "3"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "val split, beam 4, length power 0.7, 3 captions an image" in out
    assert out.count("  kept") == 1
    made = Calibration.load(run)
    assert made.is_of(run)
    assert (made.beam.width, made.beam.length_power, made.count) == (4, 0.7, 3)
    assert made.max_length == 9  # two times the longest caption, and its end
    assert main([*calibrate, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"run", "split", "decoding", "measure", "unsure_below", "human_cider_d", "first", "second",
                         "confidence", "share", "error", "cider_d_sure", "cider_d_unsure", "unsure"}  # fmt: skip
    assert set(told["first"]) == set(told["second"]) == set(MEASURES)
    assert told["first"][told["measure"]] == max(rho for rho in told["first"].values() if rho is not None)
    again = Calibration.load(run)
    assert (again.measure, again.unsure_below) == (told["measure"], told["unsure_below"])


def test_it_is_unsure_of_as_many_as_is_asked_for(small_folder, run):
    found = []
    for unsure in ("0.2", "0.5"):
        assert main(["calibrate", str(run), "--data", str(small_folder), "--quiet", "--unsure", unsure]) == 0
        found.append(Calibration.load(run))
    assert found[0].beam == found[1].beam
    assert found[0].unsure_below < found[1].unsure_below


def test_what_is_not_defined_is_null(small_folder, run, capsys):
    """Of a beam of one there is no second caption, so that two measures are the same of every image."""

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    calibrate = ["calibrate", str(run), "--data", str(small_folder), "--quiet", "--beam", "1"]
    assert main([*calibrate, "--json"]) == 0
    told = json.loads(capsys.readouterr().out, parse_constant=refuse)
    for half in ("first", "second"):
        assert told[half]["margin"] is told[half]["agreement"] is None
    assert main(calibrate) == 0
    (margin,) = (line.split() for line in capsys.readouterr().out.splitlines() if line.split()[0] == "margin")
    assert margin == ["margin", "-", "-"]


def test_what_cannot_be_is_refused_and_leaves_no_file(small_folder, other_folder, run, capsys):
    calibrate = ["calibrate", run, "--data", small_folder]
    refused(capsys, [*calibrate, "--n-best", "1"], "--n-best must be from 2 to 100; got 1")
    refused(capsys, [*calibrate, "--unsure", "1.5"], "--unsure must be from 0 to 1; got 1.5")
    refused(capsys, [*calibrate, "--max-images", "1"], "--max-images must be at least 2; got 1")
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

    def calibrate(unsure_below):
        Calibration("likelihood", 0.0, 1.0, 1.0, 0.0, unsure_below).save(run)

    calibrate(1.0)
    return run, calibrate


@pytest.fixture
def photo(tmp_path):
    Image.new("RGB", (9, 7), "red").save(tmp_path / "a.png")
    return str(tmp_path / "a.png")


def test_captions_of_which_it_is_not_sure_are_marked(calibrated, photo, capsys):
    run, calibrate = calibrated
    caption = ["caption", photo, "--run", str(run)]
    assert main(caption) == 0
    assert capsys.readouterr().out.endswith("  (not sure)\n")
    assert main([*caption, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decoding"] == "beam 3"
    (entry,) = told["captions"]
    assert set(entry) == {"photo", "caption", "confidence", "unsure"}
    assert entry["unsure"] is True
    assert 0 < entry["confidence"] < 1
    calibrate(0.0)
    assert main(caption) == 0
    assert "not sure" not in capsys.readouterr().out
    assert main([*caption, "--beam", "7", "--json"]) == 0  # another beam, of which it says nothing
    assert set(json.loads(capsys.readouterr().out)["captions"][0]) == {"photo", "caption"}


def test_of_captions_that_are_cut_nobody_is_sure(calibrated, photo, capsys):
    run, _ = calibrated
    caption = ["caption", photo, "--run", str(run), "--json", "--max-length"]
    assert main([*caption, "1"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["captions"]
    assert (entry["confidence"], entry["unsure"]) == (None, False)
    content = json.loads((run / "confidence.json").read_text())
    (run / "confidence.json").write_text(json.dumps(content | {"max_length": 20}))
    for length, keys in (("19", set()), ("20", {"confidence", "unsure"})):
        assert main([*caption, length]) == 0
        (entry,) = json.loads(capsys.readouterr().out)["captions"]
        assert set(entry) == {"photo", "caption"} | keys


def test_a_calibration_of_other_weights_is_told_and_not_used(calibrated, photo, capsys):
    run, _ = calibrated
    content = json.loads((run / "confidence.json").read_text())
    (run / "confidence.json").write_text(json.dumps(content | {"weights": 1}))
    assert main(["caption", photo, "--run", str(run)]) == 0
    out, err = capsys.readouterr()
    assert "not sure" not in out
    assert err == f"{run / 'confidence.json'} is of other weights: captioning calibrate makes it anew\n"
    (run / "confidence.json").write_text("{")
    refused(capsys, ["caption", photo, "--run", run], "confidence.json: is no calibration")


def test_several_captions_with_scores(calibrated, photo, capsys):
    run, _ = calibrated
    (run / "confidence.json").unlink()
    caption = ["caption", photo, "--run", str(run), "--n-best", "3"]
    assert main(caption) == 0
    first, *others = capsys.readouterr().out.splitlines()
    assert len(others) == 3
    assert others[0].split(maxsplit=1)[1:] == first.split(": ")[1:]
    scores = [float(line.split()[0]) for line in others]
    assert scores == sorted(scores, reverse=True)
    assert main([*caption, "--beam", "4", "--groups", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["decoding"] == "beam 4, 2 groups at diversity 0.5"
    (entry,) = told["captions"]
    assert entry["beams"][0]["caption"] == entry["caption"]
    for beam in entry["beams"]:
        assert [each["word"] for each in beam["words"]] == beam["caption"].split()
        chances = [each["probability"] for each in beam["words"]] + [beam["end"]] * beam["ended"]
        assert np.log(chances).mean() == pytest.approx(beam["score"], abs=1e-4)
    refused(capsys, ["caption", photo, "--run", run, "--n-best", "0"], "--n-best must be from 1 to 100; got 0")


def test_more_captions_than_the_calibration_is_of(calibrated, photo, capsys):
    run, _ = calibrated
    assert main(["caption", photo, "--run", str(run), "--n-best", "7", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)["captions"]
    assert ["confidence" in beam for beam in entry["beams"]] == [True] * 5 + [False] * 2


def test_several_runs_caption_together(calibrated, photo, tmp_path, capsys):
    run, _ = calibrated
    other = shutil.copytree(run, tmp_path / "other")
    assert main(["caption", photo, "--run", str(run), "--run", str(other), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == f"{run} + {other}"
    assert told["decoding"] == "greedy"
    refused(capsys, ["caption", photo, "--run", run, "--run", run], "the same run twice")
