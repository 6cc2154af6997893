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


def test_a_line_for_each_photo(fitting, photos, tmp_path, capsys):
    assert main(["caption", str(photos / "b.jpg"), str(photos), "--run", str(fitting)]) == 0
    out, err = capsys.readouterr()
    assert [line.split(": ")[0] for line in out.splitlines()] == [str(photos / "b.jpg"), str(photos / "a.png")]
    assert all(line.split(": ")[1] for line in out.splitlines())
    assert err == ""
    other = shutil.copytree(fitting, tmp_path / "other")
    words = ["caption", str(photos), "--recursive", "--json", "--run", str(fitting)]
    assert main([*words, "--run", str(other)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["decoding"], len(told["captions"])) == (f"{fitting} + {other}", "greedy", 3)
    refused(capsys, [*words, "--run", fitting], "the same run twice")


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


def test_fewer_captions_than_were_asked_for_are_told(fitting, photos, capsys):
    words = ["caption", str(photos), "--run", str(fitting), "--beam", "1", "--max-length", "2", "--n-best"]
    assert main([*words, "9"]) == 0
    assert "--n-best 9: the beam found only " in (err := capsys.readouterr().err)
    assert "of 2 of 2 photos" in err
    assert main([*words, "1"]) == 0
    assert capsys.readouterr().err == ""


def test_a_sheet_of_photos_and_captions(fitting, photos, tmp_path, capsys, monkeypatch):
    sheet = tmp_path / "sheet.png"
    words = ["caption", str(photos), "--run", str(fitting), "--recursive", "--out", str(sheet)]
    assert main(words) == 0
    with Image.open(sheet) as picture:
        assert picture.size[0] > 900
    shutil.copy(photos / "a.png", photos / "more" / "b.jpg")
    shown = []
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", lambda *_, names: shown.extend(names))
    assert main(words) == 0
    assert shown == ["a.png", str(photos / "b.jpg"), str(photos / "more" / "b.jpg"), "c.png"]
    for path in photos.rglob("*.*"):
        path.write_text("no photo")
    assert main(words) == 2
    assert "there is no photo to draw" in capsys.readouterr().err


def test_what_is_wrong_with_a_sheet_takes_no_caption(fitting, photos, tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", full)
    out = tmp_path / "sheet.png"
    assert main(["caption", str(photos), "--run", str(fitting), "--json", "--out", str(out)]) == 2
    told = capsys.readouterr()
    assert len(json.loads(told.out)["captions"]) == 2
    assert "No space left" in told.err


@pytest.mark.parametrize(("names", "told"), [
    (["a.txt"], ""), (["raw.CR2"], "skipped 1 file without the suffix of a photo\n"),
    (["raw.CR2", "notes.md"], "skipped 2 files without the suffix of a photo\n"),
])  # fmt: skip
def test_what_is_passed_over_is_said(fitting, photos, capsys, names, told):
    for name in names:
        (photos / name).touch()
    assert main(["caption", str(photos), "--run", str(fitting)]) == 0
    assert capsys.readouterr().err == told


def test_what_cannot_be_captioned_is_refused_before_any_work(fitting, photos, tmp_path, capsys, monkeypatch):
    words = ["caption", photos, "--run", fitting]
    monkeypatch.setattr(Colours, "features", None)
    refused(capsys, ["caption", photos, "--run", tmp_path / "none"], "there is no such run folder")
    refused(capsys, ["caption", tmp_path / "none.jpg", "--run", fitting], "none.jpg: there is no such file")
    refused(capsys, [*words, "--extractor", "other"], "of colours; got --extractor other")
    refused(capsys, [*words, "--n-best", "0"], "--n-best: must be an int from 1 to 100; got 0")
    refused(capsys, [*words, "--out", tmp_path / "none" / "sheet.png"], "no such folder")
    refused(capsys, [*words, "--out", tmp_path / "sheet.jpg"], "must end in .png")
    for i in range(705):
        (photos / f"{i}.png").touch()
    refused(capsys, [*words, "--out", tmp_path / "sheet.png"], "room for at most 664 photos; got 707")
    assert not list(tmp_path.glob("*.[pj][np]g"))
    settings = json.loads((fitting / "settings.json").read_text())
    del settings["data"]["extractor"]
    (fitting / "settings.json").write_text(json.dumps(settings))
    refused(capsys, words, "does not say which network")


def test_a_name_with_odd_characters_is_quoted(fitting, photos, capsys):
    for name in ("n\nl.jpg", "esc\x1b[31m.jpg"):
        shutil.copy(photos / "b.jpg", photos / name)
    assert main(["caption", str(photos), "--run", str(fitting)]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert "\x1b" not in out
    assert f"{str(photos / 'n')!r}"[:-1] + "\\nl.jpg': " in out
