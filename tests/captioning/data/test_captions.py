"""Captions as they are stored, and what is said of those that do not fit."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.captions import _check_layout
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.vocabulary import Vocabulary
from tests.captioning.data.small import M_TRAIN, N_TRAIN, N_VAL, WORDS, T, make_captions

CAPTIONS = make_captions()["train_captions"]

FAULTS = {
    "rank": ({"train_captions": CAPTIONS[0]}, r"train_captions: must have 2 dimensions; got shape \(6,\)"),
    "rank of rows": ({"val_image_idxs": np.zeros((N_VAL, 1), int)}, "val_image_idxs: must have 1 dimensions"),
    "dtype": (
        {"train_captions": CAPTIONS.astype(float)},
        "train_captions: must hold integer numbers; got dtype",
    ),
    "bool": ({"val_image_idxs": np.zeros(N_VAL, bool)}, "val_image_idxs: must hold integer numbers"),
    "length": (
        {"train_image_idxs": np.zeros(5, int)},
        "train_captions has 23 rows, but train_image_idxs has 5",
    ),
    "empty": (
        {"val_captions": np.zeros((0, T), int), "val_image_idxs": np.zeros(0, int)},
        "val_captions: the val split is empty",
    ),
    "narrow": ({"train_captions": CAPTIONS[:, :2]}, "train_captions: needs 3 columns"),
    "image row": (
        {"train_image_idxs": np.arange(N_TRAIN) % (M_TRAIN + 1)},
        r"train_image_idxs: 7 at \[7\] is outside the 7 images of train2014_vgg16_fc7_pca\.h5: a caption",
    ),
    "negative row": ({"val_image_idxs": np.full(N_VAL, -1)}, r"val_image_idxs: -1 at \[0\] is outside"),
    "word": (
        {"train_captions": np.where(np.arange(T) == 2, 9, CAPTIONS)},
        r"train_captions: 9 at \[0, 2\] is outside the vocabulary of 9 words",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_captions_that_do_not_fit_are_refused(replace_captions, fault):
    changes, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: {message}"):
        open_captions(replace_captions(**changes))


LAYOUTS = {
    "no <START>": ([4, 5, 2, 0, 0, 0], "must begin with <START>; got 'a'"),
    "all <NULL>": ([0, 0, 0, 0, 0, 0], "must begin with <START>; got '<NULL>'"),
    "<END> first": ([2, 0, 0, 0, 0, 0], "must begin with <START>; got '<END>'"),
    "no <END>": ([1, 4, 5, 0, 0, 0], "has <NULL> at step 3 but no <END> before it"),
    "nothing said": ([1, 0, 0, 0, 0, 0], "has <NULL> at step 1 but no <END> before it"),
    "<NULL> within": ([1, 4, 0, 5, 2, 0], "has <NULL> at step 2, before its <END>"),
    "a word behind": ([1, 4, 2, 0, 5, 0], "must have <NULL> alone behind <END>; got 'dog' at step 4"),
    "a second <END>": ([1, 4, 2, 0, 0, 2], "must have <NULL> alone behind <END>; got '<END>' at step 5"),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_rows_that_are_no_captions_are_refused(replace_captions, case):
    row, message = LAYOUTS[case]
    captions = CAPTIONS.copy()
    captions[[8, 12]] = row
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: train_captions: row 8 {message} \(a caption is"):
        open_captions(replace_captions(train_captions=captions))


@pytest.mark.parametrize("row", [[1, 4, 5, 6, 7, 8], [1, 2, 0, 0, 0, 0], [1, 3, 3, 3, 3, 2]], ids=str)
def test_a_row_that_was_cut_and_one_without_words_can_be_used(replace_captions, row):
    captions = CAPTIONS.copy()
    captions[8] = row
    with open_captions(replace_captions(train_captions=captions)) as data:
        assert data.train.captions[8].tolist() == row


@given(st.lists(st.integers(0, len(WORDS) - 1), min_size=T, max_size=T))
def test_a_row_is_refused_unless_it_follows_the_layout(row):
    text = "".join("nse"[i] if i < 3 else "w" for i in row)  # <UNK> is a word
    captions = np.array([CAPTIONS[0], row])
    if re.fullmatch(r"s[sw]*(en*)?", text):
        _check_layout(captions, Vocabulary(WORDS), "f")
    else:
        with pytest.raises(DataError, match="f: row 1 "):
            _check_layout(captions, Vocabulary(WORDS), "f")
