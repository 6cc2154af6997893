"""A training whose process may not have as much memory as the features take."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.large_data import dropping_cache
from captioning.data.folder import features_path
from captioning.data.synthetic import COCO, Size, write_synthetic

PROGRAM = """
import json, resource, sys
from pathlib import Path
import nltk.translate.bleu_score  # which takes much memory to be imported
import numpy as np
from captioning.data.dataset import open_captions
from captioning.data.dataset import fingerprint
from captioning.data.vocabulary import Vocabulary
from captioning.models.captioner import Captioner
from captioning.evaluation.split_scores import evaluate
from captioning.data.splits import images_of_part
from captioning.training.settings import Settings
from captioning.training.solver import Solver

folder, hidden, cache, allowed, iterations = sys.argv[1], *map(int, sys.argv[2:])
model = Captioner(Vocabulary.from_json(folder + "/coco2014_vocab.json"), 4096, hidden // 2, hidden, rng=0)
lines = Path("/proc/self/status").read_text().splitlines()
taken = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:"))
resource.setrlimit(resource.RLIMIT_DATA, (taken + allowed, taken + allowed))
with open_captions(folder, cache_bytes=cache) as data:
    try:
        np.ones(data.train.features.shape, np.float32)
    except MemoryError:
        whole_fits = False
    else:
        whole_fits = True
    data.check()
    fingerprint(data)
    solver = Solver(model, data.train, data.val, Settings(batch_size=100, learning_rate=2e-3))
    losses = [entry["loss"] for entry in solver.train(max_iterations=iterations)]
    images = evaluate(model, data.val, images_of_part(data.val, most=50))["images"]
print(json.dumps({"whole fits": whole_fits, "losses": losses, "images": images}))
"""

SMALL = Size(images=(8_000, 100), captions=(20_000, 250), columns=4096, words=100)
"""Features of 131 MB, for a process that may have 120 MB more than the model: two blocks of 64 MiB are too many."""


@pytest.mark.slow
def test_training_has_less_memory_than_the_features_take(tmp_path, full):
    """Checking, fingerprint, training and an evaluation, with the page cache dropped; in full COCO's size within 1 GiB.

    The limit is RLIMIT_DATA: what the process allocates. `benchmarks.large_data` counts page cache, too.
    """
    if sys.platform != "linux":
        pytest.skip("another platform: RLIMIT_DATA and /proc are Linux's")
    size = COCO if full else SMALL
    folder = tmp_path / "data"
    write_synthetic(folder, size)
    hidden, cache, allowed = (512, 256 * 2**20, 2**30) if full else (64, 2**20, 120_000_000)
    assert allowed < size.images[0] * size.columns * 4
    iterations = 300 if full else 40
    command = [sys.executable, "-c", PROGRAM, str(folder), *map(str, (hidden, cache, allowed, iterations))]
    with dropping_cache(features_path(folder, "train", pca=False)):
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert not told["whole fits"]
    assert told["images"] == 50
    assert len(told["losses"]) == iterations
    assert sum(told["losses"][-10:]) < 0.7 * sum(told["losses"][:10])
