"""``python -m tests.mutation``: what mutants of the VJPs the tests kill, as a table."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; 0 if every survivor is accepted and every accepted mutant survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--primitive", action="append", default=[], metavar="NAME",
                        help="only the VJP of this primitive and the functions it calls (may be repeated)")  # fmt: skip
    parser.add_argument("--file", action="append", default=[], metavar="NAME",
                        help="only the functions of this file, such as reductions (may be repeated)")  # fmt: skip
    parser.add_argument("--examples", type=int, default=20, metavar="N", help="cases a mutant meets first (20)")
    parser.add_argument("--more", type=int, default=100, metavar="N", help="cases it meets if it survives those (100)")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="only so many mutants, drawn at random from those that are not accepted")  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at a time (2)")
    parser.add_argument("--json", action="store_true", help="print every mutant's fate as JSON")
    options = parser.parse_args(arguments)

    import tests.conftest  # noqa: F401 (the settings of the tests)
    from tests.mutation.accepted import ACCEPTED
    from tests.mutation.campaign import campaign, targets
    from tests.mutation.report import as_json, is_accepted, judge, table

    start = time.perf_counter()

    def say(message: str) -> None:
        print(f"[{time.perf_counter() - start:5.0f} s] {message}", file=sys.stderr, flush=True)

    chosen = targets(*options.primitive)
    _refuse(parser, "differentiable primitive", options.primitive, {name for t in chosen for name in t.primitives})
    _refuse(parser, "file with a rule", options.file, {t.stem for t in chosen})
    if options.file:
        chosen = tuple(t for t in chosen if t.stem in options.file)
    results = campaign(
        chosen, options.examples, options.more, options.sample, workers=options.workers, say=say,
        spared=is_accepted if options.sample else lambda _: False,
    )  # fmt: skip
    partly = options.primitive or options.file
    complete = {t.label for t in chosen} if partly else {function for function, _, _ in ACCEPTED}
    verdict = judge(results, None if options.sample else complete)
    say("done")
    print(json.dumps(as_json(results), indent=1) if options.json else table(results, chosen, verdict))
    return 0 if verdict.good else 1


def _refuse(parser: argparse.ArgumentParser, what: str, wanted: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(wanted) - known)
    if unknown:
        parser.error(f"no {what} is named {', '.join(unknown)}")


if __name__ == "__main__":
    sys.exit(main())
