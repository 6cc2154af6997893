"""Captions in COCO's results format, and the line that says what scores depend on."""

import json
import shutil

import h5py
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.evaluation.split_scores import image_ids, signature, write_results

ROWS = list(range(24))


@pytest.fixture
def folder(small_folder, tmp_path):
    return shutil.copytree(small_folder, tmp_path / "data")


@pytest.mark.parametrize(("names", "ids"), [
    ([f"COCO_train2014_{7 * i:012}.jpg" for i in ROWS], [7 * i for i in ROWS]),
    ([f"{7 * i:012}.png" for i in ROWS], [7 * i for i in ROWS]),
    ([f"{209054556 + i}_a4e66ec76b.jpg" for i in ROWS], ROWS),
    ([f"{7 * i:012}.png" for i in ROWS[1:]] + ["dog.png"], ROWS),
    (["COCO_val2014_000000000007.jpg"] * 24, ROWS),
])  # fmt: skip
def test_an_id_is_the_number_in_the_name_if_all_are_cocos(folder, names, ids):
    (folder / "val2014_images.txt").write_text("".join(f"images/{name}\n" for name in names))
    with open_captions(folder) as data:
        assert image_ids(data.val) == ids


def test_results_without_names_and_a_file_that_cannot_be_finished(small_data, tmp_path):
    path, said = tmp_path / "results.json", [["a", "dog"], []]
    write_results(path, small_data.val, [3, 1], said)
    expected = [{"image_id": 3, "caption": "a dog"}, {"image_id": 1, "caption": ""}]
    for images, error in (([3, 1, 2], ValueError), ([3, 99], IndexError)):
        with pytest.raises(error):
            write_results(path, small_data.val, images, said)
    assert json.loads(path.read_text()) == expected
    assert list(tmp_path.iterdir()) == [path]


def test_a_signature_says_what_a_score_depends_on(folder):
    with open_captions(folder) as data:
        assert signature(data.val, "all", 24, "greedy", 9, frequencies="train") == (
            "references:stored|tokenizer:words|split:val|part:all|images:24|decoding:greedy|max_length:9|"
            "frequencies:train"
        )
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = "ptb"
    (folder / "captions.csv").write_text("image,split,caption\n")
    (folder / "train2014_images.txt").write_text("one.jpg\n" * 24)
    with open_captions(folder) as data:
        assert signature(data.train, "first", 5, "beam 3", 20, drawn_by=4) == (
            "references:raw|tokenizer:ptb|split:train|part:first|images:5 drawn by 4|decoding:beam 3|max_length:20"
        )


@pytest.mark.parametrize(("value", "message"), [
    ("bert", "tokenizer 'bert'.* words, ptb"), (3, "attribute tokenizer: must be one text"),
])  # fmt: skip
def test_a_tokenizer_that_is_none_is_an_error_of_the_data(folder, value, message):
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = value
    with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.h5: .*{message}"):
        signature(data.val, "all", 24, "greedy", 9)
