"""Features of pictures, learnt from captions, and the phrases that are learnt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.scenes.drawing import render_array
from captioning.scenes.features import (
    FeatureNetwork,
    informative_phrases,
    learn,
    phrase_targets,
    phrases_of,
    reduced,
)
from captioning.scenes.grammar import captions
from captioning.scenes.world import BACKGROUNDS, draw_scenes

CAPTION = st.lists(st.sampled_from(["a", "dog", "cat", "red", "is"]), max_size=5).map(" ".join)
PICTURES = st.lists(st.lists(CAPTION, min_size=1, max_size=4), min_size=1, max_size=6)


@given(PICTURES, st.integers(1, 4))
def test_informative_phrases_are_those_of_the_definition(pictures, least):
    """a and p are counted one caption, and one other caption of its picture, at a time."""
    every = [caption for own in pictures for caption in own]
    found = informative_phrases(pictures, least)
    for phrase in {phrase for caption in every for phrase in phrases_of(caption)}:
        again = [
            np.mean([phrase in phrases_of(other) for j, other in enumerate(own) if j != i]) if len(own) > 1 else 0.0
            for own in pictures
            for i, caption in enumerate(own)
            if phrase in phrases_of(caption)
        ]
        bound = max(0.3, 3 * len(again) / len(every))
        if not np.isclose(np.mean(again), bound):  # where rounding decides
            assert (phrase in found) == (len(again) >= least and np.mean(again) > bound)
    assert found == sorted(found)
    targets = phrase_targets(pictures, ["dog", "red dog", "is a"])
    assert targets.dtype == np.float32
    for row, own in zip(targets, pictures, strict=True):
        assert row.tolist() == [any(f" {p} " in f" {c} " for c in own) for p in ("dog", "red dog", "is a")]


@pytest.fixture(scope="module")
def examples():
    """Pictures and captions of 200 scenes."""
    scenes, rng = list(draw_scenes(0, "train", 200)), np.random.default_rng(0)
    return np.stack([render_array(scene) for scene in scenes]), [captions(scene, rng) for scene in scenes]


def test_phrases_of_scenes_are_about_things(examples):
    found = informative_phrases(examples[1])
    assert {"dog", "red", "two", "meadow", "the snow"} <= set(found)
    assert not {"a", "is", "there", "dog is", "tiny"} & set(found)
    others = [[*"efghi"]] * 7
    assert informative_phrases([[*"xxxcd"], *others], 2) == ["x"]  # a = 0.5, p = 0.075
    assert informative_phrases([[*"xxbcd"], *others], 2) == []  # a = 0.25


def test_learning_is_reproducible_to_the_bit(examples):
    pictures, texts = examples[0][:60], examples[1][:60]
    once, again, other = (learn(pictures, texts, 1, seed).state_dict() for seed in (5, 5, 6))
    for name, weights in once.items():
        assert np.array_equal(weights, again[name]), name
    assert not np.array_equal(once["classifier.weight"], other["classifier.weight"])


def test_it_learns_the_backgrounds_from_captions(examples):
    """Six epochs of 200 pictures are enough for these."""
    progress = []
    network = learn(*examples, 6, seed=5, progress=lambda done, total: progress.append((done, total)))
    assert progress == [(20 * n, 1200) for n in range(1, 61)]
    scenes = list(draw_scenes(1, "train", 60))
    whole, places = network.features(np.stack([render_array(scene) for scene in scenes]))
    named = whole[:, [network.phrases.index(word) for word in BACKGROUNDS]].argmax(axis=1)
    assert np.mean(named == [BACKGROUNDS.index(scene.background) for scene in scenes]) > 0.6
    assert (places >= 0).all()  # regions are stored from 0
    one = network.features(render_array(scenes[7])[None])
    np.testing.assert_allclose(one[0][0], whole[7], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(one[1][0], places[7], rtol=1e-4, atol=1e-5)
    row, column = np.split(places[0, :, -8:] / 3, 2, axis=1)
    for code, expected in ((row, np.arange(64) // 8 / 7), (column, np.arange(64) % 8 / 7)):
        np.testing.assert_allclose(code[:, :2], np.stack([expected, 1 - expected], 1), atol=1e-6)
        np.testing.assert_allclose(code[:, 2:], code[:, :2] ** 2, atol=1e-6)


def test_the_first_scores_say_how_often_a_phrase_occurs(examples):
    targets = phrase_targets(examples[1], ["dog", "red"])
    network = FeatureNetwork(["dog", "red"], 0)
    network.start_from(targets)
    scores = network(np.zeros((2, 3, 64, 64), np.float32)).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-scores[0])), targets.mean(axis=0), rtol=0.3)


def test_reduced_features_have_the_directions_of_largest_variance():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 40))).astype(np.float32)
    found = reduced({"train": features, "val": features[:9]}, 6)
    centred = features - features.mean(0)
    rebuilt = found["train"] @ np.linalg.lstsq(found["train"], centred, rcond=None)[0]
    np.testing.assert_allclose(rebuilt, centred, atol=1e-2)
    assert np.mean(found["train"] ** 2) == pytest.approx(1, rel=1e-2)
    np.testing.assert_allclose(found["val"], found["train"][:9], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5])
def test_few_rows_are_reduced_to_few_directions(rows):
    features = np.random.default_rng(0).normal(size=(rows, 7)).astype(np.float32)
    found = reduced({"train": features}, 64)["train"]
    assert found.shape == (rows, rows)
    assert np.isfinite(found).all()
