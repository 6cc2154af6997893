"""What a training leaves in its folder, the errors for a damaged one, runs that are made of others, and older runs.

The folders in saved_at_d39538c were written by the code of that commit, from the small data set of these tests: three
epochs of five iterations, stopped after the seventh. `expected.json` has its scores of the best weights, and the
history of the same training without a stop. Numbers are compared up to round-off.
"""

import errno
import json
import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

import minigrad as mg
from captioning.cli.entry import main
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.decoding.stepwise import greedy
from captioning.evaluation.split_scores import evaluate
from captioning.models import kinds
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import WEIGHTS, Captioner
from captioning.models.kinds import check_memory, kind_of
from captioning.training.derived_runs import average_runs
from captioning.training.run_features import check_alike, projection_arrays
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import ATTENTION
from tests.captioning.conftest import write_data_set
from tests.captioning.full_disks import files_of_at_most
from tests.captioning.training.small_trainings import make_solver, new_run, same, weights
from tests.disk_order import DiskOrder

# The folder -----------------------------------------------------------------------------------


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


def test_a_history_that_cannot_be_read_is_named(folder, monkeypatch):
    def read_text(path, really=Path.read_text, **options):
        if path.name == "history.jsonl":
            raise OSError(errno.EIO, "Input/output error")
        return really(path, **options)

    run = Run.open(folder)
    monkeypatch.setattr(Path, "read_text", read_text)
    with pytest.raises(RunError, match=r"run/history\.jsonl: cannot be read: Input/output error"):
        run.entries.read()


def test_one_process_trains_in_a_folder_at_a_time(folder, small_data):
    with Run.open(folder) as run, run:  # nested
        with pytest.raises(RunError, match=f"run: process {os.getpid()} is training in this folder"):
            make_solver(small_data, folder=folder).train()
        with pytest.raises(RunError, match="already exists"):
            new_run(folder, small_data)
    assert not (folder / ".lock").exists()


def test_another_data_set_is_refused(folder, small_folder, other_folder, small_data, monkeypatch):
    run = Run.open(folder)
    with open_captions(other_folder) as data, pytest.raises(RunError, match="different vocabulary"):
        run.check_fits(data.val)
    with open_captions(small_folder, pca=False) as data, pytest.raises(RunError, match=r"features of 6 columns.* 5"):
        run.check_fits(data.val)
    monkeypatch.setattr(small_data.train.features, "extractor", "other", raising=False)
    run.check_fits(small_data.train)  # the run does not know its extractor
    run.settings["data"]["extractor"] = "one"
    with pytest.raises(RunError, match=r"the extractor one; .* of other"):
        run.check_fits(small_data.train)


