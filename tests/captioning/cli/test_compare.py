"""The commands `score` and `compare`."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from captioning.cli.compare import _names, rows_of
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, edit_json, output_of, refused, status_of
from tests.captioning.report.test_page import sections


@pytest.fixture
def results(small_folder, trained, tmp_path, capsys):
    """A file of results of `evaluate`, and its figures."""
    path = tmp_path / "results.json"
    words = ["evaluate", trained, "--data", small_folder, "--out", path, "--quiet", "--json"]
    return path, json.loads(output_of(capsys, *words))


def test_results_of_evaluate_have_the_same_scores_and_nearly_the_same_signature(small_folder, results, capsys):
    path, figures = results
    score = ["score", path, "--data", small_folder, "--quiet"]
    again = json.loads(output_of(capsys, *score, "--json"))
    scores = figures.keys() - {"run", "loss", "signature", "decoding", "max_length", "out", "chosen_on"}
    assert {name: again[name] for name in scores} == {name: figures[name] for name in scores}
    assert again["signature"] == figures["signature"].replace("beam 5", "unknown").replace(":9|", ":unknown|")
    out = output_of(capsys, *score, "--part", "second")
    assert "12 images of the second half of the val split, 24 human captions, unknown decoding" in out
    few = json.loads(output_of(capsys, *score, "--json", "--max-images", 7, "--frequencies", "train"))
    assert "images:7 drawn by 0" in few["signature"]
    assert "frequencies:train" in few["signature"]


def test_captions_of_other_programs_are_tokenised(small_folder, results, capsys):
    path, figures = results
    edit_json(path, lambda entries: [each.update(caption=f"{each['caption'].upper()} .") for each in entries])
    assert (
        json.loads(output_of(capsys, "score", path, "--data", small_folder, "--json"))["cider_d"] == figures["cider_d"]
    )


@pytest.mark.parametrize(("content", "parts"), [
    ("[", ["is not JSON"]), ("[" * 100_000, ["is not JSON"]), ("{}", ["must be a list", "got dict"]),
    ('[{"image_id": 0, "caption": "a dog"}]', ["no caption for 23 of 24 images", "image_id 1", "--max-images"]),
    ('[{"image_id": 99, "caption": "a"}]', ["entry 0 has image_id 99", "not an image of the val split"]),
    ('[{"image_id": 3, "caption": "a"}, {"image_id": 3, "caption": "b"}]', ["entry 1 is a second caption", "3"]),
    *((f"[{entry}]", ["entry 0 must be an object", f"its {key} is"]) for entry, key in (
        ("3", "image_id"), ('{"image_id": "3", "caption": "a"}', "image_id"), ('{"image_id": 3}', "caption"),
        ('{"image_id": true, "caption": "a"}', "image_id"), ('{"image_id": 3, "caption": ["a"]}', "caption"),
        ('{"image_id": 1.0, "caption": "a"}', "image_id"))),
])  # fmt: skip
def test_damaged_and_foreign_results_are_one_line(small_folder, tmp_path, capsys, content, parts):
    path = tmp_path / "results.json"
    path.write_text(content)
    refused(capsys, ["score", path, "--data", small_folder], f"{path}: ", *parts)


def test_an_image_of_another_split_is_named(copied, tmp_path, capsys):
    for split, first in (("train", 100), ("val", 200)):
        names = [f"{first + i:012}.jpg\n" for i in range(24)]
        (copied / f"{split}2014_images.txt").write_text("".join(names))
    path = tmp_path / "results.json"
    path.write_text('[{"image_id": 107, "caption": "a dog"}]')
    refused(capsys, ["score", path, "--data", copied], "image_id 107", "not an image of the val split", "--split train")


def test_a_missing_file_of_results_is_one_line(small_folder, tmp_path, capsys):
    for path in (tmp_path / "none.json", tmp_path):
        refused(capsys, ["score", path, "--data", small_folder], str(path))


@pytest.fixture(scope="module")
def runs(small_folder, trained, tmp_path_factory):
    """The trained run, a run of the same settings with another seed, and one that has learnt much more."""
    folder = tmp_path_factory.mktemp("compared")
    seeded, longer = folder / "seeded", folder / "longer"
    assert status_of("train", "--data", small_folder, "--out", seeded, *SMALL, "--seed", "7") == 0
    more = ["--epochs", "20", "--learning-rate", "0.02"]
    assert status_of("train", "--data", small_folder, "--out", longer, *SMALL, *more) == 0
    return [trained, seeded, longer]


def test_scores_side_by_side_are_those_of_evaluate(small_folder, runs, capsys):
    words = ["--data", small_folder, "--part", "second", "--beam", "2", "--json", "--quiet"]
    found = json.loads(output_of(capsys, "compare", *runs, *words))
    first, second = found["rows"]
    assert [row["runs"] for row in found["rows"]] == [[str(runs[0]), str(runs[1])], [str(runs[2])]]
    each = [json.loads(output_of(capsys, "evaluate", run, *words)) for run in runs]
    names = {"BLEU-1": "corpus_bleu_1", "BLEU-4": "corpus_bleu_4", "ROUGE-L": "rouge_l", "CIDEr-D": "cider_d"}
    for name, key in names.items():
        values = [figures[key] for figures in each]
        assert first["scores"][name] == pytest.approx(np.mean(values[:2]))
        assert first["spread"][name] == pytest.approx(np.std(values[:2], ddof=1))
        assert second["scores"][name] == pytest.approx(values[2])
        assert second["difference"][name] == pytest.approx(values[2] - np.mean(values[:2]))
        assert second["low"][name] <= second["difference"][name] <= second["high"][name]
    assert (first["difference"], second["spread"], second["low"]["CIDEr-D"] > 0) == (None, None, True)
    assert found["signature"] == each[0]["signature"]
    assert json.loads(output_of(capsys, "compare", *runs, *words)) == found  # the seed draws the same samples


def test_the_table_and_the_page(copied, runs, tmp_path, capsys):
    (copied / "photos").mkdir()
    evil = '"><script>alert(1)</script>.png'
    names = [evil, *(f"{i}.png" for i in range(1, 24))]
    (copied / "val2014_images.txt").write_text("".join(f"{name}\n" for name in names))
    for name in names[1:]:
        Image.new("RGB", (9, 9)).save(copied / "photos" / name)
    page = tmp_path / "a.html"
    out = output_of(capsys, "compare", *runs, "--data", copied, "--out", page, "--quiet")
    assert "24 images of the val split, beam 5 decoding" in out
    assert re.search(r"\nCIDEr-D\n  run \(2 seeds\) +\d\.\d{4} ± \d\.\d{4}\n"
                     r"  longer +\d\.\d{4} +\+\d\.\d{4} \(\+\d\.", out)  # fmt: skip
    text = page.read_text(encoding="ascii")
    assert sections(text) == ["scores", "captions"]
    assert (text.count('<article class="card">'), text.count("data:image/jpeg"), "<script" in text) == (24, 23, False)
    assert text.count("<h4>longer</h4>") == 24
    assert str(tmp_path) not in text  # a page to send shows no private paths
    again = shutil.copytree(runs[2], tmp_path / "again" / "longer")
    out = output_of(capsys, "compare", runs[2], again, "--data", copied, "--quiet")
    assert f"differences from {runs[2]}, with" in out  # two folders of one name


def test_the_data_set_is_that_of_the_first_run_that_records_one(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    assert status_of("export", runs[0], "--out", tmp_path / "exported") == 0
    assert "24 images" in output_of(capsys, "compare", tmp_path / "exported", runs[2], "--quiet")
    assert "24 images" in output_of(capsys, "evaluate", tmp_path / "exported", runs[2], "--quiet")


def test_moved_photos_are_reported_once_and_the_flickr8k_captioner_is_shipped(copied, runs, tmp_path, capsys):
    (copied / "val2014_images.txt").write_text("".join(f"{i}.png\n" for i in range(24)))
    assert status_of("compare", *runs, "--data", copied, "--photos-dir", tmp_path) == 0
    assert capsys.readouterr().err.count("the photos of 24 of 24 images have moved or are missing") == 1
    assert _names([[Run.open("shipped")], [Run.open(runs[2])]]) == ["shipped", "longer"]


def test_attention_runs_have_maps_on_the_page(regions_folder, attention_run, tmp_path, capsys):
    other, page = shutil.copytree(attention_run, tmp_path / "other"), tmp_path / "a.html"
    output_of(capsys, "compare", attention_run, other, "--data", regions_folder, "--out", page, "--max-images", 3)
    assert page.read_text().count('class="strip"') == 6


def test_runs_of_one_row_differ_in_their_seed_alone(runs, tmp_path):
    trained, seeded, longer = map(Run.open, runs)
    same = Run.open(shutil.copytree(runs[0], tmp_path / "same"))
    assert rows_of([trained, longer, seeded]) == [[trained, seeded], [longer]]
    assert rows_of([trained, same]) == [[trained], [same]]  # the same seed, so perhaps other weights


def test_what_cannot_be_compared_is_refused(small_folder, other_folder, runs, tmp_path, capsys):
    words = ["compare", *runs[:2], "--data", small_folder]
    for wrong, part in (
        (["compare", runs[0], "--data", small_folder], "at least two different runs"),
        (["compare", runs[0], runs[0]], "at least two different runs"),
        ([*words, "--out", tmp_path / "a.txt"], "must end in .html"),
        ([*words, "--data", other_folder], "different vocabulary"),
        ([*words, "--data", tmp_path / "none"], "there is no such folder"),
        (["compare", runs[0], small_folder], "is a data set, not a run folder"),
    ):  # fmt: skip
        refused(capsys, wrong, part)
