"""Refinement: the captions to learn from are the best by definition, and the rounds resume to the last bit."""

from __future__ import annotations

import dataclasses
import os
import signal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigrad as mg
from captioning.data.dataset import open_captions
from captioning.data.neighbours import nearest
from captioning.models.captioner import Captioner
from captioning.scoring.metrics import BLEU_score, exercise_bleu_table
from captioning.training.errors import RunError
from captioning.training.refinement import (
    TARGETS,
    Consensus,
    Refinement,
    Rounds,
    best_drafts,
    captions_by_image,
    consensus_captions,
)
from captioning.training.run_folder import Run
from captioning.training.run_settings import settings_of
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.training.test_solver import interrupt_after, same, weights

HOW = Consensus(drafts=4, neighbours=5)
ROUNDS = Rounds(rounds=2, round_epochs=2)
SETTINGS = Settings(epochs=1, batch_size=10, learning_rate=5e-3)
captions = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=5)


@given(captions, captions)
def test_the_table_of_scores_is_the_exercise_bleu(samples, references):
    table = exercise_bleu_table(samples, references)
    expected = [[BLEU_score(" ".join(r), " ".join(s)) for r in references] for s in samples]
    np.testing.assert_allclose(table, expected, atol=1e-12)


@given(captions, captions, st.integers(1, 4), st.integers(0, 9))
def test_best_drafts_have_the_highest_utility(drafts, voters, best, seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(voters)))

    def utility(draft):
        return weights @ [BLEU_score(" ".join(caption), " ".join(draft)) for caption in voters]

    chosen = best_drafts(drafts, voters, weights, best)
    assert len(chosen) == best
    candidates = {tuple(draft) for draft in drafts if draft}
    if not candidates:
        assert chosen == [voters[0]] * best
        return
    distinct = {tuple(draft) for draft in chosen}
    assert distinct <= candidates
    assert len(distinct) == min(best, len(candidates))
    expected = sorted(map(utility, candidates), reverse=True)
    np.testing.assert_allclose([utility(draft) for draft in chosen[: len(distinct)]], expected[: len(distinct)])


@pytest.fixture(scope="module")
def trained(small_folder):
    """Weights that have learnt a little."""
    with open_captions(small_folder) as data:
        model = Captioner(data.vocabulary, 6, 8, 12, rng=0)
        Solver(model, data.train, None, Settings(epochs=8, batch_size=10, learning_rate=1e-2)).train()
        return model.state_dict()


def make_model(data, state, **options):
    model = Captioner(data.vocabulary, 6, 8, 12, rng=0, **options)
    model.load_state_dict(state)
    return model


def make(data, state, run=None, rounds=ROUNDS, **options):
    model = make_model(data, state, dropout=0.2, feature_dropout=0.2)
    return Refinement(model, data.train, data.val, SETTINGS, rounds, HOW, run, **options)


def test_captions_to_learn_from(small_data, trained):
    model, split = make_model(small_data, trained), small_data.train
    neighbours = nearest(split.features, np.arange(24), 5, 0.1)
    rows, images = consensus_captions(model, split, neighbours, HOW, rng=3)
    v = split.vocabulary
    assert rows.shape == (48, 8)
    assert rows.dtype == images.dtype == np.int32
    np.testing.assert_array_equal(images, np.repeat(np.arange(24), 2))
    assert (rows[:, 0] == v.start).all()
    for row in rows.tolist():
        end = row.index(v.end)
        assert end > 1
        assert set(row[end + 1 :]) <= {v.null}
        assert not {v.null, v.start, v.end, v.unk} & set(row[1:end])
    again = consensus_captions(model, split, neighbours, HOW, rng=3)
    np.testing.assert_array_equal(again[0], rows)


def test_the_more_drafts_the_better_they_agree_with_the_humans(small_data, trained):
    split = small_data.train
    neighbours = nearest(split.features, np.arange(24), 3, 0.1)

    def agreement(drafts, weight):
        how = Consensus(drafts, temperature=1.0, human_weight=weight, best=1)
        written = consensus_captions(make_model(small_data, trained), split, neighbours, how, rng=0)
        mine, humans = captions_by_image(split.with_captions(*written)), captions_by_image(split)
        return np.mean([exercise_bleu_table(mine[i], humans[i]).mean() for i in humans])

    assert agreement(1, 1.0) < agreement(4, 1.0) < agreement(16, 1.0)
    assert agreement(16, 0.0) > agreement(1, 0.0)  # the neighbours' captions know something of the picture


