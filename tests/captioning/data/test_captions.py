"""Stored and raw captions, and errors about captions that do not fit."""

import os
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.captions import _check_layout, read_raw_captions
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.vocabulary import Vocabulary
from tests.captioning.data.small import M_TRAIN, N_TRAIN, N_VAL, WORDS, T, add_raw_captions, make_captions

CAPTIONS = make_captions()["train_captions"]

FAULTS = {
    "rank": ({"train_captions": CAPTIONS[0]}, r"train_captions: .* 2 dimensions; .*\(6,\)"),
    "rank of rows": ({"val_image_idxs": np.zeros((N_VAL, 1), int)}, "val_image_idxs: .* 1 dimensions"),
    "dtype": ({"train_captions": CAPTIONS.astype(float)}, "train_captions: .* integer .* float64"),
    "bool": ({"val_image_idxs": np.zeros(N_VAL, bool)}, "val_image_idxs: .* integer"),
    "length": ({"train_image_idxs": np.zeros(5, int)}, "train_captions has 23 rows, but train_image_idxs has 5"),
    "empty": ({"val_captions": np.zeros((0, T), int), "val_image_idxs": np.zeros(0, int)}, "val_captions: .* empty"),
    "narrow": ({"train_captions": CAPTIONS[:, :2]}, "train_captions: needs 3 columns"),
    "image row": (
        {"train_image_idxs": np.arange(N_TRAIN) % (M_TRAIN + 1)},
        r"train_image_idxs: 7 at \[7\] .* 7 images of train2014_vgg16_fc7_pca\.h5",
    ),
    "negative row": ({"val_image_idxs": np.full(N_VAL, -1)}, r"val_image_idxs: -1 at \[0\]"),
    "word": ({"train_captions": np.where(np.arange(T) == 2, 9, CAPTIONS)}, r"train_captions: 9 at \[0, 2\] .* 9 words"),
    **{f"layout of {row}": ({"train_captions": np.vstack([CAPTIONS, row])[[*range(22), N_TRAIN]]},
                            f"train_captions: row 22 has {problem}") for row, problem in (
        ((4, 5, 2, 0, 0, 0), "'a' at step 0"), ((0, 0, 0, 0, 0, 0), "'<NULL>' at step 0"),
        ((1, 4, 5, 0, 0, 0), "'<NULL>' at step 3"), ((1, 4, 2, 0, 5, 0), "'dog' at step 4"),
        ((1, 4, 2, 0, 0, 2), "'<END>' at step 5"),
    )},
    "missing": ({"train_captions": None}, r"the key train_captions is missing; .*'train_image_idxs'"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_captions_that_do_not_fit_are_refused(replace_captions, fault):
    changes, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: {message}"):
        open_captions(replace_captions(**changes))


@given(st.lists(st.integers(0, len(WORDS) - 1), min_size=T, max_size=T))
def test_a_row_is_refused_unless_it_follows_the_layout(row):
    """A row that was cut has no <END>, and one without words can be used."""
    text = "".join("nse"[i] if i < 3 else "w" for i in row)  # <UNK> is a word
    captions = np.array([CAPTIONS[0], [1, 4, 5, 6, 7, 8], [1, 2, 0, 0, 0, 0], row])
    if re.fullmatch(r"s[sw]*(en*)?", text):
        _check_layout(captions, Vocabulary(WORDS), "f")
    else:
        with pytest.raises(DataError, match="f: row 3 "):
            _check_layout(captions, Vocabulary(WORDS), "f")


def test_references_name_what_is_wrong_with_the_table(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    lines = table.read_text().splitlines()
    faults = {
        "1 of the 4 images .*'val_2.jpg'": [line for line in lines if "val_2" not in line],
        r"columns \['caption'\] are missing": ["image,split", "val_0.jpg,val"],
        "line 2 must have 3 columns": [lines[0], "val_0.jpg,val"],
        "line 3 must have 3 columns": ["caption,split,image", *["a dog,val,val_0.jpg", "a dog,val"]],
        "line 2 must have 3 columns; .* needs quotes": [lines[0], "val_0.jpg,val,a dog, a cat"],
        "after line 2": [lines[0], "a.jpg,val,a", 'b.jpg,val,"a dog', "c"],
        "columns .* are missing; it has .{1,250}$": ["x" * 10_000],
        "not a readable table": [lines[0], "\udcff\udcfe,val,a"],
    }
    for message, content in faults.items():
        table.write_text("\n".join(content), errors="surrogateescape")
        with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.csv.*{message}"):
            data.val.references_by_image()


def test_a_table_with_a_byte_order_mark_is_read_and_a_pipe_refused(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbfimage,split,caption\r\na/b.jpg,val,A dog\r\nb.jpg,train,A cat\r\n")
    assert read_raw_captions(tmp_path / "c.csv", "val") == {"b.jpg": [["a", "dog"]]}
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match=r"pipe\.csv: is a pipe"):
        read_raw_captions(tmp_path / "pipe.csv", "val")
