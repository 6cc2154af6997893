"""The command `calibrate`, and `caption` with a calibration."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.decoding.beam_search import Beam
from captioning.evaluation.calibration import MEASURES, Calibration
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import edit_json, output_of, refused


def test_a_run_is_calibrated(small_folder, run, capsys, few_suffice):
    calibrate = ["calibrate", run, "--data", small_folder, "--quiet"]
    out = output_of(capsys, *calibrate, "--beam", "4", "--length-power", "0.7", "--n-best", "3")
    assert "val split, beam 4, length power 0.7, 3 captions per image" in out
    assert re.search(r"CIDEr-D as a share of a human caption's +0\.\d{3}\n", out)
    made = Calibration.load(run, Beam(4, 0.7))
    assert (Run.open(run).beam, made.count) == (made.beam, 3)  # from now on the default of the run
    assert made.max_length == 9  # twice the longest caption, and its end
    figures = json.loads(output_of(capsys, *calibrate, "--json"))
    assert set(figures) == {"run", "split", "decoding", "measure", "unsure_below", "human_cider_d", "first", "second",
                            "confidence", "share", "error", "cider_d_sure", "cider_d_unsure", "unsure"}  # fmt: skip
    assert set(figures["first"]) == set(figures["second"]) == set(MEASURES)
    assert figures["first"][figures["measure"]] == max(rho for rho in figures["first"].values() if rho is not None)
    assert figures["decoding"] == "beam 4, length power 0.7"
    few = Calibration.load(run, made.beam)
    assert (few.measure, few.unsure_below) == (figures["measure"], figures["unsure_below"])
    assert "marked uncertain" not in output_of(capsys, *calibrate, "--unsure", "0").partition("confidence.json")[0]
    output_of(capsys, *calibrate, "--unsure", "0.5")
    assert few.unsure_below < Calibration.load(run, made.beam).unsure_below
    alone = json.loads(output_of(capsys, *calibrate, "--beam", "1", "--json"))
    assert alone["first"]["margin"] is alone["second"]["agreement"] is None  # a beam of one has no second caption


def test_few_images_are_refused_and_the_calibration_stays(small_folder, run, capsys):
    (run / "confidence.json").write_text("the one before")
    refused(capsys, ["calibrate", run, "--data", small_folder], "24 images of the val split", "at least 100 images")
    assert (run / "confidence.json").read_text() == "the one before"


def test_wrong_options_are_refused_and_leave_no_file(small_folder, other_folder, run, capsys):
    calibrate = ["calibrate", run, "--data", small_folder]
    for option, value, message in (
        ("--n-best", "1", "from 2 to 100; got 1"), ("--unsure", "1.5", "from 0 to 1; got 1.5"),
        ("--max-images", "1", "at least 2; got 1"), ("--with", "zzzz", "'zzzz'"),
        ("--data", other_folder, "different vocabulary"),
    ):  # fmt: skip
        refused(capsys, [*calibrate, option, value], message)
    assert not (run / "confidence.json").exists()
    (run / "confidence.json").mkdir()
    refused(capsys, calibrate, "confidence.json")


@pytest.fixture
def caption(colour_run, tmp_path, capsys):
    """Caption a photo by a run with a calibration that is always unsure; return the output, or its JSON."""
    Image.new("RGB", (9, 7), "red").save(tmp_path / "a.png")
    Calibration("likelihood", 0.0, 1.0, 1.0, 0.0, 1.0).save(colour_run)

    def caption(*options):
        out = output_of(capsys, "caption", tmp_path / "a.png", "--run", colour_run, *options)
        return json.loads(out) if "--json" in options else out

    return caption


def test_unsure_captions_are_marked(colour_run, caption):
    assert caption().endswith("  (not sure)\n")
    answer = caption("--json")
    (entry,) = answer["captions"]
    assert (answer["decoding"], set(entry)) == ("beam 5", {"photo", "caption", "confidence", "unsure"})
    assert entry["unsure"] is True
    assert 0 < entry["confidence"] < 1
    (entry,) = caption("--json", "--max-length", "1")["captions"]  # a cut caption has no confidence
    assert (entry["confidence"], entry["unsure"]) == (None, None)
    Calibration("likelihood", 0.0, 1.0, 1.0, 0.0, 0.0).save(colour_run)
    assert "not sure" not in caption()


def test_a_calibration_of_another_beam_length_or_run_is_not_used(colour_run, tmp_path, caption, capsys):
    path = colour_run / "confidence.json"
    assert caption("--beam", "7", "--json")["captions"][0]["confidence"] is None
    edit_json(path, lambda content: content.update(max_length=20))
    for length in (19, 20):
        (entry,) = caption("--json", "--max-length", length)["captions"]
        assert (entry["confidence"] is not None) == (length == 20)
    edit_json(path, lambda content: content.update(weights=1))
    assert "not sure" not in caption()
    assert main(["caption", str(tmp_path / "a.png"), "--run", str(colour_run)]) == 0
    assert "confidence.json: is ignored, because it was made for other weights" in capsys.readouterr().err
    path.write_text("{")
    refused(capsys, ["caption", tmp_path / "a.png", "--run", colour_run], "confidence.json")


def test_several_captions_with_scores(colour_run, caption):
    (entry,) = caption("--n-best", "7", "--json")["captions"]
    assert ["confidence" in beam for beam in entry["beams"]] == [True] * 5 + [False] * 2  # it judges five
    (colour_run / "confidence.json").unlink()
    first, *others = caption("--n-best", "3").splitlines()
    assert others[0].split(maxsplit=1)[1:] == first.split(": ")[1:]
    scores = [float(line.split()[0]) for line in others]
    assert (len(scores), scores) == (3, sorted(scores, reverse=True))
    answer = caption("--n-best", "3", "--beam", "4", "--groups", "2", "--json")
    (entry,) = answer["captions"]
    assert (answer["decoding"], entry["beams"][0]["caption"]) == ("beam 4, 2 groups at diversity 0.5", entry["caption"])
