"""How long a step takes on any number of ranks, by what was measured of one rank and of one message.

A step computes, does what a rank has to do for a sum besides sending ("local"), and sends. What is sent, and how, is as
in `minigrad.parallel.gradient_sums`: each of n ranks sends of a bucket of S bytes

    all-to-all     n - 1 messages, S (n - 1) / n bytes,        all-gather    the same again.

A message takes alpha + beta bytes. Two things are not known and are bounded: how much of the travel the reverse pass
hides (all that fits, or nothing), and whether latencies add up (once for each of n - 1 messages) or not (once for each
doubling of ranks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.jobs.captions import Sizes
from minigrad.parallel.gradient_sums import BUCKET_BYTES

__all__ = [
    "Bounds", "Link", "Rank", "buckets_of", "compute_seconds", "link_of", "sent", "step", "travel",
]  # fmt: skip

_ITEM = 4  # bytes of a weight, float32


class Bounds(NamedTuple):
    """Seconds, if all goes well, and if nothing does."""

    low: float
    high: float


@dataclass(frozen=True)
class Link:
    """alpha: seconds of an empty message. beta: seconds of each byte more, while both sides send."""

    alpha: float
    beta: float

    @classmethod
    def of_rate(cls, gigabit: float, alpha: float) -> Link:
        """A network by its rate in Gbit/s.

        >>> Link.of_rate(10, 3e-5)
        Link(alpha=3e-05, beta=8e-10)
        """
        return cls(alpha, 8e-9 / gigabit)


def link_of(messages: Sequence[Sequence[float]]) -> Link:
    """From what `pingpong` found: alpha of the smallest exchange, beta of the largest.

    >>> link_of([(8, 5e-6, 1e-5), (1_000_008, 1e-3, 1.01e-3)])
    Link(alpha=1e-05, beta=1e-09)
    """
    (small, _, least), (large, _, most) = messages[0], messages[-1]
    return Link(least, (most - least) / (large - small))


@dataclass(frozen=True)
class Rank:
    """What one rank takes: `compute`, pairs of a number of captions and seconds, rising; `local` seconds of a sum."""

    compute: Sequence[Sequence[float]]
    local: float


def buckets_of(sizes: Sizes, bucket_bytes: int = BUCKET_BYTES) -> list[int]:
    """Return the bytes of each bucket of the captioner of some sizes, which are filled from the last parameter on.

    >>> buckets_of(Sizes(words=50, batch=4, batches=2, features=8, wordvec=8, hidden=16))
    [11976]
    """
    D, W, H, V = sizes.features, sizes.wordvec, sizes.hidden, sizes.words
    buckets: list[int] = []
    for count in reversed([D * H, H, V * W, W * 4 * H, H * 4 * H, 4 * H, H * V, V]):  # in the model's order
        if buckets and buckets[-1] + _ITEM * count <= bucket_bytes:
            buckets[-1] += _ITEM * count
        else:
            buckets.append(_ITEM * count)
    return buckets


def sent(buckets: Sequence[int], ranks: int) -> int:
    """Return the bytes that all ranks together send to others in a step.

    >>> sent([1000], ranks=2)  # each sends half the bucket there, and the same back
    2000
    """
    return 2 * (ranks - 1) * sum(buckets)


def travel(buckets: Sequence[int], ranks: int, link: Link, on_host: int = 1) -> Bounds:
    """Return the seconds in which all that a step sends is there.

    on_host: how many ranks a host has. What stays on it takes no time, and what leaves it shares its link.

    >>> travel([1000], 2, Link(0.0, 1e-3))
    Bounds(low=1.0, high=1.0)
    """
    if ranks == 1:
        return Bounds(0.0, 0.0)
    there, back = on_host * (ranks - on_host) / ranks, (ranks - 1) / ranks  # back: a ring crosses each link once
    seconds = link.beta * (there + back) * sum(buckets)
    collectives = 2 * len(buckets)
    doublings = math.ceil(math.log2(ranks))
    return Bounds(seconds + collectives * doublings * link.alpha, seconds + collectives * (ranks - 1) * link.alpha)


def compute_seconds(rank: Rank, captions: float) -> float:
    """Of a step of so many captions: between what was measured on a line, and beyond it on the same line.

    >>> compute_seconds(Rank([(10, 1.0), (20, 1.5), (40, 2.0)], local=0), 15)
    1.25
    >>> compute_seconds(Rank([(10, 1.0), (20, 1.5), (40, 2.0)], local=0), 60)
    2.5
    >>> compute_seconds(Rank([(10, 1.0), (20, 0.5)], local=0), 1000)
    0.5

    Raises:
        ValueError: if too little was measured to say it.
    """
    points = rank.compute
    if len(points) < 2:
        raise ValueError("a step was measured with one number of captions alone: constants --rows needs two and more")
    above = min(max(1, sum(number < captions for number, _ in points)), len(points) - 1)
    (x0, y0), (x1, y1) = points[above - 1], points[above]
    least = y1 if captions >= x1 else y0 * min(1.0, captions / x0)  # on a busy machine lines may fall
    return float(max(least, y0 + (y1 - y0) * (captions - x0) / (x1 - x0)))


def step(
    buckets: Sequence[int],
    rank: Rank,
    link: Link,
    ranks: int,
    captions: float,
    processors: int | None = None,
    on_host: int = 1,
) -> Bounds:
    """Seconds of a step in which each rank has so many captions.

    processors: of the one machine that all ranks share; where these are more, each waits for its turn. None: each rank
    has its own. Low: the pass hides what it can. High: nothing travels while it goes on.
    """
    turns = 1.0 if processors is None else max(1.0, ranks / processors)
    own = turns * (compute_seconds(rank, captions) + (rank.local if ranks > 1 else 0.0))
    low, high = travel(buckets, ranks, link, on_host)
    crowd = turns if on_host == 1 else 1.0  # one wire is no slower for more ranks; memory is
    return Bounds(max(own, crowd * low), own + crowd * high)
