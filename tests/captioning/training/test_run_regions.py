"""A run takes over how its data set makes regions of maps, if that made the regions that it learns from."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from captioning.training.run_features import check_alike, projection_arrays

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.training.errors import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from tests.captioning.conftest import write_data_set

PROJECTION = RegionProjection(np.ones((5, 3), np.float32), np.arange(3, dtype=np.float32))
OTHER = RegionProjection(np.ones((5, 3), np.float32), np.zeros(3, np.float32))


@pytest.fixture
def folder(tmp_path):
    """Whole features of five columns, and regions of 3 numbers a place."""
    (tmp_path / "data").mkdir()
    folder = write_data_set(tmp_path / "data")
    for split in ("train", "val"):
        with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
            rows = file.create_dataset("regions", data=np.zeros((24, 4, 3), np.uint8))
            rows.attrs.update(scale=np.ones(3), offset=np.zeros(3), projection=PROJECTION.fingerprint())
    return folder


def arrays_of(folder, start=None, **how):
    with open_captions(folder, **{"regions": True, **how}) as data:
        return projection_arrays(data, start)


def test_it_is_the_data_sets(folder):
    assert arrays_of(folder) is None
    PROJECTION.save(folder / "regions.safetensors")
    found = arrays_of(folder)
    assert found.keys() == {"weight", "bias"}
    np.testing.assert_array_equal(found["bias"], PROJECTION.bias, strict=True)
    assert arrays_of(folder, regions=False) is None  # of no use to a captioner without attention


def test_regions_that_name_no_projection_may_be_of_any_that_fits(folder):
    OTHER.save(folder / "regions.safetensors")
    with h5py.File(folder / "train2014_regions.h5", "r+") as file:
        del file["regions"].attrs["projection"]
    np.testing.assert_array_equal(arrays_of(folder)["bias"], OTHER.bias)


def test_where_the_data_set_has_none_it_is_that_of_the_run_it_starts_from(folder, tmp_path):
    start = Run(tmp_path, {}, None)
    assert arrays_of(folder, start) is None
    OTHER.save(start.regions_path)  # found by least squares: nearly that of the data set
    np.testing.assert_array_equal(arrays_of(folder, start)["bias"], OTHER.bias)
    PROJECTION.save(folder / "regions.safetensors")
    np.testing.assert_array_equal(arrays_of(folder, start)["bias"], PROJECTION.bias)


def test_what_did_not_make_the_regions_is_refused(folder):
    path = folder / "regions.safetensors"
    OTHER.save(path)
    with pytest.raises(DataError, match=r"regions\.safetensors: is not the projection by which train2014_regions\.h5"):
        arrays_of(folder)
    for shape, told in (((5, 2), "makes 2 numbers a place of 5"), ((6, 3), "makes 3 numbers a place of 6")):
        RegionProjection(np.ones(shape, np.float32), np.zeros(shape[1], np.float32)).save(path)
        with pytest.raises(DataError, match=rf"safetensors: {told}; .* are 3 a place, of maps of 5"):
            arrays_of(folder)


def test_a_damaged_file_is_refused(folder):
    path = folder / "regions.safetensors"
    PROJECTION.save(path)
    whole = path.read_bytes()
    for content in (b"", whole[:-1], b"photo"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"regions\.safetensors"):
            arrays_of(folder)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"regions\.safetensors: is a folder, not a regular file"):
        arrays_of(folder)


def a_looking_run(folder, projection):
    folder.mkdir()
    run = Run(folder, {"model": {"places": [4, 3]}}, None)
    if projection is not None:
        projection.save(run.regions_path)
    return run


def test_runs_that_speak_together_look_at_the_same(tmp_path):
    random = np.random.default_rng(0)
    made, other = (RegionProjection(random.standard_normal((5, 3), np.float32), np.ones(3, np.float32)) for _ in "ab")
    half = RegionProjection(made.weight.astype(np.float16).astype(np.float32), made.bias)
    first, exported, unknown = (a_looking_run(tmp_path / n, p) for n, p in (("a", made), ("b", half), ("c", None)))
    check_alike([first, exported, unknown])
    check_alike([Run(tmp_path, {"model": {}}, None), first])
    with pytest.raises(RunError, match=r"d: cannot speak together with .*a: they look at regions"):
        check_alike([first, unknown, a_looking_run(tmp_path / "d", other)])
    smaller = RegionProjection(made.weight[:, :2].copy(), made.bias[:2].copy())
    with pytest.raises(RunError, match="e: cannot speak together"):
        check_alike([first, a_looking_run(tmp_path / "e", smaller)])
