"""Training: it learns, keeps the best weights, stops when asked and resumes to the last bit."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import signal
import threading

import numpy as np
import pytest
from captioning.training.schedules import reductions

import minigrad as mg
from captioning.data.parts import images_of_part
from captioning.evaluation.split_scores import captions_of
from captioning.models.captioner import Captioner
from captioning.progress import Progress
from captioning.training.errors import RunError, TrainingError
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.settings import Settings
from captioning.training.solver import Checkpoint, Solver
from captioning.training.stopping import Stop
from tests.captioning.test_progress import Terminal

SHORT = Settings(epochs=3, batch_size=10, learning_rate=5e-3)


def make_model(data, **options):
    return Captioner(data.vocabulary, 6, 8, 12, rng=0, **options)


def make_solver(data, settings=SHORT, run=None, **options):
    return Solver(make_model(data, **options), data.train, data.val, settings, run)


def new_run(folder, data, settings=SHORT, **options):
    return Run.create(folder, settings_of(make_model(data, **options), settings, data), data.vocabulary)


def weights(solver):
    return solver.model.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def interrupt_after(solver, iteration, number=signal.SIGINT):
    """Press Ctrl-C in the middle of an iteration, or send another signal."""
    inner = solver.model.loss

    def loss(*batch):
        if solver.iteration == iteration - 1 and solver.model.training:
            os.kill(os.getpid(), number)
        return inner(*batch)

    solver.model.loss = loss


# Learning --------------------------------------------------------------------------------------


def test_figures_of_shards_are_in_the_mean_over_rows(small_data):
    class Counting(Solver):
        FIGURES = ("rows",)

        def _loss(self, rows, rng):
            return super()._loss(rows, rng)[0], {"rows": float(len(rows))}

    history = Counting(make_model(small_data), small_data.train, None, SHORT, shards=4).train(max_iterations=1)
    assert history[0]["rows"] == pytest.approx((3 * 3 + 3 * 3 + 2 * 2 + 2 * 2) / 10)


def test_what_stops_the_training_is_saved_whenever_it_comes(small_data, tmp_path, monkeypatch):
    """Ctrl-C between two questions whether the training is to stop is heard by the second, and then all is saved."""
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))

    class Late(Stop):
        asked = 0

        def is_set(self):
            Late.asked += 1
            answer = super().is_set()
            if Late.asked == 2:
                self.set()
            return answer

    monkeypatch.setattr("captioning.training.stopping.Stop", Late)
    solver.train()
    assert solver.interrupted
    assert solver.iteration < solver.total
    assert Checkpoint.of(solver.run.load_checkpoint(), 5).iteration == solver.iteration


def test_the_rate_is_that_of_the_epoch_whatever_ended_the_one_before(small_data, monkeypatch):
    solver = make_solver(small_data, dataclasses.replace(SHORT, epochs=4))
    whole = make_solver(small_data, dataclasses.replace(SHORT, epochs=4)).train()
    validations = []

    def failing(*given, comm):
        validations.append(given)
        if len(validations) == 2:
            raise OSError("the disk is full")
        return 1.0

    monkeypatch.setattr("captioning.training.solver.mean_loss", failing)
    with pytest.raises(OSError, match="full"):
        solver.train()
    rates = {entry["epoch"]: entry["learning_rate"] for entry in solver.train() if "learning_rate" in entry}
    expected = {entry["epoch"]: entry["learning_rate"] for entry in whole if "learning_rate" in entry}
    assert sorted(rates) == [1, 3, 4]  # the second epoch was over, but not judged
    assert rates == {epoch: expected[epoch] for epoch in rates}


def test_it_learns_what_the_pictures_say(small_data):
    solver = make_solver(small_data, dataclasses.replace(SHORT, epochs=40, learning_rate=1e-2, lr_decay=0.97))
    history = solver.train()
    losses = [entry["loss"] for entry in history if "loss" in entry]
    assert losses[0] == pytest.approx(np.log(12) * 4.5, rel=0.05)  # 4 or 5 words out of 12
    assert np.mean(losses[-5:]) < 1.2  # which of two captions is chance: log 2
    assert solver.best_entry["val_bleu"] > 0.99
    images = images_of_part(small_data.val, "second")
    assert {" ".join(words) for words in captions_of(solver.model, small_data.val, images[:3])} <= {
        f"{start} {animal} {verb}{end}"
        for start, end in (("a", ""), ("the", " here"))
        for animal in ("dog", "cat", "bird")
        for verb in ("runs", "sits")
    }


def test_the_history_says_what_the_format_says(small_data):
    history = make_solver(small_data).train()
    assert [set(entry) for entry in history[:5]] == [{"iteration", "epoch", "loss"}] * 5
    ends = [entry for entry in history if "val_loss" in entry]
    keys = {"epoch", "iteration", "val_loss", "val_bleu", "val_cider", "val_exercise_bleu", "learning_rate"}
    assert [set(entry) for entry in ends] == [keys] * 3
    assert [(entry["epoch"], entry["iteration"]) for entry in ends] == [(1, 5), (2, 10), (3, 15)]
    np.testing.assert_allclose([entry["learning_rate"] for entry in ends], [5e-3, 4.5e-3, 4.05e-3])


def test_every_caption_once_an_epoch_in_an_order_of_its_own(small_data):
    seen = []

    class Watched:
        def __init__(self, split):
            self.split, self.captions, self.vocabulary = split, split.captions, split.vocabulary

        def __len__(self):
            return len(self.split)

        def batch(self, rows):
            seen.extend(rows.tolist())
            return self.split.batch(rows)

    solver = make_solver(small_data, dataclasses.replace(SHORT, epochs=2))
    solver.split = Watched(small_data.train)
    solver.train()
    first, second = seen[:48], seen[48:]
    assert sorted(first) == sorted(second) == list(range(48))
    assert first != second
    assert first != sorted(first)


def test_the_same_seed_is_the_same_training(small_data):
    a, b = make_solver(small_data, dropout=0.3), make_solver(small_data, dropout=0.3)
    assert a.train() == b.train()
    other = make_solver(small_data, dataclasses.replace(SHORT, seed=1), dropout=0.3)
    assert other.train() != a.history


def test_gradients_are_clipped(small_data, monkeypatch):
    norms = []
    clip = mg.optim.clip_grad_norm

    def watched(params, limit):
        params = list(params)
        clip(params, limit)
        norms.append(math.sqrt(sum(float((p.grad.astype(float) ** 2).sum()) for p in params)))

    monkeypatch.setattr(mg.optim, "clip_grad_norm", watched)
    make_solver(small_data, dataclasses.replace(SHORT, epochs=1, clip_norm=0.01)).train()
    assert norms
    np.testing.assert_allclose(norms, 0.01, rtol=1e-5)
    make_solver(small_data, dataclasses.replace(SHORT, epochs=1, clip_norm=None)).train()
    assert len(norms) == 5


def test_weight_decay_shrinks_the_weights(small_data):
    plain, decayed = make_solver(small_data), make_solver(small_data, dataclasses.replace(SHORT, weight_decay=5.0))
    plain.train()
    decayed.train()
    assert np.abs(weights(decayed)["cell.Wh"]).sum() < 0.9 * np.abs(weights(plain)["cell.Wh"]).sum()


def test_a_loss_that_is_not_finite_stops(small_data):
    solver = make_solver(small_data)
    solver.model.predict.bias.data[0] = np.nan
    with pytest.raises(TrainingError, match="the loss is nan at iteration 1 of epoch 1: try a smaller learning rate"):
        solver.train()


# The best weights ------------------------------------------------------------------------------


def scripted(solver, scores):
    """Validation that says (bleu, loss, exercise BLEU) by script; keeps a copy of the weights of each epoch."""
    taken = []

    def end(*_):
        taken.append({name: a.copy() for name, a in weights(solver).items()})
        bleu, _, exercise = scores[len(taken) - 1]
        return {"val_bleu": bleu, "val_cider": 2 - 2 * bleu, "val_exercise_bleu": exercise}

    solver._of_captions = end
    return taken


@pytest.mark.parametrize(("keep", "best"), [("bleu", 3), ("cider", 5), ("loss", 2), ("exercise", 4)])
def test_the_best_weights_are_kept_and_they_are_copies(small_data, monkeypatch, keep, best):
    scores = [(0.2, 5.0, 0.1), (0.3, 3.0, 0.2), (0.5, 4.0, 0.3), (0.5, 4.5, 0.6), (0.1, 9.0, 0.4)]
    solver = make_solver(small_data, dataclasses.replace(SHORT, epochs=5, keep=keep))
    taken = scripted(solver, scores)
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: scores[len(taken)][1])
    solver.train()
    assert solver.best_entry["epoch"] == best
    assert same(weights(solver), taken[best - 1])
    assert best == 5 or not same(taken[best - 1], taken[-1])


def test_patience(small_data, monkeypatch):
    scores = [(bleu, 1.0, 0.0) for bleu in (0.2, 0.3, 0.1, 0.25, 0.9)]
    solver = make_solver(small_data, dataclasses.replace(SHORT, epochs=5, patience=2))
    taken = scripted(solver, scores)
    monkeypatch.setattr("captioning.training.solver.mean_loss", lambda *_, comm: 1.0)
    solver.train()
    assert len(taken) == 4
    assert same(weights(solver), taken[1])
    assert solver.finished
    assert len(solver.train()) == len(solver.history)  # nothing more to do


def test_without_validation_the_last_weights_are_kept(small_data):
    solver = Solver(make_model(small_data), small_data.train, settings=SHORT)
    history = solver.train()
    assert [entry["epoch"] for entry in history if "loss" not in entry] == [1, 2, 3]
    assert solver.best_entry["epoch"] == 3


# Interrupting and resuming ---------------------------------------------------------------------


@pytest.mark.parametrize("stops", [(7,), (5, 6), (1, 14)])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_last_bit(small_data, tmp_path, stops):
    whole = make_solver(small_data, run=new_run(tmp_path / "whole", small_data, dropout=0.3), dropout=0.3)
    whole.train()

    run = new_run(tmp_path / "parts", small_data, dropout=0.3)
    solver = make_solver(small_data, run=run, dropout=0.3)
    for stop in stops:
        interrupt_after(solver, stop)
        solver.train()
        assert solver.interrupted
        assert solver.iteration == stop  # the running iteration was finished first
        run = Run.open(tmp_path / "parts")
        solver = Solver(run.new_model(), small_data.train, small_data.val, SHORT, run)
        solver.resume()
        assert solver.iteration == stop
    solver.train()
    assert not solver.interrupted
    assert solver.history == whole.history
    assert same(weights(solver), weights(whole))
    for name in ("history.jsonl", "weights.safetensors", "checkpoint.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


def test_a_plateau_is_found_at_validations_and_by_a_resumed_run(small_data, tmp_path, monkeypatch):
    """The history is walked once a validation, not once an iteration; what was reduced stays so within an epoch."""
    walked = []
    monkeypatch.setattr(
        "captioning.training.solver.reductions", lambda keys: walked.append(len(keys)) or reductions(keys)
    )
    settings = dataclasses.replace(SHORT, epochs=5, learning_rate=0.2, schedule="plateau", lr_decay=0.5, keep="cider")
    whole = make_solver(small_data, settings)
    history = whole.train()
    assert walked == [1, 2, 3, 4, 5]
    rates = [entry["learning_rate"] for entry in history if "val_loss" in entry]
    assert rates[0] == 0.2 > rates[-1]
    run = new_run(tmp_path / "run", small_data, settings)
    make_solver(small_data, settings, run).train(max_iterations=22)  # within the last epoch, of five iterations
    again = make_solver(small_data, settings, Run.open(run.folder))
    again.resume()
    assert again.train() == history
    assert same(weights(again), weights(whole))


def test_a_killed_run_resumes_from_its_last_epoch(small_data, tmp_path):
    whole = make_solver(small_data, run=new_run(tmp_path / "whole", small_data))
    whole.train()
    solver = make_solver(small_data, run=new_run(tmp_path / "killed", small_data))
    inner = solver._iterate

    def dying(stop):
        if solver.iteration == 8:
            solver.run.flush()  # the history is ahead of the checkpoint
            raise MemoryError
        inner(stop)

    solver._iterate = dying
    with pytest.raises(MemoryError):
        solver.train()
    with open(tmp_path / "killed" / "history.jsonl", "a") as file:
        file.write('{"iteration": 9, "ep')  # torn
    run = Run.open(tmp_path / "killed")
    resumed = Solver(run.new_model(), small_data.train, small_data.val, SHORT, run)
    resumed.resume()
    assert resumed.iteration == 5
    resumed.train()
    assert resumed.history == whole.history
    assert (tmp_path / "killed" / "history.jsonl").read_text() == (tmp_path / "whole" / "history.jsonl").read_text()


@pytest.mark.parametrize("spoil", [
    lambda state: state.pop("optimiser/m.3"),
    lambda state: state.update({"solver/best": np.zeros(3)}),
    lambda state: state.update({"optimiser/step.0": np.array(-1)}),
])  # fmt: skip
def test_a_checkpoint_that_is_not_whole_changes_nothing(small_data, tmp_path, spoil):
    run = new_run(tmp_path / "run", small_data)
    make_solver(small_data, run=run).train()
    state = run.load_checkpoint()
    spoil(state)
    run.save_checkpoint(state)
    fresh = make_solver(small_data, run=run)
    before = weights(fresh), fresh.optimiser.state_dict()
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: does not fit the run"):
        fresh.resume()
    assert same(before[0], weights(fresh))
    assert same(before[1], fresh.optimiser.state_dict())


def test_ctrl_c_is_python_s_again_afterwards(small_data):
    before = signal.getsignal(signal.SIGINT)
    make_solver(small_data).train()
    assert signal.getsignal(signal.SIGINT) is before


def test_training_in_a_thread(small_data):
    solver = make_solver(small_data)
    thread = threading.Thread(target=solver.train)
    thread.start()
    thread.join()
    assert solver.finished


def test_resume_without_a_checkpoint(small_data, tmp_path):
    with pytest.raises(RunError, match="no run folder"):
        make_solver(small_data).resume()
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: there is no such file"):
        solver.resume()


def test_a_checkpoint_of_another_model_changes_nothing(small_data, tmp_path):
    run = new_run(tmp_path / "run", small_data)
    make_solver(small_data, run=run).train()
    other = Solver(Captioner(small_data.vocabulary, 6, 8, 13, rng=0), small_data.train, small_data.val, SHORT, run)
    before = weights(other)
    with pytest.raises(RunError, match=r"checkpoint\.safetensors: does not fit the run"):
        other.resume()
    assert same(before, weights(other))
    assert other.iteration == 0


# Stops, checkpoints and validations in between ----------------------------------------------------


def test_sigterm_stops_it_like_ctrl_c(small_data, tmp_path):
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    interrupt_after(solver, 7, signal.SIGTERM)
    before = signal.getsignal(signal.SIGTERM)
    solver.train()
    assert (solver.interrupted, solver.stopped_by, solver.iteration) == (True, signal.SIGTERM, 7)
    assert signal.getsignal(signal.SIGTERM) is before
    assert Checkpoint.of(solver.run.load_checkpoint(), 5).iteration == 7


def test_it_stops_after_so_many_iterations_and_goes_on(small_data, tmp_path):
    whole = make_solver(small_data)
    whole.train()
    solver = make_solver(small_data, run=new_run(tmp_path / "run", small_data))
    solver.train(max_iterations=3)
    assert (solver.interrupted, solver.stopped_by, solver.iteration) == (True, None, 3)
    assert Checkpoint.of(solver.run.load_checkpoint(), 5).iteration == 3
    solver.train(max_iterations=3)  # done already
    assert solver.iteration == 3
    with pytest.raises(ValueError, match="max_iterations must be at least 3, which are done; got 2"):
        solver.train(max_iterations=2)
    with pytest.raises(ValueError, match="max_iterations must be an int of at least 1; got 0"):
        solver.train(max_iterations=0)
    solver.train(max_iterations=1000)
    assert not solver.interrupted
    assert solver.history == whole.history
    assert same(weights(solver), weights(whole))


@pytest.mark.parametrize(("every", "expected"), [
    ("never", [5, 10, 15]),
    ("3", [3, 5, 8, 10, 13, 15]),
    ("2h", [5, 10, 15]),
    ("20s", [2, 4, 5, 7, 9, 10, 12, 14, 15]),
])  # fmt: skip
def test_checkpoints_are_written_in_between(small_data, tmp_path, monkeypatch, every, expected):
    """An iteration takes ten seconds here; what is counted begins anew with every checkpoint."""
    run = new_run(tmp_path / "run", small_data)
    model = make_model(small_data)
    solver = Solver(model, small_data.train, small_data.val, SHORT, run, checkpoint_every=every)
    monkeypatch.setattr(solver._clock, "seconds", lambda: 10.0 * solver.iteration)
    found = []
    save = run.save_checkpoint

    def watched(state):
        save(state)
        last = run.history()[-1]["iteration"]  # the history is as far as the checkpoint
        found.append(int(state["solver/iteration"]))
        assert last == found[-1]

    run.save_checkpoint = watched
    solver.train()
    assert found == expected


def test_validation_in_between_finds_better_weights(small_data, tmp_path, monkeypatch):
    """The best validation is that of iteration 7, in the second epoch; patience counts epochs all the same."""
    settings = dataclasses.replace(SHORT, epochs=9, validate_every=7, keep="loss", patience=2)
    run = new_run(tmp_path / "run", small_data, settings)
    solver = make_solver(small_data, settings, run)
    kept = {}

    def loss(*_, comm):
        kept[solver.iteration] = solver.model.state_dict()
        return 1.0 if solver.iteration == 7 else 2.0

    monkeypatch.setattr("captioning.training.solver.mean_loss", loss)
    history = solver.train()
    judged = [(e["iteration"], e["epoch"]) for e in history if "val_loss" in e]
    assert judged == [(5, 1), (7, 2), (10, 2), (14, 3), (15, 3), (20, 4)]
    assert solver.best_entry["iteration"] == 7
    assert same(weights(solver), kept[7])
    assert same(Run.open(tmp_path / "run").load_model().state_dict(), kept[7])
    again = make_solver(small_data, settings, Run.open(tmp_path / "run"))
    again.resume()
    assert again.finished
    assert again.best_entry == solver.best_entry


def test_without_a_split_to_validate_on_nothing_is_validated_in_between(small_data):
    settings = dataclasses.replace(SHORT, validate_every=2)
    history = Solver(make_model(small_data), small_data.train, settings=settings).train()
    assert [entry["iteration"] for entry in history if "loss" not in entry] == [5, 10, 15]


def test_resuming_to_fewer_epochs_than_are_done_changes_nothing(small_data, tmp_path):
    run = new_run(tmp_path / "run", small_data)
    make_solver(small_data, run=run).train()
    files = {path: path.read_bytes() for path in run.folder.iterdir()}
    fewer = make_solver(small_data, dataclasses.replace(SHORT, epochs=2), run)
    with pytest.raises(RunError, match="run: has trained 3 epochs already, more than the 2 that are asked for"):
        fewer.resume()
    assert files == {path: path.read_bytes() for path in run.folder.iterdir()}
    assert fewer.iteration == 0


# Settings and progress -------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [
    ("epochs", 0), ("batch_size", -1), ("learning_rate", 0.0), ("learning_rate", math.nan), ("lr_decay", -1.0),
    ("clip_norm", 0.0), ("weight_decay", -1.0), ("patience", 0), ("keep", "last"), ("seed", -1), ("val_images", 0),
    ("validate_every", 0), ("val_part", "third"),
])  # fmt: skip
def test_impossible_settings_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        Settings(**{name: value})


def test_an_error_in_a_training_leaves_the_terminal_as_it_was(small_data, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    solver = make_solver(small_data)
    solver.progress = Progress(Terminal(), clock=itertools.count().__next__)
    inner = solver.model.loss
    solver.model.loss = lambda *batch: inner(*batch) * (math.nan if solver.iteration == 2 else 1.0)
    with pytest.raises(TrainingError):
        solver.train()
    drawn = solver.progress.stream.getvalue()
    assert "2/15  loss" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor, hidden below the bar, is there again


def test_a_signal_that_is_ignored_stays_ignored(small_data):
    """A shell starts what is to run in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        solver = make_solver(small_data)
        interrupt_after(solver, 7)
        solver.train()
        assert solver.finished
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
