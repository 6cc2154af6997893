"""The command `train`, and what --resume takes and refuses."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import pytest

import minigrad as mg
from captioning.cli.entry import main
from captioning.data.dataset import CaptionData
from captioning.data.errors import DataError
from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import SMALL, refused
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.vision.grid_extractor import GridExtractor


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
        "kind": "source", "feature_size": 5, "wordvec_size": 8, "hidden_size": 12, "cell_type": "rnn", "dropout": 0.1,
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


@pytest.mark.parametrize(("columns", "options", "said"), [
    (5, [], True), (5, ["--pca"], False), (5, ["--no-pca"], False), (4, [], False), (None, [], False),
])  # fmt: skip
def test_reduced_features_are_said_to_be_of_no_use_for_photos(
    copied, tmp_path, capsys, monkeypatch, columns, options, said
):
    class Known(GridExtractor):
        name, size = "known", columns

    monkeypatch.setitem(EXTRACTORS, "known", Known)
    if columns is not None:
        for split in ("train", "val"):
            with h5py.File(copied / f"{split}2014_vgg16_fc7.h5", "a") as file:
                file["features"].attrs["extractor"] = "known"
    small = [option for option in SMALL if option != "--quiet"]
    assert main(["train", "--data", str(copied), "--out", str(tmp_path / "run"), *small, *options]) == 0
    err = capsys.readouterr().err
    line = "reads the reduced features, of 6 columns, which cannot be had of new photos; "
    assert err.startswith(f"{line}--no-pca reads the whole ones, of known, ") == said
    assert ("--no-pca" in err) == said


def test_train_refuses_a_folder_that_exists(small_folder, run, capsys):
    before = {path: path.read_bytes() for path in run.iterdir()}
    refused(capsys, ["train", "--data", small_folder, "--out", run], str(run), "exists already", "--resume")
    assert before == {path: path.read_bytes() for path in run.iterdir()}


@pytest.mark.parametrize(("options", "part"), [
    (["--epochs", "0"], "epochs must be an int of at least 1; got 0"),
    (["--learning-rate", "-1"], "learning_rate must be above 0 and finite; got -1.0"),
    (["--learning-rate", "inf"], "learning_rate must be above 0 and finite; got inf"),
    (["--weight-decay", "inf"], "weight_decay must be at least 0 and finite; got inf"),
    (["--hidden", str(10**15)], "is too large for the memory here: "),
    (["--hidden", "1000000000"], "--hidden 1000000000 and --wordvec 8 is too large for the memory here: "),
    (["--wordvec", "1000000000"], "GiB, of "),
    (["--wordvec", "-1"], "wordvec_size must be an int of at least 1; got -1"),
    (["--learning-rate", "nan"], "learning_rate must be above 0 and finite; got nan"),
    (["--lr-decay", "nan"], "lr_decay must be above 0 and finite; got nan"),
    (["--clip-norm", "0"], "clip_norm must be above 0 and finite; got 0.0"),
    (["--forget-bias", "nan"], "forget_bias must be finite in float32; got nan"),
    (["--forget-bias", "1e300"], "forget_bias must be finite in float32; got 1e+300"),
    (["--forget-bias=-1e39"], "forget_bias must be finite in float32; got -1e+39"),
    (["--feature-dropout", "nan"], "feature_dropout must be at least 0 and below 1; got nan"),
    (["--seed", "-1"], "seed must be an int of at least 0; got -1"),
    (["--max-train", "0"], "max_train must be at least 1; got 0"),
    (["--val-images", "0"], "val_images must be an int of at least 1; got 0"),
    (["--validate-every", "0"], "validate_every must be an int of at least 1; got 0"),
    (["--max-iterations", "0"], "max_iterations must be an int of at least 1; got 0"),
    (["--patience", "-1"], "patience must be an int of at least 1; got -1"),
    (["--dropout", "1"], "dropout must be at least 0 and below 1"),
    (["--hidden", "0"], "hidden_size must be an int of at least 1; got 0"),
    (["--max-train", "1000"], "max_train must be at most 48"),
    (["--batch-size", "0"], "batch_size must be"),
])  # fmt: skip
def test_train_refuses_impossible_settings_and_leaves_nothing(small_folder, tmp_path, capsys, options, part):
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL, *options], part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "part"), [
    ("file", "file: is a file, not a run folder"),
    ("file/run", "file: Not a directory"),
    ("closed/run", "closed: Permission denied"),
    ("", "the path names no folder"),
])  # fmt: skip
def test_train_refuses_a_place_for_no_folder_before_it_reads_data(tmp_path, capsys, monkeypatch, path, part):
    (tmp_path / "file").write_text("")
    (tmp_path / "closed").mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path) and access(path, mode))
    out = tmp_path / path if path else ""
    refused(capsys, ["train", "--data", "none", "--out", out, *SMALL], part)


def test_the_data_are_read_before_the_folder_is_made(small_folder, tmp_path, capsys, monkeypatch):
    def check(data, progress):
        assert list(tmp_path.iterdir()) == []
        raise DataError("row 7 is damaged")

    monkeypatch.setattr(CaptionData, "check", check, raising=False)
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL], "row 7 is damaged")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_which_file_and_how_to_go_on(small_folder, tmp_path, capsys, monkeypatch):
    out = tmp_path / "a run"
    replace = os.replace

    def full(source, target):
        if target.name == "weights.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    refused(capsys, ["train", "--data", small_folder, "--out", out, *SMALL], "No space left on device",
            f"{out}/weights.safetensors", f"go on with: captioning train --out '{out}' --resume")  # fmt: skip
    monkeypatch.undo()
    assert main(["train", "--out", str(out), "--resume", "--quiet"]) == 0


@pytest.mark.parametrize("name", ["coco2014_vocab.json", "coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "nothing"])
def test_what_is_in_place_of_a_file_is_said(copied, tmp_path, capsys, name, kind):
    """Nobody waits for somebody who writes into a pipe."""
    (copied / name).unlink()
    if kind != "nothing":
        (os.mkfifo if kind == "a pipe" else os.mkdir)(copied / name)
    text = "o such file" if kind == "nothing" else f"{kind}, not a regular file"
    refused(capsys, ["train", "--data", copied, "--out", tmp_path / "run"], str(copied / name), text)


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


def test_resume_to_fewer_epochs_is_refused_and_changes_nothing(run, capsys):
    before = {path: path.read_bytes() for path in run.iterdir()}
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "1"],
            f"{run}: has trained 2 epochs already, more than the 1 that are asked for")  # fmt: skip
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "4", "--max-iterations", "9"],
            "max_iterations must be at least 10, which are done; got 9")  # fmt: skip
    assert before == {path: path.read_bytes() for path in run.iterdir()}


def test_what_is_said_when_it_stops_goes_on_as_printed(small_folder, tmp_path, capsys, monkeypatch):
    """From the same working folder, with blanks in the path, and without a word of the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    data = os.path.relpath(small_folder)
    options = [*SMALL, "--max-iterations", "7", "--checkpoint-every", "2h"]
    assert main(["train", "--data", data, "--out", "my run", *options]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    told = "stopped after iteration 7 of 10; go on with: "
    assert err.startswith(told)
    command = shlex.split(err.removeprefix(told))
    assert command == ["captioning", "train", "--out", "my run", "--resume", "--checkpoint-every", "2h"]
    assert main([*command[1:], "--quiet"]) == 0
    assert main(["train", "--data", data, "--out", "whole", *SMALL]) == 0
    for name in ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", "settings.json"):
        assert Path("whole", name).read_bytes() == Path("my run", name).read_bytes(), name


def test_best_weights_from_within_an_epoch_are_told(small_folder, tmp_path, capsys, monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: next(losses))
    options = [*SMALL, "--validate-every", "4", "--keep", "loss"]
    options.remove("--quiet")
    assert main(["train", "--data", str(small_folder), "--out", str(tmp_path / "run"), *options]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("trained 10 iterations; kept epoch 1: validation loss 1.000")
    assert "iteration 8, in epoch 2/2  validation loss 2.000" in err


def test_a_run_knows_its_threads_and_goes_on_with_them(small_folder, run, capsys):
    """The bits of an unbroken training, whatever the number of threads is set to when it goes on."""
    before = mg.get_num_threads()
    assert Run.open(run).settings["threads"] == before
    other = before + 1
    resume = ["train", "--data", str(small_folder), "--out", str(run), "--resume"]
    mg.set_num_threads(other)
    try:
        assert main([*resume, "--epochs", "3"]) == 0
        assert f"goes on with {before} thread" in capsys.readouterr().err
        assert mg.get_num_threads() == other  # as it was
        assert Run.open(run).settings["threads"] == before
        assert main([*resume, "--epochs", "3", "--quiet"]) == 0
        assert capsys.readouterr().err == ""
    finally:
        mg.set_num_threads(before)
    assert main([*resume, "--threads", str(other), "--quiet"]) == 0
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert f"--threads {before} keeps them the same" in err
    assert mg.get_num_threads() == before
    assert Run.open(run).settings["threads"] == other


def test_a_second_process_is_refused(small_folder, run, capsys):
    before = {path: path.read_bytes() for path in run.iterdir()}
    with Run.open(run):
        refused(capsys, ["train", "--data", small_folder, "--out", run, "--resume", "--epochs", "3"],
                f"process {os.getpid()} is training in this folder")  # fmt: skip
    assert before == {path: path.read_bytes() for path in run.iterdir()}


def test_a_run_from_before_validation_in_between_goes_on(small_folder, run):
    settings = json.loads((run / "settings.json").read_text())
    del settings["training"]["validate_every"], settings["threads"], settings["data"]["extractor"]
    (run / "settings.json").write_text(json.dumps(settings))
    assert main(["train", "--data", str(small_folder), "--out", str(run), "--resume", "--epochs", "3", "--quiet"]) == 0
    assert Run.open(run).settings["training"]["validate_every"] is None


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


def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_that_resumes_exactly(small_folder, tmp_path, number, status):
    """A real process and a real signal, somewhere in a run of 5000 epochs."""
    command = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), *SMALL[:-3]]
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    process = subprocess.Popen([*command, "--out", str(stopped), "--epochs", "5000"], stderr=subprocess.PIPE, text=True)
    wait_for(stopped / "weights.safetensors")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
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


