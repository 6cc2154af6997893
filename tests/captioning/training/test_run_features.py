"""The projection of regions that a run takes over from its data set, and the scale of its features."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from captioning.cli.entry import main
from captioning.data.dataset import open_captions
from captioning.data.errors import DataError
from captioning.training.errors import RunError
from captioning.training.run_features import check_alike, projection_arrays
from captioning.training.run_folder import Run
from captioning.vision.regions import RegionProjection
from tests.captioning.cli.commands import LOOKING
from tests.captioning.conftest import write_data_set


def projection(weight, bias):
    return RegionProjection(np.asarray(weight, np.float32), np.asarray(bias, np.float32))


PROJECTION, OTHER = projection(np.ones((5, 3)), np.arange(3)), projection(np.ones((5, 3)), np.zeros(3))


@pytest.fixture
def folder(tmp_path):
    """Whole features of five columns, and regions of 3 numbers each."""
    (tmp_path / "data").mkdir()
    folder = write_data_set(tmp_path / "data")
    for split in ("train", "val"):
        with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
            rows = file.create_dataset("regions", data=np.full((24, 4, 3), 2, np.uint8))
            rows.attrs.update(scale=np.ones(3), offset=np.zeros(3), projection=PROJECTION.fingerprint())
    return folder


def arrays_of(folder, start=None, regions=True):
    with open_captions(folder, regions=regions) as data:
        return projection_arrays(data, start)


def test_a_captioner_with_attention_is_trained_on_standardised_features(folder, tmp_path):
    assert main(["train", "--data", str(folder), "--out", str(tmp_path / "run"), *LOOKING, "--epochs", "1"]) == 0
    model = Run.open(tmp_path / "run").load_model()
    with open_captions(folder, regions=True) as data:
        whole = data.train.features[:][:, :5]
    np.testing.assert_allclose(model.mean.data, whole.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(model.deviations.data, [(whole - whole.mean(axis=0)).std(), 2], rtol=1e-5)


def test_it_is_the_data_sets_or_else_that_of_the_run_it_starts_from(folder, tmp_path):
    start = Run(tmp_path, {}, None)
    assert arrays_of(folder) is arrays_of(folder, start) is None
    OTHER.save(start.regions_path)  # fitted to photos: nearly that of the data set
    np.testing.assert_array_equal(arrays_of(folder, start)["bias"], OTHER.bias)
    PROJECTION.save(folder / "regions.safetensors")
    np.testing.assert_array_equal(arrays_of(folder, start)["bias"], PROJECTION.bias, strict=True)
    assert arrays_of(folder, start, regions=False) is None


def test_a_projection_that_did_not_make_the_regions_is_refused(folder):
    path = folder / "regions.safetensors"
    for wrong, message in (
        (OTHER, r".*train2014_regions\.h5"), (projection(np.ones((5, 2)), np.zeros(2)), "makes 2 numbers a place of 5"),
        (projection(np.ones((6, 3)), np.zeros(3)), "makes 3 numbers a place of 6"),
    ):  # fmt: skip
        wrong.save(path)
        with pytest.raises(DataError, match=rf"regions\.safetensors: {message}"):
            arrays_of(folder)
    path.write_bytes(b"photo")
    with pytest.raises(DataError, match=r"regions\.safetensors"):
        arrays_of(folder)
    OTHER.save(path)
    with h5py.File(folder / "train2014_regions.h5", "r+") as file:
        del file["regions"].attrs["projection"]  # any that fits may have made them
    np.testing.assert_array_equal(arrays_of(folder)["bias"], OTHER.bias)


def test_runs_that_are_used_together_have_the_same_projection(tmp_path):
    weight, other = np.random.default_rng(0).standard_normal((2, 5, 3), np.float32)
    ones = np.ones(3)

    def a_run(name, made=None):
        (tmp_path / name).mkdir()
        run = Run(tmp_path / name, {"model": {"places": [4, 3]}}, None)
        if made is not None:
            made.save(run.regions_path)
        return run

    first, unknown = a_run("a", projection(weight, ones)), a_run("c")
    exported = a_run("b", projection(weight.astype(np.float16), ones))
    check_alike([first, exported, unknown, Run(tmp_path, {"model": {}}, None)])
    for name, wrong in (("d", projection(other, ones)), ("e", projection(weight[:, :2], ones[:2])),
                        ("f", projection(weight, 2 * ones))):  # fmt: skip
        with pytest.raises(RunError, match=rf"{name}: cannot be averaged with .*a: "):
            check_alike([first, unknown, a_run(name, wrong)], "be averaged")
