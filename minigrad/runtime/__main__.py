"""``python -m minigrad.runtime``: how products of matrices are computed on this machine, and what is fastest on it."""

from __future__ import annotations

import argparse
import sys
import time

from . import ways
from .commands import run_command
from .files import check_writable

_QUIET = 0.9
"""Of the time that measuring takes, how much of a processor the process must have had."""


def main(arguments: list[str] | None = None) -> int:
    """Show, measure or forget; the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return run_command(_parser(), given, _run, (OSError,))


def _run(options: argparse.Namespace) -> int:
    if options.name == "forget":
        path = ways.forget()
        print(f"deleted {path}" if path else f"there is nothing to forget: no {ways.tuning_file()}")
    elif options.name == "tune":
        return _tune(options.anyway)
    else:
        print(ways.backend())
        print(f"this machine's measurement: {ways.remembered().where}")
    return 0


def _tune(anyway: bool) -> int:
    from ..ops.kernels.tuning import fastest, measured

    ways.tuning_file().parent.mkdir(parents=True, exist_ok=True)
    check_writable(ways.tuning_file())
    print("measuring products of matrices for some seconds, in which the machine should do nothing else", flush=True)
    begun = time.perf_counter(), time.process_time()
    large, thin = measured(say=lambda line: print(f"  {line}", flush=True))
    share = (time.process_time() - begun[1]) / (time.perf_counter() - begun[0])
    if share < _QUIET and not anyway:
        print(f"nothing is kept: of a processor others had {1 - share:.0%}, and caches with it; measure again when the "
              "machine does nothing else, or with --anyway", file=sys.stderr)  # fmt: skip
        return 1
    found, best = fastest(large, thin)
    path = ways.remember(found, best, {"large": large, "thin": thin})
    for computes, way in found.items():
        rows = f" of up to {way.most_rows} rows" if way.most_rows else ""
        mark = ", the default from now on" if computes == best else f", with {ways.BLAS}={computes}"
        print(f"{computes}: large products {way.large}, products of a step {way.thin}{rows}{mark}")
    print(
        f"kept in {path}; it holds for processes that begin from now on. Forget it: python -m minigrad.runtime forget"
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m minigrad.runtime",
        description="How products of matrices are computed on this machine. Another way gives other bits, "
        "within rounding.",
        epilog=f"{ways.BLAS}=numpy or mkl in the environment chooses what computes; mkl is the package of that name. "
        f"{ways.FOLDER} says where the measurement is kept.",
    )
    commands = parser.add_subparsers(dest="name", metavar="COMMAND")
    commands.add_parser("show", help="say how they are computed now, and why (if no command is given)")
    tune = commands.add_parser("tune", help="measure all ways, and keep the fastest for this machine")
    tune.add_argument("--anyway", action="store_true", help="keep it even if the machine was at other work meanwhile")
    commands.add_parser("forget", help="delete what was measured")
    return parser


if __name__ == "__main__":
    sys.exit(main())
