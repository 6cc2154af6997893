"""Batches of a split, and what a folder has of its images beside captions and features."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from captioning.data.dataset import CaptionData, open_captions
from captioning.data.errors import DataError
from captioning.data.splits import Batch
from tests.captioning.data.small import M_TRAIN, M_VAL, T, add_raw_captions, make_captions, make_features, write_hdf5


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_a_batch_is_strictly_typed_and_matches_the_files(folder, cache_bytes):
    expected = make_captions()
    with open_captions(folder, cache_bytes=cache_bytes) as data:
        assert isinstance(data, CaptionData)
        assert data.train.features.cached == (cache_bytes > 0)
        batch = data.val.batch([3, 8, 3])
        assert isinstance(batch, Batch)
        assert (batch.captions.dtype, batch.features.dtype, batch.image_idxs.dtype) == (
            "int32",
            "float32",
            "int32",
        )
        np.testing.assert_array_equal(batch.captions, expected["val_captions"][[3, 8, 3]])
        np.testing.assert_array_equal(batch.image_idxs, [3, 0, 3])
        np.testing.assert_array_equal(batch.features, make_features(M_VAL)[[3, 0, 3]])


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_an_epoch_gives_every_caption_once(folder, cache_bytes):
    with open_captions(folder, cache_bytes=cache_bytes) as data:
        batches = list(data.train.batches(5, rng=3))
        assert [len(batch.captions) for batch in batches] == [5, 5, 5, 5, 3]
        seen = np.concatenate([np.column_stack([b.image_idxs, b.captions]) for b in batches]).tolist()
        stored = np.column_stack([data.train.image_idxs, data.train.captions]).tolist()
        assert sorted(seen) == sorted(stored)
        assert seen != stored
        for batch in batches:
            np.testing.assert_array_equal(batch.features, make_features(M_TRAIN)[batch.image_idxs])


def test_batches_and_samples_depend_on_the_seed_alone(folder):
    with open_captions(folder) as data:
        for draw in (lambda seed: next(data.train.batches(8, seed)), lambda seed: data.train.sample(8, seed)):
            for one, two in zip(draw(5), draw(5), strict=True):
                np.testing.assert_array_equal(one, two)
            assert draw(5).captions.tolist() != draw(6).captions.tolist()
        generator = np.random.default_rng(5)
        first, second = (next(data.train.batches(8, generator)).captions.tolist() for _ in range(2))
        assert first != second  # a generator goes on, epoch after epoch
        assert data.val.sample(100, rng=1).captions.shape == (100, T)


MEMORY_PROGRAM = """
import resource, sys
import numpy as np
from captioning import open_captions
with open_captions(sys.argv[1], cache_bytes=0) as data:
    data.train.sample(100, 0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for batch in data.train.batches(100, 1):
        assert batch.features.shape[1] == 1024
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def test_an_epoch_in_the_file_needs_the_memory_of_a_batch(replace_captions):
    pytest.importorskip("resource", reason="needs getrusage")
    images = 12_000  # 49 MB of features, a hundred batches of 0.4 MB
    folder = replace_captions(
        train_captions=np.tile(make_captions()["train_captions"][:1], (images, 1)),
        train_image_idxs=np.arange(images, dtype=np.int32),
    )
    write_hdf5(folder / "train2014_vgg16_fc7_pca.h5", features=np.ones((images, 1024), np.float32))
    write_hdf5(folder / "val2014_vgg16_fc7_pca.h5", features=np.ones((M_VAL, 1024), np.float32))
    command = [sys.executable, "-c", MEMORY_PROGRAM, str(folder)]
    root = Path(__file__).parents[3]
    grown = float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)
    assert grown < 10, f"an epoch took {grown} MB more than a batch"


def test_addresses_are_byte_strings_read_when_asked(folder):
    with open_captions(folder) as data:
        assert data.val.urls.tolist() == [f"http://example.org/val{i}.jpg".encode() for i in range(M_VAL)]
    (folder / "val2014_urls.txt").unlink()
    with open_captions(folder) as data:
        assert not data.val.has_urls
        with pytest.raises(DataError, match=r"val2014_urls\.txt"):
            _ = data.val.urls
    (folder / "val2014_urls.txt").write_text("one\ntwo\n")
    with (
        open_captions(folder) as data,
        pytest.raises(DataError, match=r"val2014_urls\.txt: has 2 lines.*4 images"),
    ):
        _ = data.val.urls


def test_references_are_the_raw_captions_of_the_image(folder):
    add_raw_captions(folder)
    with open_captions(folder) as data:
        assert data.val.has_raw_captions
        long = ["a", "dog", "a", "cat", "and", "the", "very", "long", "val", "2"]
        assert data.val.references(2) == [long, ["a", "cat", "sits"]]
        assert [len(item) for item in data.train.references_by_image()] == [2] * M_TRAIN


def test_references_fall_back_to_the_stored_captions(folder):
    with open_captions(folder) as data:
        assert not data.val.has_raw_captions
        expected = [
            data.vocabulary.tokens(row, keep_unknown=True) for row in data.val.captions[data.val.image_idxs == 1]
        ]
        assert data.val.references(1) == expected
        assert len(expected) == 2
        with pytest.raises(IndexError, match="0 to 3; got 4"):
            data.val.references(4)


def test_photo_finds_the_picture_of_a_row(folder):
    with open_captions(folder) as data:
        assert data.val.photo(1) is None
    add_raw_captions(folder)
    (folder / "photos").mkdir()
    (folder / "photos" / "val_1.jpg").write_bytes(b"")
    with open_captions(folder) as data:
        assert data.val.photo(1) == folder / "photos" / "val_1.jpg"
        assert data.val.photo(2) is None


@pytest.mark.parametrize("split", ["train", "val"])
def test_raw_captions_tokenised_and_encoded_are_the_stored_captions(real, split):
    captions, image_idxs = real[split].captions, real[split].image_idxs
    order = np.argsort(image_idxs, kind="stable")
    raw = [words for item in real[split].references_by_image() for words in item]
    encoded = np.array([real.vocabulary.encode_caption(words, captions.shape[1]) for words in raw])
    np.testing.assert_array_equal(encoded, captions[order], strict=True)
