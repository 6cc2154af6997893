"""The captioner with attention: its loss and its gradients by hand, and steps that agree with whole captions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.recurrent_cells import CELLS
from tests.captioning.models.by_hand import VOCABULARY, cell_by_hand, check_gradients, cross_entropy

CAPTIONS = np.array([[1, 4, 5, 2, 0, 0], [1, 4, 6, 5, 2, 0], [1, 2, 0, 0, 0, 0], [1, 6, 3, 4, 5, 2]], dtype=np.int32)
FEATURES = np.random.default_rng(1).standard_normal((4, 3 + 4 * 2)) * 2 + 1


def make(cell="lstm", dtype=np.float64, dropout=0.0, heads=2, standard=True):
    sizes = {"wordvec_size": 4, "hidden_size": 5, "picture_size": 6, "looking_size": 4}
    model = AttentionCaptioner(VOCABULARY, 11, (4, 2), **sizes, heads=heads, cell_type=cell, dropout=dropout,
                               dtype=dtype, rng=0)  # fmt: skip
    model.bias.data[...] = np.linspace(-1, 1, 7)
    if standard:
        model.standardise(FEATURES)
    return model


def loss_by_hand(w, row, caption, kind, heads=2):
    """Of one caption, word by word and head by head, by the equations of the module's page."""
    linear = lambda name, x: x @ w[f"{name}.weight"] + w.get(f"{name}.bias", 0.0)  # noqa: E731
    f, r = (row[:3] - w["mean"]) / w["deviations"][0], row[3:].reshape(4, 2) / w["deviations"][1]
    g = np.maximum(linear("about", f), 0)
    first = np.tanh(linear("begin", g))
    h, c = first[:5], first[5:]
    keys, values = linear("key", r), np.maximum(linear("value", r), 0)
    total = 0.0
    for word, following in itertools.pairwise(caption):
        h, c = cell_by_hand(w, kind, w["embed.weight"][word], h, c)
        if following == 0:
            continue
        q, seen = linear("query", h), []
        for part in np.split(np.arange(4), heads):
            weights = np.exp(keys[:, part] @ q[part] / np.sqrt(len(part)))
            seen.append(weights @ values[:, part] / weights.sum())
        z = 2 * np.tanh(
            linear("from_hidden", h) + linear("from_seen", np.concatenate(seen)) + linear("from_picture", g)
        )
        scores = w["embed.weight"] @ z + w["bias"]
        total += cross_entropy(scores, following)
    return total


def whole_loss(model, kind, heads=2):
    w = model.state_dict()
    return np.mean([loss_by_hand(w, row, c, kind, heads) for row, c in zip(FEATURES, CAPTIONS, strict=True)])


@pytest.mark.parametrize(("cell", "heads"), [("lstm", 1), ("lstm", 4), *((cell, 2) for cell in CELLS)])
def test_the_loss_and_every_gradient_by_hand(cell, heads):
    model = make(cell, heads=heads)
    loss = model.loss(FEATURES, CAPTIONS)
    assert loss.item() == pytest.approx(whole_loss(model, cell, heads), rel=1e-12)
    loss.backward()
    check_gradients(model, lambda: whole_loss(model, cell, heads))


def test_several_captions_of_an_image_are_as_captions_of_its_copies():
    model = make()
    pairs = CAPTIONS[[0, 1, 2, 3, 3, 0]]
    together, words = model.scores(FEATURES[:2], pairs)
    apart, same_words = model.scores(np.repeat(FEATURES[:2], 3, axis=0), pairs)
    np.testing.assert_array_equal(words, same_words)
    np.testing.assert_allclose(together.data, apart.data, rtol=1e-12)
    with pytest.raises(ValueError, match=r"features must be \(M, 11\).*as many captions, 6 in all; got \(4, 11\)"):
        model.scores(FEATURES, pairs)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("projected", [False, True])
def test_steps_say_what_a_whole_caption_says(cell, projected):
    model = make(cell)
    state, found = model.initial_state(FEATURES), []
    words = model.project_words() if projected else None
    for t in range(5):
        scores, state = model.step(CAPTIONS[:, t], state, words)
        found.append(scores.data)
    counts = CAPTIONS[:, 1:] != 0
    np.testing.assert_allclose(np.stack(found, axis=1)[counts], model.scores(FEATURES, CAPTIONS)[0].data, rtol=1e-10)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9).map(sorted), st.data())
