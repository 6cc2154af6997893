"""A run folder of a small training, and data that may be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning.cli.entry import main
from tests.captioning.cli.commands import LOOKING, SMALL
from tests.captioning.conftest import write_data_set


@pytest.fixture(scope="session")
def trained(small_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    assert main(["train", "--data", str(small_folder), "--out", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy that may be spoilt."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def copied(small_folder, tmp_path):
    """The data in another folder, where it may be changed."""
    return Path(shutil.copytree(small_folder, tmp_path / "copied"))


@pytest.fixture(scope="session")
def regions_folder(tmp_path_factory):
    """A small data set with regions, 2 numbers of each of 4 places; its features have a mean of about 10."""
    folder = write_data_set(tmp_path_factory.mktemp("regions"))
    for split in ("train", "val"):
        with h5py.File(folder / f"{split}2014_vgg16_fc7.h5", "r+") as file:
            features = file["features"][:]
            file["features"][:] = features + 10
        with h5py.File(folder / f"{split}2014_regions.h5", "w") as file:
            cells = np.stack([features[:, :4], features[:, 1:]], axis=2).clip(0, 1)
            rows = file.create_dataset("regions", data=np.round(255 * cells).astype(np.uint8))
            rows.attrs.update(scale=np.full(2, 1 / 255), offset=np.zeros(2))
    return folder


@pytest.fixture(scope="session")
def looking(regions_folder, tmp_path_factory):
    """A run that looks at regions."""
    folder = tmp_path_factory.mktemp("runs") / "looking"
    assert main(["train", "--data", str(regions_folder), "--out", str(folder), *LOOKING, "--seed", "1"]) == 0
    return folder
