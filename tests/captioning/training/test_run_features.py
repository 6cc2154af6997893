"""The projection of regions that a run takes over from its data set."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.training.run_features import check_alike, projection_arrays
from captioning.training.run_files import RunError
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from tests.captioning.conftest import write_data_set

PROJECTION = RegionProjection(np.ones((5, 3), np.float32), np.arange(3, dtype=np.float32))
OTHER = RegionProjection(np.ones((5, 3), np.float32), np.zeros(3, np.float32))


@pytest.fixture
def folder(tmp_path):
    """Whole features of five columns, and regions of 3 numbers each."""
    (tmp_path / "data").mkdir()
    folder = write_data_set(tmp_path / "data")
    for split in ("train", "val"):
        with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
            rows = file.create_dataset("regions", data=np.zeros((24, 4, 3), np.uint8))
            rows.attrs.update(scale=np.ones(3), offset=np.zeros(3), projection=PROJECTION.fingerprint())
    return folder


def arrays_of(folder, start=None, regions=True):
    with open_captions(folder, regions=regions) as data:
        return projection_arrays(data, start)


def test_it_is_the_data_sets_or_else_that_of_the_run_it_starts_from(folder, tmp_path):
    start = Run(tmp_path, {}, None)
    assert arrays_of(folder) is arrays_of(folder, start) is None
    OTHER.save(start.regions_path)  # fitted to photos: nearly that of the data set
    np.testing.assert_array_equal(arrays_of(folder, start)["bias"], OTHER.bias)
    PROJECTION.save(folder / "regions.safetensors")
    found = arrays_of(folder, start)
    assert found.keys() == {"weight", "bias"}
    np.testing.assert_array_equal(found["bias"], PROJECTION.bias, strict=True)
    assert arrays_of(folder, start, regions=False) is None


def test_a_projection_that_did_not_make_the_regions_is_refused(folder):
    path = folder / "regions.safetensors"
    OTHER.save(path)
    with pytest.raises(DataError, match=r"regions\.safetensors: .*train2014_regions\.h5"):
        arrays_of(folder)
    for shape, found in (((5, 2), "2 numbers a place of 5"), ((6, 3), "3 numbers a place of 6")):
        RegionProjection(np.ones(shape, np.float32), np.zeros(shape[1], np.float32)).save(path)
        with pytest.raises(DataError, match=rf"safetensors: makes {found}"):
            arrays_of(folder)
    path.write_bytes(b"photo")
    with pytest.raises(DataError, match=r"regions\.safetensors"):
        arrays_of(folder)
    OTHER.save(path)
    with h5py.File(folder / "train2014_regions.h5", "r+") as file:
        del file["regions"].attrs["projection"]  # any that fits may have made them
    np.testing.assert_array_equal(arrays_of(folder)["bias"], OTHER.bias)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match=r"regions\.safetensors: is a folder"):
        arrays_of(folder)


def test_runs_that_are_used_together_have_the_same_projection(tmp_path):
    def a_run(name, projection):
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name, {"model": {"places": [4, 3]}}, None)
        if projection is not None:
            projection.save(run.regions_path)
        return run

    random = np.random.default_rng(0)
    made, other = (RegionProjection(random.standard_normal((5, 3), np.float32), np.ones(3, np.float32)) for _ in "ab")
    half = RegionProjection(made.weight.astype(np.float16).astype(np.float32), made.bias)
    first, exported, unknown = a_run("a", made), a_run("b", half), a_run("c", None)
    check_alike([first, exported, unknown, Run(tmp_path, {"model": {}}, None)])
    smaller = RegionProjection(made.weight[:, :2].copy(), made.bias[:2].copy())
    biased = RegionProjection(made.weight, 2 * made.bias)
    for name, projection in (("d", other), ("e", smaller), ("f", biased)):
        with pytest.raises(RunError, match=rf"{name}: cannot be averaged with .*a: "):
            check_alike([first, unknown, a_run(name, projection)], "be averaged")
