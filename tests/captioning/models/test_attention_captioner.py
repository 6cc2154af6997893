"""The captioner with attention: captions that attend to their own picture, attention maps and standardised features."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.captioning.models.by_hand import CAPTIONS, FEATURES, attention_by_hand, make


@settings(max_examples=12)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=9).map(sorted), st.data())
def test_captions_that_come_and_go_attend_to_their_own_picture(owners, data):
    """Some of the captions go on, several of a picture, as a beam and a sample keep them."""
    model = make("attention")
    state = tuple(s[np.array(owners)] for s in model.initial_state(FEATURES))
    kept = data.draw(st.lists(st.integers(0, len(owners) - 1), min_size=1, max_size=9).map(sorted))
    words = np.array(data.draw(st.lists(st.integers(1, 6), min_size=len(kept), max_size=len(kept))))
    scores, after = model.step(words, tuple(s[np.array(kept)] for s in state))
    pictures = FEATURES[np.array(owners)[kept]]
    alone = [model.step([word], model.initial_state(row[None])) for word, row in zip(words, pictures, strict=True)]
    np.testing.assert_allclose(scores.data, np.concatenate([each.data for each, _ in alone]), rtol=1e-10)
    maps = np.concatenate([model.attention_maps(own) for _, own in alone])
    np.testing.assert_allclose(model.attention_maps(after), maps, rtol=1e-10)


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_maps(heads):
    model = make("attention", heads=heads)
    _, state = model.step(CAPTIONS[:, 0], model.initial_state(FEATURES))
    w, regions = model.state_dict(), FEATURES[:, 3:].reshape(4, 4, 2) / model.deviations.data[1]
    pairs = zip(regions, state[0].data, strict=True)
    expected = [attention_by_hand(w, r, h, heads).mean(axis=0) for r, h in pairs]
    np.testing.assert_allclose(model.attention_maps(state), expected, rtol=1e-10)


def test_features_are_seen_in_units_of_their_deviation():
    """Other units, and another level of the whole picture's, are seen alike."""
    model, other = make("attention"), make("attention")
    moved = FEATURES * np.r_[np.full(3, 7.0), np.full(8, 3.0)] + np.r_[np.full(3, 5.0), np.zeros(8)]
    other.standardise(moved)
    assert other.loss(moved, CAPTIONS).item() == pytest.approx(model.loss(FEATURES, CAPTIONS).item(), rel=1e-12)
    assert model.deviations.data[1] == pytest.approx(np.sqrt(np.mean(FEATURES[:, 3:] ** 2)))  # places keep their mean
    other.standardise(np.ones((5, 11)))  # which do not deviate
    assert np.isfinite(other.loss(FEATURES, CAPTIONS).item())
