"""How varied captions are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.scoring.metrics import distinct, diversity
from tests.captioning.scoring.corpora import WORDS


@given(st.lists(WORDS, min_size=1, max_size=6), st.integers(1, 3))
def test_distinct_is_its_definition(captions, n):
    found = [" ".join(words[k : k + n]) for words in captions for k in range(len(words) - n + 1)]
    assert distinct(captions, n) == (len(set(found)) / len(found) if found else 0)


def test_diversity():
    vocabulary = Vocabulary([*SPECIAL, "a", "dog", "cat", "runs", "here"])
    said = [["a", "dog", "<UNK>"], ["a", "zebra"], []]  # a word that the vocabulary does not have
    found = diversity(said, vocabulary, {("a", "zebra"), ("a", "dog", "<UNK>", "here")})
    assert found == {"distinct_1": 4 / 5, "distinct_2": 1.0, "words_in_use": 3, "vocabulary_share": 2 / 5,
                     "novel_share": pytest.approx(2 / 3), "mean_length": 5 / 3, "unknown_rate": 1 / 5}  # fmt: skip
    nothing = diversity([[]], Vocabulary(SPECIAL))
    assert nothing == {**dict.fromkeys(found.keys() - {"novel_share"}, 0), "words_in_use": 0}
