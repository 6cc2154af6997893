"""How varied captions are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.scoring.diversity import (
    distinct,
    mean_length,
    novel_share,
    unknown_rate,
    vocabulary_share,
    words_in_use,
)
from tests.captioning.scoring.corpora import WORDS


@given(st.lists(WORDS, min_size=1, max_size=6), st.integers(1, 3))
def test_distinct_is_its_definition(captions, n):
    found = [" ".join(words[k : k + n]) for words in captions for k in range(len(words) - n + 1)]
    assert distinct(captions, n) == (len(set(found)) / len(found) if found else 0)
    assert distinct(captions * 3, n) == pytest.approx(distinct(captions, n) / 3)


def test_special_tokens_are_no_words_in_use():
    vocabulary = Vocabulary([*SPECIAL, "a", "dog", "cat", "runs", "here"])
    said = [["a", "dog", "<UNK>"], ["a", "zebra"], []]  # a word that the vocabulary has not
    assert words_in_use(said) == 3
    assert vocabulary_share(said, vocabulary) == 2 / 5
    assert vocabulary_share(said, Vocabulary(SPECIAL)) == 0
    assert unknown_rate(said) == 1 / 5
    assert mean_length(said) == 5 / 3
    assert unknown_rate([[]]) == mean_length([[]]) == 0


def test_novel_is_not_known_word_for_word():
    said = [["a", "dog"], ["a", "dog", "runs"], ["a"], []]
    assert novel_share(said, {("a", "dog"), ("a", "dog", "runs", "here")}) == 3 / 4
    assert novel_share(said, {()}) == 3 / 4
    assert novel_share(said, set()) == 1


@pytest.mark.parametrize("score", [
    lambda said: distinct(said, 1), words_in_use, lambda said: novel_share(said, ()), mean_length, unknown_rate,
])  # fmt: skip
def test_what_does_not_fit_is_said(score):
    with pytest.raises(ValueError, match="there are no captions"):
        score([])
    with pytest.raises(TypeError, match="captions must be lists of words; got a str"):
        score(["a dog"])
    with pytest.raises(TypeError, match="captions must be lists of words; got a str"):
        score("a dog")


def test_distinct_needs_words():
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        distinct([["a"]], 0)
