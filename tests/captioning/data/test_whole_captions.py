"""Captions to learn from as people wrote them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from tests.captioning.data.small import M_TRAIN, N_VAL, T, add_raw_captions

REAL = pytest.mark.skipif("CAPTIONING_DATA" not in os.environ, reason="no real data: CAPTIONING_DATA is unset")


@REAL
def test_real_captions_whole():
    """Of Flickr8k, whose stored captions were cut at 15 words."""
    with open_captions(captions="raw") as data, open_captions() as stored:
        train, v = data.train, data.vocabulary
        assert train.captions.shape == (30000, 24)
        assert (np.bincount(train.image_idxs) == 5).all()
        ended = (train.captions == v.end).any(axis=1)
        assert 0.99 < ended.mean() < 1
        assert not (train.captions[~ended, :23] == v.null).any()  # words alone
        assert data.val.captions.shape == stored.val.captions.shape  # what is validated on stays
        references = train.references(0)
        assert [v.tokens(row) for row in train.captions[:5]] == [[w for w in r if w in v] for r in references]


@REAL
def test_shorter_ones_are_cut_without_an_end():
    with open_captions(captions="raw", max_words=6) as data:
        assert data.train.captions.shape == (30000, 8)
        lengths = np.array([len(r) for item in data.train.references_by_image() for r in item])
        ended = (data.train.captions == data.vocabulary.end).any(axis=1)
        np.testing.assert_array_equal(ended, lengths <= 6)


def test_what_becomes_of_a_caption(folder):
    """Whole it has an <END>, cut it has none, and a word that is not in the vocabulary is <UNK>."""
    add_raw_captions(folder)
    with open_captions(folder, captions="raw", max_words=4) as data:
        train, v = data.train, data.vocabulary
        cut = [v.start, *v.encode(["a", "dog", "a", "cat"]), v.null]  # of "A dog , a cat and the very long …"
        unknown_last = [v.start, *v.encode(["a", "cat", "sits"]), v.end, v.null]
        assert train.captions.tolist() == M_TRAIN * [cut, unknown_last]
        assert train.captions.dtype == train.image_idxs.dtype == np.int32
        assert train.image_idxs.tolist() == [image for image in range(M_TRAIN) for _ in range(2)]
        assert data.val.captions.shape == (N_VAL, T)  # what is validated on stays as it is stored
    with open_captions(folder, captions="raw", max_words=10) as data:  # which the longest has
        longer, v = data.train.captions[-2].tolist(), data.vocabulary
        words = v.encode(["a", "dog", "a", "cat"]).tolist()
        assert longer == [v.start, *words, *6 * [v.unk], v.end]


def test_a_data_set_without_them(small_folder):
    with pytest.raises(DataError, match="has no raw captions"):
        open_captions(small_folder, captions="raw")
    with pytest.raises(DataError, match="captions must be one of stored, raw; got 'new'"):
        open_captions(small_folder, captions="new")
    with pytest.raises(DataError, match="max_train chooses among the stored captions"):
        open_captions(small_folder, captions="raw", max_train=3)
    with pytest.raises(DataError, match="max_words"):
        open_captions(small_folder, captions="raw", max_words=0)
