"""What a module gives, holds and costs, found by calling it once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ...backward import graph_of
from ...core import Node, Tensor, recording
from ...nn.module import Module, Parameter, submodules
from ...observers import Observer, observing
from ...primitives import Primitive
from ...spec import Array
from ...writes import arrays_in, owner
from .costs import is_counted, multiply_adds
from .summary_table import Row, Summary

__all__ = ["summary"]


def summary(module: Module, *inputs: Any, **options: Any) -> Summary:
    """Call a module once and say what each module in it gives, holds and costs.

    Multiply-adds are counted from the shapes of products: matrix products, affine maps, einsum, convolutions,
    recurrent cells and temporal maps. What costs a few operations for each entry (activations, biases, losses) counts
    as 0.

    Residuals are the arrays that the graph of the result keeps for the backward pass, but for the parameters; memory
    that several arrays share counts once, in the module that keeps it first. Nothing is kept for a frozen part.

    Args:
        inputs, options: what the module is called with. It runs in the mode it is in, under
            :func:`minigrad.no_grad` too, and draws random numbers if it drops out. Parts that enter `no_grad`
            themselves are not seen, and in a part that holds no parameter nothing is counted if no gradient could
            flow to its input.

    Raises:
        TypeError: if ``module`` is no module. Errors of the call are raised as they are.

    >>> from minigrad import nn
    >>> print(summary(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), np.ones((5, 3), np.float32)))
    module       output  parameters  multiply-adds  residuals
    ─────────────────────────────────────────────────────────
    Sequential   5×2              -              -          -
      0: Linear  5×4             16             60       60 B
      1: Tanh    5×4              -              -       80 B
      2: Linear  5×2             10             40          -
    ─────────────────────────────────────────────────────────
    total                        26            100      140 B
    parameters take 104 B
    """
    if not isinstance(module, Module):
        raise TypeError(f"summary: expected a Module, not {type(module).__name__}")
    tree = _tree(module)
    modules = {i: member for i, (row, member) in enumerate(tree) if row.same_as is None}
    rows = [row for row, _ in tree]
    parameters = _count_parameters(rows, modules)
    watch = _Watch(rows)
    frozen = [parameter for parameter in parameters if not parameter.requires_grad]
    with _thawed(frozen), _watched(modules, watch), observing(watch), recording():
        result = module(*inputs, **options)
        kept = _kept(result, {parameter.node for parameter in frozen})
    _count_residuals(rows, watch, kept, parameters)
    return Summary(tuple(rows), sum(p.data.nbytes for p in parameters), tuple(watch.uncounted))


# The tree of modules and its parameters ---------------------------------------------------------


def _tree(module: Module) -> list[tuple[Row, Module]]:
    """A row for every place in the tree, parents first; a module in a second place is not followed again."""
    tree: list[tuple[Row, Module]] = []
    names: dict[int, str] = {}
    stack = [("", "", 0, module)]
    while stack:
        name, key, depth, member = stack.pop()
        row = Row(name, key, depth, type(member).__name__, same_as=names.get(id(member)))
        tree.append((row, member))
        if row.same_as is None:
            names[id(member)] = name
            prefix = f"{name}." if name else ""
            children = reversed(list(submodules(member)))
            stack.extend((prefix + key, key, depth + 1, child) for key, child in children)
    return tree


def _count_parameters(rows: Sequence[Row], modules: dict[int, Module]) -> list[Parameter]:
    """Note each module's own parameters in its row; all parameters."""
    found: dict[int, Parameter] = {}
    for i, module in modules.items():
        for parameter in _own_parameters(module):
            if id(parameter) not in found:
                found[id(parameter)] = parameter
                rows[i].parameters += parameter.size
                rows[i].frozen += 0 if parameter.requires_grad else parameter.size
    return list(found.values())


def _own_parameters(module: Module) -> Iterator[Parameter]:
    """The parameters that a module holds directly or in containers."""
    seen: set[int] = set()
    stack: list[Any] = list(reversed(vars(module).values()))
    while stack:
        value = stack.pop()
        if isinstance(value, Parameter):
            yield value
        elif isinstance(value, (dict, list, tuple)) and id(value) not in seen:
            seen.add(id(value))
            stack.extend(reversed(list(value.values() if isinstance(value, dict) else value)))


# The call ---------------------------------------------------------------------------------------


class _Watch(Observer):
    """Hears of every primitive that is called, and knows in which module."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.running = [0]  # numbers of the modules that are being called, from the outermost on
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
        if node is None:
            return
        row = self.running[-1]
        self.nodes.append((row, node))
        if not is_counted(primitive):
            self.uncounted[primitive.name] = None
        shapes = [None if x is None else np.shape(x) for x in inputs]
        self.rows[row].multiply_adds += multiply_adds(primitive, shapes, node.shape, params)

    def forward(self, number: int, inner: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """A module's forward, with a note of what it gave."""
        self.running.append(number)
        try:
            result = inner(*args, **kwargs)
        finally:
            self.running.pop()
        row = self.rows[number]
        if not row.calls:
            row.outputs = tuple((np.shape(x.data), x.dtype) for x in _tensors(result))
        row.calls += 1
        return result


@contextmanager
def _watched(modules: dict[int, Module], watch: _Watch) -> Iterator[None]:
    """Let the forward of every module report to ``watch``, also one that its parent calls directly."""
    attributes = [vars(module) for module in modules.values()]
    own = [known.get("forward") for known in attributes]
    try:
        for i, module in modules.items():
            vars(module)["forward"] = partial(watch.forward, i, module.forward)
        yield
    finally:
        for known, forward in zip(attributes, own, strict=True):
            known.pop("forward", None)
            if forward is not None:
                known["forward"] = forward


@contextmanager
def _thawed(frozen: Sequence[Parameter]) -> Iterator[None]:
    """Let frozen parameters have nodes within this context, so that their products are counted."""
    try:
        for parameter in frozen:
            parameter.requires_grad = True
        yield
    finally:
        for parameter in frozen:
            parameter.node = None


def _tensors(value: Any) -> Iterator[Any]:
    """The tensors and arrays in nested tuples, lists and dicts, in order."""
    stack = [value]
    while stack:
        value = stack.pop()
        if isinstance(value, (Tensor, np.ndarray)):
            yield value
        elif isinstance(value, (tuple, list)):
            stack.extend(reversed(value))
        elif isinstance(value, dict):
            stack.extend(reversed(list(value.values())))


# Residuals --------------------------------------------------------------------------------------


def _kept(result: Any, thawed: Set[Node | None]) -> set[Node]:
    """The nodes that would be there if nothing had been thawed, and that the result holds on to."""
    outputs = [x.node for x in _tensors(result) if isinstance(x, Tensor) and x.node is not None]
    kept: set[Node] = set()
    for node in graph_of(outputs).nodes:
        if node not in thawed and (not node.parents or any(parent in kept for parent in node.parents)):
            kept.add(node)
    return kept


def _count_residuals(rows: Sequence[Row], watch: _Watch, kept: set[Node], parameters: Sequence[Parameter]) -> None:
    seen = {id(owner(parameter.data)) for parameter in parameters}
    for row, node in watch.nodes:
        if node in kept:
            for array in map(owner, arrays_in(node.residuals)):
                if id(array) not in seen:
                    seen.add(id(array))
                    rows[row].residual_bytes += array.nbytes
