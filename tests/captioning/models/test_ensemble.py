"""Several captioners that speak together."""

from __future__ import annotations

import numpy as np
import pytest

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble

VOCABULARY = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *"abcdef"])
FEATURES = np.random.default_rng(0).standard_normal((6, 11)).astype(np.float32)
CAPTIONS = np.array([[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]])


def members(dtype=np.float32):
    sizes = {"wordvec_size": 4, "hidden_size": 5, "picture_size": 6, "looking_size": 4, "heads": 2, "dropout": 0.0}
    return [
        Captioner(VOCABULARY, 11, 4, 5, dtype=dtype, rng=1),
        AttentionCaptioner(VOCABULARY, 11, (4, 2), **sizes, dtype=dtype, rng=2),
        AttentionCaptioner(VOCABULARY, 11, (4, 2), **sizes, dtype=dtype, cell_type="gru", rng=3),
    ]


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def test_the_probability_is_the_mean_of_theirs():
    own = members(np.float64)
    both, state, states = Ensemble(own), Ensemble(own).initial_state(FEATURES), [m.initial_state(FEATURES) for m in own]
    for word in (1, 4, 7):
        words = np.full(6, word)
        scores, state = both.step(words, state)
        found = []
        for k, member in enumerate(own):
            each, states[k] = member.step(words, states[k])
            found.append(softmax(each.data))
        np.testing.assert_allclose(np.exp(scores.data), np.mean(found, axis=0), rtol=1e-10)
    np.testing.assert_allclose(
        both.attention_maps(state), (own[1].attention_maps(states[1]) + own[2].attention_maps(states[2])) / 2
    )


def test_its_loss_is_of_these_probabilities():
    own = members(np.float64)
    each = [softmax(member.scores(FEATURES[:2], CAPTIONS)[0].data) for member in own]
    words = own[0].scores(FEATURES[:2], CAPTIONS)[1]
    expected = -np.log(np.mean(each, axis=0)[np.arange(len(words)), words]).sum() / 2
    assert Ensemble(own).loss(FEATURES[:2], CAPTIONS).item() == pytest.approx(expected, rel=1e-12)


def test_every_decoder_takes_it():
    alone, of_one = members()[1], Ensemble(members()[1:2])
    for decode in (greedy, lambda m, f: beam(m, f, width=3, max_length=6), lambda m, f: sample(m, f, 6, rng=0)):
        assert decode(of_one, FEATURES).tolist() == decode(alone, FEATURES).tolist()
    both = Ensemble(members())
    assert both.training
    assert len(beam(both, FEATURES, width=4, max_length=6)) == 6
    assert both.training


def test_each_is_afterwards_in_the_mode_it_was_in():
    own = members()
    own[1].eval()
    beam(Ensemble(own), FEATURES, width=2, max_length=6)
    assert [member.training for member in own] == [True, False, True]


def test_those_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="there are no captioners"):
        Ensemble([])
    other = Captioner(Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "x"]), 11, 4, 5)
    for k, wrong in ((2, other), (2, Captioner(VOCABULARY, 10, 4, 5))):
        with pytest.raises(ValueError, match=f"captioner {k} has .*the same words and features"):
            Ensemble([members()[0], wrong])
    blind = Ensemble(members()[:1])
    assert blind.attention_maps(blind.initial_state(FEATURES)) is None
