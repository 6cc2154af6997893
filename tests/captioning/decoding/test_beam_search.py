"""Beam search and its best captions: against all captions there are, and against beam search as it is defined."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.data.vocabulary import Vocabulary
from captioning.decoding.beam_search import beam, likeliest
from captioning.decoding.captions import n_best
from captioning.decoding.rules import RuleMask, Rules
from captioning.decoding.stepwise import greedy
from captioning.models.captioner import Captioner
from captioning.models.ensemble import Ensemble
from tests.captioning.decoding.table import (
    END,
    NULL,
    START,
    VOCABULARY,
    WORDS,
    A,
    B,
    C,
    Table,
    beam_by_definition,
    ids_of,
    log_probs,
    random_table,
    sayable,
    table,
    value,
)
from tests.captioning.models.by_hand import FEATURES, make

IMAGES = np.array([[0], [1], [0]])
EVERYTHING = 3**3 * 4  # captions of a beam that forgets none of up to four words


@st.composite
def rules(draw):
    words = draw(st.permutations(WORDS))
    required, banned = draw(st.integers(0, 2)), draw(st.integers(0, 1))
    return Rules(
        min_length=draw(st.integers(1, 4)),
        no_repeat=draw(st.none() | st.integers(1, 3)),
        required=words[:required],
        banned=words[required : required + banned],
        doubled_words=draw(st.booleans()),
    )


def ids(caption):
    return (*ids_of(caption.words), *([END] if caption.ended else []))


@settings(max_examples=15)
@given(rules(), st.sampled_from([0.0, 0.7, 1.0]), st.integers(0, 999))
def test_a_beam_that_holds_everything_finds_the_best_captions_that_keep_to_the_rules(rules, power, seed):
    tables = [random_table(seed), random_table(seed + 1)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("captioning.decoding.beam_search.WIDEST", EVERYTHING)
        lists = n_best(Table(*tables), IMAGES, 99, EVERYTHING, 4, power, rules=rules)
        first = beam(Table(*tables), IMAGES, EVERYTHING, 4, power, rules=rules)
    for scores, row, found in zip([*tables, tables[0]], first, lists, strict=True):
        expected = sorted(sayable(rules, 4), key=lambda caption, scores=scores: -value(scores, caption, power))
        assert [ids(each) for each in found] == expected[:99]
        assert ids(found[0]) == tuple(row[row != 0])
        for each in found:
            np.testing.assert_allclose(each.log_probs, log_probs(scores, ids(each)), atol=1e-12)
            assert each.score == pytest.approx(value(scores, ids(each), power))


@settings(max_examples=20)
@given(rules(), st.sampled_from([(1, 1), (2, 1), (3, 1), (2, 2), (4, 2), (3, 3)]), st.integers(0, 999))
def test_a_narrow_beam_is_what_it_is_defined_as(rules, sizes, seed):
    (width, groups), diversity = sizes, seed % 4 / 2
    scores = random_table(seed)
    found = [ids(c) for c in n_best(Table(scores), IMAGES[:1], 5, width, 5, 1.0, False, groups, diversity, rules)[0]]
    expected = beam_by_definition(scores, width, 5, 1.0, groups, diversity, rules)
    assert found == expected[:5] or not (expected or END in (word for caption in found for word in caption))


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("power", [0.0, 1.0])
def test_captions_that_cannot_go_on_are_compared_at_their_own_lengths(power, seed):
    # of two words a caption comes to an end after 4 or 5
    rules = Rules(min_length=7, no_repeat=2, banned=["and"], doubled_words=True)
    scores = random_table(seed)
    expected = sayable(rules, 7)
    assert len({len(caption) for caption in expected}) > 1
    found = [ids(each) for each in n_best(Table(scores), IMAGES[:1], 99, 60, 7, power, rules=rules)[0]]
    assert {*found} == {*expected}  # some have the same pairs of words, and are as good
    in_order = sorted((value(scores, caption, power) for caption in expected), reverse=True)
    np.testing.assert_allclose([value(scores, caption, power) for caption in found], in_order)


def test_required_words_that_never_end_are_there_all_the_same():
    never = random_table(0)
    never[:, END] = -1000.0
    found = n_best(Table(never), np.zeros((1, 1)), 3, 2, 4, rules=Rules(required=WORDS))[0]
    assert len(found) == 2
    assert all({*WORDS} <= {*each.words} and not each.ended for each in found)


@pytest.mark.parametrize("kinds", [["source"], ["attention"], ["source", "attention"]])
def test_probabilities_and_attention_are_the_models(kinds):
    members = [make(kind, dropout=0.3) for kind in kinds]
    model = Ensemble(members) if len(members) > 1 else members[0]
    lists = n_best(model, FEATURES, 3, 4, 7, rules=Rules(no_repeat=2, required=["cat"], min_length=4))
    assert model.training
    model.eval()
    for row, (best, *_) in zip(FEATURES, lists, strict=True):
        state, before, maps, logs = model.initial_state(row[None]), 1, [], []
        for word in ids_of_words(best):
            scores, state = model.step(np.array([before]), state)
            weights = np.exp(scores.data[0]) * ~np.isin(range(7), [0, 1, 3])
            logs.append(np.log(weights[word] / weights.sum()))
            maps.append(None if kinds == ["source"] else model.attention_maps(state)[0])
            before = word
        np.testing.assert_allclose(best.log_probs, logs, atol=1e-9)
        if kinds == ["source"]:
            assert best.attention is None
        else:
            np.testing.assert_allclose(best.attention, maps[: len(best.words)], atol=1e-6)


def ids_of_words(caption):
    words = make().vocabulary.word_to_idx
    return [*(words[word] for word in caption.words), *([2] if caption.ended else [])]


def ending_late():
    """Ends after two words with probability 0.1 each time; going on is likelier, at every length."""
    scores = np.full((7, 7), -20.0)
    scores[START, A] = 0.0
    scores[A, [A, END]] = np.log([0.9, 0.1])
    return scores


@pytest.mark.parametrize(("power", "ended"), [(0.0, [A, END, NULL, NULL]), (1.0, [A, A, A, END])])
def test_a_caption_that_ended_is_preferred_to_a_likelier_one_that_was_cut(power, ended):
    """log 0.1 / 2 < log(0.9 0.9 0.1) / 4. Where none ended, the likeliest is cut."""
    never = ending_late()
    never[:, END] = -1000.0
    model = Table(ending_late(), never)
    rules = Rules(doubled_words=True)
    said = beam(model, np.array([[0], [1], [0]]), width=2, max_length=4, length_power=power, rules=rules)
    np.testing.assert_array_equal(said, [ended, [A, A, A, A], ended])
    assert greedy(model, np.zeros((1, 1)), max_length=4).tolist() == [[A, A, A, A]]


def test_images_that_are_done_are_not_computed_any_further():
    model = Table(table(END), table(A, B, C, END))
    said = beam(model, np.array([[0], [1], [0]]), width=2, max_length=9, length_power=0.0)
    assert said.tolist() == [[END, NULL, NULL, NULL], [A, B, C, END], [END, NULL, NULL, NULL]]
    assert model.calls == [6, 2, 2, 2]


def test_a_beam_of_one_is_greedy():
    model = Captioner(VOCABULARY, 3, 4, 5, rng=0)
    model.predict.weight.data *= 10
    features = np.random.default_rng(0).standard_normal((30, 3))
    said = beam(model, features, width=1, rules=Rules(doubled_words=True))
    np.testing.assert_array_equal(said, greedy(model, features))


def test_no_word_follows_itself_alone_or_after_and_unless_the_rules_allow_it():
    model = Table(table(B, A), table(A, C, A))
    model.tables[0, A, [A, END]] = 5.0, 4.0
    model.tables[1, C, B], model.tables[1, B, END] = 4.0, 5.0
    for allowed, expected in ((False, ["b a", "a and b"]), (True, ["b a a", "a and a"])):
        lists = n_best(model, IMAGES[:2], 1, 1, 3, rules=Rules(doubled_words=allowed, min_length=3))
        assert [best.text for (best,) in lists] == expected


@settings(max_examples=12)
@given(st.integers(0, 4), st.integers(1, 6), st.integers(1, 8), st.integers(0, 99))
def test_the_likeliest_words_and_their_probabilities(N, V, count, seed):
    scores = np.random.default_rng(seed).standard_normal((N, V)) * 30
    words, logs = likeliest(scores.copy(), count)
    exact = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    best = np.argsort(-scores, axis=1)[:, :count]
    np.testing.assert_array_equal(words, best)
    np.testing.assert_allclose(logs, np.take_along_axis(exact, best, axis=1), atol=1e-12)


@pytest.mark.parametrize(("rules", "longest", "message"), [
    (lambda: Rules(required=["dgo"]), 9, "required: 'dgo' .* 8 .* dog"),
    (lambda: Rules(banned=["<END>"]), 9, "banned: '<END>' is not one of"),
    (lambda: Rules(min_length=6), 5, "min_length, 6, is more than max_length, 5"),
    (lambda: Rules(required=["a", "b"]), 2, "required: 2 words and the end do not fit"),
    (lambda: Rules(banned=[*WORDS, "dog"], min_length=2), 9, "banned: all words"),
    (lambda: Rules(min_length=0), 9, "min_length must be an int of at least 1; got 0"),
    (lambda: Rules(no_repeat=0), 9, "no_repeat must be an int of at least 1; got 0"),
    (lambda: Rules(no_repeat=True), 9, "no_repeat must be an int of at least 1; got True"),
    (lambda: Rules(required="dog"), 9, "required must be a list of words; got 'dog'"),
    (lambda: Rules(banned=[4]), 9, "banned must be a list of words"),
    (lambda: Rules(required=["a"], banned=["b", "a"]), 9, "required: 'a' is also banned"),
    (lambda: Rules(required=list("abcdef")), 9, "required: at most 5 words; got 6"),
])  # fmt: skip
def test_rules_that_no_caption_can_obey(rules, longest, message):
    with pytest.raises(ValueError, match=message):
        RuleMask(rules(), Vocabulary([*VOCABULARY.idx_to_word, "dog"]), longest)
