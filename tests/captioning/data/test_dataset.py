"""Opening a data set: what is chosen, checked and closed."""

import shutil

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from tests.captioning.data.small import M_TRAIN, M_VAL, N_TRAIN, N_VAL, D, make_captions, write_hdf5


def test_max_train_takes_the_same_random_captions_every_time(folder):
    everything = make_captions()
    chosen = []
    for seed in (0, 0, 1):
        with open_captions(folder, max_train=10, seed=seed) as data:
            assert len(data.train) == 10
            assert len(data.val) == N_VAL
            chosen.append(data.train.captions.tolist())
            rows = np.column_stack([data.train.image_idxs, data.train.captions]).tolist()
            assert len(data.train.features) == M_TRAIN
            assert sum(map(len, data.train.references_by_image())) == N_TRAIN  # references stay whole
    stored = np.column_stack([everything["train_image_idxs"], everything["train_captions"]]).tolist()
    assert all(row in stored for row in rows)
    assert chosen[0] == chosen[1] != chosen[2]
    with open_captions(folder, max_train=N_TRAIN) as data:
        np.testing.assert_array_equal(data.train.captions, everything["train_captions"])


def test_the_features_without_pca_are_another_file(folder):
    with open_captions(folder, pca=False) as data:
        assert data.train.features.shape == (M_TRAIN, 2 * D)


def test_without_a_choice_the_features_are_the_reduced_ones_where_they_are_there(folder):
    with open_captions(folder) as data:
        assert (data.pca, data.train.features.shape) == (True, (M_TRAIN, D))
    (folder / "val2014_vgg16_fc7_pca.h5").unlink()
    for pca in (None, True):  # where one split has them all need them
        with pytest.raises(DataError, match=r"val2014_vgg16_fc7_pca\.h5: there is no such file"):
            open_captions(folder, pca)
    (folder / "train2014_vgg16_fc7_pca.h5").unlink()
    with open_captions(folder) as data:
        assert (data.pca, data.train.features.shape) == (False, (M_TRAIN, 2 * D))


@pytest.fixture
def with_test(replace_captions):
    """A data set whose test split is its validation split under another name."""
    arrays = make_captions()
    test = {"test_captions": arrays["val_captions"], "test_image_idxs": arrays["val_image_idxs"]}
    folder = replace_captions(**test)
    for suffix in ("vgg16_fc7.h5", "vgg16_fc7_pca.h5", "urls.txt"):
        shutil.copy(folder / f"val2014_{suffix}", folder / f"test2014_{suffix}")
    return folder


def test_a_data_set_may_have_a_test_split(with_test):
    with open_captions(with_test) as data:
        assert data["test"] is data.test
        assert [split.name for split in data.splits] == ["train", "val", "test"]
        assert "<Split test: 9 captions, 4 images>" in repr(data)
        np.testing.assert_array_equal(data.test.batch([3, 1]).features, data.val.batch([3, 1]).features)
        np.testing.assert_array_equal(data.test.urls, data.val.urls)
    with pytest.raises(DataError, match="closed"):
        data.test.features[0]


def test_a_test_split_is_checked_as_the_others(with_test):
    write_hdf5(with_test / "test2014_vgg16_fc7_pca.h5", features=np.zeros((M_VAL, D + 1), np.float32))
    with pytest.raises(DataError, match=r"has 5 columns, but test2014_vgg16_fc7_pca\.h5 has 6"):
        open_captions(with_test)
    (with_test / "test2014_vgg16_fc7_pca.h5").unlink()
    with pytest.raises(DataError, match=r"test2014_vgg16_fc7_pca\.h5: there is no such file"):
        open_captions(with_test)


def test_a_data_set_without_a_test_split_says_so(folder):
    with open_captions(folder) as data:
        assert data.test is None
        with pytest.raises(DataError, match=r"has no test split: coco2014_captions\.h5 has no test_captions"):
            data["test"]


def test_closing_closes_the_files(folder):
    with open_captions(folder) as data:
        data.train.features[0]
    with pytest.raises(DataError, match="closed"):
        data.train.features[0]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((0, D), np.float32), "is empty"),
        (np.zeros(5, np.float32), "must have 2 dimensions"),
        (np.zeros((M_TRAIN, D), int), "must hold floating numbers; got dtype int64"),
        (
            np.zeros((M_TRAIN, D + 1), np.float32),
            "features has 6 columns, but val2014_vgg16_fc7_pca.h5 has 5",
        ),
    ],
    ids=["empty", "rank", "dtype", "width"],
)
def test_features_that_do_not_fit_are_refused(folder, features, message):
    write_hdf5(folder / "train2014_vgg16_fc7_pca.h5", features=features)
    with pytest.raises(DataError, match=rf"train2014_vgg16_fc7_pca\.h5.*{message}"):
        open_captions(folder)


def test_a_refused_data_set_leaves_no_file_open(replace_captions):
    folder = replace_captions(val_image_idxs=np.full(N_VAL, 99))
    with pytest.raises(DataError):
        open_captions(folder)
    for path in folder.glob("*.h5"):  # HDF5 refuses to write to a file that is open for reading
        h5py.File(path, "r+").close()


@pytest.mark.parametrize(("count", "error"), [(0, DataError), (-1, DataError), (2.5, TypeError), (True, TypeError)])
def test_counts_that_make_no_sense_are_refused(folder, count, error):
    with pytest.raises(error, match="max_train must be"):
        open_captions(folder, max_train=count)
    with open_captions(folder) as data:
        for draw in (data.train.batches, data.train.sample):
            with pytest.raises(error, match="batch_size must be"):
                draw(count, 0)


def test_too_many_training_captions_and_an_unknown_split_are_refused(folder):
    with pytest.raises(DataError, match=r"max_train must be at most 23.*; got 24"):
        open_captions(folder, max_train=24)
    with open_captions(folder) as data:
        assert data["val"] is data.val
        with pytest.raises(DataError, match="no split 'dev'; choose one of train, val, test"):
            data["dev"]


def test_real_data_has_the_documented_sizes(real):
    assert (real.train.captions.shape, real.val.captions.shape) == ((30000, 17), (5000, 17))
    assert (real.train.features.shape, real.val.features.shape) == ((6000, 512), (1000, 512))
    assert len(real.vocabulary) == 2917
    assert [len(item) for item in real.val.references_by_image()] == [5] * 1000
    assert real.vocabulary.decode(real.train.captions[0]).startswith("<START> ")
