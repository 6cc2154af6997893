"""What a step of training costs on ranks: `python -m tests.parallel.price --ranks 2` starts them itself.

A captioner of the usual sizes learns from random captions: in one process; in one process in as many shards as there
are ranks; on the ranks; and on these with one bucket, so that nothing travels before the pass has ended. They take
turns, and the medians of all rounds are told, in milliseconds. The processes of ranks use one thread each, the one
process as many as there are ranks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np

import minigrad as mg
from captioning.data.vocabulary import SPECIAL, Vocabulary
from captioning.models.captioner import Captioner
from minigrad.parallel.buckets import BUCKET_BYTES
from tests.parallel.ranks import ROOT, command_line, surroundings

WORDS, FEATURES, CAPTIONS, LENGTH = 3000, 512, 100, 17
STEPS = 12


def steps(shards, bucket_bytes, threads):
    """Seconds of each step, on rank 0, without the first ones; and how long sums alone take, and of how many bytes."""
    mg.set_num_threads(threads)
    comm = mg.parallel.world()
    vocabulary = Vocabulary([*SPECIAL, *(f"w{i}" for i in range(WORDS - len(SPECIAL)))])
    model = Captioner(vocabulary, FEATURES, dropout=0.5, rng=0)
    data_parallel = mg.parallel.DataParallel(model, shards=shards, comm=comm, bucket_bytes=bucket_bytes)
    adam = mg.optim.AdamW(model.parameters(), lr=1e-3)
    rng = np.random.default_rng(0)
    captions = rng.integers(4, WORDS, size=(CAPTIONS, LENGTH), dtype=np.int32)
    features = rng.standard_normal((CAPTIONS, FEATURES)).astype(np.float32)
    taken = []
    for step in range(STEPS):
        begun = time.perf_counter()
        for part in data_parallel.parts(np.arange(CAPTIONS)):
            model.rng = np.random.default_rng([step, part.number])
            (part.share * model.loss(features[part.rows], captions[part.rows])).backward()
        mg.optim.clip_grad_norm(model.parameters(), 5.0)
        adam.step()
        taken.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    mg.parallel.all_reduce_gradients(model.parameters(), comm)
    alone = time.perf_counter() - begun
    if comm.rank == 0:
        print(json.dumps([taken[3:], alone, sum(p.data.nbytes for p in model.parameters())]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n = options.ranks
    whole, many = 2**40, BUCKET_BYTES
    ways = {"one process": (1, 1, many, n), f"one process, {n} shards": (1, n, many, n), f"{n} ranks": (n, n, many, 1),
            f"{n} ranks, one bucket": (n, n, whole, 1)}  # fmt: skip
    found = {way: [] for way in ways}
    for _ in range(options.rounds):
        for way, (ranks, *arguments) in ways.items():
            line = command_line(ranks, "-m", "tests.parallel.price", "steps", *arguments)
            said = subprocess.run(line if ranks > 1 else line[3:], env=surroundings(), cwd=ROOT, text=True,
                                  stdout=subprocess.PIPE, check=True).stdout  # fmt: skip
            found[way].append(json.loads(said))
    for way, rounds in found.items():
        medians = [1e3 * statistics.median(taken) for taken, _, _ in rounds]
        alone = 1e3 * statistics.median(alone for _, alone, _ in rounds)
        print(f"{way:24} {statistics.median(medians):7.1f} ms a step ({min(medians):.1f} to {max(medians):.1f}); "
              f"sums alone {alone:.1f} ms of {rounds[0][2] / 1e6:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    steps(*map(int, sys.argv[2:])) if sys.argv[1:2] == ["steps"] else main()
