"""Side-by-side timing: rivals take turns in one process, so that what slows the machine slows all of them.

Import this module before NumPy: it drops the two OpenBLAS settings that would choose the kernel by
hand, and puts the checkout it lies in first on the path, installed or not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):  # OpenBLAS reads them once, when NumPy is imported
    if os.environ.pop(_name, None) is not None and "numpy" in sys.modules:
        raise RuntimeError(f"{_name} is set and NumPy is imported already: unset it, or import timing first")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Within this context NumPy's BLAS and PyTorch use so many threads."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        with threadpool_limits(number, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def kernel() -> str:
    """The BLAS that NumPy calls and the kernel it chose here, such as ``openblas 0.3.31 (SkylakeX)``."""
    import numpy  # noqa: F401  (loads the BLAS)
    from threadpoolctl import threadpool_info

    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas" and "numpy" in pool["filepath"]]
    words = [f"{p['internal_api']} {p['version']} ({p.get('architecture', 'unknown kernel')})" for p in found]
    return ", ".join(words) or "unknown BLAS"


def compare(functions: Mapping[str, Callable[[], Any]], repeats: int = 20, warmup: int = 2) -> dict[str, float]:
    """The best time of each function in seconds, over rounds in which each runs once.

    Every other round runs in the reverse order, so that nobody always inherits the same warm caches.
    """
    best = dict.fromkeys(functions, float("inf"))
    for turn in range(-warmup, repeats):
        for name in list(functions) if turn % 2 else list(functions)[::-1]:
            start = time.perf_counter()
            functions[name]()
            elapsed = time.perf_counter() - start
            if turn >= 0:
                best[name] = min(best[name], elapsed)
    return best


def print_ratios(results: Mapping[str, Mapping[str, float]], baseline: str = "pytorch") -> None:
    """A table with a row for each comparison: best milliseconds of each rival, and its ratio to the baseline.

    Args:
        results: from a row's label to what :func:`compare` returned.
        baseline: the rival that the others are divided by; below 1 is faster than it.
    """
    width = max(map(len, results), default=0)
    for label, seconds in results.items():
        cells = [f"{name} {1e3 * best:9.3f} ms" for name, best in seconds.items()]
        ratios = [f"{n}/{baseline} {s / seconds[baseline]:5.2f}" for n, s in seconds.items() if n != baseline]
        print(f"{label:{width}}  {'  '.join(cells)}  {'  '.join(ratios)}", flush=True)
