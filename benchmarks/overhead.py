"""What the graph costs: forward and backward of a small add, as multiples of a bare `np.add`.

A chain of 1,000 adds of 8 float32 is built and differentiated, with a constant (x + c) and with two tracked
operands (x + w). PyTorch runs the same chain. Aims: at most 5 and 7 times `np.add`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
import timing  # first: it chooses the BLAS settings

import numpy as np
import torch

import minigrad as mg

ADDS = 1000


def chain(start: Any, step: Any) -> Any:
    """start + step + … + step."""
    for _ in range(ADDS):
        start = start + step
    return start


def rivals(size: int) -> dict[str, Callable[[], Any]]:
    """The chains by name."""
    a, c = np.ones(size, np.float32), np.ones(size, np.float32)
    ta, tc = torch.from_numpy(a), torch.from_numpy(c)

    def bare() -> None:
        x = a
        for _ in range(ADDS):
            x = np.add(x, c)

    def minigrad(tracked: bool) -> Callable[[], None]:
        return lambda: chain(
            mg.tensor(a, requires_grad=True), mg.tensor(c, requires_grad=True) if tracked else c
        ).backward(a)

    def pytorch(tracked: bool) -> Callable[[], None]:
        return lambda: chain(ta.clone().requires_grad_(), tc.clone().requires_grad_(tracked)).backward(ta)

    return {
        "np.add": bare,
        "minigrad x + c": minigrad(False), "minigrad x + w": minigrad(True),
        "pytorch x + c": pytorch(False), "pytorch x + w": pytorch(True),
    }  # fmt: skip


def main() -> None:
    """Compare and print ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--size", type=int, nargs="+", default=[8, 100], help="entries of each operand (default: 8 100)"
    )
    parser.add_argument("--repeats", type=int, default=100, help="rounds; the best one counts (default: 100)")
    options = parser.parse_args()
    for size in options.size:
        with timing.threads(1):
            best = timing.compare(rivals(size), options.repeats)
        bare = best["np.add"]
        print(f"{size} entries: np.add {1e9 * bare / ADDS:.0f} ns", flush=True)
        for name, seconds in best.items():
            if name != "np.add":
                print(f"  {name}, forward and backward: {seconds / bare:5.2f} x np.add")


if __name__ == "__main__":
    main()
