"""The command `prepare`: what it makes, what it prints, and what it refuses."""

import os
import re
import shlex
import signal
import time

import h5py
import pytest

from captioning.data.dataset import open_captions
from captioning.vision import extractors
from tests.captioning.cli.commands import ATTENTION, SMALL, edit_json, output_of, refused, status_of
from tests.captioning.preparing.photo_sources import content, write_folder, write_table
from tests.captioning.vision.grid_extractor import GridColours, GridPlaces


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """The default network, replaced by one that is fast and needs no weights."""
    found = GridColours()
    monkeypatch.setitem(extractors._made, "efficientnet-lite0", found)
    return found


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "photos", 30)


def test_prepare_train_sample(source, tmp_path, capsys):
    data, run = tmp_path / "data", tmp_path / "run"
    assert output_of(capsys, "prepare", source, "--out", data, "--quiet").splitlines() == [
        f"data set: {data}",
        "split   images   captions      words  <UNK>            cut",
        "train       27         54        432  5.56%       0 (0.0%)",
        "val          3          6         48  4.17%       0 (0.0%)",
        "vocabulary: 18 words that occur at least 4 times in the training captions, and 4 special tokens",
        "captions: cut after 11 words, which cuts at most 1 % of the training captions",
        "features: by grid-colours; photos: symbolic links",
        f"next: captioning train --data {data} --out run",
    ]
    assert status_of("train", "--data", data, "--out", run, *SMALL) == 0
    assert status_of("sample", run, "--data", data, "-n", "2", "--out", tmp_path / "sheet.png") == 0
    assert (tmp_path / "sheet.png").stat().st_size > 0


@pytest.fixture
def places(monkeypatch):
    """A network that has maps, in place of the default one."""
    found = GridPlaces()
    for name in ("grid-places", "efficientnet-lite0"):
        monkeypatch.setitem(extractors._made, name, found)
    monkeypatch.setitem(extractors.EXTRACTORS, "grid-places", GridPlaces)


def test_prepare_regions_train_reinforce_export_caption(source, tmp_path, capsys, places):
    data, run, better, sent = (tmp_path / name for name in ("data", "run", "better", "sent"))
    assert "regions: 4 numbers per place" in output_of(
        capsys, "prepare", source, "--out", data, "--regions", 4, "--quiet"
    )
    assert status_of("train", "--data", data, "--out", run, *ATTENTION) == 0
    assert status_of("reinforce", run, "--out", better, "--drafts", "2", "--epochs", "1", "--quiet") == 0
    assert status_of("export", better, "--out", sent) == 0
    for folder in (run, better, sent):
        assert str(source / "03.png") in output_of(capsys, "caption", source / "03.png", "--run", folder, "--quiet")
    projections = [(folder / "regions.safetensors").read_bytes() for folder in (data, run, better)]
    assert projections[0] == projections[1] == projections[2]
    (data / "regions.safetensors").write_bytes(b"no projection")
    refused(
        capsys, ["train", "--data", data, "--out", tmp_path / "new", *ATTENTION], f"{data / 'regions.safetensors'}: "
    )
    assert not (tmp_path / "new").exists()
    assert status_of("train", "--data", data, "--out", tmp_path / "new", *SMALL) == 0  # without attention


