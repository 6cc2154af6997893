"""Features of the places of pictures, and rows of them beside those of the whole picture."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.data.fingerprints import fingerprint
from captioning.data.regions import RegionRows

BYTES = np.random.default_rng(0).integers(0, 256, (24, 4, 3), dtype=np.uint8)
SCALE, OFFSET = np.array([0.5, 0.25, 2.0], np.float32), np.array([-1.0, 0.0, 3.0], np.float32)


def write(path, regions=BYTES, scale=SCALE, offset=OFFSET, **how):
    with h5py.File(path, "w") as file:
        data = file.create_dataset("regions", data=regions, **how)
        for name, value in (("scale", scale), ("offset", offset)):
            if value is not None:
                data.attrs[name] = value
    return path


@pytest.fixture(scope="module")
def folder(small_folder, tmp_path_factory):
    """The small data with regions of its 24 and 24 images."""
    found = tmp_path_factory.mktemp("regions")
    for path in small_folder.iterdir():
        (found / path.name).symlink_to(path)
    write(found / "train2014_regions.h5", compression="gzip", chunks=(5, 4, 3))
    write(found / "val2014_regions.h5", BYTES[::-1])
    return found


@pytest.mark.parametrize("cache_bytes", [2**28, 0])
@settings(max_examples=30)
@given(index=st.one_of(
    st.integers(-24, 23), st.slices(24), st.lists(st.integers(-24, 23), max_size=9).map(lambda r: np.array(r, int)),
    st.lists(st.booleans(), min_size=24, max_size=24).map(np.array),
))  # fmt: skip
def test_they_are_indexed_as_the_numbers_would_be(folder, cache_bytes, index):
    with RegionRows(folder / "train2014_regions.h5", cache_bytes) as rows:
        expected = (BYTES * SCALE + OFFSET)[index]
        assert rows[index].dtype == np.float32
        np.testing.assert_array_equal(rows[index], expected)
        assert rows.nbytes == BYTES.nbytes
        assert rows.cached == bool(cache_bytes)


@pytest.mark.parametrize("cache_bytes", [2**28, 0])
def test_rows_of_both(folder, cache_bytes):
    with open_captions(folder, pca=False, regions=True, cache_bytes=cache_bytes) as data:
        rows = data.train.features
        columns = rows.whole.shape[1]
        assert rows.shape == (24, columns + 12) == np.asarray(rows).shape
        assert rows.grid == (4, 3)
        for index in (3, slice(2, 5), np.array([7, 0, 7])):
            np.testing.assert_array_equal(rows[index][..., :columns], rows.whole[index])
            np.testing.assert_array_equal(
                rows[index][..., columns:], rows.places[index].reshape(*rows[index].shape[:-1], 12)
            )
        for none in ([], slice(0, 0), np.zeros(24, bool)):
            assert rows[none].shape == (0, columns + 12)
        assert sum(len(rows[block]) for block in rows.blocks()) == 24
        assert data.train.batch([0, 5]).features.shape == (2, columns + 12)
        assert data.check() is not None
        assert "train2014_regions.h5" in fingerprint(data)
    with pytest.raises(DataError, match="closed"):
        rows[0]


def test_without_regions_nothing_is_read_of_them(folder):
    with open_captions(folder) as data:
        assert not any("regions" in name for name in fingerprint(data))


def test_whole_features_are_taken_beside_regions(folder):
    """Reduced ones cannot be had of new photos; they are taken where that is asked for."""
    with open_captions(folder, regions=True) as data:
        assert not data.pca
    with open_captions(folder, regions=True, pca=True) as data:
        assert data.pca


@pytest.mark.parametrize(("options", "said"), [
    ({"scale": None}, "regions: attribute scale: is missing"),
    ({"offset": SCALE[:2]}, r"attribute offset: must be 3 floats; got float32 \(2,\)"),
    ({"scale": np.arange(3)}, r"attribute scale: must be 3 floats; got int64"),
    ({"scale": np.array([1, np.nan, 1])}, "attribute scale: has a number that is not finite, or too large"),
    ({"scale": np.array([1, 1e37, 1], np.float32)}, "attribute scale: has a number that is not finite, or too large"),
    ({"regions": BYTES.astype(np.int16)}, "must hold uint8 numbers; got dtype int16"),
    ({"regions": BYTES[:, 0]}, "must have 3 dimensions"),
    ({"regions": BYTES[:0]}, "regions: is empty"),
])  # fmt: skip
def test_what_is_wrong_with_a_file_is_named(tmp_path, options, said):
    path = write(tmp_path / "val2014_regions.h5", **options)
    with pytest.raises(DataError, match=said) as raised:
        RegionRows(path)
    assert str(path) in str(raised.value)


def test_files_that_do_not_fit_each_other(folder, tmp_path):
    for path in folder.iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / "val2014_regions.h5").unlink()
    with pytest.raises(DataError, match=r"there is no such file: the data set has no regions, .* prepare --regions"):
        open_captions(tmp_path, regions=True)
    write(tmp_path / "val2014_regions.h5", BYTES[:20])
    with pytest.raises(DataError, match=r"val2014_regions\.h5: regions has 20 rows, val2014_vgg16_fc7\.h5 has 24"):
        open_captions(tmp_path, regions=True)
    write(tmp_path / "val2014_regions.h5", BYTES[:, :2])
    with pytest.raises(DataError, match=r"regions has 4 x 3 columns, but val2014_regions\.h5 has 2 x 3"):
        open_captions(tmp_path, regions=True)
