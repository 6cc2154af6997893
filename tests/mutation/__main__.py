"""``python -m tests.mutation``: what mutants of the rules and of the engine the tests kill, as a table."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent.parent
INTERRUPTED = 130  # the exit status of a shell's command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Run a campaign; 0 if every survivor is accepted and every accepted mutant survived."""
    parser = _parser()
    options = parser.parse_args(arguments)

    import hypothesis

    import tests.conftest  # noqa: F401 (the settings of the tests)
    from tests.mutation.trials import QUIETLY

    hypothesis.settings.register_profile("mutation", QUIETLY)
    hypothesis.settings.load_profile("mutation")  # before the modules of tests are imported

    from tests.mutation.accepted import ACCEPTED
    from tests.mutation.campaign import Settings, campaign
    from tests.mutation.ledger import KEPT, Ledger
    from tests.mutation.mutants import mutants
    from tests.mutation.report import as_json, is_accepted, judge, spared, table
    from tests.mutation.targets import targets

    start = time.perf_counter()

    def say(message: str) -> None:
        print(f"[{time.perf_counter() - start:5.0f} s] {message}", file=sys.stderr, flush=True)

    chosen = targets(*options.primitive)
    _refuse(parser, "differentiable primitive", options.primitive, {name for t in chosen for name in t.primitives})
    _refuse(parser, "file with a rule or of the engine", options.file, {t.stem for t in chosen})
    if options.file:
        chosen = tuple(t for stem in options.file for t in chosen if t.stem == stem)
    ledger = Ledger(None if options.sample else options.results, options.afresh, KEPT)
    if options.keep:
        ledger.keep((t, m) for t in chosen for m in mutants(t.function, t.label))
        return 0
    settings = Settings(options.examples, options.more, look=not options.sample, workers=options.workers)
    none: Any = lambda _: False  # noqa: E731
    spare: Any = is_accepted if options.sample else none if options.judged else spared
    judged = none if options.judged else is_accepted
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results = campaign(chosen, settings, options.sample, say=say, spared=spare, judged=judged, ledger=ledger)
    except KeyboardInterrupt:
        say(f"interrupted: run it again to go on from {options.results}")
        return INTERRUPTED
    if not options.sample:
        results += [result for t in chosen for m in mutants(t.function, t.label) if spare(m) and (result := spared(m))]
    partly = options.primitive or options.file
    complete = {t.label for t in chosen} if partly else {function for function, _, _ in ACCEPTED}
    verdict = judge(results, None if options.sample else complete)
    print(json.dumps(as_json(results), indent=1) if options.json else table(results, chosen, verdict))
    if options.write_page:
        _write_page(results, chosen, verdict)
    return 0 if verdict.good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("--primitive", action="append", default=[], metavar="NAME",
                        help="only the rules of this primitive, and what they call (may be repeated)")  # fmt: skip
    parser.add_argument("--file", action="append", default=[], metavar="NAME",
                        help="only the functions of this file, such as reductions (may be repeated)")  # fmt: skip
    parser.add_argument("--examples", type=int, default=20, metavar="N", help="cases a mutant meets first (20)")
    parser.add_argument("--more", type=int, default=100, metavar="N", help="cases it meets if it survives those (100)")
    parser.add_argument("--sample", type=int, metavar="N",
                        help="only so many mutants, drawn at random from those that are not accepted")  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes at a time (2)")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "mutation.jsonl", metavar="FILE",
                        help="where fates are kept, to go on where a campaign stopped")  # fmt: skip
    parser.add_argument("--judged", action="store_true",
                        help="also run mutants that were judged equivalent, to their end")  # fmt: skip
    parser.add_argument("--keep", action="store_true",
                        help="run nothing, but pack the fates that are known to tests/mutation/fates.jsonl.gz, from "
                        "which a campaign elsewhere goes on")  # fmt: skip
    parser.add_argument("--afresh", action="store_true", help="forget the fates that are kept")
    parser.add_argument("--json", action="store_true", help="print every mutant's fate as JSON")
    parser.add_argument("--write-page", action="store_true", help="write the table into docs/mutation.md")
    return parser


def _write_page(results: Sequence[Any], chosen: Sequence[Any], verdict: Any) -> None:
    from tests.mutation.report import numbers, with_table

    page = ROOT / "docs" / "mutation.md"
    page.write_text(with_table(page.read_text(), numbers(results, chosen, verdict)))


def _refuse(parser: argparse.ArgumentParser, what: str, wanted: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(wanted) - known)
    if unknown:
        parser.error(f"no {what} is named {', '.join(unknown)}")


if __name__ == "__main__":
    sys.exit(main())
