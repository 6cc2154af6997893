"""How much memory a data set of the size of MS-COCO takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.captioning.data.large import Size, write_large

PROGRAM = """
import json, signal, sys
from pathlib import Path
import h5py, numpy as np
from captioning.data.dataset import open_captions
from captioning.data.fingerprints import fingerprint
from captioning.data.parts import images_of_part
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.evaluation.split_scores import evaluate
from captioning.training.settings import Settings
from captioning.training.solver import Solver

def resident(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024

class Stop:
    '''Ends the training after 20 iterations.'''
    def begin(self, total, start): pass
    def close(self): pass
    def update(self, done, **figures):
        if done == 20:
            signal.raise_signal(signal.SIGINT)

folder, pca, columns, hidden, cache = sys.argv[1], sys.argv[2] == "pca", *map(int, sys.argv[3:])
vocabulary = Vocabulary.from_json(folder + "/coco2014_vocab.json")
model = Captioner(vocabulary, columns, hidden // 2, hidden, rng=0)
Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
before, grown = resident("VmRSS"), {}
with open_captions(folder, pca=pca, cache_bytes=cache) as data:
    grown["opened"] = resident("VmHWM") - before
    fingerprint(data)
    grown["fingerprint"] = resident("VmHWM") - before
    solver = Solver(model, data.train, data.val, Settings(batch_size=25), progress=Stop())
    solver.train()
    assert solver.iteration == 20
    grown["20 iterations"] = resident("VmHWM") - before
    figures = evaluate(model, data.val, images_of_part(data.val, most=100))
    assert figures["images"] == 100
    grown["evaluation"] = resident("VmHWM") - before
    last = len(data.train.features) - 1
    assert data.train.features[[last, 0, 1]].max(axis=1).tolist() == [last, 0, 0]
print(json.dumps(grown))
"""

SMALL = Size((8_000, 2_000), (20_000, 5_000), (4096, 2048), 100)
"""Whole features of 131 and 33 MB, reduced ones of 66 and 16: whoever keeps them all is above the limit in both."""


@pytest.mark.slow
@pytest.mark.parametrize("features", ["whole", "pca"])
def test_memory_stays_flat(tmp_path, full, features):
    """Opening, the fingerprint, 20 iterations and an evaluation; in full by the commands' own settings."""
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("needs Linux: no /proc/self/clear_refs")
    size = Size() if full else SMALL
    write_large(tmp_path, size)
    columns = size.columns[features == "pca"]
    hidden, cache = (512, 256 * 2**20) if full else (32, 2**20)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), features, str(columns), str(hidden), str(cache)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    grown = json.loads(done.stdout)
    print(features, {stage: f"{megabytes:.0f} MB" for stage, megabytes in grown.items()})
    assert max(grown.values()) < (400 if full else 40), grown
