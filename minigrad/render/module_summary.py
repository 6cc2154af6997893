"""Summarise a module in a table of output shapes, parameters and costs, by calling it once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, starmap
from typing import Any

import numpy as np

from ..backward import graph_of
from ..core import Node, Tensor, enable_grad
from ..formatting import byte_text, html_table
from ..nn.module import Module, Parameter, walk
from ..observers import Observer, observing
from ..primitives import Primitive
from ..profiling import residual_memory
from ..spec import Array, Spec
from ..trees import leaves
from .labels import shape_of

__all__ = ["Row", "Summary", "summary"]


@dataclass(slots=True)
class Row:
    """One module. Its numbers exclude those of the modules in it, so that each column adds up.

    Attributes:
        name: dotted, "" for the whole module.
        key: the name without its parent's name.
        depth: the number of modules around it.
        kind: its class.
        outputs: shape and dtype of each array that its first call returned.
        calls: the number of calls.
        parameters: entries of its own parameters; a shared parameter counts in the first module.
        frozen: the number of these entries that require no gradient.
        multiply_adds: the multiply-adds of all its calls.
        residual_bytes: memory kept for the backward pass, see :func:`minigrad.render.summary`.
        same_as: for a repeated module, the name of its first occurrence, which has the numbers; else None.
    """

    name: str
    key: str
    depth: int
    kind: str
    outputs: tuple[Spec, ...] = ()
    calls: int = 0
    parameters: int = 0
    frozen: int = 0
    multiply_adds: int = 0
    residual_bytes: int = 0
    same_as: str | None = None


@dataclass(frozen=True)
class Summary:
    """The rows, parents first, and sums over them; its text is a table.

    Attributes:
        rows: one for each module.
        parameter_bytes: memory of the parameters.
        uncounted: names of called primitives whose multiply-adds are unknown because they are not minigrad's own.
        parameters, frozen, multiply_adds, residual_bytes: sums over the rows.
    """

    rows: tuple[Row, ...]
    parameter_bytes: int
    uncounted: tuple[str, ...]
    parameters: int
    frozen: int
    multiply_adds: int
    residual_bytes: int

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        line = "  ".join(f"{{:{'<<>>>'[k]}{width}}}" for k, width in enumerate(widths))
        lines = [line.format(*row).rstrip() for row in cells]
        rule = "─" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1], *self._notes()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return html_table(self._cells(), self._notes(), text_columns=2)

    def _cells(self) -> list[list[str]]:
        head = ["module", "output", "parameters", "multiply-adds", "residuals"]
        total = ["total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}", byte_text(self.residual_bytes)]
        return [head, *map(_cells, self.rows), total]

    def _notes(self) -> list[str]:
        notes = [f"parameters take {byte_text(self.parameter_bytes)}"]
        if self.frozen:
            notes[0] += f"; {self.frozen:,} of them require no gradient"
        if self.uncounted:
            notes.append(f"multiply-adds exclude primitives of unknown cost: {', '.join(self.uncounted)}")
        return notes


def _cells(row: Row) -> list[str]:
    title = "  " * row.depth + (f"{row.key}: {row.kind}" if row.key else row.kind)
    if row.same_as is not None:
        return [title, f"the same as {row.same_as or 'the whole'}", "", "", ""]
    outputs = ", ".join(map(shape_of, row.outputs)) if row.calls else "not called"
    if row.calls > 1:
        outputs += f"  ({row.calls:,} calls)"
    numbers = [f"{n:,}" if n else "-" for n in (row.parameters, row.multiply_adds)]
    return [title, outputs, *numbers, byte_text(row.residual_bytes) if row.residual_bytes else "-"]


def summary(module: Module, *inputs: Any, **options: Any) -> Summary:
    """Call a module once, and list output shapes, parameters and costs of each module in it.

    A multiply-add is one product added to a sum. They are counted from the shapes of products: matrix products, affine
    maps, einsum, convolutions and recurrent cells. Primitives with a few operations per entry (activations, biases,
    losses) count as 0.

    Residuals are the arrays that the graph of the result keeps for the backward pass, except for the parameters. Memory
    that several arrays share counts once, in the module that keeps it first. Frozen parts keep nothing.

    Args:
        inputs, options: the arguments of the call. The module runs in its current mode, also under
            :func:`minigrad.no_grad`, and draws random numbers if it uses dropout.

    Raises:
        TypeError: if ``module`` is not a module. Errors of the call propagate.

    >>> from minigrad import nn
    >>> print(summary(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), np.ones((5, 3), np.float32)))
    module       output  parameters  multiply-adds  residuals
    ─────────────────────────────────────────────────────────
    Sequential   [5×2]            -              -          -
      0: Linear  [5×4]           16             60       60 B
      1: Tanh    [5×4]            -              -       80 B
      2: Linear  [5×2]           10             40          -
    ─────────────────────────────────────────────────────────
    total                        26            100      140 B
    parameters take 104 B
    """
    if not isinstance(module, Module):
        raise TypeError(f"summary: expected a Module, not {type(module).__name__}")
    rows, modules, parameters = _tree(module)
    watch = _Watch(rows)
    with ExitStack() as undo, observing(watch), enable_grad():
        for i, member in modules.items():  # so that direct calls of forward by a parent are recorded, too
            own = vars(member)
            undo.callback(*(own.__setitem__, "forward", own["forward"]) if "forward" in own else (own.pop, "forward"))
            own["forward"] = partial(watch.forward, i, member.forward)
        result = module(*inputs, **options)
    kept = set(graph_of([x.node for _, x in leaves(result) if isinstance(x, Tensor) and x.node is not None]).nodes)
    memory = residual_memory([node for _, node in watch.nodes if node in kept], [p.data for p in parameters])
    for row, node in watch.nodes:
        rows[row].residual_bytes += sum(memory.get(node, {}).values())
    counted = ("parameters", "frozen", "multiply_adds", "residual_bytes")
    sums = {name: sum(getattr(row, name) for row in rows) for name in counted}
    return Summary(tuple(rows), sum(p.data.nbytes for p in parameters), tuple(watch.uncounted), **sums)


def _tree(module: Module) -> tuple[list[Row], dict[int, Module], list[Parameter]]:
    """Return a row for each position in the tree, parents first; the modules by row; and all parameters.

    A repeated module is not followed again.
    """
    rows: list[Row] = []
    modules: dict[int, Module] = {}
    names: dict[int, str] = {}
    parameters: dict[int, Parameter] = {}
    stack = [("", "", 0, module)]
    while stack:
        name, key, depth, member = stack.pop()
        row = Row(name, key, depth, type(member).__name__, same_as=names.get(id(member)))
        rows.append(row)
        if row.same_as is not None:
            continue
        modules[len(rows) - 1], names[id(member)] = member, name
        children = []
        for key, entry, hiding in chain.from_iterable(starmap(walk, vars(member).items())):
            if isinstance(entry, Module) and hiding is None:
                children.append((f"{name}.{key}" if name else key, key, depth + 1, entry))
            elif isinstance(entry, Parameter) and hiding is None and id(entry) not in parameters:
                parameters[id(entry)] = entry
                row.parameters += entry.size
                row.frozen += 0 if entry.requires_grad else entry.size
        stack += reversed(children)
    return rows, modules, list(parameters.values())


class _Watch(Observer):
    """Observes every call of a primitive, and the module that makes it."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.running = [0]  # numbers of the modules being called, outermost first
        self.nodes: list[tuple[int, Node]] = []
        self.uncounted: dict[str, None] = {}

    def call(
        self,
        primitive: Primitive,
        params: Mapping[str, Any],
        inputs: Sequence[Any],
        outputs: Sequence[Array],
        node: Node | None,
    ) -> None:
        if node is not None:
            self.nodes.append((self.running[-1], node))
        if primitive.cost is not None:
            shapes = [None if x is None else np.shape(x) for x in inputs]
            self.rows[self.running[-1]].multiply_adds += primitive.cost(shapes, np.shape(outputs[0]), params)
        elif not primitive.module.startswith("minigrad.ops."):
            self.uncounted[primitive.name] = None

    def forward(self, number: int, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a module's forward, and write its outputs into its row."""
        self.running.append(number)
        try:
            result = inner(*args, **kwargs)
        finally:
            self.running.pop()
        row = self.rows[number]
        if not row.calls:
            arrays = [x for _, x in leaves(result) if isinstance(x, (Tensor, np.ndarray))]
            row.outputs = tuple((x.shape, x.dtype) for x in arrays)
        row.calls += 1
        return result
