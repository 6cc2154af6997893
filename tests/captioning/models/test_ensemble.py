"""Several captioners that decode together."""

import numpy as np
import pytest
from scipy.special import softmax

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import beam
from captioning.decoding.stepwise import greedy, sample
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble
from tests.captioning.models.by_hand import CAPTIONS, FEATURES, VOCABULARY, make


def members(dtype=np.float64):
    return [make("source", dtype=dtype, rng=1), make("attention", dtype=dtype, rng=2),
            make("attention", "gru", dtype=dtype, rng=3)]  # fmt: skip


def test_the_probability_is_the_mean_of_theirs():
    own = members()
    both, state, states = Ensemble(own), Ensemble(own).initial_state(FEATURES), [m.initial_state(FEATURES) for m in own]
    for word in (1, 4, 6):
        words = np.full(4, word)
        scores, state = both.step(words, state)
        found, states = zip(*[m.step(words, before) for m, before in zip(own, states, strict=True)], strict=True)
        np.testing.assert_allclose(
            np.exp(scores.data), np.mean([softmax(s.data, axis=-1) for s in found], axis=0), rtol=1e-10
        )
    maps = [member.attention_maps(after) for member, after in zip(own[1:], states[1:], strict=True)]
    np.testing.assert_allclose(both.attention_maps(state), np.mean(maps, axis=0))
    each = [softmax(member.scores(FEATURES, CAPTIONS)[0].data, axis=-1) for member in own]
    words = own[0].scores(FEATURES, CAPTIONS)[1]
    expected = -np.log(np.mean(each, axis=0)[np.arange(len(words)), words]).sum() / 4
    assert both.loss(FEATURES, CAPTIONS).item() == pytest.approx(expected, rel=1e-12)


def test_every_decoder_takes_it_and_leaves_each_member_in_its_mode():
    own = members(np.float32)
    own[1].eval()
    for decode in (greedy, lambda m, f: beam(m, f, width=3, max_length=6), lambda m, f: sample(m, f, 6, rng=0)):
        assert decode(Ensemble(own[1:2]), FEATURES).tolist() == decode(own[1], FEATURES).tolist()
        assert len(decode(Ensemble(own), FEATURES)) == 4
    assert [member.training for member in own] == [True, False, True]


def test_those_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="at least one captioner"):
        Ensemble([])
    other = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "x"])
    for wrong in (Captioner(other, 11, 4, 5), Captioner(VOCABULARY, 10, 4, 5)):
        with pytest.raises(ValueError, match=r"captioner 2 has .*the same words and features"):
            Ensemble([make(), wrong])
    blind = Ensemble([make()])
    assert blind.attention_maps(blind.initial_state(FEATURES)) is None
