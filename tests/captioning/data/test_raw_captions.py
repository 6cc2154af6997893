"""The table of raw captions, and what is said of a damaged one."""

import os

import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.raw_captions import read_raw_captions
from tests.captioning.data.small import add_raw_captions


def test_references_name_what_is_wrong_with_the_table(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    lines = table.read_text().splitlines()
    faults = {
        "val_2.jpg": [line for line in lines if "val_2" not in line],
        r"columns \['caption'\] are missing": ["image,split", "val_0.jpg,val"],
        "line 2 is cut short": [lines[0], "val_0.jpg,val"],
        "line 3 is cut short": ["caption,split,image", *["a dog,val,val_0.jpg", "a dog,val"]],
        "line 2 has more than 3 columns; a caption with a comma needs quotes": [lines[0], "val_0.jpg,val,a dog, a cat"],
        "as a table of captions after line 2: unexpected end of data": [
            lines[0],
            "a.jpg,val,a",
            'b.jpg,val,"a dog',
            "c",
        ],
        "columns .* are missing; it has .{1,250}$": ["x" * 10_000],
    }
    for message, content in faults.items():
        table.write_text("\n".join(content))
        with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.csv.*{message}"):
            data.val.references_by_image()
    table.write_bytes(b"image,split,caption\n\xff\xfe,val,a\n")
    with open_captions(folder) as data, pytest.raises(DataError, match=r"captions\.csv: cannot be read"):
        data.val.references_by_image()


def test_a_mark_of_the_byte_order_is_no_part_of_the_table(tmp_path):
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbfimage,split,caption\r\na/b.jpg,val,A dog\r\n")
    assert read_raw_captions(tmp_path / "c.csv", "val") == {"b.jpg": [["a", "dog"]]}


def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "c.csv")
    with pytest.raises(DataError, match=r"c\.csv: is a pipe, not a regular file"):
        read_raw_captions(tmp_path / "c.csv", "val")
