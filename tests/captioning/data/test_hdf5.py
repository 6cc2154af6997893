"""HDF5 files that are missing, damaged or not what they should be."""

import os

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows, repack_features
from tests.captioning.data.small import write_hdf5


@pytest.mark.parametrize("name", ["coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
def test_a_truncated_or_foreign_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    for part in (content[: len(content) - 40], content[:200], b"", b"no HDF5 at all" * 100):
        (folder / name).write_bytes(part)
        with pytest.raises(DataError, match=f"{name}: not a whole HDF5 file"):
            open_captions(folder)


@pytest.mark.parametrize("key", ["train_captions", "val_image_idxs"])
def test_a_missing_key_is_named_with_the_keys_there_are(replace_captions, key):
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: the key {key} is missing; the file has \['"):
        open_captions(replace_captions(**{key: None}))


def test_a_group_in_the_place_of_a_data_set_is_refused(folder):
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file.create_group("features")
    with pytest.raises(DataError, match="features: must be a data set; got a Group"):
        open_captions(folder)


def _link_to(tmp_path, link):
    """A file whose `features` are such a link, and the other file that it may lead to."""
    write_hdf5(tmp_path / "other.h5", features=np.ones((3, 2), np.float32))
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["within"] = np.ones((3, 2), np.float32)
        file["features"] = link
    return tmp_path / "f.h5"


@pytest.mark.parametrize(
    "link",
    [h5py.SoftLink("/within"), h5py.SoftLink("/none"), h5py.ExternalLink("other.h5", "/features"),
     h5py.ExternalLink("/dev/stdin", "/features")],
    ids=lambda link: f"{type(link).__name__} {link.path}",
)  # fmt: skip
def test_links_are_not_followed(tmp_path, link):
    path = _link_to(tmp_path, link)
    with pytest.raises(DataError, match=r"f\.h5: features: is a link to '/.*'; the numbers must stand at"):
        FeatureRows(path)


def test_a_group_that_is_a_link_is_not_followed(tmp_path):
    with h5py.File(_link_to(tmp_path, h5py.SoftLink("/within")), "r+") as file:
        file["group"] = h5py.ExternalLink("other.h5", "/")
    with pytest.raises(DataError, match=r"group/features: is a link to '/'"):
        FeatureRows(tmp_path / "f.h5", key="group/features")


def test_numbers_in_other_files_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((3, 2), np.float32)
        layout[:] = h5py.VirtualSource(tmp_path / "pipe", "features", (3, 2))
        file.create_virtual_dataset("features", layout)
    with h5py.File(tmp_path / "external.h5", "w") as file:
        file.create_dataset("features", (3, 2), np.float32, external=[(tmp_path / "pipe", 0, 24)])
    for name in ("virtual", "external"):
        with pytest.raises(DataError, match=rf"{name}\.h5: features: is stored in other files; the numbers must be in"):
            FeatureRows(tmp_path / f"{name}.h5")


@pytest.mark.parametrize("storage", [{}, {"chunks": (1000, 1000)}], ids=["contiguous", "chunked"])
def test_a_shape_that_no_memory_holds_is_refused(tmp_path, storage):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file.create_dataset("features", (2**40, 2**20), np.float32, **storage)
    with pytest.raises(
        DataError, match=r"f\.h5: features: cannot have shape \(1099511627776, 1048576\): the whole file"
    ):
        FeatureRows(tmp_path / "f.h5")


@pytest.mark.parametrize(
    ("storage", "written", "message"),
    [
        ({}, 0, "only 0 of its 48 bytes were ever written"),
        ({"chunks": (2, 2)}, 3, "only 2 of its 3 chunks were ever written"),
    ],
    ids=["contiguous", "chunked"],
)
def test_numbers_that_were_never_written_are_no_zeros(tmp_path, storage, written, message):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        data = file.create_dataset("features", (6, 2), np.float32, **storage)
        if written:
            data[:written] = 1
    with pytest.raises(DataError, match=rf"f\.h5: features: {message}"):
        FeatureRows(tmp_path / "f.h5")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"must be one text; got int64 of shape \(\)"),
        (["a", "b"], r"must be one text; got object of shape \(2,\)"),
        ("", "must be a printable text of 1 to 200 characters"),
        ("two\nlines", "must be a printable text"),
        ("a" * 201, "must be a printable text"),
        (np.bytes_(b"\xff"), "cannot be read, the file is damaged"),
        (h5py.Empty("S3"), r"must be one text; got \|S3 of shape None"),
    ],
    ids=str,
)
def test_an_attribute_that_is_no_name_is_refused(tmp_path, value, message):
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["features"].attrs["extractor"] = value
    with pytest.raises(DataError, match=rf"f\.h5: features: attribute extractor: {message}"):
        FeatureRows(tmp_path / "f.h5")


