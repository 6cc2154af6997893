"""What `check` finds that opening does not: features, addresses, raw captions; and what it only reports."""

import io
import tracemalloc

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.progress import Progress
from tests.captioning.data.small import (
    M_TRAIN,
    M_VAL,
    N_TRAIN,
    D,
    add_raw_captions,
    make_captions,
    make_features,
    write_hdf5,
)


class Told(Progress):
    """Remembers what it is told."""

    def __init__(self):
        super().__init__(io.StringIO(), enabled=False)
        self.steps = []

    def begin(self, total, start=0):
        self.steps.append(total)

    def update(self, done, **figures):
        self.steps.append(done)


def test_a_whole_data_set_has_nothing_to_report_and_progress_counts_its_rows(folder):
    add_raw_captions(folder)
    for cache_bytes in (0, 2**20):
        with open_captions(folder, cache_bytes=cache_bytes) as data:
            told = Told()
            assert data.check(told) == []
            assert told.steps == [M_TRAIN + M_VAL, M_TRAIN, M_TRAIN + M_VAL]
            assert data.check() == []


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
@pytest.mark.parametrize(("bad", "split"), [(np.nan, "train"), (np.inf, "val"), (1e39, "val")])
def test_one_number_that_is_not_finite_in_float32_is_found(folder, bad, split, cache_bytes):
    features = make_features(M_TRAIN if split == "train" else M_VAL).astype(np.float64)
    features[3, 1] = bad
    write_hdf5(folder / f"{split}2014_vgg16_fc7_pca.h5", features=features)
    with (
        open_captions(folder, cache_bytes=cache_bytes) as data,
        pytest.raises(DataError, match=rf"{split}2014_vgg16_fc7_pca\.h5: features: row 3 has a number that is not"),
    ):
        data.check()


def test_a_chunk_that_no_caption_uses_is_read_too(folder):
    path = folder / "train2014_vgg16_fc7_pca.h5"
    with h5py.File(path, "w") as file:
        stored = file.create_dataset("features", data=make_features(M_TRAIN), chunks=(2, D), compression="gzip")
        offset = stored.id.get_chunk_info(3).byte_offset
    with open(path, "r+b") as raw:
        raw.seek(offset + 2)
        raw.write(b"\xff\xff\xff\xff")
    with (
        open_captions(folder, cache_bytes=0) as data,
        pytest.raises(DataError, match=r"fc7_pca\.h5: features: row 6: cannot be read, the file is damaged"),
    ):
        data.check()


