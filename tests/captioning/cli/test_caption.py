"""The command `caption`."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import refused
from tests.captioning.cli.terminals import terminal
from tests.captioning.vision.grid_extractor import GridExtractor


class Colours(GridExtractor):
    """As many features as the small data set has: mean colours, again and again."""

    name = "colours"

    def features(self, prepared):
        return np.resize(super().features(prepared), (len(prepared), self.size))


@pytest.fixture
def fitting(run, monkeypatch):
    """A run of the small data set, whose features are said to be colours."""
    monkeypatch.setattr(Colours, "size", Run.open(run).settings["model"]["feature_size"])
    monkeypatch.setitem(EXTRACTORS, "colours", Colours)
    settings = json.loads((run / "settings.json").read_text())
    settings["data"]["extractor"] = "colours"
    (run / "settings.json").write_text(json.dumps(settings))
    return run


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "more/c.png"):
        Image.new("RGB", (9, 7), "red").save(folder / name)
    return folder


def test_a_line_for_each_photo(fitting, photos, capsys):
    assert main(["caption", str(photos / "b.jpg"), str(photos), "--run", str(fitting)]) == 0
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(photos / "b.jpg"), str(photos / "a.png")]
    assert all(line.split(": ")[1] for line in out.splitlines())
    assert err == ""
    assert main(["caption", str(photos), "--recursive", "--run", str(fitting), "--beam", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_one_that_cannot_be_read_is_told_and_the_others_go_on(fitting, photos, capsys):
    (photos / "a.png").write_text("no photo")
    assert main(["caption", str(photos), "--run", str(fitting)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(str(photos / "b.jpg"))
    assert err.startswith(f"captioning caption: {photos / 'a.png'}: ")
    assert len(err.splitlines()) == len(out.splitlines()) == 1
    assert main(["caption", str(photos), "--run", str(fitting), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["run"] == str(fitting)
    assert [set(entry) for entry in found["captions"]] == [{"photo", "error"}, {"photo", "caption"}]


def test_a_sheet_of_photos_and_captions(fitting, photos, tmp_path, capsys):
    Image.new("RGB", (2000, 900), "blue").save(photos / "large.jpg")
    sheet = tmp_path / "sheet.png"
    assert main(["caption", str(photos), "--run", str(fitting), "--out", str(sheet)]) == 0
    with Image.open(sheet) as picture:
        assert picture.size[0] > 900
    for path in photos.glob("*.*"):
        path.write_text("no photo")
    assert main(["caption", str(photos), "--run", str(fitting), "--out", str(tmp_path / "none.png")]) == 2
    assert "there is no photo to draw" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


def test_a_sheet_has_names_that_tell_photos_apart(fitting, photos, tmp_path, monkeypatch):
    shutil.copy(photos / "a.png", photos / "more" / "b.jpg")
    shown = []
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", lambda *_, names: shown.extend(names))
    arguments = ["caption", str(photos), "--recursive", "--run", str(fitting), "--out", str(tmp_path / "sheet.png")]
    assert main(arguments) == 0
    assert shown == ["a.png", str(photos / "b.jpg"), str(photos / "more" / "b.jpg"), "c.png"]


def test_what_is_passed_over_is_said(fitting, photos, capsys):
    caption = ["caption", str(photos), "--run", str(fitting)]
    (photos / "a.txt").touch()
    assert main(caption) == 0
    assert capsys.readouterr().err == ""
    (photos / "raw.CR2").touch()
    assert main(caption) == 0
    assert capsys.readouterr().err == "1 file is no photo by its name and was passed over\n"
    (photos / "notes.md").touch()
    assert main(caption) == 0
    assert capsys.readouterr().err == "2 files are no photos by their names and were passed over\n"
    assert main([*caption, "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_a_sheet_that_cannot_be_is_refused_before_any_work(fitting, photos, tmp_path, capsys, monkeypatch):
    caption = ["caption", photos, "--run", fitting, "--json", "--out"]
    monkeypatch.setattr(Colours, "features", None)
    refused(capsys, [*caption, tmp_path / "none" / "sheet.png"], "no such folder")
    refused(capsys, [*caption, tmp_path / "sheet.jpg"], "its name must end in .png")
    for i in range(705):
        shutil.copy(photos / "a.png", photos / f"{i}.png")
    refused(capsys, [*caption, tmp_path / "sheet.png"], "room for at most 664 photos; got 707")
    assert not list(tmp_path.glob("*.[pj][np]g"))


def test_what_cannot_be_captioned_is_refused(run, fitting, photos, tmp_path, capsys):
    refused(capsys, ["caption", photos, "--run", tmp_path / "none"], "there is no such run folder")
    refused(capsys, ["caption", tmp_path / "none.jpg", "--run", fitting], "none.jpg: there is no such file")
    refused(capsys, ["caption", photos, "--run", fitting, "--extractor", "other"], "of colours; got --extractor other")
    other = shutil.copytree(fitting, tmp_path / "other")
    settings = json.loads((other / "settings.json").read_text())
    del settings["data"]["extractor"]
    (other / "settings.json").write_text(json.dumps(settings))
    refused(capsys, ["caption", photos, "--run", other], "does not say which network")


def test_a_name_with_odd_characters_is_quoted(fitting, photos, capsys):
    for name in ("n\nl.jpg", "esc\x1b[31m.jpg"):
        shutil.copy(photos / "b.jpg", photos / name)
    assert main(["caption", str(photos), "--run", str(fitting)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert "\x1b" not in out
    assert f"{str(photos / 'n')!r}"[:-1] + "\\nl.jpg': " in out
