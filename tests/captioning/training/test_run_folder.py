"""What a training leaves in its folder, and what is said of a damaged one."""

from __future__ import annotations

import json

import pytest

import minigrad as mg
from captioning.data.dataset import open_captions
from captioning.models.captioner import Captioner
from captioning.training.run_folder import Run, RunError
from tests.captioning.training.test_solver import make_solver, new_run, same, weights


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
        return fingerprint(vocabulary)

    monkeypatch.setattr(type(small_data.vocabulary), "fingerprint", meanwhile)
    with pytest.raises(RunError, match="exists already"):
        new_run(tmp_path / "run", small_data)
    assert not list((tmp_path / "run").iterdir())


def test_a_run_of_another_data_set_is_refused(trained, small_folder, other_folder):
    run = Run.open(trained[0])
    with open_captions(other_folder) as data, pytest.raises(RunError, match="another vocabulary"):
        run.check_fits(data.val)
    with open_captions(small_folder, pca=False) as data, pytest.raises(RunError, match=r"features of 6 columns.* 5"):
        run.check_fits(data.val)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("settings.json", None, r"settings\.json: cannot be read, so this is no run folder"),
    ("settings.json", "{", r"settings\.json: is not JSON"),
    ("settings.json", "[]", r"settings\.json: is not the settings of a run"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}}', r"settings\.json: the key training is missing"),
    ("settings.json", '{"format": 1, "vocabulary": "a", "model": {}, "training": {}, "data": {}}',
     r"settings\.json: model: the keys feature_size"),
    ("vocabulary.json", None, r"vocabulary\.json: cannot read"),
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


def test_a_damaged_history_is_named(trained):
    folder, _ = trained
    lines = (folder / "history.jsonl").read_text().splitlines()
    for damaged in ("{", '{"iteration": "x", "loss": 1.0}'):
        lines[2] = damaged
        (folder / "history.jsonl").write_text("\n".join(lines))
        with pytest.raises(RunError, match=r"history\.jsonl: line 3 is damaged"):
            Run.open(folder).history()
