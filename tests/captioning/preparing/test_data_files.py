"""Vocabularies, lengths, and rows of word ids."""

from collections import Counter

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.errors import DataError
from captioning.preparing.data_files import SplitSummary, choose_words, covering_length, write_captions
from captioning.preparing.images import CaptionedImage
from captioning.progress import Progress

SPECIAL = ["<NULL>", "<START>", "<END>", "<UNK>"]
QUIET = Progress(enabled=False)


def test_words_are_in_the_order_of_frequency_then_of_their_first_occurrence():
    counts = Counter(["a", "b", "c", "c", "d", "b", "a", "b"])
    assert choose_words(counts, 1).idx_to_word == [*SPECIAL, "b", "a", "c", "d"]
    assert choose_words(counts, 2).idx_to_word == [*SPECIAL, "b", "a", "c"]
    assert choose_words(counts, most=1).idx_to_word == [*SPECIAL, "b"]
    assert choose_words(counts, most=99).idx_to_word == [*SPECIAL, "b", "a", "c", "d"]
    with pytest.raises(DataError, match=r"no word occurs 4 times .* --min-count"):
        choose_words(counts)


@given(st.lists(st.integers(0, 40), min_size=1), st.floats(0.01, 1))
def test_a_covering_length_covers_and_no_shorter_one_does(lengths, share):
    found = covering_length(lengths, share)
    assert np.mean(np.array(lengths) <= found) >= share - 1e-9
    assert found == 0 or np.mean(np.array(lengths) < found) < share
    assert covering_length([5, 1001]) == 1000


def test_rows_of_word_ids_and_what_is_lost(tmp_path):
    vocabulary = choose_words(Counter("aab"), 1)
    images = [("1", CaptionedImage("1", None, ["a b c", "a"])), ("2", CaptionedImage("2", None, ["a b a x"]))]
    summaries = write_captions(tmp_path / "c.h5", {"val": images}, ("words", str.split), vocabulary, 3, QUIET)
    assert summaries == {"val": SplitSummary(images=2, captions=3, words=8, unknown=2, cut=1)}
    with h5py.File(tmp_path / "c.h5") as file:
        assert file["val_captions"][()].tolist() == [[1, 4, 5, 3, 2], [1, 4, 2, 0, 0], [1, 4, 5, 4, 2]]
        assert file["val_image_idxs"][()].tolist() == [0, 0, 1]
        assert file.attrs["tokenizer"] == "words"
        assert file["val_captions"].dtype == file["val_image_idxs"].dtype == np.int32
