"""HDF5 files that are missing, damaged or not what they should be; and new ones, whole or not at all."""

import os

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
        with pytest.raises(DataError, match=f"{name}: not a whole HDF5 file"):
            open_captions(folder)
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"{name}: there is no such file"):
        open_captions(folder)
    os.mkfifo(folder / name)
    with pytest.raises(DataError, match=f"{name}: is a pipe"):
        open_captions(folder)


def refused(tmp_path, message, write):
    """Check that the features of a file that `write` fills are refused."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        write(file)
    with pytest.raises(DataError, match=rf"f\.h5: .*{message}"):
        FeatureRows(tmp_path / "f.h5")


@pytest.mark.parametrize(
    "link",
    [h5py.SoftLink("/within"), h5py.SoftLink("/none"), h5py.ExternalLink("other.h5", "/features"),
     h5py.ExternalLink("/dev/stdin", "/features")],
    ids=lambda link: f"{type(link).__name__} {link.path}",
)  # fmt: skip
def test_links_are_not_followed(tmp_path, link):
    write_hdf5(tmp_path / "other.h5", features=np.ones((3, 2), np.float32))

    def write(file):
        file["within"] = np.ones((3, 2), np.float32)
        file["features"] = link

    refused(tmp_path, "features: is a link to '/", write)


def test_numbers_in_other_files_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait

    def virtual(file):
        layout = h5py.VirtualLayout((3, 2), np.float32)
        layout[:] = h5py.VirtualSource(tmp_path / "pipe", "features", (3, 2))
        file.create_virtual_dataset("features", layout)

    refused(tmp_path, "stored in other files", virtual)
    external = [(tmp_path / "pipe", 0, 24)]
    refused(
        tmp_path, "stored in other files", lambda file: file.create_dataset("features", (3, 2), "f4", external=external)
    )


@pytest.mark.parametrize(
    ("shape", "storage", "written", "message"),
    [
        ((2**40, 2**20), {}, 0, r"shape \(1099511627776, 1048576\)"),
        ((2**40, 2**20), {"chunks": (1000, 1000)}, 0, r"shape \(1099511627776, 1048576\)"),
        ((6, 2), {}, 0, "only 0 of its 48 bytes"),
        ((6, 2), {"chunks": (2, 2)}, 3, "only 2 of its 3 chunks"),
    ],
)
def test_numbers_that_the_file_does_not_have_are_no_zeros(tmp_path, shape, storage, written, message):
    def write(file):
        data = file.create_dataset("features", shape, np.float32, **storage)
        if written:
            data[:written] = 1

    refused(tmp_path, message, write)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, 5), np.float32), "is empty"),
        (np.zeros(5, np.float32), "must have 2 dimensions"),
        (np.zeros((7, 5), int), "must hold floating numbers; got dtype int64"),
    ],
)
def test_features_of_another_kind_are_refused(tmp_path, features, message):
    refused(tmp_path, message, lambda file: file.create_dataset("features", data=features))


def test_a_group_and_a_missing_key_are_refused(tmp_path):
    refused(tmp_path, "features: must be a data set; got a Group", lambda file: file.create_group("features"))
    refused(tmp_path, r"the key features is missing; the file has \['k00', .*'k09'\]$",
            lambda file: [file.create_group(f"k{i:02}") for i in range(30)])  # fmt: skip


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"one text; got int64 of shape \(\)"),
        (["a", "b"], r"one text; got object of shape \(2,\)"),
        ("", "printable text of 1 to 200"),
        ("two\nlines", "printable text"),
        ("a" * 201, "printable text"),
        (np.bytes_(b"\xff"), "printable text"),
        (h5py.Empty("S3"), "one text; got"),
    ],
    ids=str,
)
def test_an_attribute_that_is_no_name_is_refused(tmp_path, value, message):
    def write(file):
        file["features"] = np.ones((3, 2), np.float32)
        file["features"].attrs["extractor"] = value

    refused(tmp_path, f"features: attribute extractor: .*{message}", write)


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


@pytest.mark.parametrize("error", [RuntimeError, KeyError, MemoryError])
def test_whatever_h5py_raises_is_told_in_one_line(tmp_path, monkeypatch, error):
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))

    def fail(*_, **__):
        raise error("what was\nfound")

    for owner, name in ((h5py.Dataset, "__getitem__"), (h5py.Group, "get"), (h5py, "File")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, fail)
            with pytest.raises(DataError, match=r"f\.h5: .*: '?what was.*found'?$") as raised:
                FeatureRows(tmp_path / "f.h5")[0]
        assert "\n" not in str(raised.value)


def write(path, rows=1000):
    with new_hdf5(path) as file:
        file.attrs["name"] = "é"
        numbers = file.create_dataset("numbers", (rows, 10), np.float32)
        for start in range(0, rows, 100):
            numbers[start : start + 100] = np.arange(start, start + 100)[:, None]
        file["few"] = [1, 2, 3]


def test_a_new_file_has_what_was_written(tmp_path):
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["name"] == "é"
        np.testing.assert_array_equal(file["numbers"][()], np.arange(1000.0)[:, None] + np.zeros(10))
        assert file["numbers"].chunks is None
        assert file["few"][()].tolist() == [1, 2, 3]
    write(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize("bytes", [0, 50, 2000, 5000, 41_000])
def test_a_full_disk_is_an_error_that_names_the_file(tmp_path, bytes):
    """The process goes on, and the older file stays."""
    path = tmp_path / "a.h5"
    path.write_text("old")
    with files_of_at_most(bytes), pytest.raises(OSError, match="too large") as caught:
        write(path)
    assert caught.value.filename == str(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_text() == "old"
    with pytest.raises(ZeroDivisionError), new_hdf5(path) as file:
        file["few"] = [1 // 0]
    assert path.read_text() == "old"
