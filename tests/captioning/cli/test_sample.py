"""The command `sample`."""

from __future__ import annotations

import json
import shutil

import numpy as np
from PIL import Image

from captioning.cli.entry import main
from tests.captioning.cli.commands import refused


def test_sample_prints_captions(small_folder, trained, capsys):
    assert main(["sample", str(trained), "--data", str(small_folder), "-n", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith("image ")
    assert lines[1].startswith("    a human: ")
    arguments = ["sample", str(trained), "--data", str(small_folder), "--json", "--temperature", "2", "--top-k", "4"]
    found = []
    for seed in ("1", "1", "2"):
        main([*arguments, "--seed", seed])
        found.append(json.loads(capsys.readouterr().out)["captions"])
    assert found[0] == found[1]
    assert [entry["caption"] for entry in found[0]] != [entry["caption"] for entry in found[2]]
    assert set(found[0][0]) == {"image", "name", "caption", "reference"}


def test_sample_draws_a_sheet_if_pictures_are_at_hand(small_folder, trained, tmp_path, capsys):
    sheet = tmp_path / "sheet.png"
    arguments = ["sample", trained, "--data", small_folder, "--out", sheet]
    refused(capsys, arguments, "has no pictures of the val split")
    assert not sheet.exists()
    data = shutil.copytree(small_folder, tmp_path / "data")
    (data / "photos").mkdir()
    (data / "val2014_images.txt").write_text("".join(f"{i}.png\n" for i in range(24)))
    for i in (3, 17):
        Image.fromarray(np.full((30, 40, 3), 10 * i, np.uint8)).save(data / "photos" / f"{i}.png")
    assert main(["sample", str(trained), "--data", str(data), "--out", str(sheet)]) == 0
    out = capsys.readouterr().out
    told = {line.split(":")[0] for line in out.splitlines()[::2]}
    assert told == {"image 3 (3.png)", "image 17 (17.png)", "pictures"}
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


def test_sample_refuses_options_that_exclude_each_other(small_folder, trained, capsys):
    sample = ["sample", trained, "--data", small_folder]
    refused(capsys, [*sample, "--beam", "2", "--temperature", "1"], "--beam cannot be combined")
    refused(capsys, [*sample, "-n", "0"], "-n must be at least 1; got 0")
    refused(capsys, [*sample, "--temperature", "0"], "--temperature", "temperature must be from")
    refused(capsys, [*sample, "--temperature", "nan"], "--temperature", "got nan")
    refused(capsys, [*sample, "--top-k", "0"], "--top-k", "top_k must be at least 1; got 0")
    refused(capsys, [*sample, "--seed", "-3"], "--seed must be at least 0; got -3")
