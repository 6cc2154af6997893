"""The command `sample`."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.captioning.cli.commands import output_of, refused, status_of


@pytest.fixture
def sample(small_folder, trained, capsys):
    """Sample and return the captions that --json prints."""
    words = ["sample", trained, "--data", small_folder, "--json", "--quiet"]
    return lambda *options: json.loads(output_of(capsys, *words, *options))["captions"]


def test_captions_beside_those_of_humans(small_folder, trained, sample, capsys):
    lines = output_of(capsys, "sample", trained, "--data", small_folder, "-n", "3").splitlines()
    assert (len(lines), lines[0][:6], lines[1][:13]) == (6, "image ", "    a human: ")
    found = [sample("--temperature", "2", "--top-k", "4", "--seed", seed) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert [entry["image"] for entry in found[0]] != [entry["image"] for entry in found[2]]
    assert set(found[0][0]) == {"image", "name", "caption", "reference"}
    assert len(sample("--consensus", "4", "-n", "2")) == 2


def test_a_sheet_of_the_photos_that_are_there(copied, trained, tmp_path, capsys, monkeypatch):
    """Photos are shown upright, and none outside the folder."""
    sheet = tmp_path / "sheet.png"
    words = ["sample", trained, "--data", copied, "--out", sheet]
    refused(capsys, words, "has no photos of the val split")
    refused(capsys, [*words[:-1], tmp_path / "sheet.jpg"], "must end in .png")
    turned = Image.Exif()
    turned[0x0112] = 6
    (copied / "photos").mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(copied / "photos" / "3\x1b.jpg", exif=turned)
    Image.new("RGB", (30, 20)).save(copied / "17.jpg")
    Image.new("RGB", (30, 20)).save(tmp_path / "outside.jpg")
    urls = {17: "17.jpg", 18: "../outside.jpg"}
    (copied / "val2014_urls.txt").write_text("".join(f"{urls.get(i, 'none.jpg')}\n" for i in range(24)))
    (copied / "val2014_images.txt").write_text("".join(f"{i}\x1b.jpg\n" for i in range(24)))
    lines = output_of(capsys, *words).splitlines()[::2]
    assert {line.split(":")[0] for line in lines} == {r"image 3 ('3\x1b.jpg')", r"image 17 ('17\x1b.jpg')", "pictures"}
    with Image.open(sheet) as picture:
        assert picture.size[0] > 300
    shown = []
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", lambda images, *_, names: shown.extend(images))
    assert status_of(*words) == 0
    assert sorted(image.shape for image in shown) == [(20, 30, 3), (30, 20, 3)]


@pytest.mark.parametrize(("options", "message"), [
    (["--beam", "2", "--temperature", "1"], "--beam cannot be combined with --temperature or --top-k"),
    (["--consensus", "2", "--top-k", "1"], "--top-k cannot be combined with --consensus"),
    (["-n", "0"], "-n: must be an int of at least 1; got 0"), (["--temperature", "nan"], "--temperature must be"),
    (["--top-k", "0"], "--top-k must be at least 1; got 0"), (["--out", "none/a.png"], "none"),
])  # fmt: skip
def test_wrong_options_are_refused(small_folder, trained, capsys, options, message):
    refused(capsys, ["sample", trained, "--data", small_folder, *options], message)
