"""The wire between two hosts: packets from one TUN device go to the other, late, or never.

`python -m benchmarks.scale.forwarder FIRST SECOND OPTIONS` is a process of its own, which gets two open devices by
their file descriptors. A line on its standard input is answered by a line of JSON with counts; its end is the end. It
computes on the same processors as the hosts whose packets it carries, so it says how much it took of them.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Direction", "Wire", "forward"]

_LONGEST = 2**16  # bytes of a packet
_AT_ONCE = 32  # packets that are taken from one side before the other has its turn


@dataclass(frozen=True)
class Wire:
    """What a wire is like, in each direction.

    delay: seconds from one end to the other. loss: the share of packets that get lost. rate: bits a second, None for as
    many as this process manages. mtu: the bytes of the longest packet.
    """

    delay: float = 0.0
    loss: float = 0.0
    rate: float | None = None
    mtu: int = 65000

    def text(self) -> str:
        """For the command line of a forwarder."""
        return json.dumps(asdict(self))


class Direction:
    """One direction of a wire: packets wait here until they are due."""

    def __init__(self, source: int, sink: int, wire: Wire, seed: int) -> None:
        self.source, self.sink, self._wire = source, sink, wire
        self._random = random.Random(seed)
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._free = 0.0  # from when on the wire takes another packet
        self.packets = self.bytes = self.lost = 0

    def take(self, now: float) -> None:
        """Take what the source has."""
        for _ in range(_AT_ONCE):
            try:
                packet = os.read(self.source, _LONGEST)
            except BlockingIOError:
                return
            self.packets += 1
            self.bytes += len(packet)
            if self._wire.loss and self._random.random() < self._wire.loss:
                self.lost += 1
                continue
            if self._wire.rate:
                self._free = max(self._free, now) + 8 * len(packet) / self._wire.rate
            self._waiting.append((max(self._free, now) + self._wire.delay, packet))

    def due(self) -> float:
        """When the next packet is; infinite if there is none."""
        return self._waiting[0][0] if self._waiting else float("inf")

    def give(self, now: float) -> None:
        """Give on what is due."""
        while self._waiting and self._waiting[0][0] <= now:
            os.write(self.sink, self._waiting.popleft()[1])


def forward(directions: list[Direction], control: Any, answers: Any) -> None:
    """Carry packets until there is no more to read from `control`; each line of it is answered by counts."""
    files = [control.fileno(), *(direction.source for direction in directions)]
    while True:
        due = min(direction.due() for direction in directions)
        patience = None if due == float("inf") else max(0.0, due - time.monotonic())
        ready, _, _ = select.select(files, [], [], patience)
        for direction in directions:
            if direction.source in ready:
                direction.take(time.monotonic())
        for direction in directions:
            direction.give(time.monotonic())
        if control.fileno() in ready:
            if not os.read(control.fileno(), 1000):
                return
            print(json.dumps(_counts(directions)), file=answers, flush=True)


def _counts(directions: list[Direction]) -> dict[str, float]:
    """What both directions together have had, and this process's seconds of processor."""
    sums = {name: sum(getattr(d, name) for d in directions) for name in ("packets", "bytes", "lost")}
    return {**sums, "processor": time.process_time()}


if __name__ == "__main__":
    first, second, wire = int(sys.argv[1]), int(sys.argv[2]), Wire(**json.loads(sys.argv[3]))
    forward([Direction(first, second, wire, 0), Direction(second, first, wire, 1)], sys.stdin, sys.stdout)
