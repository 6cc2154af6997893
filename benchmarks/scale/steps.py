"""Steps of minigrad on ranks, or in one process: `python -m benchmarks.scale.steps WORK`; rank 0 prints figures.

After the steps of the whole come as many in which each rank computes the same shards and sends nothing: all of them at
once, so that they share processors and memory as before. What these take less is what communication costs.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

import minigrad as mg
from benchmarks.jobs.captions import captioner
from benchmarks.scale.counting import Counting
from benchmarks.scale.waiting import TimedBuckets
from benchmarks.scale.work import WARM_UP, Work, timed
from minigrad.parallel import gather

__all__ = ["measured"]


def measured(work: Work) -> dict[str, Any]:
    """Figures of the steps, on every rank.

    Returns:
        `seconds` of each by the clock of the rank. Means over ranks: seconds `apart`, without communication, those in
        buckets `during` the passes and `after` them, and of the processor in both, `processor of sums`. Of all ranks
        together: `losses`, seconds of `processor` and `processor apart`, and bytes `sent` a step, and `sent in all`.
    """
    mg.set_num_threads(1)
    comm = Counting(mg.parallel.world())
    training = _Training(work, comm)
    before = comm.sent["bytes"]  # the weights of rank 0
    whole = timed(training.step, work.steps)
    waits, sent = training.figures(), (comm.sent["bytes"] - before) / (WARM_UP + work.steps)
    gather(comm, [0])  # all begin together
    apart = timed(training.step_apart, work.steps)
    own = [*waits, float(np.median(apart["seconds"])), whole["processor"], apart["processor"], sent, comm.sent["bytes"]]
    ranks = gather(comm, own)
    found = {"seconds": whole["seconds"], "losses": gather(comm, whole["losses"]).sum(axis=0).tolist()}
    found |= zip(("during", "after", "processor of sums", "apart"), ranks[:, :4].mean(axis=0).tolist(), strict=True)
    found |= zip(
        ("processor", "processor apart", "sent", "sent in all"), ranks[:, 4:].sum(axis=0).tolist(), strict=True
    )
    return found


class _Training:
    """A captioner, its batches, and an optimiser."""

    def __init__(self, work: Work, comm: Any) -> None:
        sizes = work.sizes
        self._model = captioner(sizes)
        options = {} if work.bucket_bytes is None else {"bucket_bytes": work.bucket_bytes}
        self._parallel = mg.parallel.DataParallel(self._model, work.shards, comm, **options)
        self._adam = mg.optim.Adam(self._model.parameters(), lr=1e-3)
        self._captions, self._features = sizes.captions(), sizes.pictures()
        self._rows = np.arange(work.captions)
        self._watch = TimedBuckets(self._parallel._buckets)
        self._steps = 0
        if self._parallel._buckets is not None:
            self._parallel._buckets = self._watch  # type: ignore[assignment]

    def step(self, i: int) -> float:
        """This rank's part of a step of all, and of its loss."""
        self._steps += 1
        if self._steps == WARM_UP + 1:
            self._watch.reset()
        loss = sum(self._pass(i, part) for part in self._parallel.parts(self._rows))
        self._adam.step()
        return loss

    def step_apart(self, i: int) -> float:
        """The same shards, and nothing for others."""
        self._adam.zero_grad()
        loss = sum(self._pass(i, part) for part in self._parallel.own(self._rows))
        self._adam.step()
        return loss

    def _pass(self, i: int, part: Any) -> float:
        captions = self._captions[i % len(self._captions)]
        loss = part.share * self._model.loss(self._features[part.rows], captions[part.rows])
        loss.backward()
        return float(loss.data)

    def figures(self) -> list[float]:
        """Seconds of a step in its buckets: within reverse passes, behind them, and of this thread's processor."""
        counted = max(1, self._steps - WARM_UP)
        return [x / counted for x in (self._watch.during, self._watch.after, self._watch.processor)]


if __name__ == "__main__":
    with mg.parallel.together():
        found = measured(Work.of(sys.argv[1]))
        if mg.parallel.world().rank == 0:
            print(json.dumps(found))
