"""The command `prepare`: what it makes, what it says, and what it refuses."""

import os
import shlex
import signal
import time

import h5py
import pytest

from captioning.cli.entry import main
from captioning.data.dataset import open_captions
from captioning.vision import extractors
from tests.captioning.cli.commands import LOOKING, SMALL, refused
from tests.captioning.preparing.photo_sources import content, write_folder, write_table
from tests.captioning.vision.grid_extractor import GridColours, GridPlaces


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """In place of the network by default, which is slow and needs its weights."""
    found = GridColours()
    monkeypatch.setitem(extractors._made, "efficientnet-lite0", found)
    return found


@pytest.fixture
def source(tmp_path):
    return write_folder(tmp_path / "photos", 30)


def prepare(*arguments):
    return main(["prepare", *map(str, arguments)])


def test_prepare_train_sample(source, tmp_path, capsys):
    """From a folder of photos to a sheet of photos with captions."""
    assert prepare(source, "--out", tmp_path / "data", "--quiet") == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines() == [
        f"data set: {tmp_path / 'data'}",
        "split   images   captions      words  <UNK>            cut",
        "train       27         54        432  5.56%       0 (0.0%)",
        "val          3          6         48  4.17%       0 (0.0%)",
        "vocabulary: 18 words, each 4 times or more in training captions, and 4 special tokens",
        "captions: cut after 11 words, which leaves at least 99 % of those for training whole",
        "features: by grid-colours; photos: symbolic links",
        f"next: captioning train --data {tmp_path / 'data'} --out run",
    ]
    data, run = str(tmp_path / "data"), str(tmp_path / "run")
    assert main(["train", "--data", data, "--out", run, *SMALL]) == 0
    assert main(["sample", run, "--data", data, "-n", "2", "--out", str(tmp_path / "sheet.png")]) == 0
    assert (tmp_path / "sheet.png").stat().st_size > 0


@pytest.fixture
def places(monkeypatch):
    """A network that has maps, instead of the other one."""
    found = GridPlaces()
    for name in ("grid-places", "efficientnet-lite0"):
        monkeypatch.setitem(extractors._made, name, found)
    monkeypatch.setitem(extractors.EXTRACTORS, "grid-places", GridPlaces)


def test_prepare_regions_train_caption(source, tmp_path, capsys, places):
    """From a folder of photos to a captioner that looks at places, which captions photos at once, and its heirs."""
    data, run, better, sent = (str(tmp_path / name) for name in ("data", "run", "better", "sent"))
    assert prepare(source, "--out", data, "--regions", "4", "--quiet") == 0
    assert "regions: 4 numbers a place, which keep " in capsys.readouterr().out
    assert main(["train", "--data", data, "--out", run, *LOOKING]) == 0
    few = ["--drafts", "2", "--epochs", "1", "--quiet"]
    assert main(["reinforce", run, "--out", better, *few]) == 0
    assert main(["export", better, "--out", sent]) == 0
    for folder in (run, better):
        assert (tmp_path / folder / "regions.safetensors").read_bytes() == (
            tmp_path / "data" / "regions.safetensors"
        ).read_bytes()
    capsys.readouterr()
    photo = str(source / "03.png")
    for folder in (run, better, sent):
        assert main(["caption", photo, "--run", folder, "--quiet"]) == 0
        assert photo in capsys.readouterr().out


def test_regions_that_the_photos_do_not_have_are_not_made_up(source, tmp_path, capsys, places):
    assert prepare(source, "--out", tmp_path / "data", "--regions", "--quiet") == 0
    assert "regions: 12 numbers a place (the photos for training have no more), which keep 100.0%" in (
        capsys.readouterr().out
    )
    refused(capsys, ["prepare", source, "--out", tmp_path / "other", "--regions", "0"], "regions must be at least 1")
    refused(capsys, ["prepare", source, "--out", tmp_path / "other", "--regions", "--no-features"], "there are none")
    assert not (tmp_path / "other").exists()


def test_a_run_that_cannot_take_over_the_data_sets_projection_is_not_begun(source, tmp_path, capsys, places):
    data = tmp_path / "data"
    assert prepare(source, "--out", data, "--regions", "--quiet") == 0
    capsys.readouterr()
    (data / "regions.safetensors").write_bytes(b"no projection")
    refused(capsys, ["train", "--data", data, "--out", tmp_path / "run", "--model", "attention", *SMALL],
            f"{data / 'regions.safetensors'}: ")  # fmt: skip
    assert not (tmp_path / "run").exists()
    assert main(["train", "--data", str(data), "--out", str(tmp_path / "run"), *SMALL]) == 0  # looks at no regions


