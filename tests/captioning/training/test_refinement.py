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
from captioning.training.refinement import (
    TARGETS,
    Consensus,
    Refinement,
    Rounds,
    best_drafts,
    captions_by_image,
    consensus_captions,
)
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.training.settings import Settings
from captioning.training.solver import Solver
from tests.captioning.training.small_trainings import interrupt_after, new_run, same_files

HOW = Consensus(drafts=4, neighbours=5)
SETTINGS = Settings(epochs=1, batch_size=10, learning_rate=5e-3)
captions = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=5)


@given(captions, captions, st.integers(1, 4), st.integers(0, 9))
def test_best_drafts_have_the_highest_utility(drafts, voters, best, seed):
    table = exercise_bleu_table(drafts, voters)
    expected = [[BLEU_score(" ".join(r), " ".join(s)) for r in voters] for s in drafts]
    np.testing.assert_allclose(table, expected, atol=1e-12)
    shares = np.random.default_rng(seed).dirichlet(np.ones(len(voters)))
    chosen = best_drafts(drafts, voters, shares, best)
    utility = {tuple(draft): shares @ row for draft, row in zip(drafts, table, strict=True) if draft}
    if not utility:
        assert chosen == [voters[0]] * best
        return
    distinct = [tuple(draft) for draft in chosen[: len(utility)]]
    assert len(set(distinct)) == len(distinct) == min(best, len(utility))
    found = [utility[draft] for draft in distinct]
    np.testing.assert_allclose(found, sorted(utility.values(), reverse=True)[: len(found)])
    assert len(chosen) == best


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


def make(data, state, run=None, **options):
    model = make_model(data, state, dropout=0.2, feature_dropout=0.2)
    return Refinement(model, data.train, data.val, SETTINGS, Rounds(2, 2), HOW, run=run, **options)


def written(data, state, how=HOW, split=None, images=24, **options):
    split = data.train if split is None else split
    neighbours = nearest(split.features, np.arange(images), how.neighbours, 0.1, part=options.get("part", slice(None)))
    return consensus_captions(make_model(data, state), split, neighbours, how, **{"rng": 0, **options})


def test_captions_to_learn_from(small_data, trained):
    rows, images = written(small_data, trained, rng=3)
    v = small_data.vocabulary
    assert rows.shape == (48, 8)
    assert rows.dtype == images.dtype == np.int32
    np.testing.assert_array_equal(images, np.repeat(np.arange(24), 2))
    assert (rows[:, 0] == v.start).all()
    for row in rows.tolist():
        end = row.index(v.end)
        assert end > 1
        assert set(row[end + 1 :]) <= {v.null}
        assert not {v.null, v.start, v.end, v.unk} & set(row[1:end])
    np.testing.assert_array_equal(written(small_data, trained, rng=3)[0], rows)
    part = slice(5, 9)
    one = written(small_data, trained, rng=3, part=part)
    np.testing.assert_array_equal(one[1], np.repeat(np.arange(24)[part], 2))


def test_the_more_drafts_the_better_they_agree_with_the_humans(small_data, trained):
    def agreement(drafts, weight):
        how = Consensus(drafts, temperature=1.0, neighbours=3, human_weight=weight, best=1)
        mine = captions_by_image(small_data.train.with_captions(*written(small_data, trained, how)))
        humans = captions_by_image(small_data.train)
        return np.mean([exercise_bleu_table(mine[i], humans[i]).mean() for i in humans])

    assert agreement(1, 1.0) < agreement(4, 1.0) < agreement(16, 1.0)
    assert agreement(16, 0.0) > agreement(1, 0.0)  # the neighbours' captions know something of the picture


@pytest.mark.parametrize("start", [True, False])
def test_where_no_draft_ends_a_human_caption_is_learnt_from(small_data, trained, start):
    """Of a picture without neighbours; the caption may fill its row."""
    endless, v = dict(trained), small_data.vocabulary
    endless["predict.bias"] = np.where(np.arange(len(v)) == v.end, -50, 0).astype(np.float32)
    words = v.encode(["a", "dog", "runs", "here", "the", "cat", "sits", "here"])
    full = np.array([[v.start, *words[:-1]] if start else words], np.int32)
    split = small_data.train.with_captions(full, np.zeros(1, np.int32))
    rows, images = written(small_data, endless, split=split, images=1)
    assert rows.tolist() == [[v.start, *words[:-1]]] * 2
    assert images.tolist() == [0, 0]