def test_a_picture_without_neighbours_has_its_own_captions(small_data, trained):
    split = small_data.train
    first = split.image_idxs == 0
    alone = split.with_captions(split.captions[first], split.image_idxs[first])
    neighbours = nearest(split.features, np.array([0]), 3, 0.1)
    rows, images = consensus_captions(make_model(small_data, trained), alone, neighbours, HOW, rng=0)
    assert images.tolist() == [0, 0]
    assert rows.shape == (2, 8)


def test_a_draft_that_did_not_end_is_not_learnt_from(small_data, trained):
    endless, split = dict(trained), small_data.train
    endless["predict.bias"] = np.where(np.arange(len(split.vocabulary)) == split.vocabulary.end, -50, 0).astype(
        np.float32
    )
    neighbours, humans = nearest(split.features, np.arange(24), 3, 0.1), captions_by_image(split)
    rows, images = consensus_captions(make_model(small_data, endless), split, neighbours, HOW, rng=0)
    for row, image in zip(rows, images.tolist(), strict=True):
        assert split.vocabulary.tokens(row) == [split.vocabulary.idx_to_word[word] for word in humans[image][0]]


@pytest.mark.parametrize("start", [True, False])
def test_a_human_caption_that_fills_its_row_is_learnt_from_as_it_is(small_data, trained, start):
    endless, v = dict(trained), small_data.vocabulary
    endless["predict.bias"] = np.where(np.arange(len(v)) == v.end, -50, 0).astype(np.float32)
    words = v.encode(["a", "dog", "runs", "here", "the", "cat", "sits", "here"])
    full = np.array([[v.start, *words[:-1]] if start else words], np.int32)
    split = small_data.train.with_captions(full, np.zeros(1, np.int32))
    neighbours = nearest(split.features, np.array([0]), 3, 0.1)
    rows, _ = consensus_captions(make_model(small_data, endless), split, neighbours, HOW, rng=0)
    assert rows.tolist() == [[v.start, *words[:-1]]] * 2


def test_stopping_and_reports(small_data, trained):
    calls = []
    model, split = make_model(small_data, trained), small_data.train
    neighbours = nearest(split.features, np.arange(24), 3, 0.1)
    assert consensus_captions(model, split, neighbours, HOW, 0, lambda *done: calls.append(done), lambda: True) is None
    assert calls == [(0, 24)]


def test_captions_are_renewed_every_round_and_the_references_stay(small_data, trained):
    solver = make(small_data, trained)
    seen = []
    inner = solver._begin_epoch

    def begin(epoch, stop):
        result = inner(epoch, stop)
        seen.append(solver.split.captions)
        return result

    solver._begin_epoch = begin
    history = solver.train()
    assert [entry["epoch"] for entry in history if "val_loss" in entry] == [1, 2, 3, 4]
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert not np.array_equal(seen[0], seen[2])
    assert solver.split.references(0) == small_data.train.references(0)
    assert solver.humans is small_data.train


def test_shards_draw_captions_of_their_own_and_one_shard_as_if_there_were_none(small_data, trained):
    """The first of three shards has the first eight pictures, and what is drawn of them does not ask for the others."""
    drawn = {}
    for shards in (1, 3):
        solver = make(small_data, trained, shards=shards)
        solver.train(max_iterations=1)
        drawn[shards] = solver.split.captions
        assert solver.split.image_idxs.tolist() == sorted([*range(24), *range(24)])
    split, model = small_data.train, make_model(small_data, trained)
    neighbours = nearest(split.features, np.arange(24), 5, HOW.width)
    (whole, _), seed = consensus_captions(model, split, neighbours, HOW, np.random.default_rng([0, 2, 0])), [0, 2, 0, 0]
    np.testing.assert_array_equal(drawn[1], whole)
    first = nearest(split.features, np.arange(24), 5, HOW.width, part=slice(8))
    rows, images = consensus_captions(model, split, first, HOW, np.random.default_rng(seed), part=slice(8))
    np.testing.assert_array_equal(drawn[3][:16], rows)
    assert images.tolist() == sorted([*range(8), *range(8)])


def new_run(folder, data, trained):
    model = make_model(data, trained, dropout=0.2, feature_dropout=0.2)
    return Run.create(folder, settings_of(model, SETTINGS, data), data.vocabulary)


def resumed(folder, data):
    run = Run.open(folder)
    solver = Refinement(run.new_model(rng=0), data.train, data.val, SETTINGS, ROUNDS, HOW, run)
    solver.resume()
    return solver


