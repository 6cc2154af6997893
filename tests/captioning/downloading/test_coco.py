"""CS231n's archive becomes a data set that opens and trains as it is."""

from __future__ import annotations

import os

import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.downloading.coco import make_coco
from captioning.downloading.errors import DownloadError
from captioning.downloading.sources import DATA_SETS
from captioning.progress import Progress
from tests.captioning.downloading.zips import zipped

DATA, ANNOTATIONS = DATA_SETS["coco"]


def members_of(folder):
    """The members of an archive as CS231n packs it: all in one folder, with what a Mac adds."""
    files = {f"coco_captioning/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}
    return {"coco_captioning/": b"", **files, "__MACOSX/coco_captioning/coco2014_captions.h5": b"junk",
            "coco_captioning/.DS_Store": b"junk"}  # fmt: skip


def make(folder, **archives):
    sources = {source.name: source for source in (DATA, ANNOTATIONS)}
    for name, members in archives.items():
        (folder / f"{name}.zip").write_bytes(zipped(members))
    return make_coco(folder, {sources[name]: folder / f"{name}.zip" for name in archives}, Progress(enabled=False))


def test_the_archive_becomes_a_data_set(small_folder, tmp_path):
    said = make(tmp_path, coco_captioning=members_of(small_folder))
    assert set(os.listdir(tmp_path)) == {"coco_captioning.zip", *os.listdir(small_folder)}
    assert said.splitlines() == [f"{tmp_path}: train: 48 captions of 24 images",
                                 f"{tmp_path}: val: 48 captions of 24 images"]  # fmt: skip
    for pca in (True, False):
        with open_captions(tmp_path, pca=pca) as data:
            assert len(data.train) == 48


def test_captions_of_coco_are_taken_and_nothing_else(small_folder, tmp_path):
    annotations = {f"annotations/{kind}_{split}2014.json": b"{}" for kind in ("captions", "instances")
                   for split in ("train", "val")}  # fmt: skip
    said = make(tmp_path, coco_captioning=members_of(small_folder), annotations_trainval2014=annotations)
    assert sorted(os.listdir(tmp_path / "annotations")) == ["captions_train2014.json", "captions_val2014.json"]
    assert said.splitlines()[-1] == str(tmp_path / "annotations" / "captions_val2014.json")


def test_another_archive_leaves_nothing(small_folder, tmp_path):
    members = members_of(small_folder)
    del members["coco_captioning/val2014_vgg16_fc7_pca.h5"]
    with pytest.raises(DownloadError, match=r"has no val2014_vgg16_fc7_pca\.h5; it is not the archive that is meant"):
        make(tmp_path, coco_captioning=members)
    assert os.listdir(tmp_path) == ["coco_captioning.zip"]


def test_files_that_are_no_data_set_are_named(small_folder, tmp_path):
    members = members_of(small_folder) | {"coco_captioning/coco2014_captions.h5": b"nothing"}
    with pytest.raises(DataError, match=r"coco2014_captions\.h5: not a whole HDF5 file"):
        make(tmp_path, coco_captioning=members)
