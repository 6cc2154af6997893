"""The command `theory`: check claims, print them, draw figures, write certificates and docs/theory.

Results go to standard output, progress and errors to standard error. The exit status is 0 if every verdict is as
expected, 1 if one is not, and 2 for a usage error.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import runpy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import minigrad as mg
from captioning.command import run_command
from minigrad.runtime.extras import require
from minigrad.runtime.files import replacing
from theory import checker
from theory.certificates import write_certificates
from theory.claims import Claim, Verdict
from theory.mutation import CHANGES_NOTHING, MISSED, Outcome, plant
from theory.page import figure_name, gallery, save_figure, write_pages
from theory.propositions import REFUTED, Result
from theory.registry import CLAIMS, MUTANTS
from theory.selfcheck import check_machinery

__all__ = ["main"]

EXAMPLES = 100
"""The default of --examples."""

_FEW = 10
"""The examples per proposition of the gallery."""

TIME_LIMIT = 60.0
"""The default of --time-limit, without a second more for each example."""

_CHECKING = {"examples": EXAMPLES, "seed": 0, "time_limit": None, "json": False, "quiet": False}
"""The options of `check`, `mutate`, and `theory` without a command, with their defaults."""


_MUTATE = """Plant errors in the mathematics of claims, and show which of them `theory check` notices. An error replaces
a piece of code by a wrong one, such as < by <=. It comes with an example: an expression that has another value with the
error. The error is planted in a temporary copy of theory/, never in your files, and a process of its own checks the
claim there. The error is noticed if a verdict is not as expected. Errors that change no result are listed, but not
counted. The exit status is 0 if all errors are noticed, and 1 if not."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` by default) and return the exit status."""
    return run_command(_parser(), arguments, _run)


def _run(options: Any) -> int:
    unused = [name for name in _CHECKING if name in options]
    if unused and options.command not in (_check, _mutate):
        raise ValueError(f"--{unused[0]} is an option of check and mutate")
    for file in options.load:
        _load(file)
    status: int = options.command(argparse.Namespace(**_CHECKING | vars(options)))
    return status


def _load(file: str) -> None:
    """Run a Python file that registers claims. An error in it names the file."""
    try:
        runpy.run_path(file)
    except (OSError, KeyboardInterrupt):
        raise
    except BaseException as error:  # also sys.exit
        raise ValueError(f"{file}: {type(error).__name__}: {error}") from error


# Options ---------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="theory",
        description="Check claims about neural networks with examples and certificates. "
        "Without a command, check all claims and print a table of verdicts. "
        "The exit status is 0 if every verdict is as expected, and 1 if not.",
        epilog="Try: theory check 3-1 --examples 1000, theory show 1-3, theory certify 2-1 --out FILE.json.",
    )
    parser.add_argument("--version", action="version", version=f"minigrad {mg.__version__}")
    parser.set_defaults(command=_check, numbers=[], verbose=False, fail_fast=False, load=[])
    _add_load(parser)
    _add_checking(parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    check = _command(commands, "check", _check, "check claims and print a line for each proposition", "3-1")
    check.set_defaults(verbose=True)
    check.add_argument("--fail-fast", action="store_true", help="stop each claim at the first unexpected verdict")
    _add_checking(check)
    mutate = _command(
        commands, "mutate", _mutate, "plant errors in claims, and show which of them check notices", "1-3"
    )
    mutate.description = _MUTATE
    mutate.epilog = "Try: theory mutate 1-3. All claims take about ten minutes on two processors."
    _add_checking(mutate)
    _command(commands, "show", _show, "print the worked examples of claims, or their statements", "1-3")
    text = "draw claims, and write index.html with their pictures and verdicts (not for pdf; needs matplotlib)"
    figures = _command(commands, "figures", _figures, text, "3-2")
    figures.add_argument("--out", metavar="DIR", default="theory-figures", help="folder (default: theory-figures)")
    figures.add_argument("--format", choices=["svg", "png", "pdf"], default="svg", help="(default: svg)")
    certify = _command(
        commands, "certify", _certify, "write a claim's certificates, which theory/checker.py verifies", None
    )
    certify.add_argument("number", metavar="NUMBER", help="the number of a claim, such as 2-1 or 3-1-alt")
    certify.add_argument(
        "--out", metavar="FILE.json", required=True, help="check it: python theory/checker.py FILE.json"
    )
    page = _command(commands, "document", _document, "write a page and a figure for each claim", None)
    page.add_argument("--out", metavar="DIR", default="docs/theory", help="folder (default: docs/theory)")
    return parser


def _command(commands: Any, name: str, function: Any, text: str, number: str | None) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:] + "."
    )
    if number is not None:
        command.add_argument("numbers", nargs="*", metavar="NUMBER",
                             help=f"numbers of claims, such as {number} or 3-1-alt (default: all)")  # fmt: skip
    _add_load(command)
    command.set_defaults(command=function)
    return command


