"""The functions of the notebooks."""

import numpy as np
import pytest

from captioning.cs231n.coco_data import load_coco_data, sample_coco_minibatch
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows
from tests.captioning.data.small import M_TRAIN, N_TRAIN, T, make_captions, make_features


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_load_coco_data_gives_the_dict_of_the_notebook(folder, cache_bytes):
    data = load_coco_data(folder, cache_bytes=cache_bytes)
    arrays = make_captions()
    assert set(data) == set(arrays) | {
        *("train_features", "val_features", "train_urls", "val_urls", "idx_to_word", "word_to_idx")
    }
    for key, value in arrays.items():
        np.testing.assert_array_equal(data[key], value, strict=True)
    assert isinstance(data["train_features"], np.ndarray if cache_bytes else FeatureRows)
    np.testing.assert_array_equal(data["train_features"][:], make_features(M_TRAIN), strict=True)
    assert data["train_urls"].shape == (M_TRAIN,)
    assert data["word_to_idx"]["dog"] == data["idx_to_word"].index("dog")
    assert all(len(value) for value in data.values())
    assert load_coco_data(folder, max_train=4, pca_features=False)["train_captions"].shape == (4, T)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_a_minibatch_follows_the_global_seed_of_the_notebook(folder, cache_bytes):
    data = load_coco_data(folder, cache_bytes=cache_bytes)
    np.random.seed(231)  # noqa: NPY002 - what a notebook does
    captions, features, urls = sample_coco_minibatch(data, batch_size=30, split="train")
    np.random.seed(231)  # noqa: NPY002
    rows = np.random.choice(N_TRAIN, 30)  # noqa: NPY002
    images = data["train_image_idxs"][rows]
    np.testing.assert_array_equal(captions, data["train_captions"][rows], strict=True)
    np.testing.assert_array_equal(features, make_features(M_TRAIN)[images], strict=True)
    np.testing.assert_array_equal(urls, data["train_urls"][images], strict=True)
    assert sample_coco_minibatch(data)[0].shape == (100, T)


def test_a_minibatch_says_what_is_wrong(folder):
    data = load_coco_data(folder)
    empty, without = data | {"val_captions": np.zeros((0, T), np.int32)}, dict(data)
    del without["val_urls"]
    for given, options, message in (
        (data, {"split": "dev"}, "no split 'dev'"), (data, {"batch_size": 0}, "batch_size must be at least 1; got 0"),
        (without, {"split": "val"}, "key val_urls is missing"), (empty, {"split": "val"}, "the val split is empty"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=message):
            sample_coco_minibatch(given, **options)


def test_missing_addresses_are_empty_in_the_dict(folder):
    (folder / "train2014_urls.txt").unlink()
    data = load_coco_data(folder)
    assert data["train_urls"].tolist() == [b""] * M_TRAIN
    (folder / "val2014_urls.txt").write_text("one\n")
    with pytest.raises(DataError, match=r"val2014_urls\.txt"):
        load_coco_data(folder)