@pytest.mark.parametrize(("name", "content", "message"), [
    ("settings.json", "{", "not JSON"),
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


def test_a_folder_without_settings_is_not_a_run(folder):
    (folder / "settings.json").unlink()
    with pytest.raises(RunError, match=r"run: is not a run folder, because it has no settings\.json"):
        Run.open(folder)


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
    (None, "decoding", []), (None, "decoding", {"width": 0}), (None, "decoding", {"rules": {"required": 3}}),
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


# Features, and the projection that makes regions ------------------------------------------------


def projection(weight, bias):
    return RegionProjection(np.asarray(weight, np.float32), np.asarray(bias, np.float32))


PROJECTION, OTHER = projection(np.ones((5, 3)), np.arange(3)), projection(np.ones((5, 3)), np.zeros(3))


@pytest.fixture
def regions(tmp_path):
    """A folder with whole features of five columns, and regions of 3 numbers each."""
    (tmp_path / "data").mkdir()
    folder = write_data_set(tmp_path / "data")
    for split in ("train", "val"):
        with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
            rows = file.create_dataset("regions", data=np.full((24, 4, 3), 2, np.uint8))
            rows.attrs.update(scale=np.ones(3), offset=np.zeros(3), projection=PROJECTION.fingerprint())
    return folder


def arrays_of(folder, start=None, regions=True):
    with open_captions(folder, regions=regions) as data:
        return projection_arrays(data, start)


def test_a_captioner_with_attention_is_trained_on_standardised_features(regions, tmp_path):
    assert main(["train", "--data", str(regions), "--out", str(tmp_path / "run"), *ATTENTION, "--epochs", "1"]) == 0
    model = Run.open(tmp_path / "run").load_model()
    with open_captions(regions, regions=True) as data:
        whole = data.train.features[:][:, :5]
    np.testing.assert_allclose(model.mean.data, whole.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.deviations.data, [(whole - whole.mean(axis=0)).std(), 2], rtol=1e-5)


def test_it_is_the_data_sets_or_else_that_of_the_run_it_starts_from(regions, tmp_path):
    start = Run(tmp_path, {}, None)
    assert arrays_of(regions) is arrays_of(regions, start) is None
    OTHER.save(start.regions_path)  # fitted to photos: nearly that of the data set
    np.testing.assert_array_equal(arrays_of(regions, start)["bias"], OTHER.bias)
    PROJECTION.save(regions / "regions.safetensors")
    np.testing.assert_array_equal(arrays_of(regions, start)["bias"], PROJECTION.bias, strict=True)
    assert arrays_of(regions, start, regions=False) is None


def test_a_projection_that_did_not_make_the_regions_is_refused(regions):
    path = regions / "regions.safetensors"
    for wrong, message in (
        (OTHER, r".*train2014_regions\.h5"), (projection(np.ones((5, 2)), np.zeros(2)), "makes 2 numbers .* 5"),
        (projection(np.ones((6, 3)), np.zeros(3)), "makes 3 numbers .* 6"),
    ):  # fmt: skip
        wrong.save(path)
        with pytest.raises(DataError, match=rf"regions\.safetensors: {message}"):
            arrays_of(regions)
    path.write_bytes(b"photo")
    with pytest.raises(DataError, match=r"regions\.safetensors"):
        arrays_of(regions)
    OTHER.save(path)
    with h5py.File(regions / "train2014_regions.h5", "r+") as file:
        del file["regions"].attrs["projection"]  # any that fits may have made them
    np.testing.assert_array_equal(arrays_of(regions)["bias"], OTHER.bias)


# Means of runs ----------------------------------------------------------------------------------

WORDS = Vocabulary([*SPECIAL, "a", "dog"])


def attention_model(seed, by=0.0):
    """A captioner whose features have a large mean, with all weights moved by the same amount."""
    model = AttentionCaptioner(WORDS, 108, (4, 2), 4, 5, 6, 4, 2, rng=seed)
    model.standardise(np.random.default_rng(0).normal(10, 1, (20, 108)))
    for parameter in model.parameters():
        parameter.data += np.asarray(by, parameter.dtype)
    return model


def a_run(folder, model, settings=None, **files):
    content = {"model": settings or {"kind": kind_of(model), **model.settings}, "training": {}, "data": {}}
    return Run.create(folder, content, WORDS, best=model.state_dict(), **files)


def test_the_mean_of_runs_with_the_same_start(tmp_path):
    first, second = (a_run(tmp_path / str(seed), attention_model(seed)) for seed in (0, 1))
    with pytest.raises(RunError, match=r"1: cannot be averaged with .*0: "):
        average_runs([first, second], tmp_path / "mean")
    projection = {"weight": np.ones((100, 2), np.float32), "bias": np.zeros(2, np.float32)}
    on = a_run(tmp_path / "on", attention_model(0, by=0.01), regions=projection)
    made = Run.open(average_runs([first, on], tmp_path / "mean").folder)
    for name, array in attention_model(0, by=0.005).state_dict().items():
        np.testing.assert_allclose(made.load_model().state_dict()[name], array, atol=1e-6)
    assert made.settings["average"] == ["0", "on"]
    assert made.start_checksums() == [first.weights_checksum(), on.weights_checksum()]
    assert RegionProjection.load(made.regions_path).weight.shape == (100, 2)
    with pytest.raises(RunError, match="mean of other runs"):
        made.load_checkpoint()


def test_weights_that_are_not_finite_are_refused(tmp_path):
    model = attention_model(0)
    model.bias.data[1] = np.nan
    runs = [a_run(tmp_path / "sound", attention_model(0)), a_run(tmp_path / "damaged", model)]
    with pytest.raises(RunError, match=r"damaged/weights\.safetensors: bias"):
        average_runs(runs, tmp_path / "mean")
    assert not (tmp_path / "mean").exists()


def test_models_are_compared_and_not_their_settings(tmp_path):
    """An older run says less about the same model."""
    model = Captioner(WORDS, 3, 4, 5, rng=0)
    older = {key: model.settings[key] for key in model.settings if key != "feature_dropout"}
    first = a_run(tmp_path / "old", model, older)
    average_runs([first, a_run(tmp_path / "new", model)], tmp_path / "mean")
    with pytest.raises(RunError, match="different sizes"):
        average_runs([first, a_run(tmp_path / "other", Captioner(WORDS, 3, 4, 6, rng=0))], tmp_path / "wrong")


def test_runs_that_are_used_together_have_the_same_projection(tmp_path):
    weight, other = np.random.default_rng(0).standard_normal((2, 5, 3), np.float32)
    ones = np.ones(3, np.float32)
    pairs = {"a": (weight, ones), "exported": (weight.astype(np.float16), ones), "unknown": (), "b": (other, ones),
             "c": (weight[:, :2].copy(), ones[:2]), "d": (weight, 2 * ones)}  # fmt: skip
    runs = {}
    for name, pair in pairs.items():
        regions = dict(zip(("weight", "bias"), pair, strict=False)) or None
        runs[name] = a_run(tmp_path / name, attention_model(0), regions=regions)
    check_alike([runs["a"], runs["exported"], runs["unknown"], a_run(tmp_path / "e", Captioner(WORDS, 3, 4, 5))])
    for name in "bcd":
        with pytest.raises(RunError, match=rf"{name}: cannot be averaged with .*a: "):
            check_alike([runs["a"], runs["unknown"], runs[name]], "be averaged")


# Older runs --------------------------------------------------------------------------------------

SAVED = Path(__file__).parent / "saved_at_d39538c"
LENGTH = 7  # the longest caption of that time


@pytest.mark.parametrize("cell", ["lstm", "rnn"])
def test_an_older_run_is_scored_and_goes_on(cell, small_data, tmp_path, monkeypatch):
    folder = shutil.copytree(SAVED / cell, tmp_path / "run")
    expected = json.loads((folder / "expected.json").read_text())
    assert set(mg.load(folder / "weights.safetensors")) == set(WEIGHTS)  # names of that time
    run, images = Run.open(folder), np.arange(12, 24)
    model = run.load_model()
    figures = evaluate(model, small_data.val, images, seed=2, max_length=LENGTH)
    assert {name: figures[name] for name in expected["evaluation"]} == pytest.approx(expected["evaluation"], rel=1e-5)
    assert greedy(model, small_data.val.features[images], 8).tolist() == expected["said"]
    monkeypatch.setattr("captioning.evaluation.split_scores.length_for", lambda split: LENGTH)
    solver = Solver(run.new_model(), small_data.train, small_data.val, Settings(**run.settings["training"]), run)
    solver.resume()
    assert solver.iteration == 7
    solver.train()
    for mine, theirs in zip(solver.history, expected["history"], strict=True):
        assert {key: mine[key] for key in theirs} == pytest.approx(theirs, rel=1e-4)
    again = Solver(run.new_model(), small_data.train, small_data.val, solver.settings, Run.open(folder))
    again.resume()  # the checkpoint that it left has the names of now
    np.testing.assert_equal(again.optimiser.state_dict(), solver.optimiser.state_dict())
