"""Run all sweeps in full and print a table: ``python -m tests.sweeps``."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.sweeps.bounds import join
from tests.sweeps.sweep import PARTS, SWEEPS, run


def main() -> int:
    """Print the table; 0 if all is within its bounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweeps", description=__doc__)
    parser.add_argument("--sample", action="store_true", help="only the cases that the tests run without --full")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes (2)")
    options = parser.parse_args()
    print("| sweep | cases | worst error | bound | seconds of one core |\n|---|---:|---:|---:|---:|")
    good = True
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        futures = {
            name: [pool.submit(run, name, k, PARTS, not options.sample) for k in range(PARTS)] for name in SWEEPS
        }
        for name, results in futures.items():
            outcome, bound = join(result.result() for result in results), SWEEPS[name][3]
            good &= outcome.worst <= bound
            print(f"| {name} | {outcome.cases:,} | {outcome.worst:.1f} (case {outcome.where}) | {bound:g} "
                  f"| {outcome.seconds:.0f} |", flush=True)  # fmt: skip
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
