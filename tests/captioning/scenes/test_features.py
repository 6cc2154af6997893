import numpy as np
import pytest

from captioning.scenes.drawing import render_array
from captioning.scenes.features import Network, Reduction
from captioning.scenes.world import BACKGROUNDS, draw_scenes


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(parts=16)


def test_features_are_fixed_and_do_not_depend_on_the_batch(network):
    pictures = np.stack([render_array(scene) for scene in draw_scenes(0, "train", 30)])
    features = network(pictures)
    assert features.shape == (30, network.size)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()
    np.testing.assert_allclose(Network(parts=16)(pictures[26:]), features[26:], rtol=1e-4, atol=1e-5)


def test_features_tell_the_background_linearly(network):
    scenes = list(draw_scenes(1, "train", 300))
    features = network(np.stack([render_array(scene) for scene in scenes]))
    truth = np.array([BACKGROUNDS.index(scene.background) for scene in scenes])
    reduction = Reduction.fit(features[:200], 32)
    train, test = reduction(features[:200]), reduction(features[200:])
    weights = np.linalg.solve(train.T @ train + np.eye(32), train.T @ (np.eye(5)[truth[:200]] - 0.2))
    assert ((test @ weights).argmax(1) == truth[200:]).mean() > 0.95


@pytest.mark.parametrize(
    "pictures",
    [np.zeros((1, 64, 64, 3), np.float32), np.zeros((1, 32, 32, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)],
)
def test_other_pictures_are_refused(network, pictures):
    with pytest.raises(ValueError, match="uint8 of shape"):
        network(pictures)


def test_the_reduction_finds_the_directions_of_largest_variance():
    rng = np.random.default_rng(0)
    features = (rng.normal(size=(300, 6)) @ rng.normal(size=(6, 40))).astype(np.float32)
    reduced = Reduction.fit(features, 6)(features)
    centred = features - features.mean(0)
    rebuilt = reduced @ np.linalg.lstsq(reduced, centred, rcond=None)[0]
    np.testing.assert_allclose(rebuilt, centred, atol=1e-2)
    assert np.mean(reduced**2) == pytest.approx(1, rel=1e-2)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_few_rows_reduce_to_few_directions(rows):
    features = np.random.default_rng(0).normal(size=(rows, 7)).astype(np.float32)
    reduced = Reduction.fit(features, 64)(features)
    assert reduced.shape == (rows, rows)
    assert np.isfinite(reduced).all()


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="parts must be 1 or more"):
        Network(parts=0)
    with pytest.raises(ValueError, match="got shape"):
        Reduction.fit(np.zeros(3, np.float32))
