"""The command `train`, and what --resume takes and refuses."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
import time

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

LOUD = SMALL[:-1]


def train(data, out, *options):
    return main(["train", "--data", str(data), "--out", str(out), *SMALL, *options])


def resume(out, *options):
    return main(["train", "--out", str(out), "--resume", "--quiet", *options])


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(one, other, *names):
    for name in ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", *names):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def change(run, edit):
    settings = json.loads((run / "settings.json").read_text())
    edit(settings)
    (run / "settings.json").write_text(json.dumps(settings))


def test_train_leaves_a_run_folder(small_folder, tmp_path, capsys):
    folder = tmp_path / "new" / "run"
    options = ["--cell", "rnn", "--dropout", "0.1", "--feature-dropout", "0.2", "--max-train", "20", "--no-pca",
               "--seed", "3", "--keep", "loss"]  # fmt: skip
    assert train(small_folder, folder, *options) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.splitlines()[0].startswith("trained 4 iterations; kept epoch ")
    assert " a caption, BLEU-4 " in out
    assert out.splitlines()[1] == f"run folder: {folder}"
    settings = Run.open(folder).settings
    assert settings["model"] == {
        "kind": "source", "feature_size": 5, "wordvec_size": 8, "hidden_size": 12, "cell_type": "rnn", "dropout": 0.1,
        "dtype": "float32", "forget_bias": 0.0, "feature_dropout": 0.2,
    }  # fmt: skip
    data = settings["data"]
    assert (data["pca"], data["max_train"], data["train_captions"]) == (False, 20, 20)
    assert data["folder"] == str(small_folder)
    assert len(data["fingerprint"]) == 6
    assert (settings["training"]["seed"], settings["training"]["keep"]) == (3, "loss")
    assert set(contents(folder)) == {"checkpoint.safetensors", "history.jsonl", "loss.png", "settings.json",
                                     "vocabulary.json", "weights.safetensors"}  # fmt: skip


@pytest.mark.parametrize(("columns", "options", "told"), [
    (5, [], ["with --no-pca, the features of known", "only 12 images"]), (4, [], ["only 12 images"]),
    (5, ["--no-pca", "--val-images", "1"], ["only 1 image"]), (5, ["--pca", "--keep", "loss"], []),
])  # fmt: skip
def test_what_may_not_be_meant_is_said(copied, tmp_path, capsys, monkeypatch, columns, options, told):
    class Known(GridExtractor):
        name, size = "known", columns

    monkeypatch.setitem(EXTRACTORS, "known", Known)
    for split in ("train", "val"):
        with h5py.File(copied / f"{split}2014_vgg16_fc7.h5", "a") as file:
            file["features"].attrs["extractor"] = "known"
    command = ["train", "--data", str(copied), "--out", str(tmp_path / "run"), *LOUD, *options]
    assert main(command) == 0
    out, err = capsys.readouterr()
    assert "epoch 2/2  validation loss" in err
    assert "epoch 2/2" not in out
    for line in ("with --no-pca, the features of known", "only 12 images", "only 1 image"):
        assert (line in err) == (line in told)


@pytest.mark.parametrize(("options", "part"), [
    (["--epochs", "0"], "epochs must be an int of at least 1; got 0"),
    (["--learning-rate", "inf"], "learning_rate must be above 0 and finite; got inf"),
    (["--weight-decay", "nan"], "weight_decay must be at least 0 and finite; got nan"),
    (["--hidden", "1000000000"], "--hidden 1000000000 and --wordvec 8 is too large for the memory here: "),
    (["--wordvec", "-1"], "wordvec_size must be an int of at least 1; got -1"),
    (["--clip-norm", "0"], "clip_norm must be above 0 and finite; got 0.0"),
    (["--forget-bias=-1e39"], "forget_bias must be finite in float32; got -1e+39"),
    (["--feature-dropout", "nan"], "feature_dropout must be at least 0 and below 1; got nan"),
    (["--seed", "-1"], "--seed: must be an int of at least 0; got -1"),
    (["--max-train", "1000"], "max_train must be at most 48"),
    (["--val-images", "0"], "val_images must be an int of at least 1; got 0"),
    (["--max-iterations", "0"], "max_iterations must be an int of at least 1; got 0"),
    (["--shards", "11"], "batches of 10 cannot be cut into 11 shards"),
    (["--threads", "1025"], "--threads: must be an int from 1 to 1024; got 1025"),
    (["--data", "none"], "none"),
])  # fmt: skip
def test_impossible_settings_are_refused_and_leave_nothing(small_folder, tmp_path, capsys, options, part):
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL, *options], part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("path", "part"), [
    ("file", "file: is a file, not a run folder"), ("file/run", "file: Not a directory"),
    ("closed/run", "closed: Permission denied"), ("", "the path names no folder"), ("full", "exists already"),
])  # fmt: skip
def test_a_place_for_no_folder_is_refused_before_data_is_read(tmp_path, capsys, monkeypatch, path, part):
    (tmp_path / "file").write_text("")
    for name in ("closed", "full", "full/mine"):
        (tmp_path / name).mkdir()
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "closed" not in str(path) and access(path, mode))
    refused(capsys, ["train", "--data", "none", "--out", tmp_path / path if path else "", *SMALL], part)
    assert (tmp_path / "full" / "mine").is_dir()


def test_the_data_are_read_before_the_folder_is_made(small_folder, tmp_path, capsys, monkeypatch):
    def check(data, progress):
        assert list(tmp_path.iterdir()) == []
        raise DataError("row 7 is damaged")

    monkeypatch.setattr(CaptionData, "check", check, raising=False)
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL], "row 7 is damaged")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_says_which_file_and_how_to_go_on(small_folder, tmp_path, capsys, monkeypatch):
    out, replace = tmp_path / "a run", os.replace

    def full(source, target):
        if target.name == "weights.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    refused(capsys, ["train", "--data", small_folder, "--out", out, *SMALL], "No space left on device",
            f"{out}/weights.safetensors", f"go on with: captioning train --out '{out}' --resume")  # fmt: skip
    monkeypatch.undo()
    assert resume(out) == 0


@pytest.mark.parametrize("name", ["coco2014_vocab.json", "coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
def test_a_pipe_in_place_of_a_file_is_said(copied, tmp_path, capsys, name):
    """Nobody waits for somebody who writes into a pipe."""
    (copied / name).unlink()
    os.mkfifo(copied / name)
    refused(capsys, ["train", "--data", copied, "--out", tmp_path / "run"], str(copied / name), "a pipe")


@pytest.mark.parametrize("name", ["settings.json", "vocabulary.json", "checkpoint.safetensors", "history.jsonl"])
def test_a_pipe_in_place_of_a_file_of_the_run_is_said(run, capsys, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    refused(capsys, ["train", "--out", run, "--resume"], str(run / name), "a pipe, not a regular file")


def test_resume_goes_on_to_more_epochs(small_folder, run, tmp_path, capsys):
    whole = tmp_path / "whole"
    assert train(small_folder, whole, "--epochs", "4") == 0
    before = contents(run)
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "1"], f"{run}: has trained 2 epochs already")
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "4", "--max-iterations", "9"],
            "max_iterations must be at least 10, which are done; got 9")  # fmt: skip
    assert contents(run) == before
    assert resume(run, "--epochs", "4") == 0
    same(whole, run, "settings.json")
    capsys.readouterr()
    assert resume(run) == 0  # nothing left to do
    assert "trained 20 iterations" in capsys.readouterr().out


def test_what_is_said_when_it_stops_goes_on_as_printed(small_folder, tmp_path, capsys, monkeypatch):
    """From the same working folder, with blanks in the path, and without a word of the data."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    data = os.path.relpath(small_folder)
    assert train(data, "my run", "--max-iterations", "7", "--checkpoint-every", "2h") == 0
    out, err = capsys.readouterr()
    told = "stopped after iteration 7 of 10; go on with: "
    assert (out, err[: len(told)]) == ("", told)
    command = shlex.split(err.removeprefix(told))
    assert command == ["captioning", "train", "--out", "my run", "--resume", "--checkpoint-every", "2h"]
    assert main([*command[1:], "--quiet"]) == 0
    assert train(data, "whole") == 0
    same(tmp_path / "whole", tmp_path / "my run", "settings.json")


