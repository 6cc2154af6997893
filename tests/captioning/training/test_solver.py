"""Training: it learns, keeps the best weights, stops when asked and resumes to the last bit."""

import dataclasses
import itertools
import math
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad as mg
from captioning.data.splits import images_of_part
from captioning.evaluation.split_scores import captions_of
from captioning.training.run_files import RunError, TrainingError
from captioning.training.run_folder import Run
from captioning.training.settings import Settings, Stop
from captioning.training.solver import Solver, with_own_words
from tests.captioning.training.small_trainings import (
    SHORT,
    interrupt_after,
    make_model,
    make_solver,
    resumed,
    same,
    same_files,
    weights,
)


def with_settings(**changed):
    return dataclasses.replace(SHORT, **changed)


def saved_iteration(solver):
    return int(solver.run.load_checkpoint()["solver/iteration"])


# Learning --------------------------------------------------------------------------------------


def test_it_learns_what_the_pictures_show(small_data):
    solver = make_solver(small_data, with_settings(epochs=40, learning_rate=1e-2, lr_decay=0.97, val_images=6))
    losses = [entry["loss"] for entry in solver.train() if "loss" in entry]
    assert losses[0] == pytest.approx(np.log(12) * 4.5, rel=0.05)  # 4 or 5 words out of 12
    assert np.mean(losses[-5:]) < 1.2  # which of two captions is chance: log 2
    assert solver.best_entry["val_bleu"] > 0.99
    images = images_of_part(small_data.val, "second")[:3]
    assert {words[1] for words in captions_of(solver.model, small_data.val, images)} <= {"dog", "cat", "bird"}


def test_every_caption_once_an_epoch_and_a_history_of_it(small_data, monkeypatch):
    seen, read = [], Solver._read
    monkeypatch.setattr(Solver, "_read", lambda self, rows: seen.extend(rows.tolist()) or read(self, rows))
    history = make_solver(small_data, dropout=0.3).train()
    first, second = seen[:48], seen[48:96]
    assert sorted(first) == sorted(second) == list(range(48))
    assert len({tuple(first), tuple(second), tuple(sorted(first))}) == 3
    assert make_solver(small_data, dropout=0.3).train() == history
    assert make_solver(small_data, with_settings(seed=1), dropout=0.3).train() != history
    assert [set(entry) for entry in history[:5]] == [{"iteration", "epoch", "loss"}] * 5
    ends = [entry for entry in history if "val_loss" in entry]
    assert {"val_bleu", "val_cider", "val_exercise_bleu"} < ends[0].keys()
    found = [(entry["epoch"], entry["iteration"], pytest.approx(entry["learning_rate"])) for entry in ends]
    assert found == [(1, 5, 5e-3), (2, 10, 4.5e-3), (3, 15, 4.05e-3)]


def test_clipping_weight_decay_averages_and_optimiser_settings(small_data, monkeypatch):
    norms, clip = [], mg.optim.clip_grad_norm

    def watched(parameters, limit):
        clip(kept := list(parameters), limit)
        norms.append(np.linalg.norm([np.linalg.norm(p.grad) for p in kept]))

    monkeypatch.setattr(mg.optim, "clip_grad_norm", watched)
    make_solver(small_data, with_settings(epochs=1, clip_norm=0.01)).train()
    np.testing.assert_allclose(norms, [0.01] * 5, rtol=1e-5)
    plain, decayed, averaged, smoothed = (
        make_solver(small_data, with_settings(clip_norm=None, **more))
        for more in ({}, {"weight_decay": 5.0}, {"average": 0.9}, {"label_smoothing": 0.2, "beta2": 0.9})
    )
    before, *_, after = [solver.train() for solver in (plain, decayed, averaged)]
    assert len(norms) == 5
    assert np.abs(weights(decayed)["cell.Wh"]).sum() < 0.9 * np.abs(weights(plain)["cell.Wh"]).sum()
    assert before[0] == after[0]
    assert before[5]["val_loss"] != after[5]["val_loss"]
    assert smoothed.optimiser.betas == (0.9, 0.9)
    assert smoothed.train(max_iterations=1)[0]["loss"] != before[0]["loss"]