def test_captions_that_come_and_go_attend_to_their_own_picture(owners, data):
    """Some of the captions go on, several of a picture, as a beam and a sample keep them."""
    model = make()
    state = tuple(s[np.array(owners)] for s in model.initial_state(FEATURES))
    kept = data.draw(st.lists(st.integers(0, len(owners) - 1), min_size=1, max_size=9).map(sorted))
    words = np.array(data.draw(st.lists(st.integers(1, 6), min_size=len(kept), max_size=len(kept))))
    scores, after = model.step(words, tuple(s[np.array(kept)] for s in state))
    for k, (caption, word) in enumerate(zip(kept, words, strict=True)):
        alone = model.initial_state(FEATURES[[owners[caption]]])
        expected, expected_state = model.step(np.array([word]), alone)
        np.testing.assert_allclose(scores.data[k], expected.data[0], rtol=1e-10)
        np.testing.assert_allclose(model.attention_maps(after)[k], model.attention_maps(expected_state)[0], rtol=1e-10)


def test_attention_maps():
    model = make(heads=1)
    state = model.initial_state(FEATURES)
    _, state = model.step(CAPTIONS[:, 0], state)
    maps, w = model.attention_maps(state), model.state_dict()
    assert maps.shape == (4, 4)
    np.testing.assert_allclose(maps.sum(axis=1), 1)
    for row, h, found in zip(FEATURES, state[0].data, maps, strict=True):
        keys = row[3:].reshape(4, 2) / w["deviations"][1] @ w["key.weight"] + w["key.bias"]
        weights = np.exp(keys @ (h @ w["query.weight"] + w["query.bias"]) / 2)
        np.testing.assert_allclose(found, weights / weights.sum(), rtol=1e-10)


def test_features_are_seen_in_units_of_their_deviation():
    """Other units, and another level of the whole picture's, are seen alike."""
    model, other = make(), make(standard=False)
    moved = FEATURES * np.r_[np.full(3, 7.0), np.full(8, 3.0)] + np.r_[np.full(3, 5.0), np.zeros(8)]
    other.standardise(moved)
    assert other.loss(moved, CAPTIONS).item() == pytest.approx(model.loss(FEATURES, CAPTIONS).item(), rel=1e-12)
    assert model.deviations.data[1] == pytest.approx(np.sqrt(np.mean(FEATURES[:, 3:] ** 2)))  # places keep their mean
    same = make(standard=False)
    same.standardise(np.ones((5, 11)))  # which do not deviate
    assert np.isfinite(same.loss(FEATURES, CAPTIONS).item())


def test_dropout_only_in_training():
    model = make(dropout=0.5)
    losses = {model.loss(FEATURES, CAPTIONS).item() for _ in range(3)}
    assert len(losses) == 3
    model.eval()
    assert model.loss(FEATURES, CAPTIONS).item() == pytest.approx(whole_loss(model, "lstm"), rel=1e-12)


def test_it_is_made_again_by_its_settings():
    model = make(dtype=np.float32)
    again = AttentionCaptioner(VOCABULARY, **model.settings, rng=5)
    again.load_state_dict(model.state_dict())
    assert again.loss(FEATURES, CAPTIONS).item() == model.loss(FEATURES, CAPTIONS).item()


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="feature_size must be more than the 4 x 2 of places; got 8"):
        AttentionCaptioner(VOCABULARY, 8, (4, 2))
    with pytest.raises(ValueError, match="heads must divide looking_size, 6; got 4"):
        AttentionCaptioner(VOCABULARY, 11, (4, 2), looking_size=6)
    for name in ("wordvec_size", "hidden_size", "picture_size", "looking_size", "heads"):
        with pytest.raises(ValueError, match=f"{name} must be an int of at least 1; got 2.0"):
            AttentionCaptioner(VOCABULARY, 11, (4, 2), **{name: 2.0})
    with pytest.raises(ValueError, match="cell_type must be one of"):
        make("qrnn")
    with pytest.raises(ValueError, match="dropout must be at least 0 and below 1; got 1"):
        make(dropout=1)
    with pytest.raises(ValueError, match=r"features must be \(N, 11\).*got \(4, 3\)"):
        make().initial_state(FEATURES[:, :3])