def test_memory_stays_flat(folder):
    """Features of 192 MiB that stay in the file are read by blocks of 64 MiB."""
    with h5py.File(folder / "train2014_vgg16_fc7_pca.h5", "w") as file:
        file["features"] = np.ones((M_TRAIN, 1), np.float32).repeat(192 * 2**18 // M_TRAIN, axis=1)
        width = file["features"].shape[1]
    write_hdf5(folder / "val2014_vgg16_fc7_pca.h5", features=np.ones((M_VAL, width), np.float32))
    with open_captions(folder, cache_bytes=0) as data:
        tracemalloc.start()
        assert data.check() == []
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 72 * 2**20


def test_columns_of_two_extractors_are_refused(folder):
    for split, name in (("train", "one"), ("val", "other")):
        with h5py.File(folder / f"{split}2014_vgg16_fc7_pca.h5", "r+") as file:
            file["features"].attrs["extractor"] = name
    with (
        open_captions(folder) as data,
        pytest.raises(
            DataError, match=r"val2014_vgg16_fc7_pca\.h5: features are of other, but those of train.* of one"
        ),
    ):
        data.check()
    with h5py.File(folder / "val2014_vgg16_fc7_pca.h5", "r+") as file:
        del file["features"].attrs["extractor"]  # a file that does not say may be of any
    with open_captions(folder) as data:
        assert data.check() == []


def write_regions(folder, split, rows, projection=None, **how):
    with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
        stored = file.create_dataset("regions", data=np.ones((rows, 4, 3), np.uint8), **how)
        stored.attrs.update(scale=np.ones(3), offset=np.zeros(3))
        if projection is not None:
            stored.attrs["projection"] = projection
        return stored.id.get_chunk_info(0).byte_offset if how else None


@pytest.mark.parametrize("opened", [False, True])
def test_regions_are_read_whether_or_not_they_were_opened(folder, opened):
    write_regions(folder, "val", M_VAL)
    offset = write_regions(folder, "train", M_TRAIN, chunks=(2, 4, 3), compression="gzip")
    told = Told()
    with open_captions(folder, regions=opened) as data:
        assert data.check(told) == []
        assert told.steps[-1] == told.steps[0] == (M_TRAIN + M_VAL) * (1 if opened else 2)
    with open(folder / "train2014_regions.h5", "r+b") as raw:
        raw.seek(offset + 2)
        raw.write(b"\xff\xff\xff\xff")
    with (
        open_captions(folder, regions=opened, cache_bytes=0) as data,
        pytest.raises(DataError, match=r"train2014_regions\.h5: regions: row 0: cannot be read, the file is damaged"),
    ):
        data.check()


def test_regions_that_do_not_fit_their_pictures_are_refused(folder):
    write_regions(folder, "train", M_TRAIN - 1)
    told = rf"train2014_regions\.h5: regions has {M_TRAIN - 1} rows, train2014_vgg16_fc7_pca\.h5 has {M_TRAIN}"
    with open_captions(folder) as data, pytest.raises(DataError, match=told):
        data.check()


@pytest.mark.parametrize("opened", [False, True])
def test_regions_of_two_projections_are_refused(folder, opened):
    write_regions(folder, "train", M_TRAIN, "one")
    write_regions(folder, "val", M_VAL)  # a file that does not say may be of any
    with open_captions(folder, regions=opened) as data:
        assert data.check() == []
    write_regions(folder, "val", M_VAL, "other")
    with (
        open_captions(folder, regions=opened) as data,
        pytest.raises(DataError, match=r"val2014_regions\.h5: regions are of another projection than those of train"),
    ):
        data.check()


def test_text_files_are_read(folder):
    add_raw_captions(folder)
    table = folder / "captions.csv"
    whole = table.read_text()
    table.write_text(whole.replace("train_3.jpg", "train_9.jpg"))
    with open_captions(folder) as data, pytest.raises(DataError, match=r"csv: has no train captions for 1 of the 7"):
        data.check()
    table.write_text(whole)
    (folder / "val2014_urls.txt").write_text("http://example.org\n")
    with open_captions(folder) as data, pytest.raises(DataError, match=r"val2014_urls\.txt: has 1 lines; needs one"):
        data.check()


def test_what_is_odd_is_reported_and_not_refused(replace_captions):
    captions = make_captions()["train_captions"]
    captions[4] = [1, 4, 5, 6, 7, 8]
    captions[9:11] = [1, 2, 0, 0, 0, 0]
    folder = replace_captions(train_captions=captions, train_image_idxs=np.arange(N_TRAIN) % (M_TRAIN - 2))
    with open_captions(folder) as data:
        said = data.check()
    file = folder / "coco2014_captions.h5"
    assert said == [
        f"{file}: train_image_idxs: 2 of the 7 images have no caption, the first is row 5",
        f"{file}: train_captions: 1 of the 23 captions fill their row without <END>, the first is row 4",
        f"{file}: train_captions: 2 of the 23 captions have no words, the first is row 9",
    ]


@pytest.mark.parametrize("cache_bytes", [0, 2**28])
def test_the_real_data_is_whole(real, cache_bytes):
    with open_captions(real.folder, cache_bytes=cache_bytes) as data:
        slow = [str(split.features.path) for split in (data.train, data.val) if split.features.chunked]
        told = data.check()
    assert [line.split(":")[0] for line in told] == ([] if cache_bytes else slow)
    assert all("stored in chunks" in line for line in told)


@pytest.mark.parametrize(("storage", "cache_bytes", "told"), [
    ({}, 0, False),
    ({"chunks": (1, D)}, 0, True),
    ({"compression": "lzf"}, 0, True),
    ({"compression": "lzf"}, 2**20, False),
])  # fmt: skip
def test_features_that_will_be_read_slowly_are_told(folder, storage, cache_bytes, told):
    path = folder / "train2014_vgg16_fc7_pca.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=make_features(M_TRAIN), **storage)
    with open_captions(folder, cache_bytes=cache_bytes) as data:
        lines = [line for line in data.check() if "repack_features" in line]
    assert lines == [line for line in lines if line.startswith(f"{path}: features: are too large")]
    assert bool(lines) is told
