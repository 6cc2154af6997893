"""A run folder of a small training, and data that may be changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from captioning.cli.entry import main
from tests.captioning.cli.commands import SMALL


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
