import numpy as np
import pytest

from captioning.scenes.drawing import render_array
from captioning.scenes.grammar import captions
from captioning.scenes.learnt_features import LearntNetwork, learn
from captioning.scenes.phrases import shown
from captioning.scenes.world import BACKGROUNDS, draw_scenes


@pytest.fixture(scope="module")
def told():
    scenes, rng = list(draw_scenes(0, "train", 200)), np.random.default_rng(0)
    return scenes, np.stack([render_array(scene) for scene in scenes]), [captions(scene, rng) for scene in scenes]


@pytest.fixture(scope="module")
def network(told):
    return learn(told[1], told[2], 6, seed=5)


def test_what_is_learnt_is_the_same_to_the_bit_for_a_seed(told, network):
    again, other = (learn(told[1][:60], told[2][:60], 1, seed) for seed in (5, 6))
    once = learn(told[1][:60], told[2][:60], 1, 5)
    for name, weights in once.state_dict().items():
        assert np.array_equal(weights, again.state_dict()[name]), name
    assert not np.array_equal(once.speak.weight.numpy(), other.speak.weight.numpy())


def test_it_learns_the_backgrounds_from_captions(told, network):
    """After six epochs of 200 pictures it knows little else, but that of pictures that it has not seen."""
    words = ("beach", "street", "snow", "meadow", "room")
    scenes = list(draw_scenes(1, "train", 100))
    whole, _ = network.features(np.stack([render_array(scene) for scene in scenes]))
    said = whole[:, [network.phrases.index(word) for word in words]].argmax(axis=1)
    assert np.mean(said == [BACKGROUNDS.index(scene.background) for scene in scenes]) > 0.6


def test_at_first_it_says_how_often_a_phrase_is_told(told):
    phrases = ["dog", "red"]
    targets = shown(told[2], phrases)
    network = LearntNetwork(phrases, 0)
    network.start_from(targets)
    scores = network(np.zeros((2, 3, 64, 64), np.float32)).numpy()
    np.testing.assert_allclose(1 / (1 + np.exp(-scores[0])), targets.mean(axis=0), rtol=0.3)


def test_features_do_not_depend_on_the_batch_and_places_know_where_they_are(told, network):
    whole, places = network.features(told[1][:30])
    alone = network.features(told[1][7:8])
    np.testing.assert_allclose(alone[0][0], whole[7], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(alone[1][0], places[7], rtol=1e-4, atol=1e-5)
    assert (places >= 0).all()  # regions are stored from 0
    row, column = np.split(places[0, :, -8:] / 3, 2, axis=1)
    np.testing.assert_allclose(row[:, 0] * 7, np.arange(64) // 8, atol=1e-5)
    np.testing.assert_allclose(column[:, 0] * 7, np.arange(64) % 8, atol=1e-5)
    for code in (row, column):
        np.testing.assert_allclose(code[:, 1], 1 - code[:, 0], atol=1e-6)
        np.testing.assert_allclose(code[:, 2:], code[:, :2] ** 2, atol=1e-6)


def test_progress_counts_pictures(told):
    seen = []
    learn(told[1][:50], told[2][:50], 2, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)
    assert seen == sorted(seen)
    assert len(seen) == 6


def test_nonsense_is_refused(told):
    _, pictures, said = told
    for wrong in (pictures.astype(np.float32), pictures[:, :32], pictures[0]):
        with pytest.raises(ValueError, match="uint8 of shape"):
            learn(wrong, said, 1)
    with pytest.raises(ValueError, match="3 lists of captions for 200 pictures"):
        learn(pictures, said[:3], 1)
    with pytest.raises(ValueError, match="and 0 epochs"):
        learn(pictures, said, 0)
    with pytest.raises(ValueError, match="no phrase is told again of 2 pictures"):
        learn(pictures[:2], said[:2], 1)
