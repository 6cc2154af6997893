"""The command `report`."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from tests.captioning.cli.commands import refused


@pytest.fixture
def page(tmp_path, capsys):
    """Writes a report and gives its text."""

    def write(*arguments):
        capsys.readouterr()
        out = tmp_path / "report.html"
        assert main(["report", *map(str, arguments), "--out", str(out), "--quiet"]) == 0
        said, err = capsys.readouterr()
        assert said.startswith(f"report: {out} (")
        assert err == ""
        return out.read_text(encoding="ascii")

    return write


def test_a_report_has_the_figures_that_evaluate_prints(small_folder, trained, page, capsys):
    found = page(trained, "--data", small_folder, "--beam", "2", "--part", "second")
    main(["evaluate", str(trained), "--data", str(small_folder), "--beam", "2", "--part", "second", "--quiet"])
    out = capsys.readouterr().out
    figure = next(line.split()[-1] for line in out.splitlines() if line.strip().startswith("corpus BLEU-4"))
    assert f"{float(figure):.3g}" in found.partition("<section")[0]
    assert "part:second|images:12|decoding:beam 2" in found
    assert "12 images of the second half of the val split" in found
    assert "has no raw captions" in found


def test_photos_of_the_data_set_are_on_the_page(copied, trained, page):
    (copied / "photos").mkdir()
    (copied / "val2014_images.txt").write_text("".join(f"{i}.png\n" for i in range(24)))
    for i in range(24):
        Image.fromarray(np.full((30, 40, 3), 10 * i, np.uint8)).save(copied / "photos" / f"{i}.png")
    assert page(trained, "--data", copied).count("data:image/jpeg") == 24
    (copied / "photos" / "7.png").write_text("damaged")
    assert "cannot be read" in page(trained, "--data", copied)


def test_a_calibrated_run_says_how_sure_it_is_of_captions_by_its_beam(small_folder, run, page):
    def section(name, *options):
        found = re.search(f'<section id="{name}">.*?</section>', page(run, "--data", small_folder, *options), re.DOTALL)
        return found and found.group()

    scores = section("scores", "--beam", "4")
    assert section("calibration", "--beam", "4") is None
    assert main(["calibrate", str(run), "--data", str(small_folder), "--beam", "4", "--quiet"]) == 0
    assert "Spearman" in section("calibration", "--beam", "4")
    assert ", confidence " in section("captions", "--beam", "4")
    assert section("scores", "--beam", "4") == scores
    for others in ((), ("--beam", "3"), ("--beam", "4", "--max-length", "3")):
        assert section("calibration", *others) is None
    content = json.loads((run / "confidence.json").read_text())
    (run / "confidence.json").write_text(json.dumps(content | {"weights": 1}))
    assert section("calibration", "--beam", "4") is None


def test_a_report_of_the_run_alone(trained, page, capsys):
    assert "No data set was read" in page(trained, "--no-data")
    refused(capsys, ["report", trained, "--no-data", "--data", "x"], "not allowed with argument")


def test_what_cannot_be_is_refused_before_any_work(small_folder, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.cli.evaluate.score_split", None)
    report = ["report", trained, "--data", small_folder, "--out"]
    refused(capsys, [*report, tmp_path / "none" / "report.html"], str(tmp_path / "none"), "no such folder")
    refused(capsys, [*report, tmp_path / "a.json"], "must end in .html")
    refused(capsys, [*report, tmp_path / "a.html", "--split", "test"], "has no test split")
    refused(capsys, [*report, tmp_path / "a.html", "--with", "zzzz"], "--with: required: 'zzzz'")
    refused(capsys, ["report", tmp_path / "none"], "there is no such run folder")
    assert list(tmp_path.iterdir()) == []


def test_hostile_words_and_names_stay_text(copied, trained, tmp_path, page):
    """A foreign data set's names, and its raw captions."""
    evil = '"><script>alert(1)</script>.png'
    (copied / "val2014_images.txt").write_text(f"{evil}\n" + "".join(f"{i}.png\n" for i in range(23)))
    (copied / "captions.csv").write_text("image,split,caption\n" + "".join(
        f'"{name}",val,"<img src=x onerror=alert(2)> a dog"\n'
        for name in (evil.rpartition("/")[2].replace('"', '""'), *(f"{i}.png" for i in range(23)))
    ))  # fmt: skip
    found = page(trained, "--data", copied)
    assert found.count("<script") == 0
    assert "<img src=x" not in found
    assert "onerror" in found
