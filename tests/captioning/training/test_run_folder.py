"""What a training leaves in its folder, and the errors for a damaged one."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

import minigrad as mg
from captioning.data.dataset import open_captions
from captioning.models import kinds
from captioning.models.kinds import check_memory
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.training.small_trainings import make_solver, new_run, same, weights
from tests.disk_order import DiskOrder


@pytest.fixture(scope="module")
def finished(small_folder, tmp_path_factory):
    """The folder of a finished run, and its solver."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with open_captions(small_folder) as data:
        solver = make_solver(data, folder=folder)
        solver.train()
    return folder, solver


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished[0], tmp_path / "run")


def test_the_files_of_a_run(folder, finished, draw_curve):
    draw_curve(Run.open(folder))
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.safetensors", "history.jsonl", "loss.png", "settings.json", "vocabulary.json",
        "weights.safetensors",
    }  # fmt: skip
    model = Run.open(folder).load_model()
    assert same(model.state_dict(), weights(finished[1]))
    assert not model.training


def test_a_full_disk(folder, small_data, tmp_path):
    """No run is made; the history stays as it was, and what was not written is not lost."""
    with files_of_at_most(10), pytest.raises(RunError, match=r"a/run: cannot be written: .*vocabulary\.json"):
        new_run(tmp_path / "a" / "run", small_data)
    assert not (tmp_path / "a").exists()
    run, path = Run.open(folder), folder / "history.jsonl"
    before = path.read_bytes()
    run.entries.add({"iteration": 16})
    with files_of_at_most(len(before) + 5), pytest.raises(OSError, match=r"history\.jsonl"):
        run.entries.flush()
    assert path.read_bytes() == before
    run.entries.flush()
    assert path.read_bytes() == before + b'{"iteration": 16}\n'


def test_one_process_trains_in_a_folder_at_a_time(folder, small_data):
    with Run.open(folder) as run, run:  # nested
        with pytest.raises(RunError, match=f"run: process {os.getpid()} is training in this folder"):
            make_solver(small_data, folder=folder).train()
        with pytest.raises(RunError, match="exists already"):
            new_run(folder, small_data)
    assert not (folder / ".lock").exists()


def test_another_data_set_is_refused(folder, small_folder, other_folder, small_data, monkeypatch):
    run = Run.open(folder)
    with open_captions(other_folder) as data, pytest.raises(RunError, match="another vocabulary"):
        run.check_fits(data.val)
    with open_captions(small_folder, pca=False) as data, pytest.raises(RunError, match=r"features of 6 columns.* 5"):
        run.check_fits(data.val)
    monkeypatch.setattr(small_data.train.features, "extractor", "other", raising=False)
    run.check_fits(small_data.train)  # the run does not know its extractor
    run.settings["data"]["extractor"] = "one"
    with pytest.raises(RunError, match=r"the extractor one; .* of other"):
        run.check_fits(small_data.train)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("settings.json", None, "no run folder"), ("settings.json", "{", "not JSON"),
    ("settings.json", "[]", "not the settings of a run"),
    ("settings.json", '{"format": 7, "minigrad": "9.0"}', r"format 7, written by minigrad 9\.0"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}}', "training, data are missing"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}, "training": {}, "data": {}}', "feature_size"),
    ("vocabulary.json", None, "cannot be read"),
    ("vocabulary.json", '{"idx_to_word": ["<NULL>", "<START>", "<END>", "<UNK>"], "word_to_idx": '
     '{"<NULL>": 0, "<START>": 1, "<END>": 2, "<UNK>": 3}}', "is not the vocabulary"),
    ("weights.safetensors", None, "there is no such file"), ("weights.safetensors", "damaged", ""),
    ("weights.safetensors", "another size", "does not fit the model"),
])  # fmt: skip
def test_damaged_files_are_named(folder, name, content, message):
    if content is None:
        (folder / name).unlink()
    elif content == "another size":
        mg.save(folder / name, {"embed.weight": np.zeros((12, 9), np.float32)})
    else:
        (folder / name).write_text(content)
    with pytest.raises(ValueError, match=f"{name}: .*{message}"):
        Run.open(folder).load_model()


