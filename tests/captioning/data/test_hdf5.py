"""Reading data sets in the CS231n layout: small files made here, and the real ones where they are."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning.data.dataset import CaptionData, open_captions
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows, repack_features
from captioning.data.notebook import load_coco_data, sample_coco_minibatch
from captioning.data.splits import Batch
from captioning.data.tokens import tokenise
from captioning.data.vocabulary import Vocabulary

WORDS = ["<NULL>", "<START>", "<END>", "<UNK>", "a", "dog", "cat", "runs", "sits"]
N_TRAIN, N_VAL, T, M_TRAIN, M_VAL, D = 23, 9, 6, 7, 4, 5


def write_hdf5(path, **datasets):
    with h5py.File(path, "w") as file:
        for key, value in datasets.items():
            file[key] = value


def caption_arrays(rng, number):
    """Captions of random words, each row in the layout."""
    vocabulary = Vocabulary(WORDS)
    rows = [
        vocabulary.encode_caption(rng.choice(WORDS[3:], rng.integers(1, T - 1)), T) for _ in range(number)
    ]
    return np.array(rows, dtype=np.int32)


def make_captions():
    """The four arrays of the caption file; every image has a caption."""
    rng = np.random.default_rng(0)
    return {
        "train_captions": caption_arrays(rng, N_TRAIN),
        "train_image_idxs": (np.arange(N_TRAIN) % M_TRAIN).astype(np.int32),
        "val_captions": caption_arrays(rng, N_VAL),
        "val_image_idxs": (np.arange(N_VAL) % M_VAL).astype(np.int32),
    }


def make_features(rows):
    """Row i is i, i + 0.1, …: a row tells its number."""
    return (np.arange(rows)[:, None] + np.arange(D) / 10).astype(np.float32)


@pytest.fixture
def folder(tmp_path):
    """A whole small data set with addresses, but without image names and raw captions."""
    Vocabulary(WORDS).to_json(tmp_path / "coco2014_vocab.json")
    write_hdf5(tmp_path / "coco2014_captions.h5", **make_captions())
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        write_hdf5(tmp_path / f"{split}2014_vgg16_fc7_pca.h5", features=make_features(rows))
        write_hdf5(tmp_path / f"{split}2014_vgg16_fc7.h5", features=np.ones((rows, 2 * D), np.float32))
        lines = "".join(f"http://example.org/{split}{i}.jpg\n" for i in range(rows))
        (tmp_path / f"{split}2014_urls.txt").write_text(lines)
    return tmp_path


def add_raw_captions(folder):
    """Image names and two raw captions an image, one of them longer than T."""
    table = ["image,split,caption"]
    for split, rows in (("train", M_TRAIN), ("val", M_VAL)):
        names = [f"{split}_{i}.jpg" for i in range(rows)]
        (folder / f"{split}2014_images.txt").write_text("".join(f"images/{name}\n" for name in names))
        for name in reversed(names):  # the order of the table is not the order of the rows
            table += [
                f'{name},{split},"A dog , a cat and the very long {name[:-4]} ."',
                f"{name},{split},A cat sits",
            ]
    (folder / "captions.csv").write_text("\n".join(table) + "\n")


@pytest.fixture
def replace_captions(folder):
    """Write the caption file again with some of its arrays changed; None leaves one out."""

    def replace(**changes):
        arrays = make_captions() | changes
        kept = {key: value for key, value in arrays.items() if value is not None}
        write_hdf5(folder / "coco2014_captions.h5", **kept)
        return folder

    return replace


# Reading ---------------------------------------------------------------------------------------


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


def test_closing_closes_the_files(folder):
    with open_captions(folder) as data:
        data.train.features[0]
    with pytest.raises(DataError, match="closed"):
        data.train.features[0]


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


# References ------------------------------------------------------------------------------------


def test_references_are_the_raw_captions_of_the_image(folder):
    add_raw_captions(folder)
    with open_captions(folder) as data:
        long = ["a", "dog", "a", "cat", "and", "the", "very", "long", "val", "2"]
        assert data.val.references(2) == [long, ["a", "cat", "sits"]]
        assert [len(item) for item in data.train.references_by_image()] == [2] * M_TRAIN


def test_references_fall_back_to_the_stored_captions(folder):
    with open_captions(folder) as data:
        expected = [
            data.vocabulary.tokens(row, keep_unknown=True)
            for row in data.val.captions[data.val.image_idxs == 1]
        ]
        assert data.val.references(1) == expected
        assert len(expected) == 2
        with pytest.raises(IndexError, match="0 to 3; got 4"):
            data.val.references(4)


def test_references_name_what_is_wrong_with_the_table(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    lines = table.read_text().splitlines()
    faults = {
        "val_2.jpg": [line for line in lines if "val_2" not in line],
        r"columns \['caption'\] are missing": ["image,split", "val_0.jpg,val"],
        "line 2 is cut short": [lines[0], "val_0.jpg,val"],
    }
    for message, content in faults.items():
        table.write_text("\n".join(content))
        with open_captions(folder) as data, pytest.raises(DataError, match=rf"captions\.csv.*{message}"):
            data.val.references_by_image()
    table.write_bytes(b"image,split,caption\n\xff\xfe,val,a\n")
    with open_captions(folder) as data, pytest.raises(DataError, match=r"captions\.csv: cannot be read"):
        data.val.references_by_image()


def test_photo_finds_the_picture_of_a_row(folder):
    with open_captions(folder) as data:
        assert data.val.photo(1) is None
    add_raw_captions(folder)
    (folder / "photos").mkdir()
    (folder / "photos" / "val_1.jpg").write_bytes(b"")
    with open_captions(folder) as data:
        assert data.val.photo(1) == folder / "photos" / "val_1.jpg"
        assert data.val.photo(2) is None


# Feature rows ----------------------------------------------------------------------------------


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        np.int32(3),
        slice(None),
        slice(5, 1, -2),
        [4, 1, 4, 0],
        [2, 3, 4],
        [],
        np.arange(7) % 2 == 0,
        [[1, 2], [0, 1]],
    ],
    ids=str,
)
def test_rows_are_indexed_like_an_array(folder, cache_bytes, index):
    expected = make_features(M_TRAIN)[index]
    with FeatureRows(folder / "train2014_vgg16_fc7_pca.h5", cache_bytes=cache_bytes) as rows:
        got = rows[index]
        assert got.dtype == np.float32
        np.testing.assert_array_equal(got, expected, strict=True)
        got[...] = -1  # what a caller writes does not reach the rows
        np.testing.assert_array_equal(np.asarray(rows), make_features(M_TRAIN))
        with pytest.raises(IndexError):
            rows[M_TRAIN]


def test_half_and_double_features_become_float32(tmp_path):
    for dtype in (np.float16, np.float64):
        write_hdf5(tmp_path / "f.h5", features=make_features(3).astype(dtype))
        with FeatureRows(tmp_path / "f.h5") as rows:
            assert rows[:].dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e300])
@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_a_number_that_is_not_finite_is_an_error_that_names_the_row(tmp_path, bad, cache_bytes):
    features = make_features(6).astype(np.float64)
    features[4, 2] = bad
    write_hdf5(tmp_path / "f.h5", features=features)
    with (
        FeatureRows(tmp_path / "f.h5", cache_bytes=cache_bytes) as rows,
        pytest.raises(DataError, match=r"f\.h5: features: row 4 has a number that is not finite"),
    ):
        rows[[5, 4, 0]]


def test_repacking_keeps_the_numbers_and_drops_the_chunks(tmp_path):
    features = np.random.default_rng(0).standard_normal((500, 40)).astype(np.float32)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        file.create_dataset("features", data=features, chunks=(100, 4), compression="gzip")
    repack_features(tmp_path / "packed.h5", tmp_path / "flat.h5")
    with h5py.File(tmp_path / "flat.h5") as file:
        assert file["features"].chunks is None
        np.testing.assert_array_equal(file["features"][()], features, strict=True)
    with pytest.raises(DataError):
        repack_features(tmp_path / "missing.h5", tmp_path / "other.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat.h5", "packed.h5"]


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


# Faults ----------------------------------------------------------------------------------------


def test_a_missing_folder_or_file_is_named(folder, tmp_path):
    with pytest.raises(DataError, match="no_such: there is no such folder"):
        open_captions(tmp_path / "no_such")
    for name in ("coco2014_vocab.json", "coco2014_captions.h5", "val2014_vgg16_fc7_pca.h5"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        with pytest.raises(DataError, match=name):
            open_captions(folder)
        (folder / name).write_bytes(content)
    open_captions(folder).close()


@pytest.mark.parametrize("name", ["coco2014_captions.h5", "train2014_vgg16_fc7_pca.h5"])
def test_a_truncated_or_foreign_file_is_named(folder, name):
    content = (folder / name).read_bytes()
    for part in (content[: len(content) - 40], content[:200], b"", b"no HDF5 at all" * 100):
        (folder / name).write_bytes(part)
        with pytest.raises(DataError, match=f"{name}: not a whole HDF5 file"):
            open_captions(folder)


def test_a_damaged_chunk_is_found_when_it_is_read(tmp_path):
    path = tmp_path / "f.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("features", data=make_features(50), chunks=(10, D), fletcher32=True)
        offset = data.id.get_chunk_info(2).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 3)
        raw.write(b"\xff\x00\xff")
    with FeatureRows(path, cache_bytes=0) as rows:
        np.testing.assert_array_equal(rows[:20], make_features(50)[:20])
        with pytest.raises(DataError, match=r"f\.h5: features: cannot be read, the file is damaged"):
            rows[[21, 23]]


@pytest.mark.parametrize("key", ["train_captions", "val_image_idxs"])
def test_a_missing_key_is_named_with_the_keys_there_are(replace_captions, key):
    with pytest.raises(
        DataError, match=rf"coco2014_captions\.h5: the key {key} is missing; the file has \['"
    ):
        open_captions(replace_captions(**{key: None}))


CAPTIONS = make_captions()["train_captions"]
FAULTS = {
    "rank": ({"train_captions": CAPTIONS[0]}, r"train_captions: must have 2 dimensions; got shape \(6,\)"),
    "rank of rows": ({"val_image_idxs": np.zeros((N_VAL, 1), int)}, "val_image_idxs: must have 1 dimensions"),
    "dtype": (
        {"train_captions": CAPTIONS.astype(float)},
        "train_captions: must hold integer numbers; got dtype",
    ),
    "bool": ({"val_image_idxs": np.zeros(N_VAL, bool)}, "val_image_idxs: must hold integer numbers"),
    "length": (
        {"train_image_idxs": np.zeros(5, int)},
        "train_captions has 23 rows, but train_image_idxs has 5",
    ),
    "empty": (
        {"val_captions": np.zeros((0, T), int), "val_image_idxs": np.zeros(0, int)},
        "val_captions: the val split is empty",
    ),
    "narrow": ({"train_captions": CAPTIONS[:, :2]}, "train_captions: needs 3 columns"),
    "image row": (
        {"train_image_idxs": np.arange(N_TRAIN) % (M_TRAIN + 1)},
        r"train_image_idxs: 7 at \[7\] is outside the 7 images of train2014_vgg16_fc7_pca\.h5: a caption",
    ),
    "negative row": ({"val_image_idxs": np.full(N_VAL, -1)}, r"val_image_idxs: -1 at \[0\] is outside"),
    "word": (
        {"train_captions": np.where(np.arange(T) == 2, 9, CAPTIONS)},
        r"train_captions: 9 at \[0, 2\] is outside the vocabulary of 9 words",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_captions_that_do_not_fit_are_refused(replace_captions, fault):
    changes, message = FAULTS[fault]
    with pytest.raises(DataError, match=rf"coco2014_captions\.h5: {message}"):
        open_captions(replace_captions(**changes))


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


def test_a_group_in_the_place_of_a_data_set_is_refused(folder):
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file.create_group("features")
    with pytest.raises(DataError, match="features: must be a data set; got a Group"):
        open_captions(folder)


def test_a_refused_data_set_leaves_no_file_open(replace_captions):
    folder = replace_captions(val_image_idxs=np.full(N_VAL, 99))
    with pytest.raises(DataError):
        open_captions(folder)
    for path in folder.glob("*.h5"):  # HDF5 refuses to write to a file that is open for reading
        h5py.File(path, "r+").close()


@pytest.mark.parametrize(
    ("count", "error"), [(0, DataError), (-1, DataError), (2.5, TypeError), (True, TypeError)]
)
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
        with pytest.raises(DataError, match="no split 'test'; choose one of train, val"):
            data["test"]


# The notebook's functions ----------------------------------------------------------------------


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
    with pytest.raises(DataError, match="no split 'test'"):
        sample_coco_minibatch(data, split="test")
    with pytest.raises(DataError, match="batch_size must be at least 1; got 0"):
        sample_coco_minibatch(data, batch_size=0)
    with pytest.raises(DataError, match="key val_urls is missing"):
        sample_coco_minibatch({k: v for k, v in data.items() if k != "val_urls"}, split="val")
    empty = data | {"val_captions": np.zeros((0, T), np.int32)}
    with pytest.raises(DataError, match="the val split is empty"):
        sample_coco_minibatch(empty, split="val")


def test_missing_addresses_are_empty_in_the_dict(folder):
    (folder / "train2014_urls.txt").unlink()
    data = load_coco_data(folder)
    assert data["train_urls"].tolist() == [b""] * M_TRAIN
    (folder / "val2014_urls.txt").write_text("one\n")
    with pytest.raises(DataError, match=r"val2014_urls\.txt"):
        load_coco_data(folder)


def test_the_default_folder_is_the_notebooks_or_the_environments(folder, monkeypatch, tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    monkeypatch.chdir(work)
    monkeypatch.delenv("CAPTIONING_DATA", raising=False)
    with pytest.raises(DataError, match=r"datasets/coco_captioning.*set CAPTIONING_DATA"):
        open_captions()
    (work / "datasets").mkdir()
    (work / "datasets" / "coco_captioning").symlink_to(folder)
    open_captions().close()
    monkeypatch.setenv("CAPTIONING_DATA", str(work / "datasets"))
    open_captions().close()
    monkeypatch.setenv("CAPTIONING_DATA", str(folder))
    open_captions().close()
    (work / "datasets" / "second").symlink_to(folder)
    monkeypatch.setenv("CAPTIONING_DATA", str(work / "datasets"))
    with pytest.raises(DataError, match=r"needs one folder.*found coco_captioning, second"):
        open_captions()


# Real data -------------------------------------------------------------------------------------


@pytest.fixture
def real():
    if not os.environ.get("CAPTIONING_DATA"):
        pytest.skip("no real data: CAPTIONING_DATA is unset")
    with open_captions(Path(os.environ["CAPTIONING_DATA"]) / "flickr8k") as data:
        yield data


def test_real_data_has_the_documented_sizes(real):
    assert (real.train.captions.shape, real.val.captions.shape) == ((30000, 17), (5000, 17))
    assert (real.train.features.shape, real.val.features.shape) == ((6000, 512), (1000, 512))
    assert len(real.vocabulary) == 2917
    assert [len(item) for item in real.val.references_by_image()] == [5] * 1000
    assert real.vocabulary.decode(real.train.captions[0]).startswith("<START> ")


@pytest.mark.parametrize("split", ["train", "val"])
def test_raw_captions_tokenised_and_encoded_are_the_stored_captions(real, split):
    captions, image_idxs = real[split].captions, real[split].image_idxs
    order = np.argsort(image_idxs, kind="stable")
    raw = [words for item in real[split].references_by_image() for words in item]
    encoded = np.array([real.vocabulary.encode_caption(words, captions.shape[1]) for words in raw])
    np.testing.assert_array_equal(encoded, captions[order], strict=True)


def test_real_rows_in_the_file_equal_rows_in_memory(real):
    path = real.val.features.path
    with FeatureRows(path, cache_bytes=0) as rows:
        chosen = np.random.default_rng(0).integers(1000, size=40)
        np.testing.assert_array_equal(rows[chosen], real.val.features[chosen], strict=True)


def test_the_vocabulary_of_coco_tokenises_its_captions(real):
    folder = real.folder.parent / "coco"
    vocabulary = Vocabulary.from_json(folder / "coco2014_vocab.json")
    assert len(vocabulary) == 1004
    captions = json.loads((folder / "captions_val2017.json").read_text())["annotations"]
    words = [word for caption in captions[:5000] for word in tokenise(caption["caption"])]
    known = np.mean(vocabulary.encode(words) != vocabulary.unk)
    assert known > 0.9
