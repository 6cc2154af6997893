"""Features of images and of their regions, read by rows."""

import os

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captioning.data.dataset import fingerprint, open_captions
from captioning.data.errors import DataError
from captioning.data.features import FeatureRows, RegionRows, repack_features
from tests.captioning.data.small import M_TRAIN, M_VAL, D, make_features, write_hdf5
from tests.captioning.full_disks import files_of_at_most

BYTES = np.random.default_rng(0).integers(0, 256, (M_TRAIN, 4, 3), dtype=np.uint8)
SCALE, OFFSET = np.array([0.5, 0.25, 2.0], np.float32), np.array([-1.0, 0.0, 3.0], np.float32)
INDEX = st.one_of(
    st.integers(-M_TRAIN, M_TRAIN - 1), st.slices(M_TRAIN), st.just([[1, 2], [0, 1]]),
    st.lists(st.integers(-M_TRAIN, M_TRAIN - 1), max_size=9),
    st.lists(st.booleans(), min_size=M_TRAIN, max_size=M_TRAIN).map(np.array),
)  # fmt: skip


def write_regions(path, regions=BYTES, scale=SCALE, offset=OFFSET, **how):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("regions", data=regions, **how)
        for name, value in (("scale", scale), ("offset", offset)):
            if value is not None:
                data.attrs[name] = value
    return path


@pytest.fixture
def with_regions(folder):
    write_regions(folder / "train2014_regions.h5", compression="gzip", chunks=(5, 4, 3))
    write_regions(folder / "val2014_regions.h5", BYTES[:M_VAL])
    return folder


def test_regions_are_closed_even_if_the_features_cannot_be(with_regions, monkeypatch):
    def close():
        raise DataError("cannot be closed")

    data = open_captions(with_regions, regions=True)
    whole, places = data.train.features.parts
    with monkeypatch.context() as patch:
        patch.setattr(whole, "close", close)
        with pytest.raises(DataError, match="cannot be closed"):
            data.close()
    with pytest.raises(DataError, match="the file is closed"):
        places[0]
    data.close()


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
@given(index=INDEX)
def test_rows_are_indexed_like_an_array(tmp_path_factory, cache_bytes, index):
    folder = tmp_path_factory.mktemp("rows")
    write_hdf5(folder / "f.h5", features=make_features(M_TRAIN).astype(float))
    write_regions(folder / "r.h5")
    files = (FeatureRows(folder / "f.h5", cache_bytes=cache_bytes), make_features(M_TRAIN)), (
        RegionRows(folder / "r.h5", cache_bytes), BYTES * SCALE + OFFSET)  # fmt: skip
    for rows, expected in files:
        with rows:
            got = rows[index]
            assert (got.dtype, rows.cached) == (np.float32, bool(cache_bytes))
            np.testing.assert_array_equal(got, expected[index], strict=True)
            got[...] = -1  # the rows stay
            np.testing.assert_array_equal(np.asarray(rows), expected)
            with pytest.raises(IndexError):
                rows[M_TRAIN]
        with pytest.raises(DataError, match="closed"):
            rows[0]


def test_rows_are_kept_up_to_a_size(tmp_path):
    write_regions(tmp_path / "r.h5")
    assert RegionRows(tmp_path / "r.h5", BYTES.nbytes).cached  # as bytes
    assert not RegionRows(tmp_path / "r.h5", BYTES.nbytes - 1).cached


@pytest.mark.parametrize(("bad", "cache_bytes"), [(np.nan, 0), (np.inf, 2**20), (1e300, 0)])
def test_a_number_that_is_not_finite_is_an_error_that_names_the_row(tmp_path, bad, cache_bytes):
    features = make_features(6).astype(np.float64)
    features[4, 2] = bad
    write_hdf5(tmp_path / "f.h5", features=features)
    with (
        FeatureRows(tmp_path / "f.h5", cache_bytes=cache_bytes) as rows,
        pytest.raises(DataError, match=r"row 4 .*fin"),
    ):
        rows[[5, 4, 0]]


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
            rows[[23, 18, 21]]


def test_a_file_that_becomes_shorter_is_an_error_and_no_zeros(tmp_path):
    write_hdf5(tmp_path / "f.h5", features=np.ones((1000, 64), np.float32))
    with FeatureRows(tmp_path / "f.h5", cache_bytes=0) as rows:
        assert rows[[3, 999]].all()
        os.truncate(tmp_path / "f.h5", 100_000)
        with pytest.raises(DataError, match=r"f\.h5: features: the file was truncated"):
            rows[[999]]


