"""The fingerprint of a data set: of its content, not of its files; the same wherever it is read."""

from __future__ import annotations

import zlib

import h5py
import numpy as np
import pytest

from captioning.data import fingerprints as module
from captioning.data.dataset import open_captions
from captioning.data.fingerprints import fingerprint

FEATURES = "train2014_vgg16_fc7_pca.h5"


def another(small_folder, tmp_path, **how):
    """The data with other bytes in its file of features, in a folder of its own."""
    for name in (path.name for path in small_folder.iterdir()):
        (tmp_path / name).symlink_to(small_folder / name)
    (tmp_path / FEATURES).unlink()
    with h5py.File(small_folder / FEATURES) as old, h5py.File(tmp_path / FEATURES, "w") as new:
        new.create_dataset("features", data=old["features"][()], **how)
    assert (tmp_path / FEATURES).read_bytes() != (small_folder / FEATURES).read_bytes()
    return tmp_path


@pytest.mark.parametrize("how", [{"dtype": ">f4"}, {"compression": "gzip"}])
def test_the_same_numbers_in_another_file_are_the_same(small_folder, small_data, tmp_path, how):
    with open_captions(another(small_folder, tmp_path, **how)) as data:
        assert fingerprint(data) == fingerprint(small_data)


def test_what_it_says_of_an_array(small_data):

    said = fingerprint(small_data)["coco2014_captions.h5: train_captions"]
    crc = zlib.crc32(small_data.train.captions.astype("<i4").tobytes())
    assert said == f"48x8 int32 {crc:08x}"


def test_fewer_captions_do_not_change_it(small_folder, small_data):
    """What is chosen of them follows from the seed, which is a setting of its own."""
    with open_captions(small_folder, max_train=20) as data:
        assert fingerprint(data) == fingerprint(small_data)


def test_features_in_pieces_are_those_at_once(small_data, monkeypatch):
    whole = fingerprint(small_data)
    monkeypatch.setattr("captioning.data.stored_rows._BLOCK_BYTES", 100)
    assert fingerprint(small_data) == whole


def test_large_features_are_sampled(small_folder, monkeypatch):
    """Rows that stay in the file: the first, the last and some between."""
    monkeypatch.setattr(module, "SAMPLED", 3)
    with open_captions(small_folder, cache_bytes=0) as data:
        said = fingerprint(data)[FEATURES]
        rows = np.asarray(data.train.features)[[0, 11, 23]]

    assert said == f"24x6 float32 {zlib.crc32(rows.astype('<f4').tobytes()):08x} of 3 rows"
