"""`python -m tests.captioning.preparing.on_ranks HOW WORD…`: the command `prepare` on ranks, with a small network.

HOW is what the network does: "well" is no fault; "nan" gives a white photo features that are not finite; "memory"
raises a MemoryError when a rank has seen 40 photos, which is after the first round of two; "kill" kills rank 1.
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
from tests.captioning.vision.grid_extractor import GridPlaces


class Faulty(GridPlaces):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def maps(self, prepared):
        found = super().maps(prepared)
        if self.how == "nan":
            found[prepared.min(axis=(1, 2, 3)) == 1] = np.nan
        if self.seen > 40 and self.how == "memory":
            raise MemoryError("there is none left")
        if self.how == "kill" and parallel.world().rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return found


def main(how, *words):
    """The command's exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(extractors._made, "efficientnet-lite0", Faulty(how))
        return captioning(["prepare", *map(str, words)])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
