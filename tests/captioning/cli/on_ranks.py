"""`python -m tests.captioning.cli.on_ranks WORD…`: the command line, with one more network, `mixed-colours`.

It gives as many features of a photo as the small data set has: mean colours, through a fixed product.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from captioning.cli.entry import main as captioning
from captioning.vision.extractors import EXTRACTORS
from tests.captioning.vision.grid_extractor import GridExtractor


class Colours(GridExtractor):
    name, size = "mixed-colours", 6

    def features(self, prepared):
        weight = np.random.default_rng(0).standard_normal((12, self.size)).astype(np.float32)
        return self.maps(prepared).reshape(len(prepared), -1) @ weight


def main(*words):
    """The command's exit status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXTRACTORS, "mixed-colours", Colours)
        return captioning(list(map(str, words)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