def test_shards_have_the_loss_of_the_whole_batch_and_figures_are_means_over_rows(small_data):
    class Counting(Solver):
        FIGURES = ("rows",)

        def _loss(self, rows, rng):
            return super()._loss(rows, rng)[0], {"rows": float(len(rows))}

    whole, cut = (Counting(make_model(small_data), small_data.train, None, SHORT, shards=n).train() for n in (1, 4))
    losses, others = ([entry["loss"] for entry in history if "loss" in entry] for history in (whole, cut))
    assert losses == pytest.approx(others, rel=1e-5)
    assert cut[0]["rows"] == pytest.approx((3 * 3 + 3 * 3 + 2 * 2 + 2 * 2) / 10)


def test_scheduled_sampling(small_data):
    captions, features = small_data.train.captions, small_data.train.features[small_data.train.image_idxs]
    model = make_model(small_data).eval()
    found = with_own_words(model, features, captions, 0.3, np.random.default_rng(3))
    replaced = found != captions
    assert 0.15 < replaced[captions >= 4].mean() < 0.35
    assert not replaced[captions < 4].any()  # <START>, <END> and the padding
    state = model.initial_state(features)
    for t in range(captions.shape[1] - 1):
        scores, state = model.step(captions[:, t], state)
        own = scores.data[:, 4:].argmax(axis=1) + 4
        np.testing.assert_array_equal(found[replaced[:, t + 1], t + 1], own[replaced[:, t + 1]])
    read_scores, words = model.scores(features, captions, found)  # the targets stay the human captions
    np.testing.assert_array_equal(words, captions[:, 1:][captions[:, 1:] != 0])
    np.testing.assert_array_equal(read_scores.data, model.scores(features, found)[0].data)
    plain, sampled = (make_solver(small_data, with_settings(scheduled_sampling=s)).train() for s in (0.0, 0.9))
    assert (plain[0] == sampled[0], plain[14] == sampled[14]) == (True, False)  # the share rises from 0


def test_a_loss_that_is_not_finite_stops_the_training_and_closes_the_progress_bar(small_data, monkeypatch):
    solver, closed = make_solver(small_data), []
    monkeypatch.setattr(solver.progress, "close", lambda: closed.append(solver.iteration))
    inner = solver.model.loss
    solver.model.loss = lambda *batch: inner(*batch) * (math.nan if solver.iteration == 2 else 1.0)
    with pytest.raises(TrainingError, match="nan at iteration 3 of epoch 1"):
        solver.train()
    assert closed == [2]


# The best weights ------------------------------------------------------------------------------


SCORES = ("val_bleu", "val_loss", "val_exercise_bleu", "val_cider")


@pytest.mark.parametrize(("changed", "best", "validations"), [
    ({"keep": "bleu"}, 3, 5), ({"keep": "cider"}, 5, 5), ({"keep": "loss"}, 2, 5), ({"keep": "exercise"}, 4, 5),
    ({"keep": "bleu", "patience": 1}, 3, 4), ({"keep": "loss", "patience": 2}, 2, 4),
])  # fmt: skip
def test_the_best_weights_are_kept_and_they_are_copies(small_data, changed, best, validations):
    scores = [(0.2, 5, 0.1, 0.4), (0.3, 3, 0.2, 0.3), (0.5, 4, 0.3, 0.2), (0.5, 4.5, 0.6, 0.1), (0.1, 9, 0.4, 0.5)]
    solver, taken = make_solver(small_data, with_settings(epochs=5, **changed)), []

    def validate():
        taken.append({name: array.copy() for name, array in weights(solver).items()})
        return dict(zip(SCORES, scores[len(taken) - 1], strict=True))

    solver.validate = validate
    history = [*solver.train()]
    assert (solver.best_entry["epoch"], len(taken), solver.finished) == (best, validations, True)
    assert same(weights(solver), taken[best - 1])
    assert solver.train() == history  # nothing more to do
    for number, better in ((9.0, False), (-9.0, True)):
        start = dict.fromkeys(SCORES, number) | {"val_loss": -number}
        assert ("not improve" not in str(solver.warnings_since({"start": "begun", "start_scores": start}))) == better
    for loss, warned in ((solver.best_entry["val_loss"] / 2, True), (solver.best_entry["val_loss"], False)):
        start = {"start": "begun", "start_scores": dict.fromkeys(SCORES, -9.0) | {"val_loss": loss}}
        assert ("much worse" in str(solver.warnings_since(start))) == warned