# These options may come before or after the command, so a command's parser has no defaults for them.


def _add_load(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--load", action="append", metavar="FILE.py", default=argparse.SUPPRESS,
                        help="first run a Python file that registers your own claims")  # fmt: skip


def _add_checking(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--examples", type=int, metavar="N", default=argparse.SUPPRESS,
                        help=f"examples per proposition (default: {EXAMPLES}); 1000 also enlarges the finite "
                        "domains, which takes minutes")  # fmt: skip
    parser.add_argument("--seed", type=int, metavar="N", default=argparse.SUPPRESS,
                        help="random seed for the examples (default: 0)")  # fmt: skip
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", default=argparse.SUPPRESS,
                        help=f"for each proposition, which is undecided afterwards (default: {TIME_LIMIT:g} plus 1 "
                        "for each example)")  # fmt: skip
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS,
                        help="print only a JSON object on standard output")  # fmt: skip
    parser.add_argument("--quiet", action="store_true", default=argparse.SUPPRESS, help="do not print progress")


def _chosen(numbers: Sequence[str]) -> list[Claim]:
    known = {number.replace(" ", "-"): claim for number, claim in CLAIMS.items()}  # needs no quotes in a shell
    unknown = [number for number in numbers if number.replace(" ", "-") not in known]
    if unknown:
        raise ValueError(f"unknown claim {unknown[0]}; the claims are {', '.join(known)}")
    return [known[number.replace(" ", "-")] for number in numbers] if numbers else list(CLAIMS.values())


# Commands --------------------------------------------------------------------------------------


def _check(options: Any) -> int:
    claims = _to_check(options)
    check_machinery()
    started = time.monotonic()
    verdicts = [_verdict(claim, options) for claim in claims]
    seconds = time.monotonic() - started
    good = all(verdict.as_expected for verdict in verdicts)
    if options.json:
        summary = {"claims": [v.to_json() for v in verdicts], "as_expected": good, "seconds": round(seconds, 3)}
        print(json.dumps(summary))
    else:
        print(table(verdicts))
        cases = sum(verdict.cases for verdict in verdicts)
        end = "every verdict is as expected." if good else "NOT every verdict is as expected."
        print(f"\n{cases:,} cases in {seconds:.0f} s; {end}")
        for verdict in verdicts if options.verbose else ():
            print(f"\n{_details(verdict)}")
    return 0 if good else 1


def _to_check(options: Any) -> list[Claim]:
    """Return the claims to check, and set the time limit."""
    if options.examples < 1:
        raise ValueError(f"--examples must be at least 1; got {options.examples}")
    if options.time_limit is None:
        options.time_limit = TIME_LIMIT + options.examples
    if not options.time_limit > 0:
        raise ValueError(f"--time-limit must be above 0; got {options.time_limit:g}")
    return _chosen(options.numbers)


def _verdict(claim: Claim, options: Any) -> Verdict:
    with _progress(claim.number, len(claim.propositions), options.quiet) as report:

        def line(r: Result) -> None:
            text = f"{claim.number}  {r.proposition.name}: {r.words}{_unexpected(r)}, {r.seconds:.1f} s"
            report(text if options.verbose or not r.as_expected else None)  # the table shows the others

        return claim.check(options.examples, options.seed, line, options.time_limit, options.fail_fast)


@contextlib.contextmanager
def _progress(title: str, steps: int, quiet: bool) -> Iterator[Callable[[str | None], None]]:
    """Yield a function that prints a line, if any, on standard error after each step.

    A terminal also has a progress bar.
    """
    rich = require("rich.progress", "theory")
    console = require("rich.console", "theory").Console(stderr=True, quiet=quiet)
    columns = (rich.SpinnerColumn(), rich.TextColumn("{task.description}", markup=False), rich.BarColumn(24),
               rich.MofNCompleteColumn(), rich.TimeElapsedColumn())  # fmt: skip
    hidden = quiet or not console.is_terminal
    with rich.Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=hidden) as bar:
        task = bar.add_task(title, total=steps)

        def report(line: str | None) -> None:
            if line is not None:
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            bar.advance(task)

        yield report


def _mutate(options: Any) -> int:
    numbers = {claim.number.replace(" ", "-") for claim in _to_check(options)}
    mutants = [mutant for mutant in MUTANTS if mutant.number in numbers]
    if not mutants:
        raise ValueError(f"theory has no errors to plant in {', '.join(sorted(numbers))}")
    given = ("--examples", options.examples, "--seed", options.seed, "--time-limit", options.time_limit)
    started = time.monotonic()
    outcomes = []
    with _progress("mutate", len(mutants), options.quiet) as report:
        for outcome in plant(mutants, [str(part) for part in given]):
            outcomes.append(outcome)
            report(f"{outcome.mutant.number}  {outcome.mutant.error}: {outcome.verdict}, {outcome.seconds:.1f} s")
    seconds = time.monotonic() - started
    missed = sum(outcome.verdict == MISSED for outcome in outcomes)
    counted = sum(outcome.verdict != CHANGES_NOTHING for outcome in outcomes)
    if options.json:
        summary = {"errors": [outcome.to_json() for outcome in outcomes], "noticed": counted - missed,
                   "counted": counted, "seconds": round(seconds, 3)}  # fmt: skip
        print(json.dumps(summary))
    else:
        print("\n\n".join(map(_planted, outcomes)))
        print(f"\n{counted - missed} of {counted} errors are noticed, in {seconds:.0f} s.")
    return 1 if missed else 0


