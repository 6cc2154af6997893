"""Opening a data set: where it is, what is chosen, checked, fingerprinted and closed."""

import shutil
import zlib
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from captioning.data.dataset import changed, fingerprint, open_captions
from captioning.data.errors import DataError
from captioning.progress import Progress
from tests.captioning.data.small import (
    M_TRAIN,
    M_VAL,
    N_TRAIN,
    N_VAL,
    D,
    add_raw_captions,
    make_captions,
    make_features,
    write_hdf5,
)


def test_a_folder_without_a_data_set_is_named(folder, tmp_path_factory):
    empty = tmp_path_factory.mktemp("empty")
    (folder / "coco2014_vocab.json").unlink()
    for path, message in ((empty / "none", "none: there is no such folder"), (empty, "`captioning prepare`"),
                          (folder, r"coco2014_vocab\.json")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            open_captions(path)


def test_the_default_folder_is_the_notebooks_or_the_environments(folder, monkeypatch, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(work)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    with pytest.raises(DataError, match=r"datasets/coco_captioning.*set CAPTIONING_DATA"):
        open_captions()
    (work / "datasets").mkdir()
    (work / "datasets" / "coco_captioning").symlink_to(folder)
    open_captions().close()
    for named in (work / "datasets", folder):
        monkeypatch.setenv("CAPTIONING_DATA", str(named))
        with open_captions() as data:
            assert data.folder.samefile(folder)
    (work / "datasets" / "second").symlink_to(folder)
    monkeypatch.setenv("CAPTIONING_DATA", str(work / "datasets"))
    with pytest.raises(DataError, match=r"needs one folder.*found coco_captioning, second"):
        open_captions()


def test_max_train_takes_the_same_random_captions_every_time(folder):
    everything = make_captions()
    stored = np.column_stack([everything["train_image_idxs"], everything["train_captions"]]).tolist()
    chosen = []
    for seed in (0, 0, 1):
        with open_captions(folder, max_train=10, seed=seed) as data:
            assert (len(data.train), len(data.val), len(data.train.features)) == (10, N_VAL, M_TRAIN)
            assert sum(map(len, data.train.references_by_image())) == N_TRAIN  # references stay whole
            chosen.append(np.column_stack([data.train.image_idxs, data.train.captions]).tolist())
    assert all(row in stored for row in chosen[2])
    assert chosen[0] == chosen[1] != chosen[2]
    with open_captions(folder, max_train=N_TRAIN) as data:
        np.testing.assert_array_equal(data.train.captions, everything["train_captions"])
    for count, error in ((0, DataError), (24, DataError), (2.5, TypeError), (True, TypeError)):
        with pytest.raises(error, match=rf"max_train must be .*; got {count}"):
            open_captions(folder, max_train=count)


def test_the_features_are_the_reduced_ones_where_they_are_there(folder):
    for pca, columns in ((None, D), (True, D), (False, 2 * D)):
        with open_captions(folder, pca) as data:
            assert (data.pca, data.train.features.shape) == (columns == D, (M_TRAIN, columns))
    (folder / "val2014_vgg16_fc7_pca.h5").unlink()
    for pca in (None, True):  # where one split has them all need them
        with pytest.raises(DataError, match=r"val2014_vgg16_fc7_pca\.h5: there is no such file"):
            open_captions(folder, pca)
    (folder / "train2014_vgg16_fc7_pca.h5").unlink()
    with open_captions(folder) as data:
        assert (data.pca, data.train.features.shape) == (False, (M_TRAIN, 2 * D))


def test_a_data_set_may_have_a_test_split(folder, replace_captions):
    with open_captions(folder) as data:
        assert (data.test, data["val"]) == (None, data.val)
        for split, message in (("test", r"coco2014_captions\.h5 has no test_captions"), ("dev", "train, val, test")):
            with pytest.raises(DataError, match=message):
                data[split]
    arrays, path = make_captions(), folder / "test2014_vgg16_fc7_pca.h5"
    replace_captions(test_captions=arrays["val_captions"], test_image_idxs=arrays["val_image_idxs"])
    with pytest.raises(DataError, match=r"test2014_vgg16_fc7_pca\.h5: there is no such file"):
        open_captions(folder)
    write_hdf5(path, features=np.zeros((M_VAL, D + 1), np.float32))
    with pytest.raises(DataError, match=r"has 5 columns, but test2014_vgg16_fc7_pca\.h5 has 6"):
        open_captions(folder)
    shutil.copy(folder / "val2014_vgg16_fc7_pca.h5", path)
    with open_captions(folder) as data:
        assert "<Split test: 9 captions, 4 images>" in repr(data.splits)
        np.testing.assert_array_equal(data["test"].batch([3, 1]).features, data.val.batch([3, 1]).features)
    for split in data.splits:
        with pytest.raises(DataError, match="closed"):
            split.features[0]


def test_real_data_has_the_documented_sizes(real):
    assert (real.train.captions.shape, real.val.captions.shape) == ((30000, 17), (5000, 17))
    assert (real.train.features.shape, real.val.features.shape) == ((6000, 512), (1000, 512))
    assert len(real.vocabulary) == 2917
    assert [len(item) for item in real.val.references_by_image()] == [5] * 1000
    assert real.check() == []


# --- check --------------------------------------------------------------------------------------------


def refused_by_check(folder, message, **options):
    with open_captions(folder, **options) as data, pytest.raises(DataError, match=message):
        data.check()


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_a_whole_data_set_passes_and_progress_counts_its_rows(folder, cache_bytes):
    add_raw_captions(folder)
    with open_captions(folder, cache_bytes=cache_bytes) as data:
        progress = Mock(spec=Progress)
        assert data.check(progress) == data.check() == []
    assert progress.begin.call_args.args == (M_TRAIN + M_VAL,)
    assert [call.args[0] for call in progress.update.call_args_list] == [M_TRAIN, M_TRAIN + M_VAL]


@pytest.mark.parametrize(("bad", "split", "cache_bytes"), [(np.nan, "train", 0), (1e39, "val", 2**20)])
def test_one_number_that_is_not_finite_in_float32_is_found(folder, bad, split, cache_bytes):
    features = make_features(M_TRAIN if split == "train" else M_VAL).astype(np.float64)
    features[3, 1] = bad
    write_hdf5(folder / f"{split}2014_vgg16_fc7_pca.h5", features=features)
    refused_by_check(folder, rf"{split}2014_vgg16_fc7_pca\.h5: features: row 3", cache_bytes=cache_bytes)


def write_regions(folder, split, rows, projection=None):
    with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
        file["regions"] = np.ones((rows, 2, 3), np.uint8)
        file["regions"].attrs.update(scale=np.ones(3, np.float32), offset=np.zeros(3, np.float32))
        if projection is not None:
            file["regions"].attrs["projection"] = projection


def test_features_of_two_extractors_and_regions_of_two_projections_are_refused(folder):
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        write_regions(folder, split, rows, "one" if split == "train" else None)
        with h5py.File(folder / f"{split}2014_vgg16_fc7.h5", "r+") as file:
            file["features"].attrs["extractor"] = "vgg16"
    with open_captions(folder, regions=True) as data:
        assert data.check() == []  # a file that does not say may be of any projection
    write_regions(folder, "val", M_VAL, "other")
    refused_by_check(folder, r"val2014_regions\.h5: .* projection other, .* train2014_regions\.h5 .* one", regions=True)
    with h5py.File(folder / "val2014_vgg16_fc7.h5", "r+") as file:
        file["features"].attrs["extractor"] = "resnet"
    refused_by_check(folder, r"val2014_vgg16_fc7\.h5: .* resnet, .* train2014_vgg16_fc7\.h5 .* vgg16", pca=False)


def test_what_is_odd_is_reported_and_not_refused(replace_captions):
    captions = make_captions()["train_captions"]
    captions[4] = [1, 4, 5, 6, 7, 8]
    captions[9:11] = [1, 2, 0, 0, 0, 0]
    folder = replace_captions(train_captions=captions, train_image_idxs=np.arange(N_TRAIN) % (M_TRAIN - 2))
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file.create_dataset("features", data=make_features(M_TRAIN), chunks=(1, D))
    with open_captions(folder) as data:
        first = data.check()
    with open_captions(folder, cache_bytes=0) as data:
        *notes, slow = data.check()
    assert notes == first == [
        f"{folder / 'coco2014_captions.h5'}: train_{line}"
        for line in ("image_idxs: 2 of the 7 images have no caption, the first is row 5",
                     "captions: 1 of the 23 captions fill their row without <END>, the first is row 4",
                     "captions: 2 of the 23 captions have no words, the first is row 9")
    ]  # fmt: skip
    assert "train2014_vgg16_fc7_pca.h5" in slow
    assert "repack_features" in slow


# --- fingerprint --------------------------------------------------------------------------------------


def test_a_fingerprint_is_of_the_content(folder, monkeypatch):
    add_raw_captions(folder)
    features = "train2014_vgg16_fc7_pca.h5"
    with open_captions(folder) as data:
        whole = fingerprint(data)
        crc = zlib.crc32(data.train.captions.astype("<i4").tobytes())
        assert whole["coco2014_captions.h5: train_captions"] == f"23x6 int32 {crc:08x}"
        assert whole[features] == f"7x5 float32 {zlib.crc32(make_features(M_TRAIN).astype('<f4').tobytes()):08x}"
        assert list(whole)[-3:] == ["captions.csv", "train2014_images.txt", "val2014_images.txt"]
        assert len(whole) == 9
        monkeypatch.setattr("captioning.data.features._BLOCK_BYTES", 30)
        assert fingerprint(data) == whole
    with open_captions(folder, max_train=20) as data:  # which are chosen follows from the seed, another setting
        assert fingerprint(data) == whole
    for how in ({"dtype": ">f4"}, {"compression": "gzip"}):
        with h5py.File(folder / features, "w") as file:
            file.create_dataset("features", data=make_features(M_TRAIN), **how)
        with open_captions(folder) as data:
            assert fingerprint(data) == whole
    write_hdf5(folder / features, features=make_features(M_TRAIN) + 1)
    (folder / "captions.csv").write_text((folder / "captions.csv").read_text() + "x,val,y\n")
    with open_captions(folder) as data:
        assert [line.split()[0] for line in changed(whole, fingerprint(data))] == [features, "captions.csv"]


def test_the_fingerprint_of_features_in_the_file_is_of_some_rows(folder, monkeypatch):
    """The first, the last and some between."""
    monkeypatch.setattr("captioning.data.dataset._SAMPLED", 3)
    with open_captions(folder, cache_bytes=0) as data:
        crc = zlib.crc32(make_features(M_TRAIN)[[0, 3, 6]].astype("<f4").tobytes())
        assert fingerprint(data)["train2014_vgg16_fc7_pca.h5"] == f"7x5 float32 {crc:08x} of 3 rows"