def test_captions_are_renewed_every_round_and_the_references_stay(small_data, trained):
    solver, seen = make(small_data, trained), []
    assert solver.settings == dataclasses.replace(SETTINGS, epochs=4)
    assert solver.total == 20
    inner = solver._begin_epoch

    def begin(epoch, stop):
        result = inner(epoch, stop)
        seen.append(solver.split.captions)
        return result

    solver._begin_epoch = begin
    assert [entry["epoch"] for entry in solver.train() if "val_loss" in entry] == [1, 2, 3, 4]
    assert seen[0] is seen[1]
    assert seen[2] is seen[3]
    assert not np.array_equal(seen[0], seen[2])
    assert solver.split.references(0) == small_data.train.references(0)


def test_shards_draw_captions_of_their_own(small_data, trained):
    """The first of three shards has the first eight pictures; one shard draws as if there were none."""
    drawn = {}
    for shards in (1, 3):
        solver = make(small_data, trained, shards=shards)
        solver.train(max_iterations=1)
        drawn[shards] = solver.split.captions
    how = dataclasses.replace(HOW, width=0.1)
    for shards, part, seed in ((1, slice(24), [0, 2, 0]), (3, slice(8), [0, 2, 0, 0])):
        neighbours = nearest(small_data.train.features, np.arange(24), 5, HOW.width, part=part)
        rng, model = np.random.default_rng(seed), make_model(small_data, trained)
        rows, _ = consensus_captions(model, small_data.train, neighbours, how, rng, part=part)
        np.testing.assert_array_equal(drawn[shards][: 2 * part.stop], rows)


def run_in(folder, data, state):
    return new_run(folder, data, SETTINGS, model=make_model(data, state, dropout=0.2, feature_dropout=0.2))


def resumed(folder, data):
    run = Run.open(folder)
    solver = Refinement(run.new_model(rng=0), data.train, data.val, SETTINGS, Rounds(2, 2), HOW, run=run)
    solver.resume()
    return solver


def test_a_resumed_refinement_is_the_uninterrupted_one_to_the_last_bit(small_data, trained, tmp_path):
    """Also where it was stopped while neighbours were found, or captions were written."""
    make(small_data, trained, run_in(tmp_path / "whole", small_data, trained)).train()
    solver = make(small_data, trained, run_in(tmp_path / "parts", small_data, trained))
    solver.save_checkpoint()
    for stop in (0, 3, 5, 10, 10, 12, 19):
        if stop == solver.iteration:  # at the beginning of a round
            solver._report = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
        else:
            interrupt_after(solver, stop)
        solver.train()
        assert (solver.interrupted, solver.iteration) == (True, stop)
        assert stop or not (tmp_path / "parts" / TARGETS).exists()
        solver = resumed(tmp_path / "parts", small_data) if stop else make(small_data, trained, solver.run)
    solver.train()
    assert same_files(tmp_path / "whole", tmp_path / "parts")


def test_damaged_targets_are_named(small_data, trained, tmp_path):
    solver = make(small_data, trained, run_in(tmp_path / "run", small_data, trained))
    solver.train(max_iterations=3)
    path, history = tmp_path / "run" / TARGETS, tmp_path / "run" / "history.jsonl"
    later = history.read_text() + '{"iteration": 4, "epoch": 1, "loss": 1.0}\n'
    history.write_text(later)
    arrays = mg.load(path)
    flipped = arrays["captions"].copy()
    flipped[3, 2] ^= 1 << 13
    for content in (
        arrays | {"round": np.array(1)}, arrays | {"round": np.array(0.0)}, {"round": np.array(0)},
        arrays | {"captions": flipped}, arrays | {"captions": arrays["captions"].astype(np.float32)},
        {name: array if name == "round" else array[:-1] for name, array in arrays.items()},
        arrays | {"image_idxs": arrays["image_idxs"][::-1].copy()}, arrays | {"captions": -arrays["captions"]},
    ):  # fmt: skip
        mg.save(path, content)
        with pytest.raises(RunError, match=TARGETS):
            resumed(tmp_path / "run", small_data)
    path.unlink()
    with pytest.raises(RunError, match=TARGETS):
        resumed(tmp_path / "run", small_data)
    assert history.read_text() == later  # nothing has changed


def test_a_split_without_words_is_refused(small_data, trained):
    v = small_data.vocabulary
    bare = small_data.train.with_captions(np.array([[v.start, v.unk, v.end]], np.int32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match="no caption with a known word"):
        Refinement(make_model(small_data, trained), bare)


@pytest.mark.parametrize(("kind", "name", "value"), [
    (Consensus, "drafts", 0), (Consensus, "neighbours", True), (Consensus, "best", 13), (Consensus, "drafts", 1001),
    (Consensus, "width", -1.0), (Consensus, "temperature", 0.0), (Consensus, "human_weight", 1.5),
    (Consensus, "human_weight", -0.1), (Rounds, "rounds", 0), (Rounds, "round_epochs", 1.0),
])  # fmt: skip
def test_impossible_settings_are_named(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        kind(**{name: value})
