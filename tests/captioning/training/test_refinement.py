"""Refinement: the captions to learn from are the best by definition, and the rounds resume to the last bit."""

import dataclasses
import os
import signal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad as mg
from captioning.data.neighbours import nearest
from captioning.decoding.stepwise import sample
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
from tests.captioning.training.small_trainings import interrupt_after, make_model, new_run, same_files

HOW = Consensus(drafts=8, neighbours=5)
SETTINGS = Settings(epochs=1, batch_size=10, learning_rate=5e-3)
captions = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=1, max_size=5)


@settings(max_examples=10)
@given(captions, captions, st.integers(1, 4), st.integers(0, 9))
def test_best_drafts_have_the_highest_utility(drafts, voters, best, seed):
    table = np.array([[BLEU_score(" ".join(r), " ".join(s)) for r in voters] for s in drafts])
    np.testing.assert_allclose(exercise_bleu_table(drafts, voters), table, atol=1e-12)
    shares = np.random.default_rng(seed).dirichlet(np.ones(len(voters)))
    chosen = best_drafts(drafts, voters, shares, best)
    utility = {tuple(draft): shares @ row for draft, row in zip(drafts, table, strict=True) if draft}
    if not utility:
        assert chosen == [voters[0]] * best
        return
    found = [utility[tuple(draft)] for draft in chosen]
    assert (len(found), len({*map(tuple, chosen)})) == (best, min(best, len(utility)))
    np.testing.assert_allclose(found[: len(utility)], sorted(utility.values(), reverse=True)[:best])


def make(data, folder=None, **options):
    """A refinement, in a new run folder or in the one that is there, from its checkpoint."""
    model, run = make_model(data, dropout=0.2, feature_dropout=0.2), None
    begun = folder is not None and folder.exists()
    if folder is not None:
        run = Run.open(folder) if begun else new_run(folder, data, SETTINGS, model=model)
    solver = Refinement(model, data.train, data.val, SETTINGS, Rounds(2, 2), HOW, run=run, **options)
    if begun:
        solver.resume()
    return solver


def written(model, split, images=24, rng=0, part=slice(None)):
    neighbours = nearest(split.features, np.arange(images), HOW.neighbours, HOW.width, part=part)
    return consensus_captions(model, split, neighbours, HOW, rng, part=part)


def test_captions_to_learn_from(small_data):
    v, model = small_data.vocabulary, make_model(small_data)
    rows, images = written(model, small_data.train)
    assert (rows.shape, rows.dtype, images.dtype) == ((48, 8), np.int32, np.int32)
    np.testing.assert_array_equal(images, np.repeat(np.arange(24), 2))
    for start, *words in rows.tolist():
        end = words.index(v.end)
        assert (start, end > 0, {*words[end + 1 :]} <= {v.null}) == (v.start, True, True)
        assert not {v.null, v.start, v.end, v.unk} & {*words[:end]}
    np.testing.assert_array_equal(written(model, small_data.train)[0], rows)


def test_they_have_the_highest_utility_of_the_drafts(small_data):
    """Where each picture has one caption or more, which are not those of pictures like it."""
    images = np.random.default_rng(0).permutation([*range(24), *np.random.default_rng(0).integers(24, size=24)])
    split = small_data.train.with_captions(small_data.train.captions, images.astype(np.int32))
    v, model = small_data.vocabulary, make_model(small_data)
    features = split.features[np.repeat(np.arange(24), HOW.drafts)]
    drawn = sample(model, features, 7, HOW.temperature, rng=0).reshape(24, HOW.drafts, -1).tolist()
    humans, near = captions_by_image(split), nearest(split.features, np.arange(24), HOW.neighbours, HOW.width)

    def utility(image, caption):
        own, *others = (exercise_bleu_table([caption], humans[i]).mean() for i in (image, *near.rows[image]))
        return 0.2 * own + 0.8 * near.weights[image] @ others

    for image, row in enumerate(written(model, split)[0][::2].tolist()):
        ended = [draft[: draft.index(v.end)] for draft in drawn[image] if v.end in draft[1:]]
        if ended:
            best = max(utility(image, draft) for draft in ended)
            assert utility(image, row[1 : row.index(v.end)]) == pytest.approx(best)


