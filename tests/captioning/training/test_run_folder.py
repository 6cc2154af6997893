"""What a training leaves in its folder, and what is said of a damaged one."""

from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

import minigrad as mg
from captioning.data.dataset import open_captions
from captioning.models.captioner import Captioner
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from tests.captioning.training.test_solver import SHORT, make_solver, new_run, same, weights
from tests.disk_order import DiskOrder


@pytest.fixture
def trained(small_data, tmp_path):
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    solver.train()
    return tmp_path / "run", solver


def test_the_files_of_a_run(trained):
    folder, solver = trained
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.safetensors", "history.jsonl", "loss.png", "settings.json", "vocabulary.json",
        "weights.safetensors",
    ]  # fmt: skip
    lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    assert lines == solver.history
    model = Run.open(folder).load_model()
    assert same(model.state_dict(), weights(solver))
    assert not model.training


def test_a_run_is_never_overwritten(trained, small_data, tmp_path):
    folder, _ = trained
    with pytest.raises(RunError, match="exists already"):
        new_run(folder, small_data)
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="is a file"):
        new_run(tmp_path / "file", small_data)
    (tmp_path / "empty").mkdir()
    new_run(tmp_path / "empty", small_data)


def test_of_two_runs_that_begin_at_once_one_is_refused(small_data, tmp_path, monkeypatch):
    fingerprint = type(small_data.vocabulary).fingerprint

    def meanwhile(vocabulary):  # between the look at the folder and its making
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "settings.json").write_text("of the other")
        return fingerprint(vocabulary)

    monkeypatch.setattr(type(small_data.vocabulary), "fingerprint", meanwhile)
    with pytest.raises(RunError, match="exists already"):
        new_run(tmp_path / "run", small_data)
    assert (tmp_path / "run" / "settings.json").read_text() == "of the other"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_appears_when_it_is_whole(small_data, tmp_path, monkeypatch):
    """Whatever is being written into it: from outside there is a run with its first checkpoint, or none."""
    seen = []
    replace = os.replace

    def watched(source, target):
        seen.append((Path(target).name, (tmp_path / "run").exists()))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    solver = make_solver(small_data)
    run = Run.create(
        tmp_path / "run", settings_of(solver.model, SHORT, small_data), small_data.vocabulary, solver.state()
    )
    files = ["vocabulary.json", "settings.json", "checkpoint.safetensors"]
    assert seen == [(name, False) for name in files]
    assert sorted(path.name for path in run.folder.iterdir()) == sorted(files)
    solver.run = Run.open(run.folder)
    solver.resume()


def test_a_full_disk_leaves_no_run_and_is_named(small_data, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(RunError, match=r"a/run: cannot be written: .*vocabulary\.json: No space left on device"):
        new_run(tmp_path / "a" / "run", small_data)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_history_as_it_was(trained, monkeypatch):
    folder, _ = trained
    run = Run.open(folder)
    before = (folder / "history.jsonl").read_bytes()
    run.log({"iteration": 16})

    class Full(io.StringIO):
        def writelines(self, lines):
            (folder / "history.jsonl").write_bytes(before + b'{"itera')
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("captioning.training.history.open", lambda *_, **__: Full(), raising=False)
    with pytest.raises(OSError, match=r"No space left on device: .*history\.jsonl"):
        run.flush()
    assert (folder / "history.jsonl").read_bytes() == before
    monkeypatch.undo()
    run.flush()  # what was not written is not lost
    assert (folder / "history.jsonl").read_bytes() == before + b'{"iteration": 16}\n'


def test_one_process_trains_in_a_folder_at_a_time(trained):
    folder, solver = trained
    with Run.open(folder):
        solver.run = Run.open(folder)
        with pytest.raises(RunError, match=f"run: process {os.getpid()} is training in this folder"):
            solver.train()
    assert not (folder / ".lock").exists()
    solver.train()


def test_a_lock_that_a_killed_process_left_is_none(trained):
    folder, _ = trained
    (folder / ".lock").write_text("1\n")
    left = folder / ".checkpoint.safetensors.0123456789abcdef.tmp"
    left.write_text("a part")
    mine = folder / ".mine.tmp"
    mine.write_text("of the user")
    with Run.open(folder) as run, run:  # within each other
        assert not left.exists()
        assert (folder / ".lock").read_text() == f"{os.getpid()}\n"
    assert not (folder / ".lock").exists()
    assert mine.exists()


def test_a_run_knows_the_extractor_of_its_features(small_data, tmp_path, monkeypatch):
    rows = small_data.train.features
    assert new_run(tmp_path / "unknown", small_data).settings["data"]["extractor"] is None
    monkeypatch.setattr(rows, "extractor", "one", raising=False)
    run = new_run(tmp_path / "run", small_data)
    assert run.settings["data"]["extractor"] == "one"
    run.check_fits(small_data.train)
    monkeypatch.setattr(rows, "extractor", "other")
    with pytest.raises(RunError, match=r"features of the extractor one; .* has those of other"):
        run.check_fits(small_data.train)
    monkeypatch.setattr(rows, "extractor", None)
    run.check_fits(small_data.train)  # nobody knows


def test_a_run_of_another_data_set_is_refused(trained, small_folder, other_folder):
    run = Run.open(trained[0])
    with open_captions(other_folder) as data, pytest.raises(RunError, match="another vocabulary"):
        run.check_fits(data.val)
    with open_captions(small_folder, pca=False) as data, pytest.raises(RunError, match=r"features of 6 columns.* 5"):
        run.check_fits(data.val)


def test_a_run_knows_how_many_captions_it_was_trained_on(small_data, tmp_path):
    run = new_run(tmp_path / "run", small_data)
    run.check_as_many(48, small_data.folder)
    with pytest.raises(RunError, match=r"was trained on 48 captions; elsewhere has 47: it is another data set"):
        run.check_as_many(47, "elsewhere")
    with pytest.raises(RunError, match=r"was trained on 48 captions; elsewhere has 47: it is another data set"):
        run.check_same_data(run.settings["data"] | {"train_captions": 47, "folder": "elsewhere"})


@pytest.mark.parametrize(("name", "content", "message"), [
    ("settings.json", None, r"settings\.json: cannot be read, so this is no run folder"),
    ("settings.json", "{", r"settings\.json: is not JSON"),
    ("settings.json", "[]", r"settings\.json: is not the settings of a run"),
    ("settings.json", '{"format": 7, "minigrad": "9.0"}', r"but in format 7, written by minigrad 9\.0"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}, "training": {}, "data": {}, "threads": 0}',
     r"settings\.json: threads must be an int of at least 1; got 0"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}}', r"settings\.json: the key training is missing"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}, "training": {}, "data": {}}',
     r"settings\.json: model: the keys feature_size"),
    ("vocabulary.json", None, r"vocabulary\.json: cannot be read"),
    ("vocabulary.json", '{"idx_to_word": ["<NULL>", "<START>", "<END>", "<UNK>"], "word_to_idx": '
     '{"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3}}', r"vocabulary\.json: is not the vocabulary"),
    ("weights.safetensors", None, r"weights\.safetensors: there is no such file"),
    ("weights.safetensors", "damaged", r"weights\.safetensors"),
])  # fmt: skip
def test_damaged_files_are_named(trained, name, content, message):
    folder, _ = trained
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        Run.open(folder).load_model()