def test_best_weights_from_within_an_epoch_are_told(small_folder, tmp_path, capsys, monkeypatch):
    losses = iter([3.0, 2.0, 1.0, 2.0, 2.0])
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: next(losses))
    assert train(small_folder, tmp_path / "run", "--validate-every", "4", "--keep", "loss") == 0
    assert "kept iteration 8, in epoch 2: validation loss 1.000" in capsys.readouterr().out


def test_a_run_goes_on_with_its_threads_and_shards(small_folder, run, capsys):
    """The bits of an unbroken training, whatever the number of threads is set to when it goes on."""
    before = mg.get_num_threads()
    other = before + 1
    mg.set_num_threads(other)
    try:
        assert resume(run, "--epochs", "3") == 0
        assert mg.get_num_threads() == other  # as it was
    finally:
        mg.set_num_threads(before)
    assert Run.open(run).settings["threads"] == before
    assert capsys.readouterr().err == ""
    assert resume(run, "--threads", str(other), "--shards", "2") == 0
    err = capsys.readouterr().err.splitlines()
    assert [f"--threads {before} keeps them the same" in line for line in err] == [True, False]
    assert "--shards 1 keeps" in err[1]
    assert (mg.get_num_threads(), Run.open(run).settings["threads"]) == (before, other)
    change(run, lambda settings: settings.update(products="another way"))
    assert resume(run, "--threads", str(before), "--shards", "2") == 0
    assert "products another way so far" in capsys.readouterr().err


