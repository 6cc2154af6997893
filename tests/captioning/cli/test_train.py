"""The command `train`, and what --resume takes and refuses."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest

import minigrad as mg
from captioning.data.dataset import CaptionData
from captioning.data.errors import DataError
from captioning.training.run_folder import Run
from captioning.training.solver import Solver
from captioning.vision.extractors import EXTRACTORS
from minigrad.runtime.blas import MOST_THREADS
from tests.captioning.cli.commands import SMALL, edit_json, output_of, refused, status_of
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.vision.grid_extractor import GridExtractor


def train(data, out, *options):
    return status_of("train", "--data", data, "--out", out, *SMALL, *options)


def resume(out, *options):
    return status_of("train", "--out", out, "--resume", "--quiet", *options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def same(one, other, *names):
    for name in ("weights.safetensors", "checkpoint.safetensors", "history.jsonl", *names):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_train_leaves_a_run_folder(small_folder, trained, tmp_path, capsys):
    folder = tmp_path / "new" / "run"
    options = ["--cell", "rnn", "--dropout", "0.1", "--feature-dropout", "0.2", "--max-train", "20", "--no-pca",
               "--seed", "3", "--keep", "loss"]  # fmt: skip
    lines = output_of(capsys, "train", "--data", small_folder, "--out", folder, *SMALL, *options).splitlines()
    assert lines[0].startswith("trained 4 iterations; kept epoch ")
    assert " per caption, BLEU-4 " in lines[0]
    assert lines[1] == f"run folder: {folder}"
    settings = Run.open(folder).settings
    assert settings["model"] == {
        "kind": "source", "feature_size": 5, "wordvec_size": 8, "hidden_size": 12, "cell_type": "rnn", "dropout": 0.1,
        "dtype": "float32", "forget_bias": 0.0, "feature_dropout": 0.2,
    }  # fmt: skip
    data, training = settings["data"], settings["training"]
    assert (data["pca"], data["max_train"], data["train_captions"]) == (False, 20, 20)
    assert (data["folder"], len(data["fingerprint"])) == (str(small_folder), 6)
    assert (training["seed"], training["keep"]) == (3, "loss")
    assert contents(trained).keys() == {"checkpoint.safetensors", "history.jsonl", "settings.json", "vocabulary.json",
                                        "weights.safetensors"}  # fmt: skip


def test_attention_is_trained_on_standardised_features(attention_run, regions_folder):
    """The weights of the features are divided by their spread, and their mean of 10 is subtracted."""
    with h5py.File(regions_folder / "train2014_vgg16_fc7.h5") as file:
        features = file["features"][()]
    model = Run.open(attention_run).load_model()
    np.testing.assert_allclose(model.mean[: features.shape[1]], features.mean(axis=0), rtol=1e-3)


@pytest.mark.parametrize(("columns", "options", "notes"), [
    (5, [], ["with --no-pca, the features of known", "only 12 val"]), (4, [], ["only 12 val"]),
    (5, ["--no-pca", "--val-images", "1"], ["only 1 val"]), (5, ["--pca", "--keep", "loss"], []),
])  # fmt: skip
def test_notes_on_what_may_not_be_meant(copied, tmp_path, capsys, monkeypatch, columns, options, notes):
    class Known(GridExtractor):
        name, size = "known", columns

    monkeypatch.setitem(EXTRACTORS, "known", Known)
    for split in ("train", "val"):
        with h5py.File(copied / f"{split}2014_vgg16_fc7.h5", "a") as file:
            file["features"].attrs["extractor"] = "known"
    assert status_of("train", "--data", copied, "--out", tmp_path / "run", *SMALL[:-1], *options) == 0
    out, err = capsys.readouterr()
    assert "epoch 2/2  validation loss" in err
    assert "epoch 2/2" not in out
    for line in ("with --no-pca, the features of known", "only 12 val", "only 1 val"):
        assert (line in err) == (line in notes)


@pytest.mark.parametrize(("options", "part"), [
    (["--batch-size", "0"], "train: --batch-size must be an int of at least 1; got 0"),
    (["--hidden", "0"], "train: --hidden must be"), (["--max-words", "0", "--captions", "raw"], " --max-words: "),
    (["--max-iterations", "0"], " --max-iterations: must be"), (["--max-train", "0"], " --max-train: must be"),
    (["--hidden", "1000000000"], "--hidden 1000000000 and --wordvec 8 is too large for the memory here: "),
    (["--forget-bias=-1e39"], "train: --forget-bias must be finite in float32; got -1e+39"),
    (["--feature-dropout", "nan"], "train: --feature-dropout must be at least 0 and below 1; got nan"),
    (["--seed", "-1"], "--seed: must be an int of at least 0; got -1"), (["--max-train", "1000"], "at most 48"),
    (["--shards", "11"], "batches of 10 cannot be split into 11 shards"),
    (["--threads", "1025"], f"--threads: must be an int from 1 to {MOST_THREADS}; got 1025"),
    (["--data", "none"], "none"),
])  # fmt: skip
def test_impossible_settings_are_refused_and_leave_nothing(small_folder, tmp_path, capsys, options, part):
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL, *options], part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["MINIGRAD_BLAS", "MINIGRAD_KEEP_MEMORY"])
def test_wrong_settings_of_the_environment_are_refused_and_leave_nothing(small_folder, tmp_path, setting):
    command = ["-m", "captioning", "train", "--data", small_folder, "--out", tmp_path / "run", *SMALL]
    done = subprocess.run([sys.executable, *command], env={**os.environ, setting: "no"}, capture_output=True, text=True)
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (2, "", [])
    assert done.stderr.startswith(f"captioning train: {setting} must be ")
    assert done.stderr.count("\n") == 1


def test_the_place_is_checked_before_the_data_and_the_data_before_the_folder_is_made(
    small_folder, tmp_path, capsys, monkeypatch
):
    def check(data, progress):
        assert list(tmp_path.iterdir()) == [tmp_path / "file"]
        raise DataError("row 7 is damaged")

    (tmp_path / "file").write_text("")
    monkeypatch.setattr(CaptionData, "check", check, raising=False)
    for out, message in (("file", "file: is a file, not a run folder"), ("file/run", "file: Not a directory"),
                         ("", "already exists")):  # fmt: skip
        refused(capsys, ["train", "--data", "none", "--out", tmp_path / out, *SMALL], message)
    refused(capsys, ["train", "--data", small_folder, "--out", tmp_path / "run", *SMALL], "row 7 is damaged")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_resume_goes_on_to_more_epochs(small_folder, run, tmp_path, capsys):
    whole, words = tmp_path / "whole", ["train", "--out", run, "--resume"]
    assert train(small_folder, whole, "--epochs", "4") == 0
    before = contents(run)
    refused(capsys, [*words, "--epochs", "1"], f"{run}: has already trained 2 epochs")
    refused(capsys, [*words, "--epochs", "4", "--max-iterations", "9"], "--max-iterations must be at least 10")
    with Run.open(run):
        refused(capsys, [*words, "--epochs", "3"], f"process {os.getpid()} is training in this folder")
    assert contents(run) == before
    assert resume(run, "--epochs", "4") == 0
    same(whole, run, "settings.json")
    assert "trained 20 iterations" in output_of(capsys, *words, "--quiet")  # nothing left to do


@pytest.mark.parametrize(("options", "status"), [(["--max-iterations", "7"], 0), ([], 128 + signal.SIGTERM)])
def test_after_a_stop_the_printed_command_resumes_exactly(
    small_folder, trained, tmp_path, capsys, monkeypatch, options, status
):
    """From the same working folder, with a blank in the path, and without the data."""
    iterate, done = Solver._iterate, []

    def stopped(solver, stop):
        iterate(solver, stop)
        done.append(solver)
        if len(done) == 7 and status:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Solver, "_iterate", stopped)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    assert train(os.path.relpath(small_folder), "my run", "--checkpoint-every", "2h", *options) == status
    out, err = capsys.readouterr()
    about, _, command = err.partition("; resume with: ")
    assert (out, about) == ("", "stopped after iteration 7 of 10")
    words = shlex.split(command)
    assert words == ["captioning", "train", "--out", "my run", "--resume", "--checkpoint-every", "2h"]
    assert status_of(*words[1:], "--quiet") == 0
    same(trained, tmp_path / "my run", "settings.json")


def test_best_weights_from_within_an_epoch_are_reported(small_folder, tmp_path, capsys, monkeypatch):
    losses = iter([3.0, 2.0, 1.0, 2.0, 2.0])
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: next(losses))
    assert train(small_folder, tmp_path / "run", "--validate-every", "4", "--keep", "loss") == 0
    assert "kept iteration 8, in epoch 2: validation loss 1.000" in capsys.readouterr().out


def test_a_run_goes_on_with_its_threads_and_shards(run, capsys):
    """So its bits are those of an unbroken training, whatever the number of threads is when it resumes."""
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
    assert resume(run, "--threads", other, "--shards", "2") == 0
    err = capsys.readouterr().err.splitlines()
    assert [f"--threads {before} keeps them the same" in line for line in err] == [True, False]
    assert "--shards 1 keeps" in err[1]
    assert (mg.get_num_threads(), Run.open(run).settings["threads"]) == (before, other)
    edit_json(run / "settings.json", lambda settings: settings.update(products="another way"))
    assert resume(run, "--threads", before, "--shards", "2") == 0
    assert "products another way and continues" in capsys.readouterr().err


def test_resume_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys):
    words = ["train", "--data", small_folder, "--resume", "--out"]
    refused(capsys, [*words, tmp_path / "none"], str(tmp_path / "none"), "no such run folder")
    refused(capsys, [*words, run, "--hidden", "13"], "--hidden 13 (the run has 12)")
    refused(capsys, [*words, run, "--data", other_folder], "different vocabulary")
    (run / "checkpoint.safetensors").unlink()
    refused(capsys, [*words, run], "checkpoint.safetensors", "no such file")
    edit_json(run / "settings.json", lambda settings: settings["training"].pop("seed"))
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
    refused(
        capsys, ["train", "--data", copied, "--out", run, "--resume", "--epochs", "3"], f"{what} (was ", "--data DIR"
    )
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


@pytest.mark.parametrize("lines", [None, "[]\n", '{"epoch": 2, "iteration": 1}\n'])
def test_a_history_without_the_kept_epoch_is_refused_and_unchanged(run, capsys, lines):
    path = run / "history.jsonl"
    path.unlink() if lines is None else path.write_text(lines)
    refused(capsys, ["train", "--out", run, "--resume", "--epochs", "3"], "history.jsonl", "has no entry for the epoch")
    assert (path.read_text() if path.exists() else None) == lines


@pytest.mark.parametrize(("size", "name"), [(0, ".lock"), (100, "history.jsonl"), (10_000, "checkpoint.safetensors")])
def test_a_resume_on_a_full_disk_names_the_file_and_says_how_to_go_on(run, capsys, size, name):
    words = ["train", "--out", run, "--resume", "--epochs", "3", "--quiet"]
    with files_of_at_most(size):
        refused(capsys, words, str(run / name), "File too large", *(["--resume"] if size > 9999 else []))
    assert status_of(*words) == 0