def test_options_reach_the_data_set(tmp_path, capsys):
    table = write_table(tmp_path / "table.txt", 20)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    options = ["--format", "csv", "--photos-dir", tmp_path / "elsewhere", "--tokenizer", "words", "--words", 7,
               "--max-length", 5, "--val", 0.2, "--test", 0.1, "--seed", 3, "--photos", "copy", "--quiet"]  # fmt: skip
    out = output_of(capsys, "prepare", table, "--out", tmp_path / "a b", *options)
    assert "vocabulary: 7 words, the most frequent of the training captions, and 4 special tokens" in out
    assert "captions: cut after 5 words\n" in out
    assert shlex.quote(str(tmp_path / "a b")) in out
    with open_captions(tmp_path / "a b", pca=False) as data:
        assert (len(data.train.features), len(data.val.features), len(data.vocabulary)) == (14, 4, 11)
        assert not data.val.photo(0).is_symlink()
    with h5py.File(tmp_path / "a b" / "coco2014_captions.h5") as file:
        assert (file["test_captions"].shape, file.attrs["tokenizer"]) == ((4, 7), "words")
    out = output_of(
        capsys, "prepare", table, "--out", tmp_path / "c", "--format", "csv", "--no-features", "--min-count", 1
    )
    assert "features: none; photos: none" in out
    assert re.search(r"vocabulary: \d+ words, all of the training captions, and 4", out)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_a_signal_the_same_command_resumes(source, tmp_path, capsys, network, monkeypatch, number, status):
    def interrupt(prepared):
        if network.seen > 32:
            os.kill(os.getpid(), number)
            time.sleep(60)
        return features(prepared)

    write_folder(source, 40)
    features, prepare = network.features, ["prepare", source, "--out", tmp_path / "data"]
    monkeypatch.setattr(network, "features", interrupt)
    assert status_of(*prepare, "--quiet") == status
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines()), "the same command" in err) == ("", 1, True)
    assert set(content(tmp_path / ".data.preparing")) == {"features.part"}
    monkeypatch.setattr(network, "features", features)
    assert status_of(*prepare) == 0
    assert "resuming after the features of 32 photos" in capsys.readouterr().err


def test_mistakes_are_one_line(source, tmp_path, capsys):
    prepare = ["prepare", source, "--out", tmp_path / "data", "--quiet"]
    for options, message in (
        (["--val", "2"], "val must be a share"), (["--min-count", "99"], "no word occurs 99 times"),
        (["--out", source.parent], "contains "), (["--out", "/sys/data"], "/sys/data"),
        (["--photos-dir", "none"], "no such folder of photos"), (["--regions", "0"], "regions must be at least 1"),
        (["--regions", "--no-features"], "regions need features"),
    ):  # fmt: skip
        refused(capsys, [*prepare, *options], message)
    refused(capsys, ["prepare", tmp_path / "none", *prepare[2:]], str(tmp_path / "none"))
    (source / "03.txt").write_text("\n")
    refused(capsys, prepare, "1 photo without a caption, 03.png. ", "--skip-missing")
    assert not any(path.name == "coco2014_captions.h5" for path in tmp_path.rglob("*"))
    assert "left out: 1 photo without a caption, 03.png\n" in output_of(capsys, *prepare, "--skip-missing")
    refused(capsys, [*prepare, "--skip-missing"], "is already a data set")
    for path in source.glob("*.txt"):
        path.unlink()
    for options in ([], ["--skip-missing"]):
        refused(capsys, [*prepare, "--out", tmp_path / "more", *options], "captions of NAME.jpg into NAME.txt")


@pytest.fixture
def captioner(source, tmp_path, places):
    """A run with attention, on captions split by the tokenizer `words`."""
    data, run = tmp_path / "data", tmp_path / "run"
    assert status_of("prepare", source, "--out", data, "--regions", 4, "--tokenizer", "words", "--quiet") == 0
    assert status_of("train", "--data", data, "--out", run, *ATTENTION) == 0
    return run


def test_a_data_set_like_a_run_evaluates_and_trains_its_captioner(captioner, tmp_path, capsys):
    """It has the run's words, tokenizer and regions, also after an export."""
    photos, data, sent = write_folder(tmp_path / "mine", 12), tmp_path / "like", tmp_path / "sent"
    (photos / "00.txt").write_text("A zebra")
    assert status_of("export", captioner, "--out", sent) == 0
    out = output_of(capsys, "prepare", photos, "--out", data, "--like", captioner, "--val", 0.4, "--quiet")
    assert f"numbers per place, those of {captioner}\n" in out
    assert f"vocabulary: 18 words, those of {captioner}, and 4 special tokens" in out
    assert out.endswith(f"next: captioning train --start {captioner} --data {data} --out run\n")
    for name, same in (("coco2014_vocab.json", "vocabulary.json"), ("regions.safetensors", "regions.safetensors")):
        assert (data / name).read_bytes() == (captioner / same).read_bytes()
    with h5py.File(data / "coco2014_captions.h5") as file:
        assert file.attrs["tokenizer"] == "words"
    assert status_of("prepare", photos, "--out", tmp_path / "too", "--like", sent, "--val", 0.4) == 0
    assert "finding the range of the region features" in capsys.readouterr().err
    for folder in (data, tmp_path / "too"):
        assert status_of("evaluate", captioner, "--data", folder, "--quiet") == 0
    small = ["--drafts", 2, "--quiet", "--out"]
    assert status_of("reinforce", sent, "--data", data, "--epochs", 1, *small, tmp_path / "reinforced") == 0
    refine = ["refine", sent, "--data", data, "--rounds", 1, "--round-epochs", 1, "--neighbours", 2]
    assert status_of(*refine, *small, tmp_path / "refined") == 0


