"""What the sweeps found of each primitive, as a small file that is kept: figures.json."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from benchmarks import machine
from tests.sweeps.bounds import Outcome, join

__all__ = ["FIGURES", "as_json"]

FIGURES = Path(__file__).with_name("figures.json")


def as_json(outcomes: Iterable[Outcome]) -> str:
    """The largest array and the worst error, to three digits, of each primitive; and what they were measured on."""
    where = {
        "processor": machine.describe()["processor"],
        "NumPy": np.__version__,
        "Python": platform.python_version(),
        "date": datetime.date.today().isoformat(),
    }
    lines = [
        f"    {json.dumps(name)}: {json.dumps({'largest': reach.largest, 'worst': float(f'{reach.worst:.3g}')})}"
        for name, reach in sorted(join(outcomes).reaches.items())
    ]
    return f'{{\n  "where": {json.dumps(where)},\n  "primitives": {{\n' + ",\n".join(lines) + "\n  }\n}\n"
