"""``python -m minigrad.runtime``: show how this machine computes matrix products, or measure what is fastest.

The measured products have the sizes that captioners need: all steps at once, and one step.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from operator import truediv
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from ..ops.kernels.blocked_products import multiplier, product_into
from . import matmul_backend, mkl
from .matmul_backend import Strategy
from .threads import get_num_threads, set_num_threads

# M, K and N of a (M, K) and b (K, N), and whether b is transposed in memory.
_LARGE = ((118, 256, 2048, False), (290, 512, 1004, False), (290, 2048, 256, True), (512, 290, 2048, False))

_ROWS = (4, 8, 16, 25, 40, 64, 128)  # of a step
_MOST_ROWS = (8, 16, 25, 40, 64, None)  # in blocks
_ROUNDS = 9
_SHORTEST = 3e-3  # seconds for which a strategy runs before the next one; a call takes 0.1 to 5 ms
_MARGIN = 0.97  # of the time: a smaller gain is not worth deviating from other machines

# The time of this thread excludes what other processes use. Some systems do not have it, or it is too coarse.
_fine = hasattr(time, "thread_time") and time.get_clock_info("thread_time").resolution <= 1e-6
_clock = time.thread_time if _fine else time.perf_counter


def main(arguments: list[str] | None = None) -> None:
    """Run a command line."""
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.runtime",
        description="Show how this machine computes matrix products, or measure the strategies and keep the "
        "fastest for processes that start from now on. Results of different strategies differ by rounding errors.",
        epilog=f"{matmul_backend.BLAS}=numpy or mkl in the environment chooses the library; mkl is the package of that "
        "name. MINIGRAD_CACHE names the folder of the measurement.",
    )
    parser.add_argument("command", nargs="?", choices=["show", "tune"], default="show", help="what to do (show)")
    try:
        if parser.parse_args(arguments).command == "tune":
            print("measuring matrix products for a few seconds; keep the machine idle", flush=True)
            large, thin = measure()
            found, best = fastest(large, thin)
            matmul_backend.keep(found, best, {str(strategy): time for strategy, time in {**large, **thin}.items()})
            for library, strategy in found.items():
                print(f"{library}: {strategy}{', the default from now on' if library == best else ''}")
        else:
            print(matmul_backend.backend())
    except OSError as error:
        parser.error(f"cannot save the measurement: {error}")
    except ValueError as error:
        parser.error(str(error))
    print(f"this machine's measurement: {matmul_backend.measurement()[2]}")


def measure(rounds: int = _ROUNDS) -> tuple[dict[Strategy, float], dict[Strategy, float]]:
    """Measure strategies for large products, and for products of a step, on one thread: this takes a few seconds.

    Returns the time of each strategy relative to plain products, averaged over the products.
    """
    others = [] if mkl.reason_against() else ["mkl"]
    threads = get_num_threads()
    set_num_threads(1)
    try:
        large = _race(
            [_large(*sizes) for sizes in _LARGE], [Strategy(large) for large in ("plain", "tiles", *others)], rounds
        )
        blocks = (Strategy(thin="blocks", most_rows=rows) for rows in _MOST_ROWS)
        thin = [Strategy(), *blocks, *(Strategy(thin=other) for other in others)]
        return large, _race([_step(rows) for rows in _ROWS], thin, rounds)
    finally:
        set_num_threads(threads)


def _random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def _large(M: int, K: int, N: int, transposed: bool) -> Callable[[], Callable[[], Any]]:
    a, b, out = _random(M, K), _random(N, K).T if transposed else _random(K, N), np.empty((M, N), np.float32)
    return lambda: lambda: product_into(a, b, out)


def _step(rows: int, K: int = 512, M: int = 2048) -> Callable[[], Callable[[], Any]]:
    """Make a step forwards and one back. Work that is done once for all steps is not timed."""
    W, a, da = _random(K, M), _random(rows, K), _random(rows, M)
    out, back = np.empty((4, rows, M // 4), np.float32), np.empty((1, rows, K), np.float32)

    def prepare() -> Callable[[], Any]:
        forwards, backwards = multiplier(W, rows, 4), multiplier(W, rows, transposed=True)
        return lambda: (forwards(a, out), backwards(da, back))

    return prepare


def _race(
    products: Sequence[Callable[[], Callable[[], Any]]], strategies: Sequence[Strategy], rounds: int
) -> dict[Strategy, float]:
    """Time the strategies on each product in rounds of alternating order; plain is the first of them."""
    ratios: dict[Strategy, list[float]] = {strategy: [] for strategy in strategies}
    for prepare in products:
        work: dict[Strategy, Callable[[], Any]] = {}
        times: dict[Strategy, list[float]] = {strategy: [] for strategy in strategies}
        for number in range(rounds):
            for strategy in strategies[:: (-1) ** number]:
                with matmul_backend.using(strategy):
                    work[strategy] = work.get(strategy) or prepare()
                    times[strategy].append(_seconds_per_call(work[strategy]))
        for strategy in strategies:
            ratios[strategy].append(median(map(truediv, times[strategy], times[strategies[0]])))
    means = {strategy: geometric_mean(each) for strategy, each in ratios.items()}
    for strategy, mean in means.items():
        print(f"  {strategy}: {1 / mean:.2f} times as fast as plain products", flush=True)
    return means


def _seconds_per_call(work: Callable[[], Any]) -> float:
    """Return the mean time of a call."""
    work()
    start, calls = _clock(), 0
    while (spent := _clock() - start) < _SHORTEST or not calls:
        work()
        calls += 1
    return spent / calls


def fastest(large: dict[Strategy, float], thin: dict[Strategy, float]) -> tuple[dict[str, Strategy], str]:
    """Return the fastest strategy of each library, and the faster library."""
    found, times = {}, {}
    libraries = {"numpy": (("plain", "tiles"), ("plain", "blocks")), "mkl": (("mkl",), ("mkl", "blocks"))}
    for library, (large_ways, thin_ways) in libraries.items():
        if any(strategy.large in large_ways for strategy in large):
            a = _best({strategy: time for strategy, time in large.items() if strategy.large in large_ways})
            b = _best({strategy: time for strategy, time in thin.items() if strategy.thin in thin_ways})
            found[library], times[library] = Strategy(a.large, b.thin, b.most_rows), large[a] * thin[b]
    return found, "mkl" if times.get("mkl", np.inf) < _MARGIN * times["numpy"] else "numpy"


def _best(times: dict[Strategy, float]) -> Strategy:
    return min(times, key=lambda strategy: times[strategy] * (_MARGIN if strategy == Strategy() else 1))


if __name__ == "__main__":
    main()
