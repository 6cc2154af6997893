"""Training: it learns, keeps the best weights, stops when asked and resumes to the last bit."""

from __future__ import annotations

import dataclasses
import itertools
import math
import signal
import threading

import numpy as np
import pytest

import minigrad as mg
from captioning.data.splits import images_of_part
from captioning.data.vocabulary import Vocabulary
from captioning.evaluation.split_scores import captions_of
from captioning.models.captioner import Captioner
from captioning.progress import Progress
from captioning.training.run_files import RunError, TrainingError
from captioning.training.run_folder import Run
from captioning.training.settings import Settings, Stop
from captioning.training.solver import Solver, with_own_words
from tests.captioning.test_progress import Terminal
from tests.captioning.training.small_trainings import (
    SHORT,
    interrupt_after,
    make_model,
    make_solver,
    new_run,
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
    solver = make_solver(small_data, with_settings(epochs=40, learning_rate=1e-2, lr_decay=0.97))
    losses = [entry["loss"] for entry in solver.train() if "loss" in entry]
    assert losses[0] == pytest.approx(np.log(12) * 4.5, rel=0.05)  # 4 or 5 words out of 12
    assert np.mean(losses[-5:]) < 1.2  # which of two captions is chance: log 2
    assert solver.best_entry["val_bleu"] > 0.99
    images = images_of_part(small_data.val, "second")[:3]
    assert {words[1] for words in captions_of(solver.model, small_data.val, images)} <= {"dog", "cat", "bird"}


def test_the_history(small_data):
    history = make_solver(small_data).train()
    assert [set(entry) for entry in history[:5]] == [{"iteration", "epoch", "loss"}] * 5
    ends = [entry for entry in history if "val_loss" in entry]
    keys = {"epoch", "iteration", "val_loss", "val_bleu", "val_cider", "val_exercise_bleu", "learning_rate"}
    assert [set(entry) for entry in ends] == [keys] * 3
    assert [(entry["epoch"], entry["iteration"]) for entry in ends] == [(1, 5), (2, 10), (3, 15)]
    np.testing.assert_allclose([entry["learning_rate"] for entry in ends], [5e-3, 4.5e-3, 4.05e-3])


def test_every_caption_once_an_epoch_in_an_order_of_its_own(small_data, monkeypatch):
    seen = []
    inner = Solver._read
    monkeypatch.setattr(Solver, "_read", lambda self, rows: seen.extend(rows.tolist()) or inner(self, rows))
    solver = make_solver(small_data, with_settings(epochs=2), dropout=0.3)
    history = solver.train()
    first, second = seen[:48], seen[48:]
    assert sorted(first) == sorted(second) == list(range(48))
    assert first != second
    assert first != sorted(first)
    assert make_solver(small_data, with_settings(epochs=2), dropout=0.3).train() == history
    assert make_solver(small_data, with_settings(epochs=2, seed=1), dropout=0.3).train() != history


def test_clipping_weight_decay_and_optimiser_settings(small_data, monkeypatch):
    norms, clip = [], mg.optim.clip_grad_norm

    def watched(params, limit):
        params = list(params)
        clip(params, limit)
        norms.append(math.sqrt(sum(float((p.grad.astype(float) ** 2).sum()) for p in params)))

    monkeypatch.setattr(mg.optim, "clip_grad_norm", watched)
    make_solver(small_data, with_settings(epochs=1, clip_norm=0.01)).train()
    np.testing.assert_allclose(norms, [0.01] * 5, rtol=1e-5)
    plain, decayed = make_solver(small_data, with_settings(clip_norm=None)), make_solver(
        small_data, with_settings(clip_norm=None, weight_decay=5.0)
    )  # fmt: skip
    plain.train()
    decayed.train()
    assert len(norms) == 5
    assert np.abs(weights(decayed)["cell.Wh"]).sum() < 0.9 * np.abs(weights(plain)["cell.Wh"]).sum()
    smoothed = make_solver(small_data, with_settings(clip_norm=None, label_smoothing=0.2, beta2=0.9))
    assert smoothed.optimiser.betas == (0.9, 0.9)
    assert smoothed.train(max_iterations=1)[0]["loss"] != plain.history[0]["loss"]


def test_the_average_of_the_weights_is_kept(small_data):
    solver = make_solver(small_data, with_settings(average=0.9))
    plain = make_solver(small_data)
    solver.train()
    plain.train()
    assert not same(weights(solver), weights(plain))
    assert solver.history[0] == plain.history[0]
    assert solver.history[5]["val_loss"] != plain.history[5]["val_loss"]


def test_figures_of_shards_are_means_over_rows(small_data):
    class Counting(Solver):
        FIGURES = ("rows",)

        def _loss(self, rows, rng):
            return super()._loss(rows, rng)[0], {"rows": float(len(rows))}

    history = Counting(make_model(small_data), small_data.train, None, SHORT, shards=4).train(max_iterations=1)
    assert history[0]["rows"] == pytest.approx((3 * 3 + 3 * 3 + 2 * 2 + 2 * 2) / 10)


def test_scheduled_sampling(small_data):
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *"abcdefgh"])
    captions = np.random.default_rng(0).integers(4, 12, (40, 12))
    captions[:, 0] = 1
    for row, length in zip(captions, np.random.default_rng(1).integers(1, 11, 40), strict=True):
        row[length], row[length + 1 :] = 2, 0
    features = np.random.default_rng(2).standard_normal((40, 3))
    model = Captioner(vocabulary, 3, 4, 5, rng=0).eval()
    found = with_own_words(model, features, captions, 0.5, np.random.default_rng(3))
    kept = (captions < 4) | (found == captions)
    assert 0.3 < 1 - kept[captions >= 4].mean() < 0.6
    np.testing.assert_array_equal(found[captions < 4], captions[captions < 4])  # <START>, <END> and the padding
    state = model.initial_state(features)
    for t in range(captions.shape[1] - 1):
        scores, state = model.step(captions[:, t], state)
        scores.data[:, :4] = -np.inf
        np.testing.assert_array_equal(found[~kept[:, t + 1], t + 1], scores.data.argmax(axis=1)[~kept[:, t + 1]])
    np.testing.assert_array_equal(with_own_words(model, features, captions, 0.0, np.random.default_rng(0)), captions)
    read_scores, words = model.scores(features, captions, found)  # the targets stay the human captions
    np.testing.assert_array_equal(words, captions[:, 1:][captions[:, 1:] != 0])
    np.testing.assert_array_equal(read_scores.data, model.scores(features, found)[0].data)
    plain, sampled = (make_solver(small_data, with_settings(scheduled_sampling=s)).train() for s in (0.0, 0.9))
    assert plain[0] == sampled[0]  # the share rises from 0
    assert plain[14]["loss"] != sampled[14]["loss"]