@pytest.mark.parametrize("lines", [
    None, "", "[]\n", '{"loss": 1.0, "iteration": 1}\n', '{"epoch": 2, "iteration": 1}\n',
])  # fmt: skip
def test_a_history_without_the_epoch_that_was_kept_is_named_and_left_as_it_is(run, capsys, lines):
    """Also with epochs to come: what is refused has changed nothing."""
    path = run / "history.jsonl"
    path.unlink() if lines is None else path.write_text(lines)
    for more in ([], ["--epochs", "3"]):
        refused(capsys, ["train", "--out", run, "--resume", *more], "history.jsonl", "has no entry of the epoch",
                "bring the file back, or begin a new run")  # fmt: skip
        assert (path.read_text() if path.exists() else None) == lines


def test_a_loss_that_is_not_finite_says_how_to_begin_anew(small_folder, tmp_path, capsys):
    out = tmp_path / "a run"
    command = ["train", "--data", small_folder, "--out", out, *SMALL]
    refused(capsys, [*command, "--learning-rate", "1e308"], "the loss is ", "try a smaller learning rate",
            f"to begin anew remove '{out}', or name another --out")  # fmt: skip


@pytest.mark.parametrize(("names", "when"), [
    (("settings.json", "vocabulary.json"), 1), (("settings.json",), 2), (("weights.safetensors",), 2), (None, 1),
    (None, 2),
])  # fmt: skip
def test_files_that_vanish_while_it_trains_end_it(small_folder, tmp_path, capsys, monkeypatch, names, when):
    """At the first checkpoint or the last. None: the whole folder is renamed."""
    out, save, begun = tmp_path / "run", Run.save_checkpoint, []

    def vanish(run, state):
        save(run, state)
        begun.extend([run] * (run.folder == out))
        if len(begun) == when:
            out.rename(tmp_path / "other") if names is None else [(out / name).unlink() for name in names]

    monkeypatch.setattr(Run, "save_checkpoint", vanish)
    gone = f"{out}: the folder is gone" if names is None else f"{out}: {', '.join(names)}: gone"
    refused(capsys, ["train", "--data", small_folder, "--out", out, *SMALL, "--keep", "loss"], gone,
            "moved or removed while the run trained")  # fmt: skip


@pytest.mark.parametrize("lost", ["2>/dev/full", "2> >(true)"])
def test_a_lost_standard_error_does_not_stop_it(small_folder, tmp_path, lost):
    words = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), "--out", str(tmp_path / "run"),
             *SMALL[:-1]]  # fmt: skip
    line = f"{shlex.join(words)} {lost}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"run folder: {tmp_path / 'run'}" in done.stdout


@pytest.mark.parametrize(
    ("size", "name"),
    [(0, ".lock"), (100, "history.jsonl"), (1500, "settings.json"), (10_000, "checkpoint.safetensors")],
)
def test_a_resume_on_a_full_disk_names_the_file(run, capsys, size, name):
    words = ["train", "--out", str(run), "--resume", "--epochs", "3", "--quiet"]
    (run / "settings.json").write_text((run / "settings.json").read_text() + " " * 1500)  # longer than the history
    with files_of_at_most(size):
        assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert f"{run / name}" in err
    assert "File too large" in err
    assert main(words) == 0
