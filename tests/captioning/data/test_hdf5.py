"""HDF5 files that are missing, damaged or not what they should be; and new ones, whole or not at all."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from captioning.data.hdf5 import new_hdf5
from tests.captioning.data.small import write_hdf5
from tests.captioning.full_disks import files_of_at_most


@pytest.mark.parametrize("name", ["coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
def test_a_truncated_or_foreign_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    for part in (content[: len(content) - 40], content[:200], b"", b"no HDF5 at all" * 100):
        (folder / name).write_bytes(part)
        with pytest.raises(DataError, match=f"{name}: not an HDF5 file"):
            open_captions(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: there is no such file"):
        open_captions(folder)
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match=f"{name}: is a pipe"):
        open_captions(folder)


def with_features(features, **attributes):
    """Return a function that writes features with attributes."""

    def write(file):
        data = file.create_dataset("features", data=features)
        data.attrs.update(attributes)

    return write


def virtual(file):
    layout = h5py.VirtualLayout((3, 2), np.float32)
    layout[:] = h5py.VirtualSource("other.h5", "features", (3, 2))
    file.create_virtual_dataset("features", layout)


def of_shape(shape, written=0, **storage):
    """Return a function that writes only the first rows of features."""

    def write(file):
        data = file.create_dataset("features", shape, np.float32, **storage)
        if written:
            data[:written] = 1

    return write


def linked(link):
    return lambda file: file.__setitem__("features", link)


FEW = np.ones((3, 2), np.float32)
FAULTS = [
    (linked(h5py.SoftLink("/within")), "features: is a link to '/"),
    (linked(h5py.ExternalLink("other.h5", "/features")), "features: is a link to '/"),
    (linked(h5py.ExternalLink("/dev/stdin", "/features")), "features: is a link to '/"),
    (virtual, "stored in other files"),
    (of_shape((3, 2), external=[("other.h5", 0, 24)]), "stored in other files"),
    (of_shape((2**40, 2**20)), r"shape \(1099511627776, 1048576\)"),
    (of_shape((2**40, 2**20), chunks=(1000, 1000)), r"shape \(1099511627776, 1048576\)"),
    (of_shape((6, 2)), "only 0 of its 48 bytes"), (of_shape((6, 2), 3, chunks=(2, 2)), "only 2 of its 3 chunks"),
    (with_features(FEW[:0]), "is empty"), (with_features(FEW[0]), "must have 2 dimensions"),
    (with_features(FEW.astype(int)), "must hold floating numbers; got dtype int64"),
    (lambda file: file.create_group("features"), "features: must be a data set; got a Group"),
    (lambda file: [file.create_group(f"k{i:02}") for i in range(30)],
     r"the key features is missing; the file has \['k00', .*'k09'\]$"),
    *((with_features(FEW, extractor=value), f"features: attribute extractor: .*{message}") for value, message in (
        (3, r"one text; got int64 of shape \(\)"), (["a", "b"], r"one text; got object of shape \(2,\)"),
        ("", "printable text of 1 to 200"), ("two\nlines", "printable text"), ("a" * 201, "printable text"),
        (np.bytes_(b"\xff"), "printable text"), (h5py.Empty("S3"), "one text; got"),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("write", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_what_is_not_a_whole_array_of_features_is_refused(tmp_path, monkeypatch, write, message):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("other.h5")  # reading it would wait
    with h5py.File("f.h5", "w") as file:
        write(file)
    with pytest.raises(DataError, match=rf"f\.h5: .*{message}"):
        FeatureRows(tmp_path / "f.h5")


def test_a_text_that_became_a_sequence_of_bytes_is_not_read(tmp_path):
    """Reading it ends the process by a segmentation fault in h5py 3.16."""
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["features"].attrs["extractor"] = "efficientnet-lite0"
    content = bytearray((tmp_path / "f.h5").read_bytes())
    kind = content.index(b"extractor") + 16  # behind the padded name: a type of version 1 and class 9, and
    assert content[kind : kind + 2] == b"\x19\x01"  # 1 for a text, 0 for a sequence
    content[kind + 1] = 0
    (tmp_path / "f.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"attribute extractor: must be one text; got object of shape \(\)"):
        FeatureRows(tmp_path / "f.h5")


def write_new(path, rows=1000):
    with new_hdf5(path) as file:
        file.attrs["name"] = "é"
        numbers = file.create_dataset("numbers", (rows, 10), np.float32)
        for start in range(0, rows, 100):
            numbers[start : start + 100] = np.arange(start, start + 100)[:, None]
        file["few"] = [1, 2, 3]


def test_a_new_file_has_what_was_written(tmp_path):
    write_new(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["name"] == "é"
        np.testing.assert_array_equal(file["numbers"][()], np.arange(1000.0)[:, None] + np.zeros(10))
        assert file["numbers"].chunks is None
        assert file["few"][()].tolist() == [1, 2, 3]
    write_new(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("bytes", [0, 50, 2000, 5000, 41_000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, bytes):
    """The process goes on, and the older file stays."""
    path = tmp_path / "a.h5"
    path.write_text("old")
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        write_new(path)
    assert caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "old"
    with pytest.raises(ZeroDivisionError), new_hdf5(path) as file:
        file["few"] = [1 // 0]
    assert path.read_text() == "old"


def test_a_new_file_that_cannot_be_opened_is_an_error_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda path, exist_ok: path.mkdir())  # the temporary file
    with pytest.raises(OSError, match="directory") as caught:
        write_new(tmp_path / "a.h5")
    assert str(caught.value) == f"[Errno 21] Is a directory: '{tmp_path / 'a.h5'}'"


@pytest.mark.parametrize("broken", ["train", "val"])
def test_a_file_that_cannot_be_closed_is_named_and_the_others_are_closed(folder, monkeypatch, broken):
    def close(file, really=h5py.File.close):
        name = file.filename
        really(file)
        if broken in name:
            raise RuntimeError("Can't decrement id ref count (Input/output error)")

    data = open_captions(folder)
    monkeypatch.setattr(h5py.File, "close", close)
    with pytest.raises(DataError, match=rf"{broken}2014_vgg16_fc7_pca\.h5: cannot be closed: .*Input/output error"):
        data.close()
    for split in data.splits:
        with pytest.raises(DataError, match="the file is closed"):
            split.features[0]