def test_without_validation_the_last_weights_are_kept(small_data):
    """Here in another thread than the main one."""
    solver = Solver(make_model(small_data), small_data.train, settings=with_settings(validate_every=2))
    with ThreadPoolExecutor(1) as threads:
        history = threads.submit(solver.train).result()
    assert [entry["iteration"] for entry in history if "loss" not in entry] == [5, 10, 15]
    assert solver.best_entry["epoch"] == 3


def test_validation_in_between_finds_better_weights(small_data, tmp_path):
    """The best validation is that of iteration 7, in the second epoch; patience counts epochs all the same."""
    settings = with_settings(epochs=9, validate_every=7, keep="loss", patience=2)
    solver, kept = make_solver(small_data, settings, tmp_path / "run"), {}

    def validate():
        kept[solver.iteration] = weights(solver)
        return dict.fromkeys(SCORES, 1.0 if solver.iteration == 7 else 2.0)

    solver.validate = validate
    judged = [(e["iteration"], e["epoch"]) for e in solver.train() if "val_loss" in e]
    assert judged == [(5, 1), (7, 2), (10, 2), (14, 3), (15, 3), (20, 4)]
    assert same(weights(solver), kept[7])
    assert same(Run.open(tmp_path / "run").load_model().state_dict(), kept[7])
    again = resumed(small_data, settings, tmp_path / "run")
    assert again.finished
    assert again.best_entry["iteration"] == solver.best_entry["iteration"] == 7


# Stops and checkpoints -------------------------------------------------------------------------


@pytest.mark.parametrize(("stops", "settings"), [
    ((7,), SHORT), ((5, 6), with_settings(average=0.9, buckets=2)),
    ((14,), with_settings(learning_rate=0.2, schedule="plateau", lr_decay=0.5, keep="cider")),
])  # fmt: skip
def test_a_resumed_run_is_the_uninterrupted_one_to_the_last_bit(small_data, tmp_path, stops, settings):
    whole, solver = (make_solver(small_data, settings, tmp_path / name, dropout=0.3) for name in ("whole", "parts"))
    whole.train()
    for stop in stops:
        interrupt_after(solver, stop)
        solver.train()
        assert (solver.interrupted, solver.iteration) == (True, stop)  # the running iteration was finished first
        solver = resumed(small_data, settings, tmp_path / "parts", dropout=0.3)
        assert solver.iteration == stop
    solver.train()
    assert not solver.interrupted
    assert solver.history == whole.history
    assert same(weights(solver), weights(whole))
    assert same_files(tmp_path / "whole", tmp_path / "parts")


def test_a_run_whose_history_is_ahead_of_its_checkpoint_resumes_from_the_checkpoint(small_data, tmp_path):
    """As a kill leaves it, with a torn last line."""
    make_solver(small_data, folder=tmp_path / "run").train(max_iterations=7)
    with open(tmp_path / "run" / "history.jsonl", "a") as file:
        file.write('{"iteration": 8, "epoch": 2, "loss": 1.0}\n{"iteration": 9, "ep')
    solver = resumed(small_data, SHORT, tmp_path / "run")
    assert solver.iteration == 7
    assert solver.train() == make_solver(small_data).train() == solver.run.history()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(small_data, tmp_path, number):
    """One that the process ignores, as in the background of a shell, stays ignored."""
    solver, ignoring = make_solver(small_data, folder=tmp_path / "run"), make_solver(small_data)
    interrupt_after(solver, 7, number)
    interrupt_after(ignoring, 7, number)
    before = signal.getsignal(number)
    solver.train()
    assert (solver.interrupted, solver.stopped_by, saved_iteration(solver)) == (True, number, 7)
    assert signal.signal(number, signal.SIG_IGN) is before
    try:
        ignoring.train()
        assert ignoring.finished
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_signal_that_stops_the_training_is_saved(small_data, tmp_path, monkeypatch):
    """It is asked for once an iteration, so a late one cannot stop the training without a checkpoint."""
    solver, asked = make_solver(small_data, folder=tmp_path / "run"), itertools.count(1)
    monkeypatch.setattr(Stop, "is_set", lambda stop: next(asked) == 3)
    solver.train()
    assert (solver.interrupted, solver.iteration, saved_iteration(solver)) == (True, 3, 3)


