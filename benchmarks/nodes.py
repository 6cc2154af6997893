"""What a node costs in a graph of many: `python -m benchmarks.nodes [NUMBER]`, a million by default.

A chain y = y * 1 of so many steps is built, listed as text, differentiated and dropped, first as it is and then with
Python's cyclic garbage collector off. Figures are processor time for one node, and memory that stays until the backward
pass.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["main"]


def chain(number: int) -> None:
    """Print the figures of one chain, in this process."""
    import numpy as np

    import minigrad as mg
    from minigrad.render import to_text

    def each(what: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        result = work()
        print(f"  {what:<10} {(time.process_time() - start) / number * 1e6:6.2f} µs")
        return result

    def forward(steps: int) -> Any:
        y = mg.tensor(np.ones(8, np.float32), requires_grad=True)
        for _ in range(steps):
            y = y * 1.0
        return y

    to_text(forward(10))  # imports what it needs
    before = _resident()
    held = [each("forward", lambda: forward(number))]
    memory = (_resident() - before) / number
    print(f"  {'memory':<10} {memory:6.0f} bytes, of which {held[0].data.nbytes} are the numbers")
    each("to_text", lambda: to_text(held))
    each("backward", lambda: held[0].backward(np.ones(8, np.float32)))
    each("dropping", held.clear)


def _resident() -> int:
    """Bytes of this process that are in memory; 0 where Linux does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def main(arguments: list[str]) -> None:
    """Both chains, each in a process of its own."""
    number = int(arguments[0]) if arguments else 1_000_000
    if arguments[1:]:
        if arguments[1] == "off":
            gc.disable()
        chain(number)
        return
    for collector in ("on", "off"):
        print(f"{number:,} nodes, the garbage collector {collector}: a node takes", flush=True)
        subprocess.run([sys.executable, "-m", "benchmarks.nodes", str(number), collector], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