@pytest.mark.parametrize("stops", [(3,), (5, 8), (10, 12), (19,)])
def test_a_resumed_refinement_is_the_uninterrupted_one_to_the_last_bit(small_data, trained, tmp_path, stops):
    whole = make(small_data, trained, new_run(tmp_path / "whole", small_data, trained))
    whole.train()
    solver = make(small_data, trained, new_run(tmp_path / "parts", small_data, trained))
    for stop in stops:
        interrupt_after(solver, stop)
        solver.train()
        assert solver.interrupted
        assert solver.iteration == stop
        solver = resumed(tmp_path / "parts", small_data)
    solver.train()
    assert same(weights(solver), weights(whole))
    for path in (tmp_path / "whole").glob("*.[sj]*"):
        assert path.read_bytes() == (tmp_path / "parts" / path.name).read_bytes(), path.name


def test_ctrl_c_while_captions_are_written_leaves_the_last_checkpoint(small_data, trained, tmp_path, monkeypatch):
    solver = make(small_data, trained, new_run(tmp_path / "run", small_data, trained))
    interrupt_after(solver, 10)
    solver.train()  # the first round is done
    solver = resumed(tmp_path / "run", small_data)
    monkeypatch.setattr(solver, "_report", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    solver.train()
    assert solver.interrupted
    assert solver.iteration == 10
    assert resumed(tmp_path / "run", small_data).iteration == 10


def test_ctrl_c_while_neighbours_are_looked_for_is_a_stop_at_the_beginning(small_data, trained, tmp_path, monkeypatch):
    solver = make(small_data, trained, new_run(tmp_path / "run", small_data, trained))
    solver.save_checkpoint()
    reports = []

    def report(*done):
        reports.append(done)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(solver, "_report", report)
    solver.train()
    assert reports == [(0, 2)]
    assert (solver.interrupted, solver.stopped_by, solver.iteration) == (True, signal.SIGTERM, 0)
    assert not (tmp_path / "run" / TARGETS).exists()
    assert resumed(tmp_path / "run", small_data).iteration == 0


def test_damaged_targets_are_named(small_data, trained, tmp_path):
    solver = make(small_data, trained, new_run(tmp_path / "run", small_data, trained))
    interrupt_after(solver, 3)
    solver.train()
    path = tmp_path / "run" / TARGETS
    arrays = mg.load(path)
    mg.save(path, arrays | {"round": np.array(1)})
    with pytest.raises(RunError, match=r"targets.safetensors.*round 2, not of 1"):
        resumed(tmp_path / "run", small_data)
    mg.save(path, {"round": np.array(0)})
    with pytest.raises(RunError, match=r"targets.safetensors.*captions, image_idxs are missing"):
        resumed(tmp_path / "run", small_data)
    flipped = arrays["captions"].copy()
    flipped[3, 2] ^= 1 << 13
    for change, told in (
        ({"captions": flipped}, r"captions must be int32 from 0 to \d+"),
        ({"image_idxs": arrays["image_idxs"] + 24}, r"image_idxs must be int32 from 0 to 23"),
        ({"captions": arrays["captions"].astype(np.float32)}, "captions must be int32"),
        ({"captions": arrays["captions"][:-1]}, r"must be \(N,8\) and \(N,\)"),
        ({name: arrays[name][:-1] for name in ("captions", "image_idxs")}, "holds captions of other pictures"),
        ({"image_idxs": arrays["image_idxs"][::-1].copy()}, "holds captions of other pictures"),
    ):
        mg.save(path, arrays | change)
        with pytest.raises(RunError, match=rf"targets.safetensors.*{told}"):
            resumed(tmp_path / "run", small_data)
    path.unlink()
    history = tmp_path / "run" / "history.jsonl"
    later = history.read_text() + '{"iteration": 4, "epoch": 1, "loss": 1.0}\n'
    history.write_text(later)
    with pytest.raises(RunError, match=r"targets.safetensors"):
        resumed(tmp_path / "run", small_data)
    assert history.read_text() == later  # what is refused has changed nothing


def test_a_split_without_words_is_refused(small_data, trained):
    v = small_data.vocabulary
    bare = small_data.train.with_captions(np.array([[v.start, v.unk, v.end]], np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="no caption with a known word"):
        Refinement(make_model(small_data, trained), bare)


@pytest.mark.parametrize(("kind", "name", "value"), [
    (Consensus, "drafts", 0), (Consensus, "neighbours", True), (Consensus, "best", 13), (Consensus, "drafts", 1001),
    (Consensus, "width", -1.0), (Consensus, "temperature", 0.0),
    (Consensus, "human_weight", 1.5), (Rounds, "rounds", 0), (Rounds, "round_epochs", 1.0),
])  # fmt: skip
def test_impossible_settings_are_named(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        kind(**{name: value})


def test_epochs_follow_from_the_rounds(small_data, trained):
    solver = make(small_data, trained)
    assert solver.settings == dataclasses.replace(SETTINGS, epochs=4)
    assert solver.total == 20
