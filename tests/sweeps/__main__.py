"""``python -m tests.sweeps``: all sweeps in full, as a table; with --pytorch PyTorch's convolutions, too.

With --json FILE also write what was found of each primitive.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.sweeps import layers
from tests.sweeps.bounds import Outcome, join
from tests.sweeps.figures import as_json
from tests.sweeps.sweep import PARTS, SWEEPS, run


def _pytorch(part: int, sample: bool) -> Outcome:
    outcome, start = Outcome(), time.process_time()
    _, number, few, _ = SWEEPS["convolutions"]
    for i in range(part, few if sample else number, PARTS):
        outcome.add(i, layers.with_pytorch(layers.layer(i)))
    outcome.seconds = time.process_time() - start
    return outcome


def main() -> int:
    """Print the table; 0 if all is within its bounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="only the cases that the tests run without --full")
    parser.add_argument("--pytorch", action="store_true", help="also what PyTorch makes of the convolutions")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write what was found of each primitive")
    options = parser.parse_args()
    print("| sweep | cases | worst error | bound | seconds of one core |\n|---|---:|---:|---:|---:|")
    good, outcomes, start = True, [], time.perf_counter()
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        parts = range(PARTS)
        futures = {name: [pool.submit(run, name, k, PARTS, not options.sample) for k in parts] for name in SWEEPS}
        if options.pytorch:
            futures["convolutions, by PyTorch"] = [pool.submit(_pytorch, k, options.sample) for k in parts]
        for name, results in futures.items():
            outcome, bound = join(result.result() for result in results), SWEEPS.get(name, SWEEPS["convolutions"])[3]
            good &= outcome.worst <= bound
            outcomes += [outcome] if name in SWEEPS else []
            print(f"| {name} | {outcome.cases:,} | {outcome.worst:.1f} (case {outcome.where}) | {bound:g} "
                  f"| {outcome.seconds:.0f} |", flush=True)  # fmt: skip
    print(f"\n{time.perf_counter() - start:.0f} s, {options.workers} processes")
    if options.json:
        options.json.write_text(as_json(outcomes))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
