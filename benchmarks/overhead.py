"""What the graph costs: forward and backward of a small add, as multiples of a bare `np.add`.

A chain of 1,000 adds (of 8 float32, of 8 x 8, and of single numbers) is built and differentiated, with a constant
(x + c) and with two tracked operands (x + w). PyTorch runs the same chain. Aims: at most 5 and 7 times `np.add`.
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


def shape_of(text: str) -> tuple[int, ...]:
    """A shape from words such as 8x8; 0-d from ``scalar``."""
    return () if text == "scalar" else tuple(map(int, text.split("x")))


def rivals(shape: tuple[int, ...]) -> dict[str, Callable[[], Any]]:
    """The chains by name."""
    a, c = np.ones(shape, np.float32), np.ones(shape, np.float32)
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
        "--shape", nargs="+", default=["8", "8x8", "scalar"], help="of each operand (default: 8 8x8 scalar)"
    )
    parser.add_argument("--repeats", type=int, default=100, help="rounds; the best one counts (default: 100)")
    options = parser.parse_args()
    for shape in options.shape:
        with timing.threads(1):
            best = timing.compare(rivals(shape_of(shape)), options.repeats)
        bare = best["np.add"]
        print(f"{shape}: np.add {1e9 * bare / ADDS:.0f} ns", flush=True)
        for name, seconds in best.items():
            if name != "np.add":
                print(f"  {name}, forward and backward: {seconds / bare:5.2f} x np.add")


if __name__ == "__main__":
    main()
