"""Batches, references and photos of a split, its halves, and batches that a thread reads ahead."""

import contextlib
import signal
import threading

import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.splits import ReadAhead, images_of_part
from tests.captioning.data.small import (
    M_TRAIN,
    M_VAL,
    N_VAL,
    T,
    add_raw_captions,
    make_captions,
    make_features,
)


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_batches_have_the_captions_and_features_of_the_files(folder, cache_bytes):
    expected = make_captions()
    with open_captions(folder, cache_bytes=cache_bytes) as data:
        batch = data.val.batch([3, 8, 3])
        assert (batch.captions.dtype, batch.features.dtype, batch.image_idxs.dtype) == ("int32", "float32", "int32")
        np.testing.assert_array_equal(batch.captions, expected["val_captions"][[3, 8, 3]])
        np.testing.assert_array_equal(batch.image_idxs, [1, 0, 1])
        np.testing.assert_array_equal(batch.features, make_features(M_VAL)[[1, 0, 1]])
        batches = list(data.train.batches(5, rng=3))
        assert [len(batch.captions) for batch in batches] == [5, 5, 5, 5, 3]
        seen = np.concatenate([np.column_stack([b.image_idxs, b.captions]) for b in batches]).tolist()
        stored = np.column_stack([data.train.image_idxs, data.train.captions]).tolist()
        assert sorted(seen) == sorted(stored)
        assert seen != stored
        for batch in batches:
            np.testing.assert_array_equal(batch.features, make_features(M_TRAIN)[batch.image_idxs])


def test_an_epoch_depends_on_the_seed_alone(folder):
    with open_captions(folder) as data:
        orders = [next(data.train.batches(8, seed)).captions.tolist() for seed in (5, 5, 6)]
        assert orders[0] == orders[1] != orders[2]
        generator = np.random.default_rng(5)
        first, second = (next(data.train.batches(8, generator)).captions.tolist() for _ in range(2))
        assert first != second  # a generator goes on, epoch after epoch
        for size, error in ((0, DataError), (2.5, TypeError)):
            with pytest.raises(error, match=f"batch_size must be .* got {size}"):
                data.train.batches(size, 0)


def test_addresses_are_byte_strings(folder):
    path = folder / "val2014_urls.txt"
    with open_captions(folder) as data:
        assert data.val.urls.tolist() == [f"http://example.org/val{i}.jpg".encode() for i in range(M_VAL)]
    path.write_text("one\ntwo\n")
    with open_captions(folder) as data, pytest.raises(DataError, match=r"val2014_urls\.txt: has 2 lines.*4 images"):
        _ = data.val.urls
    path.unlink()
    with open_captions(folder) as data:
        assert not data.val.has_urls
        with pytest.raises(DataError, match=r"val2014_urls\.txt: cannot be read"):
            _ = data.val.urls


def test_references_are_the_raw_captions_of_the_image_or_the_stored_ones(folder):
    with open_captions(folder) as data:
        assert not data.val.has_raw_captions
        rows = data.val.captions[data.val.image_idxs == 1]
        assert data.val.references(1) == [data.vocabulary.tokens(row, keep_unknown=True) for row in rows]
        assert len(rows) == 2
        for row in (-1, 4):
            with pytest.raises(IndexError, match=f"0 to 3; got {row}"):
                data.val.references(row)
    add_raw_captions(folder)
    with open_captions(folder) as data:
        assert data.val.has_raw_captions
        long = ["a", "dog", "a", "cat", "and", "the", "very", "long", "val", "2"]
        assert data.val.references(2) == [long, ["a", "cat", "sits"]]
        assert [len(item) for item in data.train.references_by_image()] == [2] * M_TRAIN


