"""How long a step takes on any number of ranks, by what was measured of one rank and of one message.

A step computes, does what a rank has to do for a sum besides sending ("local"), and sends. What is sent, and how, is as
in `minigrad.parallel.ordered_sums` and `minigrad.parallel.row_sums`: of n ranks each has of a bucket of S bytes

    all-to-all     n - 1 messages, S (n - 1) / n bytes,        all-gather    the same again,

and of a table of embeddings the rows of its words, and then those of all words. A message takes alpha + beta bytes.
Two things are not known and are bounded: how much of the travel the reverse pass hides (all that fits, or nothing), and
whether latencies add up (once for each of n - 1 messages) or not (once for each doubling of ranks).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from benchmarks.jobs.captions import Sizes
from minigrad.parallel.buckets import BUCKET_BYTES

__all__ = [
    "Bounds", "Link", "Load", "Rank", "compute_seconds", "distinct", "link_of", "load_of", "sent", "step", "travel",
]  # fmt: skip

_OF_A_TABLE = 6  # collectives: the counts, numbers and contents of rows, there and back
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


@dataclass(frozen=True)
class Load:
    """What has to travel: the bytes of each bucket, and of a row of the table with its number; the shares of words of
    which such a table has rows, and how many words a caption has.
    """

    buckets: tuple[int, ...]
    row: int
    shares: tuple[float, ...]
    words: float


def load_of(sizes: Sizes, bucket_bytes: int = BUCKET_BYTES) -> Load:
    """Of the captioner of some sizes: what lies in buckets there, the table of words aside.

    >>> load = load_of(Sizes(words=50, batch=4, batches=2, features=8, wordvec=8, hidden=16))
    >>> load.buckets, load.row
    ((9800, 576), 40)
    """
    ids = np.concatenate(sizes.captions())
    counted = ids[:, :-1][ids[:, 1:] != 0]
    shares = np.bincount(counted, minlength=sizes.words) / len(counted)
    before, behind = ([_ITEM * size for size in some] for some in _parameters(sizes))
    buckets = _buckets(behind, bucket_bytes) + _buckets(before, bucket_bytes)  # the table lies between them
    return Load(buckets, _ITEM * sizes.wordvec + 8, tuple(shares.tolist()), len(counted) / len(ids))


def _parameters(sizes: Sizes) -> tuple[list[int], list[int]]:
    """The numbers in each parameter before the table and behind it, in the model's order."""
    D, W, H, V = sizes.features, sizes.wordvec, sizes.hidden, sizes.words
    return [D * H, H], [W * 4 * H, H * 4 * H, 4 * H, H * V, V]


def _buckets(parameters: list[int], most: int) -> tuple[int, ...]:
    """The bytes of each, filled from the last parameter on.

    >>> _buckets([8, 4, 4], most=8)
    (8, 8)
    """
    buckets: list[int] = []
    for size in reversed(parameters):
        if buckets and buckets[-1] + size <= most:
            buckets[-1] += size
        else:
            buckets.append(size)
    return tuple(buckets)


def distinct(load: Load, captions: float) -> float:
    """How many different words so many captions have, to be expected.

    >>> distinct(Load((), 0, (0.5, 0.5), words=1), 2)
    1.5
    """
    return float(np.sum(1 - (1 - np.array(load.shares)) ** (load.words * captions)))


def sent(load: Load, ranks: int, captions: float) -> float:
    """The bytes that all ranks together have for others in a step of so many captions a rank.

    >>> load = Load((1000,), 10, (1.0,), words=1)
    >>> sent(load, ranks=2, captions=5)  # of each: half the bucket and half a row there, and the same back
    2020.0
    """
    rows = distinct(load, captions) + distinct(load, ranks * captions)
    return (ranks - 1) * (2.0 * sum(load.buckets) + load.row * rows)


def travel(load: Load, ranks: int, captions: float, link: Link, on_host: int = 1) -> Bounds:
    """Seconds in which all that a step sends is there.

    on_host: how many ranks a host has. What stays on it takes no time, and what leaves it shares its link.

    >>> travel(Load((1000,), 0, (), 0), 2, 1, Link(0.0, 1e-3))
    Bounds(low=1.0, high=1.0)
    """
    if ranks == 1:
        return Bounds(0.0, 0.0)
    there, back = on_host * (ranks - on_host) / ranks, (ranks - 1) / ranks  # back: a ring crosses each link once
    size = sum(load.buckets)
    rows = there * distinct(load, captions) + back * distinct(load, ranks * captions)
    seconds = link.beta * ((there + back) * size + load.row * rows)
    collectives = 2 * len(load.buckets) + _OF_A_TABLE * (load.row > 0)
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
    load: Load, rank: Rank, link: Link, ranks: int, captions: float, processors: int | None = None, on_host: int = 1
) -> Bounds:
    """Seconds of a step in which each rank has so many captions.

    processors: of the one machine that all ranks share; where these are more, each waits for its turn. None: each rank
    has its own. Low: the pass hides what it can. High: nothing travels while it goes on.
    """
    turns = 1.0 if processors is None else max(1.0, ranks / processors)
    own = turns * (compute_seconds(rank, captions) + (rank.local if ranks > 1 else 0.0))
    low, high = travel(load, ranks, captions, link, on_host)
    crowd = turns if on_host == 1 else 1.0  # one wire is no slower for more ranks; memory is
    return Bounds(max(own, crowd * low), own + crowd * high)
