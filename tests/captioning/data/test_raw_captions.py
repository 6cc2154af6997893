"""The table of raw captions, and what is said of a damaged one."""

import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from tests.captioning.data.small import add_raw_captions


def test_references_name_what_is_wrong_with_the_table(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    lines = table.read_text().splitlines()
    faults = {
        "val_2.jpg": [line for line in lines if "val_2" not in line],
        r"columns \['caption'\] are missing": ["image,split", "val_0.jpg,val"],
        "line 2 is cut short": [lines[0], "val_0.jpg,val"],
    }
    for message, content in faults.items():
        table.write_text("\n".join(content))
        with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.csv.*{message}"):
            data.val.references_by_image()
    table.write_bytes(b"image,split,caption\n\xff\xfe,val,a\n")
    with open_captions(folder) as data, pytest.raises(DataError, match=r"captions\.csv: cannot be read"):
        data.val.references_by_image()