def test_weights_of_another_size_are_named(trained, small_data):
    folder, _ = trained
    mg.save(folder / "weights.safetensors", Captioner(small_data.vocabulary, 6, 8, 13).state_dict())
    with pytest.raises(RunError, match=r"weights\.safetensors: does not fit the model of settings\.json"):
        Run.open(folder).load_model()


@pytest.mark.parametrize(("section", "key", "value"), [
    ("training", "weight_decay", {}), ("training", "clip_norm", {}), ("training", "learning_rate", True),
    ("training", "lr_decay", 10**400), ("training", "seed", -1), ("training", "keep", 3), ("training", "keep", []),
    ("training", "val_part", "third"), ("training", "patience", 1.5),
    ("data", "max_train", "x"), ("data", "max_train", 0), ("data", "fingerprint", []),
    ("data", "fingerprint", {"a": 1}),
    ("data", "folder", 1), ("data", "pca", "yes"), ("data", "train_captions", "48"), ("data", "extractor", {}),
    ("model", "hidden_size", 10**12), ("model", "feature_size", 10**30), ("model", "wordvec_size", "8"),
    ("model", "dropout", {}), ("model", "feature_dropout", 1), ("model", "forget_bias", "1"), ("model", "dtype", 3),
    ("model", "dtype", "float31"), ("model", "cell_type", []), (None, "threads", "x"), (None, "refinement", []),
])  # fmt: skip
def test_settings_of_a_wrong_type_are_named(small_data, tmp_path, section, key, value):
    path = new_run(tmp_path / "run", small_data).folder / "settings.json"
    settings = json.loads(path.read_text())
    (settings if section is None else settings[section])[key] = value
    path.write_text(json.dumps(settings))
    with pytest.raises(RunError, match=rf"settings\.json: .*{key}"):
        Run.open(path.parent).new_model()


def test_a_damaged_history_is_named(trained):
    folder, _ = trained
    lines = (folder / "history.jsonl").read_text().splitlines()
    for damaged in ("{", '{"iteration": "x", "loss": 1.0}', '{"iteration": 3, "val_loss": {}}', '{"epoch": "1"}'):
        lines[2] = damaged
        (folder / "history.jsonl").write_text("\n".join(lines))
        with pytest.raises(RunError, match=r"history\.jsonl: line 3 is damaged"):
            Run.open(folder).history()


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no folders")
def test_a_checkpoint_does_not_outlive_the_history_before_it(small_data, tmp_path, monkeypatch):
    """Where the power is cut, what was not flushed may be lost, in any order."""
    folder = tmp_path / "run"
    run = new_run(folder, small_data)
    order = DiskOrder(monkeypatch)
    for iteration in (1, 2):
        order.forget()
        run.log({"iteration": iteration, "epoch": 1, "loss": 2.0})
        run.save_checkpoint({"a": np.ones(2)})
        (named,) = order.named("checkpoint.safetensors")
        assert order.flushed(folder / "history.jsonl")[0] < named
        assert (order.flushed(folder)[0] < named) == (iteration == 1)  # the history has its name once
        assert order.flushed(folder)[-1] > named


@pytest.mark.skipif(os.name == "nt", reason="Windows flushes no folders")
def test_every_file_of_a_run_is_on_the_disk_before_it_has_its_name(small_data, tmp_path, monkeypatch):
    order = DiskOrder(monkeypatch)
    run = new_run(tmp_path / "run", small_data)
    for name in ("settings.json", "vocabulary.json"):
        assert order.flushed(tmp_path / "run" / name)[0] < order.named(name)[0] < order.named("run")[0]
    assert order.flushed(tmp_path)[-1] > order.named("run")[0]
    run.log({"iteration": 1, "epoch": 1, "loss": 2.0})
    run.flush()
    order.forget()
    run.cut_history(0)
    assert order.flushed(tmp_path / "run" / "history.jsonl")[0] < order.named("history.jsonl")[0]