def test_a_text_that_became_a_sequence_of_bytes_is_not_read(tmp_path):
    """Reading it ends the process by a segmentation fault in h5py 3.16."""
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["features"].attrs["extractor"] = "efficientnet-lite0"
    content = bytearray((tmp_path / "f.h5").read_bytes())
    kind = content.index(b"extractor") + 16  # behind the name, padded to 16 bytes: a type of version 1 and class 9, and
    assert content[kind : kind + 2] == b"\x19\x01"  # 1 for a text, 0 for a sequence
    content[kind + 1] = 0
    (tmp_path / "f.h5").write_bytes(content)
    with pytest.raises(DataError, match=r"attribute extractor: must be one text; got object of shape \(\)"):
        FeatureRows(tmp_path / "f.h5")


@pytest.mark.parametrize("value", ["efficientnet-lite0", np.bytes_(b"efficientnet-lite0")], ids=["str", "bytes"])
def test_the_extractor_is_read_and_repacked(tmp_path, value):
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))
    with FeatureRows(tmp_path / "f.h5") as rows:
        assert rows.extractor is None
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file["features"].attrs["extractor"] = value
    repack_features(tmp_path / "f.h5", tmp_path / "g.h5")
    for name in ("f.h5", "g.h5"):
        with FeatureRows(tmp_path / name) as rows:
            assert rows.extractor == "efficientnet-lite0"


def test_a_file_of_many_keys_names_some(tmp_path):
    write_hdf5(tmp_path / "f.h5", **{f"k{i:02}": np.ones(1) for i in range(30)})
    with pytest.raises(DataError, match=r"the key features is missing; the file has \['k00', .*'k09'\] and 20 more$"):
        FeatureRows(tmp_path / "f.h5")


@pytest.mark.parametrize("error", [RuntimeError, KeyError, AttributeError, MemoryError, ValueError, TypeError])
def test_whatever_h5py_raises_is_told_in_one_line(tmp_path, monkeypatch, error):
    write_hdf5(tmp_path / "f.h5", features=np.ones((3, 2), np.float32))

    def fail(*_, **__):
        raise error("what was\nfound")

    with monkeypatch.context() as patch:
        patch.setattr(h5py.Dataset, "__getitem__", fail)
        with FeatureRows(tmp_path / "f.h5") as rows, pytest.raises(DataError, match=r"damaged: what was found$"):
            rows[0]
        patch.setattr(h5py.Group, "get", fail)
        with pytest.raises(DataError, match=r"f\.h5: features: cannot be read, the file is damaged: what was found$"):
            FeatureRows(tmp_path / "f.h5")
        patch.setattr(h5py, "File", fail)
        with pytest.raises(DataError, match=r"f\.h5: not a whole HDF5 file .*: what was found$"):
            FeatureRows(tmp_path / "f.h5")


def test_a_flipped_bit_in_the_header_is_told(folder):
    """Byte 24 begins an address of the superblock: opening goes well, and the first look for a key does not."""
    path = folder / "coco2014_captions.h5"
    content = bytearray(path.read_bytes())
    content[24] ^= 128
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"coco2014_captions\.h5: "):
        open_captions(folder)
