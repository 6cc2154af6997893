"""The command line as its users type it: what it prints where, what it leaves, and how it refuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from captioning.cli.entry import main
from captioning.training.run import Run

SMALL = ["--hidden", "12", "--wordvec", "8", "--batch-size", "10", "--epochs", "2", "--quiet"]


@pytest.fixture(scope="module")
def trained(small_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy that may be spoilt."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def refused(capsys, arguments, *parts):
    """The command ends with status 2, one line on standard error that has all parts, and no standard output."""
    assert main([str(a) for a in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1, err
    assert err.startswith(f"captioning {arguments[0]}: ")
    for part in parts:
        assert part in err


# train -----------------------------------------------------------------------------------------


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


@pytest.fixture
def copied(small_folder, tmp_path):
    """The data in another folder, where it may be changed."""
    return Path(shutil.copytree(small_folder, tmp_path / "copied"))


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


# refine ----------------------------------------------------------------------------------------

ROUNDS = ["--rounds", "2", "--round-epochs", "1", "--drafts", "3", "--neighbours", "4", "--batch-size", "10", "--quiet"]


@pytest.fixture
def refined(small_folder, trained, tmp_path):
    folder = tmp_path / "refined"
    assert main(["refine", str(trained), "--data", str(small_folder), "--out", str(folder), *ROUNDS]) == 0
    return folder


def test_refine_leaves_a_run_folder_of_its_own(small_folder, trained, refined):
    settings = Run.open(refined).settings
    assert settings["refinement"] == {"start": "run", "rounds": 2, "round_epochs": 1, "drafts": 3, "temperature": 0.7,
                                      "neighbours": 4, "width": 0.08, "human_weight": 0.2, "best": 2}  # fmt: skip
    assert (settings["training"]["epochs"], settings["training"]["keep"]) == (2, "exercise")
    assert settings["model"] == Run.open(trained).settings["model"]
    assert main(["evaluate", str(refined), "--data", str(small_folder), "--json"]) == 0


def test_refine_resumes_to_more_rounds(small_folder, trained, refined, tmp_path, capsys):
    whole = tmp_path / "whole"
    longer = [*ROUNDS, "--rounds", "3"]
    capsys.readouterr()
    assert main(["refine", str(trained), "--data", str(small_folder), "--out", str(whole), *longer]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("trained 15 iterations; kept epoch ")
    assert out.splitlines()[1] == f"run folder: {whole}"
    resume = ["refine", "--data", str(small_folder), "--out", str(refined), "--resume", "--quiet"]
    assert main([*resume, "--rounds", "3"]) == 0
    for path in whole.glob("*.[sj]*"):
        assert path.read_bytes() == (refined / path.name).read_bytes(), path.name
    assert (whole / "targets.safetensors").is_file()


def test_refine_refuses_what_does_not_fit(small_folder, other_folder, run, refined, tmp_path, capsys):
    capsys.readouterr()
    refine = ["refine", "--data", small_folder, "--out"]
    refused(capsys, [*refine, tmp_path / "new"], "the run to start from")
    refused(capsys, [*refine, refined, "--resume", run], "the run to start from")
    refused(capsys, [*refine, tmp_path / "new", tmp_path / "none"], "no such run folder")
    refused(capsys, [*refine, refined, run, "--quiet"], "exists already")
    refused(capsys, [*refine, run, "--resume"], "captioning train")
    refused(capsys, ["train", "--data", small_folder, "--out", refined, "--resume"], "captioning refine")
    refused(capsys, [*refine, refined, "--resume", "--drafts", "4"], "--drafts 4 (the run has 3)")
    refused(capsys, [*refine, tmp_path / "new", run, "--best", "13"], "best must be at most drafts")
    refused(capsys, ["refine", "--data", other_folder, "--out", tmp_path / "new", run], "another vocabulary")
    assert not (tmp_path / "new").exists()


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


# evaluate --------------------------------------------------------------------------------------


def test_evaluate_needs_nothing_but_the_run_and_the_data(small_folder, run, capsys):
    for name in ("checkpoint.safetensors", "history.jsonl", "loss.png"):
        (run / name).unlink()
    assert main(["evaluate", str(run), "--data", str(small_folder), "--split", "val", "--part", "second"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "12 images, 24 captions" in out
    assert "exercise BLEU (unigrams, one reference, mean)" in out
    assert "in the mean over all references" in out
    assert "of one human caption against another" in out
    assert "corpus BLEU-4 (all references" in out
    assert "chosen on the validation images: first" in out


def test_evaluate_json_is_one_object_and_nothing_else(small_folder, trained, capsys):
    arguments = ["evaluate", str(trained), "--data", str(small_folder), "--json"]
    assert main(arguments) == 0
    out, _ = capsys.readouterr()
    figures = json.loads(out)
    assert len(out.splitlines()) == 1
    assert {"run", "split", "part", "decoding", "chosen_on", "loss", "exercise_bleu", "exercise_bleu_mean",
            "exercise_bleu_human", "corpus_bleu_1", "corpus_bleu_2", "corpus_bleu_3", "corpus_bleu_4", "images",
            "captions"} == set(figures)  # fmt: skip
    assert figures["images"] == 24
    main([*arguments, "--split", "train", "--beam", "3", "--max-images", "7"])
    figures = json.loads(capsys.readouterr().out)
    assert (figures["split"], figures["decoding"], figures["images"]) == ("train", "beam 3", 7)


def test_evaluate_finds_the_data_that_the_environment_names(small_folder, trained, capsys, monkeypatch):
    monkeypatch.setenv("CAPTIONING_DATA", str(small_folder))
    assert main(["evaluate", str(trained), "--json"]) == 0
    json.loads(capsys.readouterr().out)


def test_evaluate_refuses_what_does_not_fit(small_folder, other_folder, run, tmp_path, capsys):
    refused(capsys, ["evaluate", tmp_path / "none", "--data", small_folder], "no such run folder")
    refused(capsys, ["evaluate", run, "--data", other_folder], "another vocabulary")
    refused(capsys, ["evaluate", run, "--data", small_folder, "--beam", "0"], "width must be at least 1")
    weights = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors")
    (run / "weights.safetensors").unlink()
    refused(capsys, ["evaluate", run, "--data", small_folder], "weights.safetensors", "has not finished its first")


# sample ----------------------------------------------------------------------------------------


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
    assert set(found[0][0]) == {"image", "caption", "reference"}


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
    assert {line.split(":")[0] for line in out.splitlines()[::2]} == {"image 3", "image 17", "pictures"}
    with Image.open(sheet) as picture:
        assert picture.size[0] > 300


def test_sample_refuses_options_that_exclude_each_other(small_folder, trained, capsys):
    sample = ["sample", trained, "--data", small_folder]
    refused(capsys, [*sample, "--beam", "2", "--temperature", "1"], "--beam cannot be combined")
    refused(capsys, [*sample, "-n", "0"], "-n must be at least 1; got 0")
    refused(capsys, [*sample, "--temperature", "0"], "temperature must be above 0")


# demo and the parser ---------------------------------------------------------------------------


def test_demo(tmp_path, capsys, monkeypatch):
    pytest.importorskip("captioning.scenes.dataset", reason="no scenes")
    from captioning.cli import demonstration as demo

    monkeypatch.setattr(demo, "QUICK", demo.Size(train=60, val=24, wordvec=8, hidden=12, epochs=2, batch_size=20))
    folder = tmp_path / "demo"
    assert main(["demo", "--quick", "--out", str(folder)]) == 0
    out = capsys.readouterr().out
    for part in ("the captioner", "captions of other scenes", "combinations never seen", "precision", "corpus BLEU-1"):
        assert part in out
    named = [line.split(":")[0].strip() for line in out.split("files\n")[1].splitlines()]
    assert named == [str(folder / name) for name in ("data", "run", "captions.png")]
    assert all(os.path.exists(path) for path in named)
    refused(capsys, ["demo", "--quick", "--out", folder], "has a demonstration already")


@pytest.mark.parametrize("command", [[], ["train"], ["refine"], ["evaluate"], ["sample"], ["demo"]])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: captioning" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["fly"], ["train"], ["evaluate", "run", "--split", "test"]])
def test_a_wrong_command_line_is_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert "usage: captioning" in capsys.readouterr().err


def test_python_m_captioning_and_a_reader_that_leaves(small_folder, trained):
    command = f"{sys.executable} -m captioning evaluate {trained} --data {small_folder} | head -c 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert len(done.stdout) == 1
    assert done.stderr == ""
