"""Trained runs, and data that a test may change."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

from captioning.training.run_folder import Run
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.cli.commands import ATTENTION, SMALL, edit_json, status_of
from tests.captioning.conftest import write_data_set
from tests.captioning.vision.grid_extractor import GridExtractor


@contextmanager
def without_curves():
    """Do not draw loss.png, which takes longer than a small training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "draw_curve", lambda run: run.history())
        yield


@pytest.fixture(scope="module", autouse=True)
def no_curves():
    with without_curves():
        yield


@pytest.fixture(scope="session")
def trained(small_folder, tmp_path_factory):
    """A run folder, which no test may change."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    with without_curves():  # pytest sets up fixtures of the session before `no_curves`
        assert status_of("train", "--data", small_folder, "--out", folder, *SMALL) == 0
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of the run, which a test may change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


@pytest.fixture
def copied(small_folder, tmp_path):
    """A copy of the data, which a test may change."""
    return Path(shutil.copytree(small_folder, tmp_path / "copied"))


class Colours(GridExtractor):
    """As many features as the small data set has: the mean colours, again and again."""

    name, size = "colours", 6

    def features(self, prepared):
        return np.resize(super().features(prepared), (len(prepared), self.size))


@pytest.fixture
def colour_run(run, monkeypatch):
    """A run that can caption photos, since its settings say that its features are mean colours."""
    monkeypatch.setitem(EXTRACTORS, "colours", Colours)
    edit_json(run / "settings.json", lambda settings: settings["data"].update(extractor="colours"))
    return run


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
def attention_run(regions_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "attention"
    with without_curves():
        assert status_of("train", "--data", regions_folder, "--out", folder, *ATTENTION, "--seed", 1) == 0
    return folder
