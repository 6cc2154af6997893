"""References are split as the stored captions were."""

import h5py
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.tokenizer_record import recorded_tokenizer_name
from tests.captioning.data.small import add_raw_captions


def record(folder, value):
    with h5py.File(folder / "coco2014_captions.h5", "r+") as file:
        file.attrs["tokenizer"] = value


@pytest.fixture
def spoken(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    table.write_text(table.read_text().replace("A cat sits", "It doesn't sit on a T-shirt"))
    return folder


@pytest.mark.parametrize(("name", "words"), [
    (None, "it doesn't sit on a t shirt"),
    ("words", "it doesn't sit on a t shirt"),
    ("ptb", "it does n't sit on a t-shirt"),
])  # fmt: skip
def test_references_are_split_as_the_file_says(spoken, name, words):
    if name is not None:
        record(spoken, name)
    with open_captions(spoken) as data:
        assert data.val.references(1)[1] == words.split()


@pytest.mark.parametrize(("value", "message"), [
    ("bert", "the tokenizer 'bert' is none of words, ptb"), (3, "attribute tokenizer: must be one text"),
])  # fmt: skip
def test_another_name_is_refused(spoken, value, message):
    record(spoken, value)
    with open_captions(spoken) as data, pytest.raises(DataError, match=rf"captions\.h5: .*{message}"):
        data.val.references_by_image()


@pytest.mark.parametrize("value", [5, "zzz", "", b"\xff"])
def test_it_is_checked_with_the_data(folder, value):
    """Also where there are no raw captions to split: the attribute is part of every score's signature."""
    record(folder, value)
    with open_captions(folder) as data:
        with pytest.raises(DataError, match=r"captions\.h5: .*tokenizer"):
            data.check()
        with pytest.raises(DataError, match=r"captions\.h5: .*tokenizer"):
            recorded_tokenizer_name(data.val.captions_path)
