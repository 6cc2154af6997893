"""The command: `python -m benchmarks [JOB …]` measures, `python -m benchmarks report FILE.json` shows results."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import machine, tables
from benchmarks.against import Checkout, beside
from benchmarks.driver import Driver, Plan
from benchmarks.job import JOBS, Case, load
from benchmarks.reference import FLOP
from benchmarks.results import Results
from captioning.command import check_writable, run_command

__all__ = ["main"]

_MISTAKES = (argparse.ArgumentTypeError, OSError)
"""Errors printed as one line; any other error is a bug and shows a traceback."""

_DESCRIPTION = """Compare the speed of minigrad with its peers on this machine.

Every rival runs in its own process; rounds alternate A B, B A, … Before timing, the benchmark compares their results.
Ratios below 1 mean that minigrad is faster. Jobs: {jobs}.

The job overhead has many short cases, everyday operations and small programs, timed in processor time. It also prints
the geometric means of its ratios. Others are timed by the clock.

With `--against CHECKOUT`, another checkout of minigrad becomes a rival, also in its own process; this measures the
effect of a change in one run (`git worktree add ../before COMMIT` makes a checkout). The jobs are this checkout's;
minigrad and captioning are imported from the other one. `--alone` leaves out all other rivals.

`python -m benchmarks report FILE.json` prints the tables of an earlier run again.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 1 if a rival crashed or disagreed, 0 if a rival is missing or an aim is missed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["report"]:
        return run_command(_parser_of_report(), given[1:], _report, _MISTAKES)
    return run_command(_parser(), given, _run, _MISTAKES)


def _run(options: argparse.Namespace) -> int:
    unknown = [job for job in options.jobs if job not in JOBS]
    if unknown:
        raise SystemExit(f"unknown job {', '.join(unknown)}; the jobs are {', '.join(JOBS)}")
    if options.alone and not options.against:
        raise SystemExit("--alone needs --against CHECKOUT")
    _check_outputs(options)
    results = _measure(options)
    _show(results, options)
    for line in results.failures:
        print(f"FAILED {line}", file=sys.stderr)
    return 1 if results.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=_DESCRIPTION.format(jobs=", ".join(JOBS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    default = [1, 2] if cores > 1 else [1]
    parser.add_argument("jobs", nargs="*", metavar="JOB", help="jobs to run (default: all)")
    parser.add_argument(
        "--threads", type=_positive, nargs="+", default=default, metavar="N",
        help=f"numbers of threads (default: {' '.join(map(str, default))})",
    )  # fmt: skip
    parser.add_argument("--only", default="", metavar="TEXT", help="run only cases whose name contains TEXT")
    parser.add_argument(
        "--against", type=_checkout, action="append", default=[], metavar="CHECKOUT",
        help="a folder with another minigrad, as one more rival (may be given several times)",
    )  # fmt: skip
    parser.add_argument("--alone", action="store_true", help="with --against: leave out the other rivals")
    parser.add_argument(
        "--rounds", type=_positive, help=f"maximum number of rounds per case (default: {Plan().rounds})"
    )
    parser.add_argument("--quick", action="store_true", help="run two rounds of small cases, as a smoke test")
    _add_outputs(parser)
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="write all measurements to FILE, in an existing folder")  # fmt: skip
    parser.add_argument("--picture", type=Path, metavar="FILE.svg", help="draw the ratios (.svg, .png or .pdf)")


def _check_outputs(options: argparse.Namespace) -> None:
    """Check output files before measuring, so that a long run does not fail at the end."""
    if options.picture and options.picture.suffix not in (".svg", ".png", ".pdf"):
        raise argparse.ArgumentTypeError(f"--picture: the suffix of {options.picture.name} must be .svg, .png or .pdf")
    for option, path in (("--json", options.json), ("--picture", options.picture)):
        try:
            if path:
                check_writable(path)
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{option}: {error.strerror}: {error.filename!r}") from error


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return int(text)


def _checkout(text: str) -> Checkout:
    try:
        return Checkout.at(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _parser_of_report() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks report", description="Print the tables of an earlier run."
    )
    parser.add_argument("file", type=Path, metavar="FILE.json", help="results written by --json")
    _add_outputs(parser)
    return parser


def _report(options: argparse.Namespace) -> int:
    _check_outputs(options)
    try:
        _show(Results.load(options.file), options)
    except (OSError, ValueError) as error:
        raise SystemExit(f"report: {error}") from error
    return 0


def _show(results: Results, options: argparse.Namespace) -> None:
    """Write the requested files, then print the tables."""
    if options.json:
        results.save(options.json)
    if options.picture:
        try:
            from benchmarks.picture import draw

            draw(results, options.picture)
        except (ModuleNotFoundError, ValueError) as error:
            print(f"no picture: {error}", file=sys.stderr)
    print(tables.markdown(results))


def _measure(options: argparse.Namespace) -> Results:
    """Measure all rows and print a line for each; an interrupt ends the run and keeps the results so far."""
    plan = Plan.quickest() if options.quick else Plan()
    if options.rounds:
        plan = replace(plan, rounds=options.rounds, least=min(plan.least, options.rounds))
    todo = [
        (job, beside(case, options.against, options.alone), threads)
        for job in options.jobs or JOBS for case in load(job, options.quick) for threads in options.threads
        if options.only in case.name and (case.threads is None or threads in case.threads)
    ]  # fmt: skip
    if not todo:
        raise SystemExit(f"no case matches --only {options.only!r} and --threads {options.threads}")
    results = Results(machine.describe(), FLOP)
    if options.quick:
        results.machine["QUICK"] = "two short rounds of small cases, not meaningful measurements"
    _say(", ".join(f"{name} {words}" for name, words in results.machine.items()))
    with tempfile.TemporaryDirectory(prefix="minigrad-bench-") as folder:
        driver = Driver(plan, Path(folder))
        began = time.monotonic()
        try:
            for number, (job, case, threads) in enumerate(todo):
                _say(f"{_place(number, len(todo), began)} {job}: {case.name}, {_threads(case, threads)} …")
                results.rows.append(driver.measure(job, case, threads))
                results.machine.update(driver.versions)
                _say(f"    {tables.summary(results.rows[-1])}")
                if options.json:
                    results.save(options.json)
        except KeyboardInterrupt:
            _say("interrupted; the results so far follow")
        finally:
            driver.close()
    return results


def _place(number: int, total: int, began: float) -> str:
    """Return the progress and the elapsed time."""
    minutes, seconds = divmod(int(time.monotonic() - began), 60)
    return f"[{number + 1}/{total}, {minutes}:{seconds:02}]"


def _threads(case: Case, threads: int) -> str:
    return f"{threads} thread{'s' * (threads > 1)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
