"""Pictures that are alike: those with the smallest angle between their features, block by block."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.neighbours import nearest


@pytest.mark.parametrize("rows", [4, 4096])
@pytest.mark.parametrize("others", [False, True])
def test_neighbours_are_the_nearest_by_the_cosine(monkeypatch, rows, others):
    """Of the images themselves, of which none is its own neighbour, or of other rows."""
    monkeypatch.setattr("captioning.data.neighbours._ROWS", rows)
    rng = np.random.default_rng(0)
    features, asked = rng.standard_normal((30, 5)).astype(np.float32), rng.standard_normal((9, 5))
    images = np.array([k for k in range(30) if k % 7])
    found = nearest(features, images, 6, 0.3, queries=asked if others else None)
    mean = features[images].mean(axis=0)
    x, y = features[images] - mean, (asked if others else features[images]) - mean
    cosines = (y @ x.T) / np.linalg.norm(y, axis=1)[:, None] / np.linalg.norm(x, axis=1)
    if not others:
        np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1)[:, :6]
    by_weight = np.argsort(-found.weights, axis=1)
    np.testing.assert_array_equal(np.take_along_axis(found.rows, by_weight, 1), images[order])
    expected = np.exp(np.take_along_axis(cosines, order, 1) / 0.3)
    shares = np.take_along_axis(found.weights, by_weight, 1)
    np.testing.assert_allclose(shares, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4)
    if not others:
        part = nearest(features, images, 6, 0.3, part=slice(5, 12))
        np.testing.assert_array_equal(np.sort(part.rows), np.sort(found.rows[5:12]))
        np.testing.assert_allclose(np.sort(part.weights), np.sort(found.weights[5:12]), rtol=1e-5)


def test_features_are_read_in_blocks_with_progress(monkeypatch):
    monkeypatch.setattr("captioning.data.neighbours._ROWS", 4)
    read, steps = [], []

    class Rows:
        shape = (10, 3)

        def __getitem__(self, rows):
            read.append(len(rows))
            return np.random.default_rng(0).standard_normal((len(rows), 3))

    def find(report):
        steps.clear()
        return nearest(Rows(), np.arange(10), 2, 0.1, report)

    def interrupt(*done):
        steps.append(done)
        if len(steps) == 5:
            raise KeyboardInterrupt

    assert find(lambda *done: steps.append(done)).rows.shape == (10, 2)
    assert max(read) == 4
    assert steps == [(k, 12) for k in range(12)]  # three blocks for the mean, nine pairs of them
    with pytest.raises(KeyboardInterrupt):
        find(interrupt)
    assert len(steps) == 5


def test_few_pictures_have_few_neighbours():
    found = nearest(np.eye(3), np.arange(3), 10, 0.1)
    assert found.rows.shape == (3, 2)
    np.testing.assert_allclose(found.weights, 0.5)
    alone = nearest(np.eye(3), np.array([1]), 10, 0.1)
    assert alone.rows.shape == alone.weights.shape == (1, 0)
    assert nearest(np.eye(3), np.arange(3), 99, 0.1, queries=np.eye(3)[:1]).rows.shape == (1, 3)  # itself among them
    assert nearest(np.eye(3), np.arange(3), 2, 0.1, queries=np.eye(3)[:0]).rows.shape == (0, 2)
    same = nearest(np.ones((4, 3)), np.arange(4), 2, 1e-9)  # no direction, no NaN
    np.testing.assert_allclose(same.weights, 0.5)