def test_a_loss_that_is_not_finite_stops_and_restores_the_terminal(small_data, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    solver = make_solver(small_data)
    solver.progress = Progress(Terminal(), clock=itertools.count().__next__)
    inner = solver.model.loss
    solver.model.loss = lambda *batch: inner(*batch) * (math.nan if solver.iteration == 2 else 1.0)
    with pytest.raises(TrainingError, match="nan at iteration 3 of epoch 1"):
        solver.train()
    drawn = solver.progress.stream.getvalue()
    assert "2/15  loss" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor, hidden below the bar, is there again


# The best weights ------------------------------------------------------------------------------


def scripted(solver, monkeypatch, scores):
    """Let validations return (bleu, loss, exercise BLEU) in turn; a list that gets the weights of each."""
    taken = []

    def caption_scores(*_):
        taken.append({name: a.copy() for name, a in weights(solver).items()})
        bleu, _, exercise = scores[len(taken) - 1]
        return {"val_bleu": bleu, "val_cider": 2 - 2 * bleu, "val_exercise_bleu": exercise}

    solver._caption_scores = caption_scores
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: scores[len(taken)][1])
    return taken


@pytest.mark.parametrize(("keep", "best"), [("bleu", 3), ("cider", 5), ("loss", 2), ("exercise", 4)])
def test_the_best_weights_are_kept_and_they_are_copies(small_data, monkeypatch, keep, best):
    scores = [(0.2, 5.0, 0.1), (0.3, 3.0, 0.2), (0.5, 4.0, 0.3), (0.5, 4.5, 0.6), (0.1, 9.0, 0.4)]
    solver = make_solver(small_data, with_settings(epochs=5, keep=keep))
    taken = scripted(solver, monkeypatch, scores)
    solver.train()
    assert solver.best_entry["epoch"] == best
    assert same(weights(solver), taken[best - 1])
    assert best == 5 or not same(taken[best - 1], taken[-1])
    start = {"start": "begun", "start_scores": solver.history[-1] | {"val_loss": 0.0, "val_bleu": 0.6, "val_cider": 2.0,
                                                                   "val_exercise_bleu": 0.7}}  # fmt: skip
    assert "no better than begun" in solver.no_better_than(start)
    assert solver.no_better_than({"start": "begun"}) is None
    worse = {"val_loss": 99.0, "val_bleu": 0.0, "val_cider": 0.0, "val_exercise_bleu": 0.0}
    assert solver.no_better_than({"start": "begun", "start_scores": worse}) is None