def _show(options: Any) -> int:
    for i, claim in enumerate(_chosen(options.numbers)):
        print("\n" * (i > 0) + f"{claim.number}  {claim.title}\n\n{claim.show()}")
        if claim.corrected is not None:
            print(f"\nThis is false as printed. What holds: {claim.corrected}")
    return 0


def _figures(options: Any) -> int:
    claims = _chosen(options.numbers)
    for claim in claims:
        if claim.draw is None and options.numbers:
            raise ValueError(f"claim {claim.number} has no figure")
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = [claim for claim in claims if claim.draw is not None]
    for claim in drawn:
        path = folder / figure_name(claim, options.format)
        save_figure(claim, path)
        print(path, flush=True)
    if options.format != "pdf":  # a page cannot show it as a picture
        page = gallery([claim.check(_FEW, time_limit=TIME_LIMIT) for claim in drawn], options.format)
        with replacing(folder / "index.html") as temporary:
            temporary.write_text(page, encoding="utf-8")
        print(folder / "index.html")
    return 0


def _certify(options: Any) -> int:
    (claim,) = _chosen([options.number])
    if claim.certify is None:
        having = ", ".join(number for number, claim in CLAIMS.items() if claim.certify)
        raise ValueError(f"claim {claim.number} has no certificates; the claims with certificates are {having}")
    number = write_certificates(claim, options.out)
    noun = "certificate" if number == 1 else "certificates"
    print(f"{options.out}: {number} {noun}. Check with: python {checker.__file__} {options.out}")
    return 0


def _document(options: Any) -> int:
    for path in write_pages(Path(options.out), lambda text: print(text, file=sys.stderr, flush=True)):
        print(path)
    return 0


# Text ------------------------------------------------------------------------------------------


def table(verdicts: Sequence[Verdict]) -> str:
    """Return a table with a row for each claim, and below it a row for each proposition that did not survive."""
    rows = [("claim", "statement", "as printed", "more generally", "cases", "")]
    for v in verdicts:
        generally = v.parts.get("general", "")
        rows.append((v.claim.number, v.outcome, v.printed, generally, f"{v.cases:,}", v.claim.title))
        noted = [r for r in v.results if not (r.survived and r.as_expected)]
        rows += [("", "", "", "", "", f"  {r.verdict}: {r.proposition.name}{_unexpected(r)}") for r in noted]
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = []
    for *words, cases, title in rows:
        cells = [*(f"{word:<{width}}" for word, width in zip(words, widths, strict=False)), f"{cases:>{widths[4]}}"]
        lines.append("  ".join([*cells, title]).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def _details(verdict: Verdict) -> str:
    lines = [f"{verdict.claim.number}  {verdict.claim.statement}"]
    if verdict.claim.source:
        lines.append(f"     source: {verdict.claim.source}")
    for r in verdict.results:
        mark = "ok " if r.survived else "NOT" if r.verdict == REFUTED else r.verdict.upper()
        said = ": ".join(dict.fromkeys([r.proposition.name, r.proposition.statement]))
        lines.append(f"  {mark} [{r.proposition.label}] {said} ({r.words})")
        if not r.survived:
            lines.append(f"      {r.finding()}")
        if not r.as_expected:
            lines.append("      the claim expects a different result")
    lines.append(f"  verdict: {verdict.words}")
    if verdict.corrected is not None:
        lines.append(f"  corrected: {verdict.corrected}")
        lines.append(f"  checked by: {', '.join(verdict.corrected.by)}")
    return "\n".join(lines)


def _planted(outcome: Outcome) -> str:
    mutant = outcome.mutant
    edits = ((mutant.file, mutant.old, mutant.new), *mutant.also)
    lines = [f"{mutant.number}  {mutant.error}: {outcome.verdict}"]
    lines += [
        f"     theory/{file}: {' '.join(old.split())}  becomes  {' '.join(new.split())}" for file, old, new in edits
    ]
    if outcome.results:
        right, wrong = outcome.results
        lines.append(f"     example: {mutant.example} is {right}, and {wrong} with the error")
    return "\n".join([*lines, *([f"     {outcome.by}"] if outcome.by else [])])


def _unexpected(result: Result) -> str:
    return "" if result.as_expected else " (unexpected)"
