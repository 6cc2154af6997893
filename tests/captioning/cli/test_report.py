"""The command `report`."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from tests.captioning.cli.commands import output_of, refused, status_of


@pytest.fixture
def page(tmp_path, capsys):
    """Write a report and return its text."""

    def page(*words):
        out = tmp_path / "report.html"
        assert output_of(capsys, "report", *words, "--out", out, "--quiet").startswith(f"report: {out} (")
        return out.read_text(encoding="ascii")

    return page


def test_a_report_has_the_figures_that_evaluate_prints(small_folder, trained, page, capsys):
    words = [trained, "--data", small_folder, "--beam", "2", "--part", "second"]
    found, out = page(*words), output_of(capsys, "evaluate", *words, "--quiet")
    figure = next(line.split()[2] for line in out.splitlines() if line.strip().startswith("corpus BLEU-4"))
    assert f"{float(figure):.3g}" in found.partition("<section")[0]
    assert "part:second|images:12|decoding:beam 2" in found
    assert "has no raw captions" in found
    assert "No data set was read" in page(trained, "--no-data")


def test_photos_of_the_data_set_are_on_the_page_and_hostile_names_and_captions_stay_text(copied, trained, page):
    (copied / "photos").mkdir()
    evil = '"><script>alert(1)</script>.png'
    names = [evil, *(f"{i}.png" for i in range(1, 24))]
    (copied / "val2014_images.txt").write_text("".join(f"{name}\n" for name in names))
    for i, name in enumerate(names[1:]):
        Image.fromarray(np.full((30, 40, 3), 10 * i, np.uint8)).save(copied / "photos" / name)
    (copied / "photos" / "7.png").write_text("damaged")
    rows = [name.rpartition("/")[2].replace('"', '""') for name in names]
    table = "".join(f'"{name}",val,"<img src=x onerror=alert(2)> a dog"\n' for name in rows)
    (copied / "captions.csv").write_text("image,split,caption\n" + table)
    found = page(trained, "--data", copied)
    assert found.count("data:image/jpeg") == 22
    assert "cannot be read" in found
    assert "<script" not in found
    assert "<img src=x" not in found
    assert "onerror" in found


def test_photos_that_moved_are_reported_and_found_in_their_new_folder(copied, trained, page, tmp_path, capsys):
    for folder in ("photos", "old", "new"):
        (copied / folder).mkdir()
    names = [f"{i}.png" for i in range(24)]
    (copied / "val2014_images.txt").write_text("".join(f"{name}\n" for name in names))
    for name in names:
        Image.new("RGB", (9, 9)).save(copied / "new" / name)
        (copied / "photos" / name).symlink_to(f"../old/{name}")
    assert "The photos of 24 images have moved" in page(trained, "--data", copied)
    words = ["report", trained, "--data", copied, "--out", tmp_path / "a.html"]
    assert status_of(*words) == 0
    assert "photos: the photos of 24 of 24 images have moved" in capsys.readouterr().err
    found = page(trained, "--data", copied, "--photos-dir", copied / "new")
    assert (found.count("data:image/jpeg"), "have moved" in found) == (24, False)
    assert status_of(*words, "--photos-dir", tmp_path) == 0
    assert "the photos of 24 of 24 images have moved or are missing" in capsys.readouterr().err
    refused(capsys, [*words, "--photos-dir", copied / "none"], "--photos-dir: there is no folder")


def test_a_calibrated_run_shows_how_sure_it_is_of_captions_by_its_beam(small_folder, run, page, few_suffice):
    words = [run, "--data", small_folder, "--beam", "4"]
    assert status_of("calibrate", *words, "--quiet") == 0
    found = page(*words)
    assert re.search('<section id="calibration">(?s:.*?)Spearman', found)
    assert re.search('<section id="captions">(?s:.*?), confidence ', found)
    assert '<section id="calibration">' not in page(*words, "--max-length", "3")


def test_wrong_options_are_refused_before_any_work(small_folder, trained, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("captioning.cli.evaluate.score_split", None)
    report, out = ["report", trained, "--data", small_folder, "--out"], tmp_path / "a.html"
    for wrong, message in (
        ([*report, tmp_path / "none" / "a.html"], "the folder does not exist"),
        ([*report, tmp_path / "a.json"], "must end in .html"),
        ([*report, out, "--split", "test"], "has no test split"), ([*report, out, "--with", "zzzz"], "--with"),
        (["report", tmp_path / "none"], "no such run folder"),
        ([*report, out, "--no-data"], "not allowed with argument"),
    ):  # fmt: skip
        refused(capsys, wrong, message)
    assert list(tmp_path.iterdir()) == []