def test_patience(small_data, monkeypatch):
    solver = make_solver(small_data, with_settings(epochs=5, patience=2))
    taken = scripted(solver, monkeypatch, [(bleu, 1.0, 0.0) for bleu in (0.2, 0.3, 0.1, 0.25, 0.9)])
    solver.train()
    assert len(taken) == 4
    assert same(weights(solver), taken[1])
    assert solver.finished
    assert len(solver.train()) == len(solver.history)  # nothing more to do


def test_without_validation_the_last_weights_are_kept(small_data):
    solver = Solver(make_model(small_data), small_data.train, settings=with_settings(validate_every=2))
    assert [entry["iteration"] for entry in solver.train() if "loss" not in entry] == [5, 10, 15]
    assert solver.best_entry["epoch"] == 3


def test_validation_in_between_finds_better_weights(small_data, tmp_path, monkeypatch):
    """The best validation is that of iteration 7, in the second epoch; patience counts epochs all the same."""
    settings = with_settings(epochs=9, validate_every=7, keep="loss", patience=2)
    solver = make_solver(small_data, settings, new_run(tmp_path / "run", small_data, settings))
    kept = {}

    def loss(*_, comm):
        kept[solver.iteration] = solver.model.state_dict()
        return 1.0 if solver.iteration == 7 else 2.0

    monkeypatch.setattr("captioning.training.solver.mean_loss", loss)
    judged = [(e["iteration"], e["epoch"]) for e in solver.train() if "val_loss" in e]
    assert judged == [(5, 1), (7, 2), (10, 2), (14, 3), (15, 3), (20, 4)]
    assert solver.best_entry["iteration"] == 7
    assert same(weights(solver), kept[7])
    assert same(Run.open(tmp_path / "run").load_model().state_dict(), kept[7])
    again = make_solver(small_data, settings, Run.open(tmp_path / "run"))
    again.resume()
    assert again.finished
    assert again.best_entry == solver.best_entry


# Stops and checkpoints -------------------------------------------------------------------------


@pytest.mark.parametrize(("stops", "settings"), [
    ((7,), SHORT), ((5, 6), with_settings(average=0.9, buckets=2)),
    ((14,), with_settings(learning_rate=0.2, schedule="plateau", lr_decay=0.5, keep="cider")),
])  # fmt: skip
def test_a_resumed_run_is_the_uninterrupted_one_to_the_last_bit(small_data, tmp_path, stops, settings):
    model = make_model(small_data, dropout=0.3)
    whole = make_solver(
        small_data, settings, new_run(tmp_path / "whole", small_data, settings, model=model), dropout=0.3
    )
    whole.train()
    solver = make_solver(
        small_data, settings, new_run(tmp_path / "parts", small_data, settings, model=model), dropout=0.3
    )
    for stop in stops:
        interrupt_after(solver, stop)
        solver.train()
        assert solver.interrupted
        assert solver.iteration == stop  # the running iteration was finished first
        run = Run.open(tmp_path / "parts")
        solver = Solver(run.new_model(), small_data.train, small_data.val, settings, run)
        solver.resume()
        assert solver.iteration == stop
    solver.train()
    assert not solver.interrupted
    assert solver.history == whole.history
    assert same(weights(solver), weights(whole))
    assert same_files(tmp_path / "whole", tmp_path / "parts")


def test_a_killed_run_resumes_from_its_last_checkpoint(small_data, tmp_path):
    whole = make_solver(small_data)
    whole.train()
    solver = make_solver(small_data, run=new_run(tmp_path / "killed", small_data))
    inner = solver._iterate

    def dying(stop):
        if solver.iteration == 8:
            solver.run.entries.flush()  # the history is ahead of the checkpoint
            raise MemoryError
        inner(stop)

    solver._iterate = dying
    with pytest.raises(MemoryError):
        solver.train()
    with open(tmp_path / "killed" / "history.jsonl", "a") as file:
        file.write('{"iteration": 9, "ep')  # torn
    resumed = make_solver(small_data, run=Run.open(tmp_path / "killed"))
    resumed.resume()
    assert resumed.iteration == 5
    resumed.train()
    assert resumed.history == whole.history == resumed.run.history()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals(small_data, tmp_path, number):
    """One that the process ignores, as in the background of a shell, stays ignored."""
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    interrupt_after(solver, 7, number)
    before = signal.getsignal(number)
    solver.train()
    assert (solver.interrupted, solver.stopped_by, solver.iteration) == (True, number, 7)
    assert signal.getsignal(number) is before
    assert saved_iteration(solver) == 7
    signal.signal(number, signal.SIG_IGN)
    try:
        ignoring = make_solver(small_data)
        interrupt_after(ignoring, 7, number)
        ignoring.train()
        assert ignoring.finished
        assert signal.getsignal(number) == signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_a_signal_between_two_questions_is_saved(small_data, tmp_path, monkeypatch):
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))

    class Late(Stop):
        asked = 0

        def is_set(self):
            Late.asked += 1
            answer = super().is_set()
            if Late.asked == 2:
                self.set()
            return answer

    monkeypatch.setattr("captioning.training.settings.Stop", Late)
    solver.train()
    assert solver.interrupted
    assert solver.iteration < solver.total
    assert saved_iteration(solver) == solver.iteration