def test_a_data_set_like_a_run_has_nothing_else(captioner, source, tmp_path, capsys):
    prepare = ["prepare", source, "--out", tmp_path / "like", "--like", captioner, "--quiet"]
    for options, message in (
        (["--min-count", 1], "--like"), (["--words", 9], "--like"), (["--regions"], "--regions cannot be combined"),
        (["--tokenizer", "ptb"], "by the tokenizer words"), (["--like", "none"], "no such run folder"),
    ):  # fmt: skip
        refused(capsys, [*prepare, *options], message)
    edit_json(captioner / "settings.json", lambda settings: settings["data"].pop("tokenizer"))
    refused(capsys, prepare, "Pass --tokenizer")
    assert status_of(*prepare, "--tokenizer", "words") == 0
    plain = tmp_path / "plain"
    assert status_of("prepare", source, "--out", plain, "--regions", 4, "--min-count", 1, "--quiet") == 0
    refused(capsys, ["evaluate", captioner, "--data", plain], f"prepare SOURCE --out DIR --like {captioner}.")


@pytest.mark.parametrize("kind", ["drawn", "table"])
def test_a_data_set_for_a_test_alone_scores_a_captioner(captioner, tmp_path, capsys, kind):
    data, run = tmp_path / "test", tmp_path / "tuned"
    if kind == "drawn":
        words = [write_folder(tmp_path / "mine", 12), "--val", 0, "--test", 1]
    else:
        words = [write_table(tmp_path / "table.csv", 12, split=lambda n: "test")]
    out = output_of(capsys, "prepare", *words, "--out", data, "--like", captioner, "--quiet")
    following = shlex.split(out.splitlines()[-1].removeprefix("next: captioning "))
    assert following == ["evaluate", str(captioner), "--data", str(data), "--split", "test"]
    scores = output_of(capsys, *following, "--quiet")
    assert "12 images of the test split, 24 human captions" in scores
    assert "novel captions" not in scores  # nothing says which captions the training had
    assert status_of("sample", captioner, "--data", data, "--split", "test", "-n", 2, "--quiet") == 0
    report = ["report", captioner, "--data", data, "--split", "test", "--quiet", "--out", tmp_path / "report.html"]
    assert status_of(*report) == 0
    results = tmp_path / "results.json"
    assert status_of(*following, "--out", results, "--quiet") == 0
    assert status_of("score", results, "--data", data, "--split", "test", "--quiet") == 0
    capsys.readouterr()
    refused(capsys, following[:-2], f"{data}: has no val split", "only the split test")
    for options in (["--frequencies", "train"], ["--consensus", 2]):
        refused(capsys, [*following, *options], f"{data}: has no train split")
    for options in (["--start", captioner], ["--model", "attention"]):
        refused(capsys, ["train", *options, "--data", data, "--out", run], f"{data}: has no train split")
    for command in ("refine", "reinforce"):
        refused(capsys, [command, captioner, "--data", data, "--out", run], f"{data}: has no train split")
    refused(capsys, ["calibrate", captioner, "--data", data], f"{data}: has no val split")
    assert not run.exists()


def test_only_a_data_set_like_a_run_is_for_a_test_alone(captioner, source, tmp_path, capsys):
    prepare = ["prepare", source, "--out", tmp_path / "test", "--quiet"]
    refused(capsys, [*prepare, "--val", 0, "--test", 1], "val must be above 0", "--like")
    refused(capsys, [*prepare, "--like", captioner, "--test", 1], "got 0.1 and 1.0", "set val to 0")
    refused(capsys, [*prepare, "--like", captioner, "--test", 1.5], "from 0 to 1; got 1.5")
    table = write_table(tmp_path / "table.csv", 12, split=lambda n: "test")
    refused(capsys, ["prepare", table, *prepare[2:]], "no image with captions is in the split train")