def test_a_second_process_is_refused(run, capsys):
    before = contents(run)
    with Run.open(run):
        refused(capsys, ["train", "--out", run, "--resume", "--epochs", "3"],
                f"process {os.getpid()} is training in this folder")  # fmt: skip
    assert before == contents(run)


def test_runs_of_older_versions_go_on(run, capsys):
    fingerprint = Run.open(run).settings["data"]["fingerprint"]

    def age(settings):
        del settings["training"]["validate_every"], settings["threads"], settings["model"]["feature_dropout"]
        del settings["data"]["extractor"], settings["data"]["fingerprint"]

    change(run, age)
    assert resume(run, "--epochs", "3") == 0
    assert "without a fingerprint of its data" in capsys.readouterr().err
    settings = Run.open(run).settings
    assert (settings["training"]["validate_every"], settings["model"]["feature_dropout"]) == (None, 0)
    assert settings["data"]["fingerprint"] == fingerprint
    assert resume(run) == 0
    assert capsys.readouterr().err == ""


def test_resume_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys):
    words = ["train", "--data", small_folder, "--resume", "--out"]
    refused(capsys, [*words, tmp_path / "none"], str(tmp_path / "none"), "no such run folder")
    refused(capsys, [*words, run, "--hidden", "13"], "--hidden 13 (the run has 12)")
    refused(capsys, [*words, run, "--data", other_folder], "another vocabulary")
    (run / "checkpoint.safetensors").unlink()
    refused(capsys, [*words, run], "checkpoint.safetensors", "no such file")
    change(run, lambda settings: settings["training"].pop("seed"))
    refused(capsys, [*words, run], "settings.json", "seed are missing")