@pytest.mark.parametrize(("section", "key", "value"), [
    ("training", "weight_decay", {}), ("training", "keep", []), ("training", "patience", 1.5),
    ("data", "max_train", "x"), ("data", "fingerprint", {"a": 1}), ("data", "folder", 1), ("data", "pca", "yes"),
    ("data", "train_captions", "48"), ("data", "extractor", {}), ("data", "seed", -1), ("data", "captions", "whole"),
    ("data", "regions", 1), ("data", "max_words", 0), ("model", "hidden_size", 10**12),
    ("model", "feature_size", 10**30), ("model", "wordvec_size", "8"), ("model", "dropout", {}),
    ("model", "feature_dropout", 1), ("model", "forget_bias", "1"), ("model", "dtype", "float31"),
    ("model", "cell_type", []), ("model", "kind", "x"), ("model", "places", [1]), (None, "threads", "x"),
    (None, "shards", 0), (None, "refinement", []), (None, "averaged_weights", [1]),
    (None, "reinforcement", {"start": 1}), (None, "refinement", {"start_scores": {"val_loss": 1.0}}),
])  # fmt: skip
def test_settings_of_a_wrong_type_are_named(folder, section, key, value):
    settings = json.loads((folder / "settings.json").read_text())
    (settings if section is None else settings[section])[key] = value
    (folder / "settings.json").write_text(json.dumps(settings))
    with pytest.raises(RunError, match=rf"settings\.json: .*{key}"):
        Run.open(folder).new_model()


def test_models_that_do_not_fit_into_memory_are_refused(monkeypatch):
    sizes = {"feature_size": 6, "wordvec_size": 8, "hidden_size": 12, "cell_type": "lstm"}
    weights_of = 7 * 8 + ((8 + 12) * 4 + 7 + 6) * 12
    monkeypatch.setattr(kinds.os, "sysconf", lambda name: 1 if "SIZE" in name else 16 * weights_of)
    check_memory(7, sizes)
    check_memory(8, sizes, bytes_each=4)
    with pytest.raises(MemoryError, match="weights need at least 0 GiB"):
        check_memory(8, sizes)


@pytest.mark.parametrize(
    "damaged", ["{", '{"iteration": "x", "loss": 1.0}', '{"iteration": 3, "val_loss": {}}', '{"epoch": "1"}', "3"]
)
def test_a_damaged_history_is_named(folder, damaged):
    lines = (folder / "history.jsonl").read_text().splitlines()
    (folder / "history.jsonl").write_text("\n".join([*lines[:2], damaged, *lines[3:]]))
    with pytest.raises(RunError, match=r"history\.jsonl: line 3 is damaged"):
        Run.open(folder).history()


@pytest.mark.skipif(os.name == "nt", reason="another platform: Windows flushes no folders")
def test_files_are_on_the_disk_in_order(small_data, tmp_path, monkeypatch):
    """Where the power is cut, what was not flushed may be lost, in any order."""
    folder, order = tmp_path / "run", DiskOrder(monkeypatch)
    run = new_run(folder, small_data, checkpoint=make_solver(small_data).state())
    for name in ("settings.json", "vocabulary.json", "checkpoint.safetensors"):
        assert order.flushed(folder / name)[0] < order.named(name)[0] < order.named("run")[0]
    assert order.flushed(tmp_path)[-1] > order.named("run")[0]
    for iteration in (1, 2):
        order.forget()
        run.entries.add({"iteration": iteration, "epoch": 1, "loss": 2.0})
        run.save_checkpoint({"a": np.ones(2)})
        (named,) = order.named("checkpoint.safetensors")
        assert order.flushed(folder / "history.jsonl")[0] < named < order.flushed(folder)[-1]
        assert (order.flushed(folder)[0] < named) == (iteration == 1)  # the history gets its name once
    order.forget()
    run.entries.cut(0)
    assert order.flushed(folder / "history.jsonl")[0] < order.named("history.jsonl")[0]
