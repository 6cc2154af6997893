"""The command `sample`."""

from __future__ import annotations

import itertools
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.data.vocabulary import SPECIAL
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import refused


@pytest.fixture
def sample(small_folder, trained, capsys):
    """Samples and returns the captions that JSON says."""

    def run(*options):
        capsys.readouterr()
        assert main(["sample", str(trained), "--data", str(small_folder), "--json", "--quiet", *map(str, options)]) == 0
        return json.loads(capsys.readouterr().out)["captions"]

    return run


def test_captions_beside_what_a_human_said(small_folder, trained, sample, capsys):
    assert main(["sample", str(trained), "--data", str(small_folder), "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("image ")
    assert lines[1].startswith("    a human: ")
    found = [sample("--temperature", "2", "--top-k", "4", "--seed", seed) for seed in (1, 1, 2)]
    assert found[0] == found[1]
    assert [entry["image"] for entry in found[0]] != [entry["image"] for entry in found[2]]
    assert set(found[0][0]) == {"image", "name", "caption", "reference"}
    assert len(sample("--consensus", "4", "-n", "2")) == 2


def test_captions_keep_to_what_the_options_say(trained, sample):
    first, second, *_ = (word for word in Run.open(trained).vocabulary.idx_to_word if word not in SPECIAL)
    found = sample("-n", 24, "--with", first, "--without", second, "--no-repeat", "2", "--min-length", "5")
    for words in (entry["caption"].split() for entry in found):
        assert first in words
        assert second not in words
        assert len(set(itertools.pairwise(words))) == max(0, len(words) - 1)
        assert len(words) >= 4
    assert any(second in entry["caption"].split() for entry in sample("-n", 24, "--with", second))


def test_a_sheet_of_the_pictures_that_are_at_hand(copied, trained, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    words = ["sample", str(trained), "--data", str(copied), "--out"]
    refused(capsys, [*words, sheet], "has no pictures of the val split")
    refused(capsys, [*words, tmp_path / "sheet.jpg"], "must end in .png")
    refused(capsys, [*words, tmp_path / "none" / "sheet.png"], str(tmp_path / "none"), "no such folder")
    (copied / "photos").mkdir()
    (copied / "val2014_images.txt").write_text("".join(f"{i}\x1b.png\n" for i in range(24)))
    for i in (3, 17):
        Image.fromarray(np.full((30, 40, 3), 10 * i, np.uint8)).save(copied / "photos" / f"{i}\x1b.png")
    assert not sheet.exists()
    assert main([*words, str(sheet)]) == 0
    told = {line.split(":")[0] for line in capsys.readouterr().out.splitlines()[::2]}
    assert told == {r"image 3 ('3\x1b.png')", r"image 17 ('17\x1b.png')", "pictures"}
    with Image.open(sheet) as picture:
        assert picture.size[0] > 300


def test_a_sheet_shows_photos_upright_and_none_outside_the_folder(small_folder, trained, tmp_path, monkeypatch):
    data = shutil.copytree(small_folder, tmp_path / "data")
    notes = Image.Exif()
    notes[0x0112] = 6  # the camera was turned
    Image.new("RGB", (30, 20)).save(data / "lying.jpg", exif=notes)
    Image.new("RGB", (30, 20)).save(tmp_path / "outside.jpg")
    urls = ["lying.jpg", "../outside.jpg", *["none.jpg"] * 22]
    (data / "val2014_urls.txt").write_text("".join(f"{url}\n" for url in urls))
    shown = []

    def show(images, *_, names):
        shown.extend(zip(images, names, strict=True))

    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", show)
    assert main(["sample", str(trained), "--data", str(data), "--out", str(tmp_path / "sheet.png")]) == 0
    assert [(image.shape, name) for image, name in shown] == [((30, 20, 3), "lying.jpg")]


@pytest.mark.parametrize(("options", "told"), [
    (["--beam", "2", "--temperature", "1"], "--beam cannot be combined with --temperature or --top-k"),
    (["--consensus", "2", "--top-k", "1"], "--top-k cannot be combined with --consensus"),
    (["-n", "0"], "-n: must be an int of at least 1; got 0"),
    (["--temperature", "nan"], "--temperature: temperature must be from"),
    (["--top-k", "0"], "--top-k: top_k must be at least 1; got 0"),
])  # fmt: skip
def test_options_that_exclude_each_other_are_refused(small_folder, trained, capsys, options, told):
    refused(capsys, ["sample", trained, "--data", small_folder, *options], told)