def test_it_stops_after_so_many_iterations_and_goes_on(small_data, tmp_path):
    solver = make_solver(small_data, folder=tmp_path / "run")
    for _ in range(2):  # the second time they are done already
        solver.train(max_iterations=3)
        assert (solver.interrupted, solver.stopped_by, solver.iteration, saved_iteration(solver)) == (True, None, 3, 3)
    for most, least in ((2, 3), (0, 1)):
        with pytest.raises(ValueError, match=f"max_iterations must be .*{least}.*got {most}"):
            solver.train(max_iterations=most)
    assert solver.train(max_iterations=1000) == make_solver(small_data).train()
    assert not solver.interrupted


@pytest.mark.parametrize(("every", "expected"), [
    ("never", [5, 10, 15]), ("3", [3, 5, 8, 10, 13, 15]), ("20s", [2, 4, 5, 7, 9, 10, 12, 14, 15]),
])  # fmt: skip
def test_checkpoints_are_written_in_between(small_data, tmp_path, monkeypatch, every, expected):
    """An iteration takes ten seconds here; counting begins anew with every checkpoint."""
    run = make_solver(small_data, folder=tmp_path / "run").run
    solver = Solver(make_model(small_data), small_data.train, small_data.val, SHORT, run, checkpoint_every=every)
    monkeypatch.setattr(solver._clock, "seconds", lambda: 10.0 * solver.iteration)
    found, save = [], run.save_checkpoint

    def watched(state):
        save(state)
        found.append(int(state["solver/iteration"]))
        assert run.history()[-1]["iteration"] == found[-1]  # the history is as far as the checkpoint

    run.save_checkpoint = watched
    solver.train()
    assert found == expected


@pytest.mark.parametrize("spoil", [
    lambda state: state.pop("optimiser/m.3"), lambda state: state.update({"solver/best": np.zeros(3)}),
    lambda state: state.update({"optimiser/step.0": np.array(-1)}),
    lambda state: state.update({"model/predict.bias": np.zeros(13)}),
    lambda state: state.update({"solver/iteration": np.array(16)}), None,
])  # fmt: skip
def test_a_checkpoint_that_does_not_fit_changes_nothing(small_data, tmp_path, spoil):
    solver, fresh = make_solver(small_data, folder=tmp_path / "run"), make_solver(small_data, folder=tmp_path / "run")
    solver.train()
    state = solver.run.load_checkpoint()
    if spoil is None:
        (tmp_path / "run" / "history.jsonl").write_text("")  # the best validation is missing
    else:
        spoil(state)
        solver.run.save_checkpoint(state)
    files, before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}, fresh.state()
    with pytest.raises(RunError, match=str(tmp_path / "run")):
        fresh.resume()
    np.testing.assert_equal(fresh.state(), before)
    assert files == {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}


def test_resume_without_a_checkpoint(small_data, tmp_path):
    for folder, message in ((None, "no run folder"), (tmp_path / "run", r"checkpoint\.safetensors: there is no")):
        with pytest.raises(RunError, match=message):
            make_solver(small_data, folder=folder).resume()


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", 0), ("batch_size", -1), ("learning_rate", 0.0), ("learning_rate", math.nan), ("lr_decay", -1.0),
    ("clip_norm", 0.0), ("weight_decay", -1.0), ("patience", 0), ("keep", "last"), ("seed", -1), ("val_images", 0),
    ("validate_every", 0), ("val_part", "third"), ("beta2", 1.0), ("average", 1), ("warmup", -1), ("buckets", None),
    ("schedule", "linear"), ("label_smoothing", True), ("learning_rate", 10**400),
])  # fmt: skip
def test_impossible_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings(**{name: value})
