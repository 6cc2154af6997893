"""Which way of computing products is the fastest on this machine, by measuring all of them side by side.

The products are of the sizes of the jobs that minigrad is for: those of all steps of a captioner, and those of a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from statistics import geometric_mean, median
from typing import TypeAlias

import numpy as np

from ...runtime import mkl, ways
from ...runtime.threads import get_num_threads, set_num_threads
from ...runtime.ways import Way
from .blocks import multiplier, product_into

__all__ = ["Figures", "fastest", "measured"]

Figures: TypeAlias = Mapping[str, Mapping[str, float]]
"""Of each product, the time that each way takes, in times of the plain product's."""

_LARGE = ((118, 256, 2048, False), (290, 512, 1004, False), (290, 2048, 256, True), (512, 290, 2048, False))
"""M, K and N of a (M, K) and b (K, N), and whether b is transposed in memory."""

_ROWS = (4, 8, 16, 25, 40, 64, 128)
_WEIGHT = (512, 2048)
_ROUNDS = 9
_TURN = 3e-3  # seconds that a turn lasts at least; a call takes 0.1 to 5 ms
_MARGIN = 0.97  # of the time: what gains less is not worth being unlike other machines


def measured(rounds: int = _ROUNDS, say: Callable[[str], None] = lambda line: None) -> tuple[Figures, Figures]:
    """Figures of large products, and of steps by their rows, on one thread: some seconds.

    ``say`` gets a line for each product when it is measured.
    """
    others = [] if mkl.reason_against() else ["mkl"]
    large: dict[str, Mapping[str, float]] = {}
    thin: dict[str, Mapping[str, float]] = {}
    threads = get_num_threads()
    set_num_threads(1)
    try:
        for M, K, N, turned in _LARGE:
            name = f"({M}, {K}) by ({K}, {N}){', transposed' * turned}"
            large[name] = _race(
                _large(M, K, N, turned), {way: Way(large=way) for way in ("plain", "tiles", *others)}, rounds
            )
            say(_line(name, large[name]))
        for rows in _ROWS:
            thin[str(rows)] = _race(_steps(rows), {way: Way(thin=way) for way in ("plain", "blocks", *others)}, rounds)
            say(_line(f"a step of {rows} rows, {_WEIGHT[0]} to {_WEIGHT[1]}", thin[str(rows)]))
    finally:
        set_num_threads(threads)
    return large, thin


def _line(name: str, times: Mapping[str, float]) -> str:
    rates = "   ".join(f"{way} {1 / times[way]:4.2f}" for way in times if way != "plain")
    return f"{name:38} times as fast as plain:   {rates}"


def _large(M: int, K: int, N: int, turned: bool) -> Callable[[], Callable[[], None]]:
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(shape).astype(np.float32) for shape in ((M, K), (N, K) if turned else (K, N)))
    b, out = b.T if turned else b, np.empty((M, N), np.float32)
    return lambda: lambda: product_into(a, b, out)


def _steps(rows: int) -> Callable[[], Callable[[], None]]:
    """A step forwards and one back; what is prepared once for all steps is not timed."""
    rng = np.random.default_rng(0)
    K, M = _WEIGHT
    W, a, da = (rng.standard_normal(shape).astype(np.float32) for shape in (_WEIGHT, (rows, K), (rows, M)))
    out, back = np.empty((4, rows, M // 4), np.float32), np.empty((1, rows, K), np.float32)

    def prepared() -> Callable[[], None]:
        forwards, backwards = multiplier(W, rows, 4), multiplier(W, rows, transposed=True)
        return lambda: (forwards(a, out), backwards(da, back))[0]

    return prepared


def _race(prepared: Callable[[], Callable[[], None]], by: Mapping[str, Way], rounds: int) -> dict[str, float]:
    """The median time of each way over the plain one's, in rounds in which each has a turn, forth and back."""
    times: dict[str, list[float]] = {name: [] for name in by}
    work = {}
    for name, way in by.items():
        with ways.using(way):
            work[name] = prepared()
            work[name]()
    for number in range(rounds):
        for name in list(by)[:: (-1) ** number]:
            with ways.using(by[name]):
                times[name].append(_turn(work[name]))
    return {name: median(mine / plain for mine, plain in zip(times[name], times["plain"], strict=True)) for name in by}


def _clock() -> Callable[[], float]:
    """The time of this thread, which stands still while others have the processor, where it counts microseconds."""
    fine = time.get_clock_info("thread_time").resolution <= 1e-6
    return time.thread_time if fine else time.perf_counter


def _turn(work: Callable[[], None]) -> float:
    """Seconds a call."""
    now, calls = _clock(), 0
    start = now()
    while (spent := now() - start) < _TURN or not calls:
        work()
        calls += 1
    return spent / calls


def fastest(large: Figures, thin: Figures) -> tuple[dict[str, Way], str]:
    """The fastest ways by what computes, and which of these is the fastest.

    >>> ways, best = fastest({"a": {"plain": 1.0, "tiles": 0.9}}, {"8": {"plain": 1, "blocks": 0.5},
    ...                      "64": {"plain": 1, "blocks": 1.2}})
    >>> best, ways["numpy"]
    ('numpy', Way(large='tiles', thin='blocks', most_rows=8))
    """
    found, scores = {}, {}
    has_mkl = all("mkl" in times for times in large.values())
    for computes in ("numpy", "mkl") if has_mkl else ("numpy",):
        most_rows = _most_rows(thin)
        used = {rows: {**times, "blocks": times["blocks"] if most_rows is None or int(rows) <= most_rows else 1.0}
                for rows, times in thin.items()}  # fmt: skip
        best, score = _best(large, ["mkl"] if computes == "mkl" else ["plain", "tiles"])
        names = ["mkl" if computes == "mkl" else "plain", *["blocks"] * (most_rows != 0)]
        best_thin, score_thin = _best(used, names)
        found[computes] = Way(best, best_thin, most_rows if best_thin == "blocks" else None)
        scores[computes] = score * score_thin
    return found, "mkl" if has_mkl and scores["mkl"] < _MARGIN * scores["numpy"] else "numpy"


def _best(figures: Figures, names: list[str]) -> tuple[str, float]:
    """The fastest of these ways over all products, and its figure; plain, if it is among them and no other gains."""
    means = {name: geometric_mean(times[name] for times in figures.values()) for name in names}
    name = min(means, key=lambda n: means[n] * (_MARGIN if n == "plain" else 1))
    return name, means[name]


def _most_rows(thin: Figures) -> int | None:
    """Up to how many rows blocks gain; None if whatever their number, 0 if not at all."""
    most = 0
    for rows, times in thin.items():
        if times["blocks"] > _MARGIN:
            return most
        most = int(rows)
    return None
