"""The work that is measured: training steps of a captioner, with the same weights and batches on every side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.jobs.captions import Sizes

__all__ = ["WARM_UP", "Work", "timed"]

WARM_UP = 3  # steps that are not counted: memory is new, and connections are made when they are first used
_BATCHES = 4


@dataclass(frozen=True)
class Work:
    """A captioner with an LSTM, and how it is trained.

    captions: of a batch, over all ranks. shards: into how many it is cut. steps: how many are timed. bucket_bytes: of
    minigrad's buckets; None for the usual ones. words, features, wordvec, hidden: V, D, W and H of the captioner.
    """

    captions: int = 100
    shards: int = 1
    steps: int = 12
    bucket_bytes: int | None = None
    words: int = 3000
    features: int = 512
    wordvec: int = 256
    hidden: int = 512

    @property
    def sizes(self) -> Sizes:
        """Of the jobs that `python -m benchmarks` has around the captioner."""
        return Sizes(self.words, self.captions, _BATCHES, "lstm", self.features, self.wordvec, self.hidden)

    def text(self) -> str:
        """For the command line of a program that does it.

        >>> Work.of(Work(captions=50).text()) == Work(captions=50)
        True
        """
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Work:
        """What `text` has written."""
        return cls(**json.loads(text))


def timed(step: Callable[[int], float], steps: int) -> dict[str, Any]:
    """Take steps, of which the first ones are not counted.

    step: takes the number of the step, and returns its loss.

    Returns:
        `seconds` of each step by the clock, `processor` seconds of a step by all of this process's threads, `losses`.
    """
    losses = [step(i) for i in range(WARM_UP)]
    seconds, processor = [], time.process_time()
    for i in range(WARM_UP, WARM_UP + steps):
        begun = time.perf_counter()
        losses.append(step(i))
        seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds, "processor": (time.process_time() - processor) / steps, "losses": losses}
