"""`python -m tests.captioning.preparing.killed SOURCE FOLDER KILLS`: kills the making of a data set at random moments.

A child makes FOLDER/data from a folder of photos and is killed, and the next goes on where it was; a data set that
opens must be the same to the bit as FOLDER/whole, whose making nothing interrupted. Prints how the children ended.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from shutil import rmtree

from captioning.preparing.pipeline import prepare_data
from captioning.preparing.recipe import Recipe
from tests.captioning.preparing.photo_sources import content
from tests.captioning.vision.grid_extractor import GridPlaces


def make(source, out):
    prepare_data(source, out, Recipe(test=0.1, photos="copy", regions=5), GridPlaces())


def child(source, out):
    """A process of its own that makes the data set; its number."""
    if (number := os.fork()) == 0:
        try:
            make(source, out)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return number


def main(source, folder, kills):
    started = time.monotonic()
    make(source, folder / "whole")
    seconds = time.monotonic() - started
    whole, out = content(folder / "whole"), folder / "data"
    rng, ends = random.Random(0), Counter()
    while ends["killed"] < kills:
        number = child(source, out)
        time.sleep(rng.uniform(0, seconds))
        os.kill(number, signal.SIGKILL)
        _, status = os.waitpid(number, 0)
        killed = os.WIFSIGNALED(status)
        assert killed or os.WEXITSTATUS(status) == 0
        ends["killed" if killed else "done"] += 1
        for what, name in (("features", "features.part"), ("regions", "regions.part")):
            ends[what] += killed and (out.with_name(".data.preparing") / name).is_file()
        if (out / "coco2014_captions.h5").exists():
            found = content(out)
            assert found == whole, sorted(name for name in found.keys() | whole.keys()
                                          if found.get(name) != whole.get(name))  # fmt: skip
            rmtree(out)
    if not (out / "coco2014_captions.h5").exists():
        make(source, out)
        assert content(out) == whole
    print(f"{ends['killed']} killed, {ends['features']} of them with features, {ends['regions']} with regions, "
          f"{ends['done']} done before")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
