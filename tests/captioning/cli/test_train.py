"""The command `train`, and what --resume takes and refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import h5py
import pytest

from captioning.cli.entry import main
from captioning.training.run_folder import Run
from tests.captioning.cli.commands import SMALL, refused


def test_train_leaves_a_run_folder(small_folder, tmp_path, capsys):
    folder = tmp_path / "new" / "run"
    options = ["--cell", "rnn", "--dropout", "0.1", "--feature-dropout", "0.2", "--max-train", "20", "--no-pca",
               "--seed", "3", "--keep", "loss"]  # fmt: skip
    assert main(["train", "--data", str(small_folder), "--out", str(folder), *SMALL, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[0].startswith("trained 4 iterations; kept epoch ")
    assert out.splitlines()[1] == f"run folder: {folder}"
    settings = Run.open(folder).settings
    assert settings["model"] == {
        "feature_size": 5, "wordvec_size": 8, "hidden_size": 12, "cell_type": "rnn", "dropout": 0.1,
        "dtype": "float32", "forget_bias": 0.0, "feature_dropout": 0.2,
    }  # fmt: skip
    data = settings["data"]
    assert (data["pca"], data["max_train"], data["train_captions"]) == (False, 20, 20)
    assert data["folder"] == str(small_folder)
    assert set(data["fingerprint"]) == {
        "coco2014_captions.h5: train_captions", "coco2014_captions.h5: train_image_idxs", "train2014_vgg16_fc7.h5",
        "coco2014_captions.h5: val_captions", "coco2014_captions.h5: val_image_idxs", "val2014_vgg16_fc7.h5",
    }  # fmt: skip
    assert (settings["training"]["seed"], settings["training"]["keep"]) == (3, "loss")
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.safetensors", "history.jsonl", "loss.png", "settings.json", "vocabulary.json",
        "weights.safetensors",
    }  # fmt: skip


def test_progress_goes_to_standard_error(small_folder, tmp_path, capsys):
    small = [option for option in SMALL if option != "--quiet"]
    assert main(["train", "--data", str(small_folder), "--out", str(tmp_path / "run"), *small]) == 0
    out, err = capsys.readouterr()
    assert "epoch 2/2  validation loss" in err
    assert "epoch 2/2" not in out


def test_train_refuses_a_folder_that_exists(small_folder, run, capsys):
    before = {path: path.read_bytes() for path in run.iterdir()}
    refused(capsys, ["train", "--data", small_folder, "--out", run], str(run), "exists already", "--resume")
    assert before == {path: path.read_bytes() for path in run.iterdir()}


@pytest.mark.parametrize(("options", "part"), [
    (["--epochs", "0"], "epochs must be an int of at least 1; got 0"),
    (["--learning-rate", "-1"], "learning_rate must be above 0 and finite; got -1.0"),
    (["--learning-rate", "inf"], "learning_rate must be above 0 and finite; got inf"),
    (["--weight-decay", "inf"], "weight_decay must be at least 0 and finite; got inf"),
    (["--hidden", str(10**15)], "is too large for the memory here: Unable to allocate"),
    (["--dropout", "1"], "dropout must be at least 0 and below 1"),
    (["--hidden", "0"], "hidden_size must be an int of at least 1; got 0"),
    (["--max-train", "1000"], "max_train must be at most 48"),
    (["--batch-size", "0"], "batch_size must be"),
])  # fmt: skip
def test_train_refuses_impossible_settings_and_leaves_nothing(small_folder, tmp_path, capsys, options, part):
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *options], part)
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_a_folder_without_data(tmp_path, capsys):
    refused(capsys, ["train", "--data", tmp_path / "none", "--out", tmp_path / "run"], str(tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["coco2014_vocab.json", "coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "nothing"])
def test_what_is_in_place_of_a_file_is_said(copied, tmp_path, capsys, name, kind):
    """Nobody waits for somebody who writes into a pipe."""
    (copied / name).unlink()
    if kind != "nothing":
        (os.mkfifo if kind == "a pipe" else os.mkdir)(copied / name)
    text = "o such file" if kind == "nothing" else f"{kind}, not a regular file"
    refused(capsys, ["train", "--data", copied, "--out", tmp_path / "run"], str(copied / name), text)


@pytest.mark.parametrize("name", ["settings.json", "vocabulary.json", "weights.safetensors"])
def test_a_pipe_in_place_of_a_file_of_the_run_is_said(small_folder, run, capsys, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    refused(capsys, ["evaluate", run, "--data", small_folder], str(run / name), "a pipe, not a regular file")


@pytest.mark.parametrize("name", ["checkpoint.safetensors", "history.jsonl"])
def test_a_pipe_in_place_of_a_file_to_resume_from_is_said(small_folder, run, capsys, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    refused(capsys, ["train", "--out", run, "--resume"], str(run / name), "a pipe, not a regular file")


def test_resume_goes_on_to_more_epochs(small_folder, trained, run, tmp_path, capsys):
    whole = tmp_path / "whole"
    longer = [*SMALL, "--epochs", "4"]
    assert main(["train", "--data", str(small_folder), "--out", str(whole), *longer]) == 0
    assert main(["train", "--data", str(small_folder), "--out", str(run), "--resume", "--epochs", "4", "--quiet"]) == 0
    for name in ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", "settings.json"):
        assert (whole / name).read_bytes() == (run / name).read_bytes(), name
    capsys.readouterr()
    arguments = ["train", "--data", small_folder, "--out", run, "--resume"]
    assert main([str(a) for a in arguments]) == 0  # nothing left to do
    assert "trained 20 iterations" in capsys.readouterr().out


def test_resume_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys):
    train = ["train", "--data", small_folder, "--out"]
    refused(capsys, [*train, tmp_path / "none", "--resume"], str(tmp_path / "none"), "no such run folder")
    refused(capsys, [*train, run, "--resume", "--hidden", "13"], "--hidden 13 (the run has 12)")
    refused(capsys, ["train", "--data", other_folder, "--out", run, "--resume"], "another vocabulary")
    (run / "checkpoint.safetensors").unlink()
    refused(capsys, [*train, run, "--resume"], "checkpoint.safetensors", "no such file")
    settings = json.loads((run / "settings.json").read_text())
    del settings["training"]["seed"]
    (run / "settings.json").write_text(json.dumps(settings))
    refused(capsys, [*train, run, "--resume"], "settings.json", "seed are missing")


def test_resume_with_the_same_data_elsewhere(copied, run):
    assert main(["train", "--data", str(copied), "--out", str(run), "--resume", "--epochs", "3", "--quiet"]) == 0
    assert Run.open(run).settings["data"]["folder"] == str(copied)


@pytest.mark.parametrize(("name", "key"), [
    ("coco2014_captions.h5", "train_captions"), ("coco2014_captions.h5", "val_captions"),
    ("coco2014_captions.h5", "train_image_idxs"), ("train2014_vgg16_fc7_pca.h5", "features"),
    ("val2014_vgg16_fc7_pca.h5", "features"),
])  # fmt: skip
def test_resume_refuses_changed_data(copied, run, capsys, name, key):
    """As many rows as before, two of them exchanged; in the first of them where only those are looked at."""
    before = {path: path.read_bytes() for path in run.iterdir()}
    with h5py.File(copied / name, "r+") as file:
        rows = file[key][()]
        rows[[0, 3]] = rows[[3, 0]]
        assert (rows != file[key][()]).any()
        file[key][...] = rows
    what = name if key == "features" else f"{name}: {key}"
    refused(capsys, ["train", "--data", copied, "--out", run, "--resume", "--epochs", "3"],
            f"{what} (was ", str(copied), "--data DIR", "without --resume")  # fmt: skip
    assert before == {path: path.read_bytes() for path in run.iterdir()}


def test_resume_refuses_other_raw_captions(copied, run, capsys):
    """They are what the validation measures by."""
    lines = "".join(f"{i}.jpg,{split},a dog\n" for split in ("train", "val") for i in range(24))
    (copied / "captions.csv").write_text("image,split,caption\n" + lines)
    (copied / "val2014_images.txt").write_text("".join(f"{i}.jpg\n" for i in range(24)))
    refused(capsys, ["train", "--data", copied, "--out", run, "--resume"], "captions.csv (was not there, is ")


def test_a_run_without_a_fingerprint_goes_on_with_a_note(small_folder, run, capsys):
    settings = json.loads((run / "settings.json").read_text())
    fingerprint = settings["data"].pop("fingerprint")
    (run / "settings.json").write_text(json.dumps(settings))
    resume = ["train", "--data", str(small_folder), "--out", str(run), "--resume", "--quiet"]
    assert main([*resume, "--epochs", "3"]) == 0
    assert "without a fingerprint of its data" in capsys.readouterr().err
    assert Run.open(run).settings["data"]["fingerprint"] == fingerprint
    assert main(resume) == 0
    assert capsys.readouterr().err == ""


def test_resume_finds_the_data_again(copied, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    run, moved = tmp_path / "run", tmp_path / "moved"
    assert main(["train", "--data", str(copied), "--out", str(run), *SMALL]) == 0
    resume = ["train", "--out", str(run), "--resume", "--quiet"]
    assert main([*resume, "--epochs", "3"]) == 0
    copied.rename(moved)
    capsys.readouterr()
    refused(capsys, resume, f"was trained on the data in {copied}", "--data DIR")
    monkeypatch.setenv("CAPTIONING_DATA", str(moved))
    assert main([*resume, "--epochs", "4"]) == 0
    monkeypatch.delenv("CAPTIONING_DATA")
    assert main([*resume, "--epochs", "5"]) == 0


def test_a_run_from_before_feature_dropout_goes_on(small_folder, trained, run):
    """Its settings.json does not speak of feature_dropout."""
    settings = json.loads((run / "settings.json").read_text())
    del settings["model"]["feature_dropout"]
    (run / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--data", str(small_folder), "--out", str(run), "--resume", "--epochs", "3", "--quiet"]) == 0
    assert Run.open(run).load_model().feature_dropout == 0


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def test_ctrl_c_leaves_a_checkpoint_that_resumes_exactly(small_folder, tmp_path):
    """A real process and a real signal, somewhere in a run of 12 epochs."""
    command = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), *SMALL[:-3]]
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = subprocess.Popen([*command, "--out", str(stopped), "--epochs", "5000"], stderr=subprocess.PIPE, text=True)
    wait_for(stopped / "weights.safetensors")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped after iteration" in err
    assert "--resume" in err
    assert "Traceback" not in err
    done = int(err.split("stopped after iteration ")[1].split()[0])
    epochs = str(done // 5 + 2)
    resume = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), "--resume", "--quiet"]
    subprocess.run([*resume, "--out", str(stopped), "--epochs", epochs], check=True, capture_output=True)
    subprocess.run([*command, "--out", str(whole), "--epochs", epochs], check=True, capture_output=True)
    for name in ("weights.safetensors", "checkpoint.safetensors", "history.jsonl"):
        assert (whole / name).read_bytes() == (stopped / name).read_bytes(), name


@pytest.mark.parametrize("lines", ["", '{"loss": 1.0, "iteration": 1}\n', '{"epoch": 2, "iteration": 1}\n'])
def test_a_history_without_the_epoch_that_was_kept_is_named(run, capsys, lines):
    (run / "history.jsonl").write_text(lines)
    refused(capsys, ["train", "--out", run, "--resume"], "history.jsonl", "has no entry of the epoch")