def test_the_photo_of_an_image_is_found_by_its_name_or_its_address(folder):
    add_raw_captions(folder)
    for name in ("photos/val_1.jpg", "pictures/2.png", "../outside.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    (folder / "val2014_urls.txt").write_bytes(b"x\x00\nhttp://example.org/1.jpg\npictures/2.png\n../outside.png\n")
    with open_captions(folder) as data:
        photos = [data.val.photo(i) for i in range(4)]
        assert photos == [None, folder / "photos" / "val_1.jpg", folder / "pictures" / "2.png", None]
        with pytest.raises(IndexError, match="got 4"):
            data.val.photo(4)
    (folder.parent / "outside.png").unlink()


def test_the_halves_of_a_split_share_nothing(small_data):
    every, first, second = (images_of_part(small_data.val, part) for part in ("all", "first", "second"))
    assert (first.tolist(), second.tolist()) == (list(range(12)), list(range(12, 24)))
    assert every.tolist() == list(range(24))
    some = images_of_part(small_data.val, "second", most=5, seed=3)
    assert len(set(some.tolist()) & set(second.tolist())) == len(some) == 5
    assert some.tolist() == sorted(images_of_part(small_data.val, "second", most=5, seed=3).tolist())
    assert images_of_part(small_data.val, "second", most=12).tolist() == second.tolist()
    lone = small_data.val.with_captions(small_data.val.captions[:2], small_data.val.image_idxs[[4, 40]])
    assert [images_of_part(lone, part).tolist() for part in ("all", "first", "second")] == [[2, 20], [2], [20]]
    alone = lone.with_captions(lone.captions[:1], lone.image_idxs[:1])
    for split, options, message in ((lone, {"most": 0}, "got 0"), (lone, {"part": "third"}, "second; got 'third'"),
                                    (alone, {"part": "second"}, "no image with captions")):  # fmt: skip
        with pytest.raises(ValueError, match=message):
            images_of_part(split, **options)


def test_whole_captions_instead_of_the_stored_ones(folder):
    """A whole one has an <END>, a cut one has none, and a word outside the vocabulary is <UNK>."""
    with pytest.raises(DataError, match="has no raw captions"):
        open_captions(folder, captions="raw")
    add_raw_captions(folder)
    with open_captions(folder, captions="raw", max_words=4) as data:
        train, v = data.train, data.vocabulary
        cut = [v.start, *v.encode(["a", "dog", "a", "cat"]), v.null]  # of "A dog , a cat and the very long …"
        whole = [v.start, *v.encode(["a", "cat", "sits"]), v.end, v.null]
        assert train.captions.tolist() == M_TRAIN * [cut, whole]
        assert train.captions.dtype == train.image_idxs.dtype == np.int32
        assert train.image_idxs.tolist() == [image for image in range(M_TRAIN) for _ in range(2)]
        assert data.val.captions.shape == (N_VAL, T)  # validation stays as it is stored
    with open_captions(folder, captions="raw", max_words=10) as data:  # which the longest has
        words = v.encode(["a", "dog", "a", "cat"]).tolist()
        assert data.train.captions[-2].tolist() == [v.start, *words, *6 * [v.unk], v.end]
    for options, message in (({"captions": "new"}, "stored, raw; got 'new'"), ({"max_words": 0}, "max_words"),
                             ({"max_train": 3}, "max_train")):  # fmt: skip
        with pytest.raises(DataError, match=message):
            open_captions(folder, **{"captions": "raw"} | options)


@pytest.mark.parametrize("split", ["train", "val"])
def test_raw_captions_tokenised_and_encoded_are_the_stored_captions(real, split):
    captions, image_idxs = real[split].captions, real[split].image_idxs
    order = np.argsort(image_idxs, kind="stable")
    raw = [words for item in real[split].references_by_image() for words in item]
    encoded = np.array([real.vocabulary.encode_caption(words, captions.shape[1]) for words in raw])
    np.testing.assert_array_equal(encoded, captions[order], strict=True)


# --- reading ahead ------------------------------------------------------------------------------------

ROWS = np.random.default_rng(0).standard_normal((60, 5)).astype(np.float32)


def readers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("reading-ahead")]


def batches(count=12):
    return list(np.random.default_rng(1).integers(len(ROWS), size=(count, 7)))


@pytest.mark.parametrize(("count", "threaded"), [(0, True), (1, True), (3, True), (2, False)])
def test_announced_rows_are_read_once_in_order_by_a_thread(count, threaded):
    asked, wanted = [], [*batches(), np.array([3]), np.array([3])]  # the same rows twice, too

    def read(index):
        asked.append((index.tolist(), threading.current_thread()))
        return ROWS[index]

    reader = ReadAhead(read, threaded)
    with reader:
        for i, index in enumerate(wanted):
            got = reader.read(index, upcoming=wanted[i + 1 : i + 1 + count])
            np.testing.assert_array_equal(got, ROWS[index], strict=True)
            assert len(asked) <= i + 1 + count  # so memory is bounded
            got[...] = -1  # is the caller's own
        threads = readers() if threaded else [threading.current_thread()]
    assert asked == [(index.tolist(), *threads) for index in wanted]
    reader.read(wanted[0], upcoming=wanted[1:2])  # outside of the block there is no thread
    assert (len(asked), readers()) == (len(wanted) + 1, [])


def test_an_error_is_raised_where_its_rows_are_asked_for():
    good, bad = np.array([3, 1]), np.array([45, 44])

    def read(index):
        if 44 in index:
            raise DataError("row 44")
        return ROWS[index]

    with ReadAhead(read) as ahead:
        ahead.read(good, upcoming=[bad])
        with pytest.raises(DataError, match="row 44"):
            ahead.read(bad, upcoming=[good])
        np.testing.assert_array_equal(ahead.read(good), ROWS[good])
    with contextlib.suppress(ZeroDivisionError), ahead:
        ahead.read(good, upcoming=[bad])
        raise ZeroDivisionError
    assert not readers()


def test_an_interrupt_ends_the_waiting_and_what_was_announced_is_not_read():
    (first, second, third), go, asked = batches(3), threading.Event(), []

    def read(index):
        asked.append(index.tolist())
        assert go.wait(10)

    threading.Timer(0.2, signal.pthread_kill, [threading.main_thread().ident, signal.SIGINT]).start()
    with ReadAhead(read) as ahead:
        with pytest.raises(KeyboardInterrupt):
            ahead.read(first, upcoming=[second, third])
        go.set()
    assert not readers()
    assert third.tolist() not in asked
