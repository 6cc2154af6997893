"""A data set whose making is killed again and again is the same as one made without interruption."""

import os
import random
import signal
import time
import traceback
from shutil import rmtree

import pytest

from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import Recipe
from tests.captioning.preparing.photo_sources import content, write_folder
from tests.captioning.vision.grid_extractor import GridPlaces

RECIPE = Recipe(test=0.1, photos="copy", regions=5)


def start(source, out):
    """Start a process that makes the data set, and return its number."""
    if (number := os.fork()) == 0:
        try:
            prepare_data(source, out, RECIPE, GridPlaces())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return number


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_kills(tmp_path, full):
    source, out, rng, kept, killed = write_folder(tmp_path / "photos", 70), tmp_path / "data", random.Random(0), 0, 0
    began = time.monotonic()
    prepare_data(source, tmp_path / "whole", RECIPE, GridPlaces())
    seconds, whole = time.monotonic() - began, content(tmp_path / "whole")
    while killed < (20 if full else 3):
        process = start(source, out)
        time.sleep(rng.uniform(0, seconds))
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
        killed += os.WIFSIGNALED(status)
        kept += (tmp_path / ".data.preparing" / "features.part").is_file()
        if (out / "coco2014_captions.h5").exists():
            assert content(out) == whole
            rmtree(out)
    prepare_data(source, out, RECIPE, GridPlaces())
    assert content(out) == whole
    assert kept or not full