def test_training_in_a_thread(small_data):
    solver = make_solver(small_data)
    thread = threading.Thread(target=solver.train)
    thread.start()
    thread.join()
    assert solver.finished


def test_it_stops_after_so_many_iterations_and_goes_on(small_data, tmp_path):
    whole = make_solver(small_data)
    whole.train()
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    solver.train(max_iterations=3)
    assert (solver.interrupted, solver.stopped_by, solver.iteration) == (True, None, 3)
    assert saved_iteration(solver) == 3
    solver.train(max_iterations=3)  # done already
    assert solver.iteration == 3
    for most, least in ((2, 3), (0, 1)):
        with pytest.raises(ValueError, match=f"max_iterations must be .*{least}.*got {most}"):
            solver.train(max_iterations=most)
    solver.train(max_iterations=1000)
    assert not solver.interrupted
    assert solver.history == whole.history
    assert same(weights(solver), weights(whole))


@pytest.mark.parametrize(("every", "expected"), [
    ("never", [5, 10, 15]), ("3", [3, 5, 8, 10, 13, 15]), ("2h", [5, 10, 15]),
    ("20s", [2, 4, 5, 7, 9, 10, 12, 14, 15]),
])  # fmt: skip
def test_checkpoints_are_written_in_between(small_data, tmp_path, monkeypatch, every, expected):
    """An iteration takes ten seconds here; counting begins anew with every checkpoint."""
    run = new_run(tmp_path / "run", small_data)
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


def test_a_failed_validation_does_not_change_the_learning_rate_of_later_epochs(small_data, monkeypatch):
    whole = make_solver(small_data).train()
    solver, count = make_solver(small_data), itertools.count(1)

    def failing(*_, comm):
        if next(count) == 2:
            raise OSError("the disk is full")
        return 1.0

    monkeypatch.setattr("captioning.training.solver.mean_loss", failing)
    with pytest.raises(OSError, match="full"):
        solver.train()
    rates = {entry["epoch"]: entry["learning_rate"] for entry in solver.train() if "learning_rate" in entry}
    expected = {entry["epoch"]: entry["learning_rate"] for entry in whole if "learning_rate" in entry}
    assert rates == {1: expected[1], 3: expected[3]}  # the second epoch was over, but not validated


@pytest.mark.parametrize("spoil", [
    lambda state: state.pop("optimiser/m.3"), lambda state: state.update({"solver/best": np.zeros(3)}),
    lambda state: state.update({"optimiser/step.0": np.array(-1)}),
    lambda state: state.update({"model/predict.bias": np.zeros(13)}),
    lambda state: state.update({"solver/iteration": np.array(16)}), None,
])  # fmt: skip
def test_a_checkpoint_that_does_not_fit_changes_nothing(small_data, tmp_path, spoil):
    run = new_run(tmp_path / "run", small_data)
    make_solver(small_data, run=run).train()
    state = run.load_checkpoint()
    if spoil is None:
        (run.folder / "history.jsonl").write_text("")  # the best validation is missing
    else:
        spoil(state)
        run.save_checkpoint(state)
    files = {path: path.read_bytes() for path in run.folder.iterdir()}
    fresh = make_solver(small_data, run=run)
    before = fresh.state()
    with pytest.raises(RunError, match=str(run.folder)):
        fresh.resume()
    after = fresh.state()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)
    assert files == {path: path.read_bytes() for path in run.folder.iterdir()}


def test_resume_without_a_checkpoint(small_data, tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        make_solver(small_data).resume()
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: there is no such file"):
        make_solver(small_data, run=new_run(tmp_path / "run", small_data)).resume()


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", 0), ("batch_size", -1), ("learning_rate", 0.0), ("learning_rate", math.nan), ("lr_decay", -1.0),
    ("clip_norm", 0.0), ("weight_decay", -1.0), ("patience", 0), ("keep", "last"), ("seed", -1), ("val_images", 0),
    ("validate_every", 0), ("val_part", "third"), ("beta2", 1.0), ("average", 1), ("warmup", -1), ("buckets", None),
    ("schedule", "linear"), ("label_smoothing", True), ("learning_rate", 10**400),
])  # fmt: skip
def test_impossible_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings(**{name: value})