@pytest.mark.parametrize(("name", "key"), [
    ("coco2014_captions.h5", "train_captions"), ("coco2014_captions.h5", "val_captions"),
    ("train2014_vgg16_fc7_pca.h5", "features"),
])  # fmt: skip
def test_resume_refuses_changed_data(copied, run, capsys, name, key):
    """As many rows as before, two of them exchanged."""
    before = contents(run)
    with h5py.File(copied / name, "r+") as file:
        rows = file[key][()]
        rows[[0, 3]] = rows[[3, 0]]
        file[key][...] = rows
    what = name if key == "features" else f"{name}: {key}"
    refused(capsys, ["train", "--data", copied, "--out", run, "--resume", "--epochs", "3"], f"{what} (was ",
            str(copied), "--data DIR")  # fmt: skip
    assert before == contents(run)


def test_resume_finds_the_data_again(copied, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    run, moved = tmp_path / "run", tmp_path / "moved"
    assert train(copied, run) == 0
    copied.rename(moved)
    refused(capsys, ["train", "--out", run, "--resume"], f"was trained on the data in {copied}", "--data DIR")
    monkeypatch.setenv("CAPTIONING_DATA", str(moved))
    assert resume(run, "--epochs", "3") == 0
    monkeypatch.delenv("CAPTIONING_DATA")
    assert resume(run, "--epochs", "4") == 0
    assert Run.open(run).settings["data"]["folder"] == str(moved)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_checkpoint_that_resumes_exactly(small_folder, tmp_path, number, status):
    """A real process and a real signal, somewhere in a run of 5000 epochs."""
    stopped, whole = tmp_path / "stopped", tmp_path / "whole"
    command = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), "--out", str(stopped),
               *SMALL[:-3], "--epochs", "5000"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (stopped / "weights.safetensors").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "--resume" in err
    assert "Traceback" not in err
    done = int(err.split("stopped after iteration ")[1].split()[0])
    epochs = ["--epochs", str(done // 5 + 2), "--threads", str(Run.open(stopped).settings["threads"])]
    assert resume(stopped, *epochs) == 0
    assert train(small_folder, whole, *epochs) == 0
    same(whole, stopped)


@pytest.mark.parametrize("lines", [None, "", "[]\n", '{"epoch": 2, "iteration": 1}\n'])
def test_a_history_without_the_epoch_that_was_kept_is_named_and_left_as_it_is(run, capsys, lines):
    """Also with epochs to come: what is refused has changed nothing."""
    path = run / "history.jsonl"
    path.unlink() if lines is None else path.write_text(lines)
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "3"], "history.jsonl", "has no entry of the epoch")
    assert (path.read_text() if path.exists() else None) == lines


def test_a_loss_that_is_not_finite_says_how_to_begin_anew(small_folder, tmp_path, capsys):
    out = tmp_path / "a run"
    command = ["train", "--data", small_folder, "--out", out, *SMALL]
    refused(capsys, [*command, "--learning-rate", "1e308"], "the loss is ", f"to begin anew remove '{out}'")


@pytest.mark.parametrize(("names", "when"), [(("settings.json", "vocabulary.json"), 1), (None, 1), (None, 2)])
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
    refused(capsys, ["train", "--data", small_folder, "--out", out, *SMALL, "--keep", "loss"], gone)


def test_a_lost_standard_error_does_not_stop_it(small_folder, tmp_path):
    words = [sys.executable, "-m", "captioning", "train", "--data", str(small_folder), "--out", str(tmp_path / "run"),
             *LOUD]  # fmt: skip
    line = f"{shlex.join(words)} 2>/dev/full"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"run folder: {tmp_path / 'run'}" in done.stdout


@pytest.mark.parametrize(("size", "name"), [(0, ".lock"), (100, "history.jsonl"), (10_000, "checkpoint.safetensors")])
def test_a_resume_on_a_full_disk_names_the_file(run, capsys, size, name):
    words = ["train", "--out", str(run), "--resume", "--epochs", "3", "--quiet"]
    with files_of_at_most(size):
        refused(capsys, words, str(run / name), "File too large")
    assert main(words) == 0
