"""The line that says what a score depends on."""

from __future__ import annotations

import shutil

import h5py
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.evaluation.results import signature


def test_a_signature_says_what_a_score_depends_on(small_folder, tmp_path):
    folder = shutil.copytree(small_folder, tmp_path / "data")
    with open_captions(folder) as data:
        assert signature(data.val, "all", 24, "greedy", 9) == (
            "references:stored|tokenizer:words|split:val|part:all|images:24|decoding:greedy|max_length:9"
        )
        assert signature(data.val, "all", 24, "greedy", 9, frequencies="train").endswith(":9|frequencies:train")
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = "ptb"
    (folder / "captions.csv").write_text("image,split,caption\n")
    (folder / "train2014_images.txt").write_text("one.jpg\n" * 24)
    with open_captions(folder) as data:
        assert signature(data.train, "first", 5, "beam 3", 20, drawn_by=4) == (
            "references:raw|tokenizer:ptb|split:train|part:first|images:5 drawn by 4|decoding:beam 3|max_length:20"
        )


@pytest.mark.parametrize(("value", "message"), [
    ("bert", "the tokenizer 'bert' is none of words, ptb"), (3, "attribute tokenizer: must be one text"),
])  # fmt: skip
def test_a_tokenizer_that_is_none_is_an_error_of_the_data(small_folder, tmp_path, value, message):
    folder = shutil.copytree(small_folder, tmp_path / "data")
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = value
    with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.h5: .*{message}"):
        signature(data.val, "all", 24, "greedy", 9)
