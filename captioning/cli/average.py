"""The command `average`: one captioner of several runs that started from the same one."""

from __future__ import annotations

import argparse
from typing import Any

from captioning.cli.options import add_command
from captioning.cli.speakers import names_of, open_runs
from captioning.command import shown
from captioning.training.derived_runs import average_runs
from captioning.training.run_features import check_alike

__all__ = ["add_average"]

_EXAMPLE = """example:
  captioning reinforce RUN --out first --seed 0
  captioning reinforce RUN --out second --seed 1
  captioning average first second --out both
    one captioner, usually better than either"""


def add_average(commands: Any) -> None:
    """The command `average`."""
    parser = add_command(
        commands, "average", "write the mean of the weights of runs that refine or reinforce trained from the same "
        "run, to a run folder of its own; it is as quick as one of them, and usually better", _average, _EXAMPLE,
    )  # fmt: skip
    parser.add_argument("run", metavar="RUN", nargs="+", help="two or more run folders")
    parser.add_argument("--out", metavar="RUN", required=True, help="the run folder to make")


def _average(options: argparse.Namespace) -> int:
    if len(options.run) < 2:
        raise ValueError("average needs at least two runs")
    runs = open_runs(options.run, "be averaged")
    check_alike(runs, "be averaged")
    made = average_runs(runs, options.out)
    print(f"{shown(made.folder)}: the mean of {names_of(runs)}; captioning evaluate says how good it is")
    return 0
