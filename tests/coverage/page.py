"""The text of docs/coverage.md: what each primitive can do, and what has been tried of it.

It is read from the registry, from the tests themselves, and from sweeps/figures.json, which ``python -m tests.sweeps
--json`` writes; the words are in template.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from minigrad.backward import graph_of
from minigrad.primitives import PRIMITIVES, Primitive
from tests import test_higher_order as higher
from tests import test_registry as registry
from tests.checks import leaf, outputs_of
from tests.ops.kernels.test_numerics import HALF
from tests.sweeps.figures import FIGURES

__all__ = ["AGAIN", "text"]

AGAIN = "python -m tests.coverage"
TEMPLATE = Path(__file__).parent / "template.md"

# --- what the tests compare with ---------------------------------------------------------------------


def compared_with(peer: str) -> set[str]:
    """The primitives whose values, or values and gradients, a test compares with those of a peer."""
    return {
        name
        for module in registry.MODULES
        for title, test in vars(module).items()
        if title.startswith("test_") and registry.COMPARES.search(title) and peer in title
        for name in registry.compared(test)
    }


def met(function: Callable[[Any], Any], x: Any) -> set[str]:
    """The primitives that a function calls on its way from a tensor."""
    nodes = [y.node for y in outputs_of(function(leaf(np.asarray(x)))) if y.node is not None]
    return {node.primitive.name for node in graph_of(nodes).nodes if node.primitive is not None}


def union(sets: Iterable[set[str]]) -> set[str]:
    return set().union(*sets)


# --- cells -------------------------------------------------------------------------------------------


def second_order(record: Primitive) -> str:
    """How the VJP is differentiated, see higher_order."""
    if record.vjp_on_tensors is not None:
        return "rule of its own"
    if "derived" not in (record.residuals or ()):
        return "VJP"
    return "reference" if record.reference is not None else "none"


def cotangents(record: Primitive) -> str:
    """How a jacobian's cotangents are pulled back, see transforms."""
    return "together" if record.entrywise or record.batched_vjp is not None else "one by one"


class Table:
    """Rows of primitives; what the tests say is found once."""

    columns = ("primitive", "peers", "second order", "its peers", "jacobian", "half", "multiply-adds", "largest",
               "error")  # fmt: skip

    def __init__(self) -> None:
        self.numpy, self.pytorch = compared_with("numpy"), compared_with("pytorch")
        self.exact = union(met(function, float(points[0])) for function, _, points in higher.EXACT.values())
        self.second = union(met(function, x) for function, _, x in higher.FAMILIES.values())
        with np.errstate(all="ignore"):
            self.half = union(met(function, x) for function, x in HALF.values())
        self.figures = json.loads(FIGURES.read_text())

    def row(self, record: Primitive) -> tuple[str, ...]:
        name = record.name
        peers = {"N": name in self.numpy, "P": name in self.pytorch, "R": record.reference is not None,
                 "T": name in registry.OTHERWISE}  # fmt: skip
        others = {"P": name in self.second, "S": name in self.exact}
        found = self.figures["primitives"].get(name)
        return (
            f"[{name}]({link(record)})",
            " ".join(letter for letter, there in peers.items() if there),
            second_order(record),
            " ".join(letter for letter, there in others.items() if there),
            cotangents(record),
            "yes" if name in self.half else "",
            "0" if record.cost is None else "counted",
            f"{prod(found['largest']):,}" if found else "",
            f"{found['worst']:.1f}" if found else "",
        )

    def lines(self, records: Iterable[Primitive]) -> Iterator[str]:
        yield "| " + " | ".join(self.columns) + " |"
        yield "|---|---|---|---|---|---|---|---:|---:|"
        for record in records:
            yield "| " + " | ".join(self.row(record)) + " |"


def link(record: Primitive) -> str:
    return f"../{record.module.replace('.', '/')}.py"


def names(records: Iterable[Primitive]) -> str:
    return ", ".join(f"`{record.name}`" for record in records)


def engines_own() -> list[Primitive]:
    """Vertices of the graph that no operation makes. Examples in docstrings, which run in tests, declare others."""
    others = [r for r in PRIMITIVES.values() if r.module.startswith("minigrad.") and r not in registry.RECORDS.values()]
    functions = {r: [getattr(sys.modules[r.module], name, None) for name in (r.name, f"_{r.name}")] for r in others}
    made = [r for r in others if any(r is getattr(function, "primitive", None) for function in functions[r])]
    return sorted(made, key=lambda r: r.name)


# --- the page ----------------------------------------------------------------------------------------


def text() -> str:
    """The text of docs/coverage.md."""
    table = Table()
    records = sorted(registry.RECORDS.values(), key=lambda record: (record.module, record.name))
    exported = [r for r in records if r.differentiable and r.name not in registry.INTERNAL]
    internal = [r for r in records if r.differentiable and r.name in registry.INTERNAL]
    slow = [r for r in exported if cotangents(r) == "one by one"]
    unswept = [r for r in exported if r.name not in table.figures["primitives"]]
    where = table.figures["where"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        again=AGAIN,
        count=len(exported),
        table="\n".join(table.lines(exported)),
        where=f"{where['processor']}, NumPy {where['NumPy']}, Python {where['Python']}, {where['date']}",
        slow=f"One by one are {names(slow)}." if slow else "None is left that goes one by one.",
        unswept=f"Not in a sweep: {names(unswept)}." if unswept else "All of them are in a sweep.",
        constants="\n".join(
            f"- [{Path(file).name}]({file}): {names(group)}"
            for file, group in groupby((r for r in records if not r.differentiable), link)
        ),
        internal="\n".join(["It is checked as all others:", "", *table.lines(internal)]) if internal else "None is.",
        engine=names(engines_own()),
    )
