"""The model beside what was measured, and where nothing can be measured here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.jobs.captions import Sizes
from benchmarks.scale.forwarder import Wire
from benchmarks.scale.model import Bounds, Link, Rank, buckets_of, compute_seconds, link_of, step, travel
from benchmarks.scale.runs import OURS, Case
from benchmarks.scale.tables import seconds
from benchmarks.scale.work import Work
from minigrad.parallel.gradient_sums import BUCKET_BYTES

__all__ = ["Checked", "Known", "checks", "predicted", "table_of_checks", "table_of_predictions"]

_WORDS = {
    "delay": ("{:g} ms", 1e3),
    "loss": ("{:g} % lost", 1e2),
    "rate": ("{:g} Gbit/s", 1e-9),
    "mtu": ("MTU {:g}", 1),
}


@dataclass(frozen=True)
class Known:
    """What files of results have: of one rank, with so many others computing beside it, of which captioner; of messages
    by place and wire; cases by the same.
    """

    work: Work
    processors: int
    ranks: dict[int, Rank]
    links: dict[str, Link]
    cases: dict[str, list[Case]]

    @classmethod
    def of(cls, files: Sequence[dict[str, Any]]) -> Known:
        """Of the content of JSON files.

        Raises:
            ValueError: if none has the constants, or not all are of one captioner.
        """
        work = Work()
        ranks: dict[int, Rank] = {}
        links: dict[str, Link] = {}
        cases: dict[str, list[Case]] = {}
        processors = 0
        for found in files:
            if found["command"] == "constants":
                processors, work = int(found["machine"]["processors"]), Work(**found.get("work", {}))
                ranks |= {int(n): Rank(one["compute"], one["local"]) for n, one in found["beside"].items()}
            elif found["command"] == "network":
                links[place_key(found)] = link_of(found["messages"])
            else:
                cases.setdefault(place_key(found), []).extend(Case.of(plain) for plain in found["cases"])
        if not ranks:
            raise ValueError("none of the files has constants: python -m benchmarks.scale constants --json FILE")
        if any(_captioner(case.work) != _captioner(work) for several in cases.values() for case in several):
            raise ValueError("steps and constants are of different captioners, perhaps of --quick and without")
        return cls(work, processors, ranks, links, cases)

    def rank(self, ranks: int) -> Rank:
        """As it is where so many compute at once."""
        return self.ranks[max((n for n in self.ranks if n <= ranks), default=min(self.ranks))]


def _captioner(work: Work) -> tuple[int, ...]:
    return work.words, work.features, work.wordvec, work.hidden


def place_key(found: dict[str, Any]) -> str:
    """The place of a result and the properties of its wire, in words.

    >>> place_key({"place": "hosts", "wire": {"delay": 0.005, "loss": 0.0, "rate": None, "mtu": 65000}})
    'hosts, 5 ms'
    """
    wire = found["wire"] if found["place"] == "hosts" else {}
    others = [name for name, value in wire.items() if value != getattr(Wire(), name)]
    return ", ".join([found["place"], *(_WORDS[name][0].format(_WORDS[name][1] * wire[name]) for name in others)])


@dataclass(frozen=True)
class Checked:
    """A case beside the model: seconds of a step."""

    place: str
    case: Case
    measured: float
    bounds: Bounds

    @property
    def error(self) -> float:
        """How far outside the bounds the measured one is, relative to the nearer one; negative below them."""
        low, high = self.bounds
        return min(0.0, self.measured / low - 1) + max(0.0, self.measured / high - 1)


def checks(known: Known) -> Iterator[Checked]:
    """Every case of minigrad's whose place has a link."""
    for place, cases in known.cases.items():
        for case in cases:
            n = case.ranks
            if case.framework != OURS or case.work.shards != n or (n > 1 and place not in known.links):
                continue
            buckets = buckets_of(case.work.sizes, case.work.bucket_bytes or BUCKET_BYTES)
            link, captions = known.links.get(place, Link(0, 0)), case.work.captions / n
            on_host = max(1, n // 2) if place.startswith("hosts") else 1
            bounds = step(buckets, known.rank(n), link, n, captions, known.processors, on_host)
            yield Checked(place, case, seconds(case), bounds)


def table_of_checks(known: Known) -> Iterator[str]:
    """Measured beside modelled."""
    yield "| place | scaling | ranks | captions | measured | model | outside |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for c in checks(known):
        cells = [c.place, c.case.way, str(c.case.ranks), str(c.case.work.captions), f"{1e3 * c.measured:.1f} ms",
                 _milliseconds(c.bounds), f"{c.error:+.0%}" if c.error else "no"]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def predicted(
    buckets: Sequence[int], rank: Rank, link: Link, ranks: int, captions: float
) -> tuple[Bounds, Bounds, Bounds]:
    """Of ranks that have a host each: seconds of a step, of its travel, and the efficiency beside one rank's step of
    as many captions.
    """
    bounds = step(buckets, rank, link, ranks, captions)
    alone = compute_seconds(rank, captions)
    return bounds, travel(buckets, ranks, link), Bounds(alone / bounds.low, alone / bounds.high)


def table_of_predictions(
    known: Known, sizes: Sizes, ranks: Sequence[int], rates: Sequence[float], alpha: float, batch: int, on_each: int
) -> Iterator[str]:
    """Weak scaling with so many captions a rank, strong with so many in all; each rank on a host of its own."""
    rank, buckets = known.rank(1), buckets_of(sizes)
    yield "| ranks | network | weak: step | travel | efficiency | strong: on each | step | speed-up | efficiency |"
    yield "|---:|---|---:|---:|---:|---:|---:|---:|---:|"
    whole = compute_seconds(rank, batch)
    for n in ranks:
        for rate in rates:
            link = Link.of_rate(rate, alpha)
            weak, carried, efficiency = predicted(buckets, rank, link, n, on_each)
            cells = [str(n), f"{rate:g} Gbit/s", _milliseconds(weak), _milliseconds(carried), _share(efficiency)]
            if batch >= n:
                strong = step(buckets, rank, link, n, batch / n)
                speed = Bounds(whole / strong.low, whole / strong.high)
                speeds = f"{speed.high:.1f} to {speed.low:.1f}"
                share = _share(Bounds(speed.low / n, speed.high / n))
                cells += [f"{batch / n:g}", _milliseconds(strong), speeds, share]
            else:
                cells += [""] * 4
            yield f"| {' | '.join(cells)} |"


def _milliseconds(bounds: Bounds) -> str:
    low, high = (f"{1e3 * x:.1f}" if x < 0.1 else f"{1e3 * x:.0f}" for x in bounds)
    return f"{low} ms" if low == high else f"{low} to {high} ms"


def _share(bounds: Bounds) -> str:
    """Of efficiencies: the worse one first."""
    return f"{bounds.high:.2f} to {bounds.low:.2f}"
