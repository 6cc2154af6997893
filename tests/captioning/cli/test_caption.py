"""The command `caption`."""

from __future__ import annotations

import json
import shutil
from unittest.mock import Mock

import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import edit_json, output_of, refused, status_of


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("b.jpg", "a.png", "more/c.png"):
        Image.new("RGB", (9, 7), "red").save(folder / name)
    return folder


def test_a_line_for_each_photo(colour_run, photos, tmp_path, capsys):
    for name in ("n\nl.jpg", "esc\x1b[31m.jpg"):
        shutil.copy(photos / "b.jpg", photos / name)
    assert main(["caption", str(photos / "b.jpg"), str(photos), "--run", str(colour_run)]) == 0
    out, err = capsys.readouterr()
    names, captions = zip(*(line.split(": ") for line in out.splitlines()), strict=True)
    assert names[:2] == (str(photos / "b.jpg"), str(photos / "a.png"))
    assert all(captions)
    assert (len(names), "\x1b" in out, err) == (4, False, "")
    assert f"{photos}/n\\nl.jpg" in out  # an odd name is quoted
    other = shutil.copytree(colour_run, tmp_path / "other")
    words = ["caption", photos, "--recursive", "--json", "--run", colour_run]
    answer = json.loads(output_of(capsys, *words, "--run", other))
    assert (answer["run"], answer["decoding"], len(answer["captions"])) == (f"{colour_run} + {other}", "beam 5", 5)
    refused(capsys, [*words, "--run", colour_run], "the same run twice")


def test_an_unreadable_photo_is_reported_and_the_others_are_captioned(colour_run, photos, capsys):
    (photos / "a.png").write_text("no photo")
    assert main(["caption", str(photos), "--run", str(colour_run)]) == 1
    out, err = capsys.readouterr()
    assert out.startswith(str(photos / "b.jpg"))
    assert err.startswith(f"captioning caption: {photos / 'a.png'}: ")
    assert len(err.splitlines()) == len(out.splitlines()) == 1
    assert status_of("caption", photos / "b.jpg", photos / "none.jpg", "--run", colour_run) == 1
    out, err = capsys.readouterr()
    assert (out.count("\n"), err.startswith(f"captioning caption: {photos / 'none.jpg'}: cannot be opened")) == (
        1,
        True,
    )
    assert main(["caption", str(photos), "--run", str(colour_run), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [set(entry) for entry in found["captions"]] == [{"photo", "error"},
                                                            {"photo", "caption", "confidence", "unsure"}]  # fmt: skip


@pytest.mark.parametrize(("names", "options", "note"), [
    (["a.txt"], [], ""), (["raw.CR2"], [], "skipped 1 file"),
    (["raw.CR2", "notes.md"], [], "skipped 2 files"),
    ([], ["--beam", "1", "--max-length", "2", "--n-best", "9"], "--n-best 9: the beam found only "),
    ([], ["--beam", "1", "--n-best", "1"], ""),
])  # fmt: skip
def test_notes_on_standard_error(colour_run, photos, capsys, names, options, note):
    for name in names:
        (photos / name).touch()
    assert main(["caption", str(photos), "--run", str(colour_run), *options]) == 0
    err = capsys.readouterr().err
    assert note in err
    assert len(err.splitlines()) == bool(note)


def test_a_sheet_of_photos_and_captions(colour_run, photos, tmp_path, capsys, monkeypatch):
    words = ["caption", photos, "--run", colour_run, "--recursive", "--out", tmp_path / "sheet.png"]
    assert status_of(*words) == 0
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.size[0] > 900
    shutil.copy(photos / "a.png", photos / "more" / "b.jpg")
    shown = []
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", lambda *_, names: shown.extend(names))
    assert status_of(*words) == 0
    assert shown == ["a.png", str(photos / "b.jpg"), str(photos / "more" / "b.jpg"), "c.png"]
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", Mock(side_effect=OSError(28, "No space left")))
    capsys.readouterr()
    assert status_of(*words) == 2
    out, err = capsys.readouterr()
    assert (len(out.splitlines()), "No space left" in err) == (4, True)  # the captions come before the sheet
    for path in photos.rglob("*.*"):
        path.write_text("no photo")
    assert status_of(*words) == 2
    assert "there is no photo to draw" in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_sheet_shows_all_photos_even_if_nobody_reads_the_captions(colour_run, photos, tmp_path, monkeypatch, options):
    shown = []
    monkeypatch.setattr("captioning.pictures.sheets.caption_sheet", lambda *_, names: shown.extend(names))
    broken = Mock(write=Mock(side_effect=BrokenPipeError), fileno=Mock(side_effect=OSError), errors="")
    monkeypatch.setattr("sys.stdout", broken)
    words = ["caption", photos, "--run", colour_run, *options]
    assert status_of(*words, "--out", tmp_path / "sheet.png") == 141
    assert shown == ["a.png", "b.jpg"]
    assert status_of(*words) == 141


def test_wrong_options_are_refused_before_any_work(colour_run, photos, tmp_path, capsys, monkeypatch):
    words = ["caption", photos, "--run", colour_run]
    monkeypatch.setattr(EXTRACTORS["colours"], "features", None)
    for wrong, message in (
        (["caption", photos, "--run", tmp_path / "none"], "there is no such run folder"),
        (["caption", tmp_path / "none.jpg", "--run", colour_run], "none.jpg: there is no such file"),
        ([*words, "--extractor", "other"], "of colours; got --extractor other"),
        ([*words, "--n-best", "0"], "from 1 to 100; got 0"),
        ([*words, "--out", tmp_path / "none" / "sheet.png"], "the folder does not exist"),
        ([*words, "--out", tmp_path / "sheet.jpg"], "must end in .png"),
    ):
        refused(capsys, wrong, message)
    for i in range(705):
        (photos / f"{i}.png").touch()
    refused(capsys, [*words, "--out", tmp_path / "sheet.png"], "at most 664 photos; got 707")
    assert not list(tmp_path.glob("*.[pj][np]g"))
    edit_json(colour_run / "settings.json", lambda settings: settings["data"].pop("extractor"))
    refused(capsys, words, "does not record which network")