@pytest.mark.parametrize("start", [True, False])
def test_where_no_draft_ends_a_human_caption_is_learnt_from(small_data, start):
    """Of a picture without neighbours; the caption may fill its row."""
    v, endless = small_data.vocabulary, make_model(small_data)
    endless.predict.bias.data[v.end] = -50
    words = v.encode(["a", "dog", "runs", "here", "the", "cat", "sits", "here"])
    full = np.array([[v.start, *words[:-1]] if start else words], np.int32)
    rows, images = written(endless, small_data.train.with_captions(full, np.zeros(1, np.int32)), images=1)
    assert (rows.tolist(), images.tolist()) == ([[v.start, *words[:-1]]] * 2, [0, 0])


def test_captions_are_renewed_every_round_and_the_references_stay(small_data):
    solver, seen = make(small_data), []
    assert (solver.settings, solver.total) == (dataclasses.replace(SETTINGS, epochs=4), 20)
    inner = solver._begin_epoch
    solver._begin_epoch = lambda *epoch: (inner(*epoch), seen.append(solver.split.captions))[0]
    assert [entry["epoch"] for entry in solver.train() if "val_loss" in entry] == [1, 2, 3, 4]
    assert (seen[0] is seen[1], seen[2] is seen[3]) == (True, True)
    assert not np.array_equal(seen[0], seen[2])
    assert solver.split.references(0) == small_data.train.references(0)


@pytest.mark.parametrize(("shards", "part", "seed"), [(1, slice(24), [0, 2, 0]), (3, slice(8), [0, 2, 0, 0])])
def test_shards_draw_captions_of_their_own(small_data, shards, part, seed):
    """The first of three shards has the first eight pictures; one shard draws as if there were none."""
    solver = make(small_data, shards=shards)
    solver.train(max_iterations=1)
    rows, _ = written(make_model(small_data), small_data.train, rng=np.random.default_rng(seed), part=part)
    np.testing.assert_array_equal(solver.split.captions[: 2 * part.stop], rows)


def test_a_resumed_refinement_is_the_uninterrupted_one_to_the_last_bit(small_data, tmp_path):
    """Also where it was stopped while neighbours were found, or captions were written."""
    make(small_data, tmp_path / "whole").train()
    solver = make(small_data, tmp_path / "parts")
    solver.save_checkpoint()
    for stop in (0, 3, 10, 10, 19):
        if stop == solver.iteration:  # at the beginning of a round
            solver._report = lambda *_: os.kill(os.getpid(), signal.SIGTERM)
        else:
            interrupt_after(solver, stop)
        solver.train()
        assert (solver.interrupted, solver.iteration) == (True, stop)
        solver = make(small_data, tmp_path / "parts")
    solver.train()
    assert same_files(tmp_path / "whole", tmp_path / "parts")


def test_damaged_targets_are_named(small_data, tmp_path):
    make(small_data, tmp_path / "run").train(max_iterations=3)
    path = tmp_path / "run" / TARGETS
    arrays = mg.load(path)
    flipped = arrays["captions"].copy()
    flipped[3, 2] ^= 1 << 13
    for content in (
        arrays | {"round": np.array(1)}, arrays | {"round": np.array(0.0)}, {"round": np.array(0)},
        arrays | {"captions": flipped}, arrays | {"captions": arrays["captions"].astype(np.float32)},
        {name: array if name == "round" else array[:-1] for name, array in arrays.items()},
        arrays | {"image_idxs": arrays["image_idxs"][::-1].copy()}, arrays | {"captions": -arrays["captions"]}, None,
    ):  # fmt: skip
        if content is None:
            path.unlink()
        else:
            mg.save(path, content)
        with pytest.raises(RunError, match=TARGETS):
            make(small_data, tmp_path / "run")


@pytest.mark.parametrize(("kind", "name", "value"), [
    (Consensus, "drafts", 0), (Consensus, "neighbours", True), (Consensus, "best", 13), (Consensus, "drafts", 1001),
    (Consensus, "width", -1.0), (Consensus, "temperature", 0.0), (Consensus, "human_weight", 1.5),
    (Consensus, "human_weight", -0.1), (Rounds, "rounds", 0), (Rounds, "round_epochs", 1.0),
])  # fmt: skip
def test_impossible_settings_are_named(kind, name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        kind(**{name: value})
