"""What a model of many ranks needs of one: `python -m benchmarks.scale.constants WORK ROWS…` prints it.

Seconds of a step by its number of captions, without communication; and those of all that a rank does for a sum besides
sending: copying gradients into buckets, adding slices, and copying sums out. On several ranks of mpiexec all do the
same at once, each for itself: that is how processors and memory are shared when they train.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np

import minigrad as mg
from benchmarks.jobs.captions import captioner
from benchmarks.scale.work import Work, timed
from minigrad.parallel import gather
from minigrad.parallel.gradient_sums import BUCKET_BYTES, Buckets

__all__ = ["compute_seconds", "local_seconds", "measured"]


def measured(work: Work, rows: list[int]) -> dict[str, Any]:
    """Medians: `compute`, of each number of captions the seconds of a step, and `local`, those of a sum."""
    mg.set_num_threads(1)
    comm = mg.parallel.world()
    own = []
    for number in rows:
        gather(comm, [0])  # all begin together
        own.append(compute_seconds(replace(work, captions=number)))
    gather(comm, [0])
    *compute, local = gather(comm, [*own, local_seconds(work)]).mean(axis=0).tolist()
    return {"compute": list(zip(rows, compute, strict=True)), "local": local}


def compute_seconds(work: Work) -> float:
    """The median of steps in one process."""
    sizes = work.sizes
    model, captions, features = captioner(sizes), sizes.captions(), sizes.pictures()
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)

    def step(i: int) -> float:
        adam.zero_grad()
        loss = model.loss(features, captions[i % len(captions)])
        loss.backward()
        adam.step()
        return float(loss.data)

    return float(statistics.median(timed(step, work.steps)["seconds"]))


def local_seconds(work: Work) -> float:
    """The median of sums over one rank: nothing travels, and everything else happens."""
    from mpi4py import MPI

    model = captioner(work.sizes)
    model.loss(work.sizes.pictures(), work.sizes.captions()[0]).backward()
    params = list(model.parameters())
    buckets = Buckets(params, [range(1)], MPI.COMM_SELF, work.bucket_bytes or BUCKET_BYTES)
    seconds = []
    for _ in range(3 * work.steps):
        begun = time.perf_counter()
        for i in reversed(range(len(params))):
            buckets.put(i, np.asarray(params[i].grad))
        buckets.close()
        buckets.sums()
        seconds.append(time.perf_counter() - begun)
    buckets.free()
    return statistics.median(seconds)


if __name__ == "__main__":
    with mg.parallel.together():
        found = measured(Work.of(sys.argv[1]), [int(number) for number in sys.argv[2:]])
        if mg.parallel.world().rank == 0:
            print(json.dumps(found))