def test_options_reach_the_data_set(tmp_path, capsys):
    table = write_table(tmp_path / "table.txt", 20)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")
    options = ["--format", "csv", "--photos-dir", tmp_path / "elsewhere", "--tokenizer", "words", "--words", 7,
               "--max-length", 5, "--val", 0.2, "--test", 0.1, "--seed", 3, "--photos", "copy", "--quiet"]  # fmt: skip
    assert prepare(table, "--out", tmp_path / "a b", *options) == 0
    out = capsys.readouterr().out
    assert "vocabulary: 7 words, the most frequent, and 4 special tokens" in out
    assert "captions: cut after 5 words\n" in out
    assert shlex.quote(str(tmp_path / "a b")) in out
    with open_captions(tmp_path / "a b", pca=False) as data:
        assert (len(data.train.features), len(data.val.features), len(data.vocabulary)) == (14, 4, 11)
        assert not data.val.photo(0).is_symlink()
    with h5py.File(tmp_path / "a b" / "coco2014_captions.h5") as file:
        assert (file["test_captions"].shape, file.attrs["tokenizer"]) == ((4, 7), "words")


def test_captions_alone(tmp_path, capsys):
    table = write_table(tmp_path / "captions.csv", 10, photos=False)
    assert prepare(table, "--out", tmp_path / "data", "--no-features", "--min-count", 1) == 0
    out, err = capsys.readouterr()
    assert "features: none; photos: none" in out
    assert err.splitlines() == [f"reading {table}", "wording 20 captions"]


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_is_one_line_and_the_same_command_goes_on(
    source, tmp_path, capsys, network, monkeypatch, number, status
):
    def interrupt(prepared):
        os.kill(os.getpid(), number)
        time.sleep(60)

    write_folder(source, 40)
    features, calls = network.features, []
    monkeypatch.setattr(network, "features", lambda prepared: features(prepared) if not calls.append(1) and
                        len(calls) == 1 else interrupt(prepared))  # fmt: skip
    assert prepare(source, "--out", tmp_path / "data", "--quiet") == status
    out, err = capsys.readouterr()
    assert (out, err) == (
        "",
        "captioning prepare: stopped; the same command continues with the features that were computed\n",
    )
    assert set(content(tmp_path / ".data.preparing")) == {"features.part"}
    monkeypatch.setattr(network, "features", features)
    assert prepare(source, "--out", tmp_path / "data") == 0
    assert "going on with the features of 32 photos" in capsys.readouterr().err


def test_two_at_once_into_one_folder(source, tmp_path, capsys, network, monkeypatch):
    pytest.importorskip("fcntl", reason="needs fcntl")
    out, features = tmp_path / "data", network.features

    def meanwhile(prepared):
        monkeypatch.setattr(network, "features", features)
        refused(
            capsys,
            ["prepare", source, "--out", out, "--quiet"],
            f"{tmp_path / '.data.preparing'}: process {os.getpid()} is preparing a data set in this folder",
        )
        return features(prepared)

    monkeypatch.setattr(network, "features", meanwhile)
    assert prepare(source, "--out", out, "--quiet") == 0
    with open_captions(out, pca=False) as data:
        assert len(data.train.features) == 27
    assert not any(path.name.startswith(".") for path in out.iterdir())


def test_mistakes_are_one_line(source, tmp_path, capsys):
    out = tmp_path / "data"
    refused(
        capsys,
        ["prepare", tmp_path / "none", "--out", out, "--quiet"],
        str(tmp_path / "none"),
        "no such file or folder",
    )
    refused(capsys, ["prepare", source, "--out", out, "--quiet", "--val", "2"], "val must be a share")
    refused(capsys, ["prepare", source, "--out", out, "--quiet", "--min-count", "99"], "no word stands 99 times")
    refused(capsys, ["prepare", source, "--out", source.parent, "--quiet"], " in it", "--out")
    refused(capsys, ["prepare", source, "--out", "/sys/data", "--quiet"], "/sys/data")
    refused(capsys, ["prepare", source, "--out", out, "--quiet", "--photos-dir", "none"], "no such folder of photos")
    (source / "03.txt").write_text("\n")
    refused(capsys, ["prepare", source, "--out", out, "--quiet"], "1 photo without a caption, 03.png; --skip-missing")
    assert not any(path.name == "coco2014_captions.h5" for path in tmp_path.rglob("*"))
    assert prepare(source, "--out", out, "--quiet", "--skip-missing") == 0
    assert "left out: 1 photo without a caption, 03.png\n" in capsys.readouterr().out
    refused(capsys, ["prepare", source, "--out", out, "--skip-missing", "--quiet"], "is a data set already")
