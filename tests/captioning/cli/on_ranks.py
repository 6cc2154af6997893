"""`python -m tests.captioning.cli.on_ranks HOW WORD…`: the command line with small networks in place of the large one.

The network `mixed-colours` gives as many features as the small data set has: mean colours, through a fixed product. The
default network has a fault: "well" is none; "memory" raises a MemoryError when a rank has seen 40 photos, which is
after the first round of two ranks; "kill" kills rank 1.
"""

from __future__ import annotations

import os
import signal
import sys

import numpy as np
import pytest

from captioning.cli.entry import main as captioning
from captioning.vision import extractors
from minigrad import parallel
from tests.captioning.vision.grid_extractor import GridExtractor, GridPlaces


class Colours(GridExtractor):
    name, size = "mixed-colours", 6

    def features(self, prepared):
        weight = np.random.default_rng(0).standard_normal((12, self.size)).astype(np.float32)
        return self.maps(prepared).reshape(len(prepared), -1) @ weight


class Faulty(GridPlaces):
    how = "well"

    def maps(self, prepared):
        found = super().maps(prepared)
        if self.seen > 40 and self.how == "memory":
            raise MemoryError("there is none left")
        if self.how == "kill" and parallel.world().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return found


def main(how, *words):
    """Run a command in this process and return its exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(extractors.EXTRACTORS, "mixed-colours", Colours)
        patch.setitem(extractors._made, "efficientnet-lite0", Faulty())
        patch.setattr(Faulty, "how", how)
        return captioning(list(map(str, words)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
