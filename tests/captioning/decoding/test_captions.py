"""The best captions of a beam: against all captions there are, and against beam search as it is defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import beam
from captioning.decoding.captions import n_best
from captioning.decoding.rules import RuleMask, Rules
from captioning.models.attention_captioner import AttentionCaptioner
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble
from tests.captioning.decoding.every_caption import (
    beam_by_definition,
    log_probs,
    random_table,
    sayable,
    value,
)
from tests.captioning.decoding.table import END, VOCABULARY, A, Table, table

IMAGES = np.array([[0], [1], [0]])


@st.composite
def rules(draw):
    words = draw(st.permutations("abc"))
    required, banned = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    return Rules(
        min_length=draw(st.integers(1, 4)),
        no_repeat=draw(st.none() | st.integers(1, 3)),
        required=words[:required],
        banned=words[required : required + banned],
    )


def ids(spoken):
    return (*(VOCABULARY.word_to_idx[word] for word in spoken.words), *([END] if spoken.ended else []))


@given(rules(), st.sampled_from([0.0, 0.7, 1.0]), st.integers(0, 999))
def test_a_beam_that_holds_everything_finds_the_best_captions_that_keep_to_the_rules(rules, power, seed):
    tables = [random_table(seed), random_table(seed + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("captioning.decoding.beam_search.WIDEST", 3**3 * 4)
        lists = n_best(Table(tables), IMAGES[:2], 99, 3**3 * 4, 4, power, rules=rules)
    for image, found in enumerate(lists):
        expected = sorted(sayable(rules, 4), key=lambda caption, t=tables[image]: -value(t, caption, power))
        assert [ids(each) for each in found] == expected[:99]


@given(rules(), st.sampled_from([(1, 1), (2, 1), (3, 1), (2, 2), (4, 2), (3, 3)]), st.integers(0, 999))
def test_a_narrow_beam_is_what_it_is_defined_as(rules, sizes, seed):
    (width, groups), diversity = sizes, seed % 4 / 2
    scores = random_table(seed)
    found = n_best(Table([scores]), IMAGES[:1], 5, width, 5, 1.0, False, groups, diversity, rules)[0]
    expected = beam_by_definition(scores, width, 5, 1.0, groups, diversity, rules)
    if expected:
        assert [ids(each) for each in found] == expected[:5]
    else:
        assert not any(each.ended for each in found)


@given(rules(), st.sampled_from([(1, 1), (3, 1), (4, 2)]), st.integers(0, 999))
def test_what_holds_of_every_list(rules, sizes, seed):
    (width, groups), power = sizes, 0.7
    tables = [random_table(seed), random_table(seed + 1)]
    lists = n_best(Table(tables), IMAGES, 4, width, 6, power, False, groups, 0.5, rules)
    first = beam(Table(tables), IMAGES, width, 6, power, False, groups, 0.5, rules)
    for image, row, found in zip(IMAGES[:, 0], first, lists, strict=True):
        assert 1 <= len(found) <= 4
        assert len({each.caption for each in found}) == len(found)
        assert ids(found[0]) == tuple(row[row != 0])
        scores = [each.score for each in found]
        assert scores == pytest.approx(sorted(scores, reverse=True))
        for each in found:
            np.testing.assert_allclose(each.log_probs, log_probs(tables[image], ids(each)), atol=1e-12)
            assert each.score == pytest.approx(value(tables[image], ids(each), power))
            assert each.attention is None
            assert each.confidence is None
            assert not set(each.words) & set(rules.banned)
            if rules.no_repeat is not None:
                runs = list(zip(*(ids(each)[k:] for k in range(rules.no_repeat)), strict=False))
                assert len(runs) == len(set(runs))
            if each.ended:
                assert set(rules.required) <= set(each.words)
                assert len(ids(each)) >= rules.min_length
            elif rules.no_repeat is None:
                assert set(rules.required) <= set(each.words)  # there is room for all of them


def test_an_unlikely_word_is_said_by_the_narrowest_beam():
    scores = table(A, A, A, END)
    scores[:, 6] = -30.0  # c
    scores[6, END] = 5.0
    for width in (1, 2):
        (found,) = n_best(Table([scores]), np.zeros((1, 1)), 1, width, 6, rules=Rules(required=["c"]))[0]
        assert "c" in found.words
        assert found.ended
    assert n_best(Table([scores]), np.zeros((1, 1)), 1, 2, 6)[0][0].words.count("c") == 0


def test_required_words_that_never_end_are_there_all_the_same():
    never = random_table(0)
    never[:, END] = -1000.0
    found = n_best(Table([never]), np.zeros((1, 1)), 3, 2, 4, rules=Rules(required=["a", "b", "c"]))[0]
    assert len(found) == 2
    assert all({"a", "b", "c"} <= set(each.words) and not each.ended for each in found)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_captions_that_cannot_go_on_are_compared_at_their_own_lengths(power, seed):
    rules = Rules(min_length=7, no_repeat=2, banned=["c"])  # of two words a caption comes to an end after 4 or 5
    scores = random_table(seed)
    expected = sayable(rules, 7)
    assert len({len(caption) for caption in expected}) > 1
    found = n_best(Table([scores]), IMAGES[:1], 99, 60, 7, power, rules=rules)[0]
    assert {ids(each) for each in found} == set(expected)  # some have the same pairs of words, and are as good
    in_order = sorted((value(scores, caption, power) for caption in expected), reverse=True)
    np.testing.assert_allclose([value(scores, ids(each), power) for each in found], in_order)
    assert not any(each.ended for each in found)


def test_groups_say_different_words():
    scores = table(A, END)
    alike = n_best(Table([scores]), np.zeros((1, 1)), 2, 2, 3, groups=2, diversity=0.0)[0]
    assert [each.caption for each in alike] == ["a"]  # both groups say it, and it is given once
    apart = n_best(Table([scores]), np.zeros((1, 1)), 2, 2, 3, groups=2, diversity=9.0)[0]
    assert len({each.words[0] for each in apart if each.words} | {""}) > 1
    assert len(apart) == 2


WORDS = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", *"abcdef"])
SIZES = {"wordvec_size": 4, "hidden_size": 5, "picture_size": 6, "looking_size": 4, "heads": 2, "dropout": 0.3}


def speakers():
    seeing = [AttentionCaptioner(WORDS, 11, (4, 2), **SIZES, rng=seed) for seed in (1, 2)]
    return {"blind": Captioner(WORDS, 11, 4, 5, rng=3), "seeing": seeing[0],
            "together": Ensemble([Captioner(WORDS, 11, 4, 5, rng=3), *seeing])}  # fmt: skip


@pytest.mark.parametrize("kind", ["blind", "seeing", "together"])
def test_probabilities_and_attention_are_the_models(kind):
    model = speakers()[kind].train()
    features = np.random.default_rng(0).standard_normal((3, 11)).astype(np.float32)
    lists = n_best(model, features, 3, 4, 7, rules=Rules(no_repeat=2, required=["c"], min_length=4))
    assert model.training
    model.eval()
    for image in range(3):
        spoken = lists[image][0]
        state = model.initial_state(features[image : image + 1])
        before, said = WORDS.start, [WORDS.word_to_idx[word] for word in spoken.words] + [WORDS.end] * spoken.ended
        for t, word in enumerate(said):
            scores, state = model.step(np.array([before]), state)
            row = scores.data[0].astype(float)
            row[[WORDS.null, WORDS.start, WORDS.unk]] = -np.inf
            assert spoken.log_probs[t] == pytest.approx(row[word] - np.log(np.exp(row).sum()), abs=1e-5)
            if kind != "blind" and t < len(spoken.words):
                np.testing.assert_allclose(spoken.attention[t], model.attention_maps(state)[0], atol=1e-6)
            before = word
        assert len(spoken.log_probs) == len(spoken.words) + spoken.ended
        assert (spoken.attention is None) == (kind == "blind")
        if kind != "blind":
            assert spoken.attention.shape == (len(spoken.words), 4)


@pytest.mark.parametrize(("rules", "longest", "message"), [
    (Rules(required=["dgo"]), 9, "required: 'dgo' is not one of the 7 words"),
    (Rules(banned=["<END>"]), 9, "banned: '<END>' is not one of"),
    (Rules(min_length=6), 5, "min_length, 6, is more than max_length, 5"),
    (Rules(required=["a", "b"]), 2, "required: 2 words and the end do not fit"),
    (Rules(banned=["a", "b", "c"], min_length=2), 9, "banned: all words"),
])  # fmt: skip
def test_rules_that_no_caption_can_obey(rules, longest, message):
    with pytest.raises(ValueError, match=message):
        RuleMask(rules, VOCABULARY, longest)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_length": 0}, "min_length must be an int of at least 1; got 0"),
        ({"no_repeat": 0}, "no_repeat must be an int of at least 1; got 0"),
        ({"no_repeat": True}, "no_repeat must be an int of at least 1; got True"),
        ({"required": "dog"}, "required must be a list of words; got 'dog'"),
        ({"banned": [4]}, "banned must be a list of words"),
        ({"required": ["a"], "banned": ["b", "a"]}, "required: 'a' is banned at the same time"),
        ({"required": list("abcdef")}, "required: at most 5 words; got 6"),
    ],
)
def test_impossible_rules(options, message):
    with pytest.raises(ValueError, match=message):
        Rules(**options)


def test_a_similar_word_is_suggested():
    vocabulary = Vocabulary(["<NULL>", "<START>", "<END>", "<UNK>", "dog", "dogs", "car"])
    with pytest.raises(ValueError, match=r"dgos.*7.*dogs"):
        RuleMask(Rules(required=["dgos"]), vocabulary, 9)
