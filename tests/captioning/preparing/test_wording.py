"""Vocabularies, lengths, and rows of word ids; Flickr8k's files are made again from its captions."""

import csv
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.data.tokens import tokenise
from captioning.preparing.wording import Wording, WrittenSplit, choose_words, count_words, encode_captions

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>"]


def test_words_are_in_the_order_of_frequency_then_of_their_first_place():
    wording = count_words(["a b c", "c d b a", "b"], str.split)
    assert choose_words(wording.counts, 1).idx_to_word == [*WORDS, "b", "a", "c", "d"]
    assert choose_words(wording.counts, 2).idx_to_word == [*WORDS, "b", "a", "c"]
    assert choose_words(wording.counts, most=1).idx_to_word == [*WORDS, "b"]
    assert choose_words(wording.counts, most=99).idx_to_word == [*WORDS, "b", "a", "c", "d"]
    with pytest.raises(DataError, match=r"no word stands 4 times or more .* choose a lower --min-count"):
        choose_words(wording.counts)


@given(st.lists(st.integers(0, 40), min_size=1), st.floats(0.01, 1))
def test_a_covering_length_covers_and_no_shorter_one_does(lengths, share):
    found = Wording(Counter(), np.array(lengths, np.int32)).covering_length(share)
    assert np.mean(np.array(lengths) <= found) >= share - 1e-9
    assert found == 0 or np.mean(np.array(lengths) < found) < share


def test_what_is_lost_is_counted():
    vocabulary = choose_words(Counter("aab"), 1)
    told = WrittenSplit()
    (rows,) = encode_captions(["a b c", "a", "a b a x"], str.split, vocabulary, 3, told)
    assert rows.tolist() == [[1, 4, 5, 3, 2], [1, 4, 2, 0, 0], [1, 4, 5, 4, 2]]
    assert told == WrittenSplit(captions=3, words=8, unknown=2, cut=1)


def test_captions_come_in_blocks():
    vocabulary = choose_words(Counter("a"), 1)
    blocks = list(encode_captions(["a"] * 10_000, str.split, vocabulary, 3, WrittenSplit()))
    assert sum(map(len, blocks)) == 10_000
    assert max(map(len, blocks)) < 5000
    assert list(encode_captions([], str.split, vocabulary, 3, WrittenSplit())) == []


def test_flickr8k_is_made_again_from_its_captions(real):
    """Its vocabulary and its rows, to the last number."""
    said = {"train": [], "val": []}
    with open(real.folder / "captions.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            said[row["split"]].append(row["caption"])
    vocabulary = choose_words(count_words(said["train"], tokenise).counts)
    assert vocabulary == real.vocabulary
    for split in ("train", "val"):
        told = WrittenSplit()
        rows = np.concatenate(list(encode_captions(said[split], tokenise, vocabulary, 15, told)))
        order = np.lexsort(rows.T[::-1])
        stored = real[split].captions
        np.testing.assert_array_equal(rows[order], stored[np.lexsort(stored.T[::-1])])
        assert split == "val" or told.cut == 3233