@pytest.mark.parametrize("extractor", [None, "efficientnet-lite0", np.bytes_(b"efficientnet-lite0")])
def test_repacking_keeps_numbers_and_extractor_and_drops_the_chunks(tmp_path, extractor):
    features = np.random.default_rng(0).standard_normal((500, 40)).astype(np.float32)
    with h5py.File(tmp_path / "packed.h5", "w") as file:
        data = file.create_dataset("features", data=features, chunks=(100, 4), compression="gzip")
        if extractor is not None:
            data.attrs["extractor"] = extractor
    repack_features(tmp_path / "packed.h5", tmp_path / "flat.h5")
    with FeatureRows(tmp_path / "flat.h5") as rows:
        assert not rows.chunked
        assert rows.extractor == (None if extractor is None else "efficientnet-lite0")
        np.testing.assert_array_equal(rows[:], features, strict=True)
    with files_of_at_most(5000), pytest.raises(OSError, match="too large") as caught:
        repack_features(tmp_path / "packed.h5", tmp_path / "other.h5")
    assert caught.value.filename == str(tmp_path / "other.h5")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flat.h5", "packed.h5"]


@pytest.mark.parametrize("cache_bytes", [2**28, 0])
def test_rows_of_images_and_regions(with_regions, cache_bytes, monkeypatch):
    monkeypatch.setattr("captioning.data.features._BLOCK_BYTES", 100)
    with open_captions(with_regions, regions=True, cache_bytes=cache_bytes) as data:
        assert not data.pca  # the whole features, which new photos have too
        rows = data.train.features
        expected = np.hstack([np.ones((M_TRAIN, 2 * D)), (BYTES * SCALE + OFFSET).reshape(M_TRAIN, 12)])
        assert rows.shape == np.asarray(rows).shape == (M_TRAIN, 2 * D + 12)
        assert (rows.grid, rows.cached) == ((4, 3), bool(cache_bytes))
        for index in (3, slice(2, 5), [6, 0, 6], [], np.zeros(M_TRAIN, bool)):
            np.testing.assert_array_equal(rows[index], expected.astype(np.float32)[index])
        for part in rows.parts:
            blocks = list(part.blocks())
            assert len(blocks) > 1
            np.testing.assert_array_equal(np.concatenate([part[block] for block in blocks]), part[:])
            assert not part.chunked or all(block.start % 5 == 0 for block in blocks)
        assert data.train.batch([0, 5]).features.shape == (2, 2 * D + 12)
        assert "train2014_regions.h5" in fingerprint(data)
    with pytest.raises(DataError, match="closed"):
        rows[0]
    with open_captions(with_regions, regions=True, pca=True) as data:
        assert data.pca
    with open_captions(with_regions) as data:
        assert not any("regions" in name for name in fingerprint(data))


@pytest.mark.parametrize(("options", "message"), [
    ({"scale": None}, "attribute scale: is missing"),
    ({"offset": SCALE[:2]}, r"attribute offset: must be 3 floats; got float32 .*\(2,\)"),
    ({"scale": np.arange(3)}, r"attribute scale: must be 3 floats; got int64"),
    ({"scale": np.array([1, np.nan, 1])}, "attribute scale: .* not finite"),
    ({"scale": np.array([1, 1e37, 1], np.float32)}, "attribute scale: .* too large"),
    ({"regions": BYTES.astype(np.int16)}, "must hold uint8 numbers; got dtype int16"),
    ({"regions": BYTES[:, 0]}, "must have 3 dimensions"),
])  # fmt: skip
def test_what_is_wrong_with_regions_is_named(tmp_path, options, message):
    with pytest.raises(DataError, match=rf"r\.h5: regions: {message}"):
        RegionRows(write_regions(tmp_path / "r.h5", **options))


def test_regions_that_do_not_fit_are_refused(with_regions):
    path = with_regions / "val2014_regions.h5"
    for regions, message in (
        (BYTES[: M_VAL - 1], rf"{M_VAL - 1} rows, val2014_vgg16_fc7\.h5 has {M_VAL}"),
        (BYTES[:M_VAL, :2], r"4 x 3 columns, but val2014_regions\.h5 has 2 x 3"),
        (None, "no such file: .* --like RUN.* --regions"),
    ):  # fmt: skip
        path.unlink() if regions is None else write_regions(path, regions)
        with pytest.raises(DataError, match=message):
            open_captions(with_regions, regions=True)
