"""The reverse pass as its definition has it, for cotangents of any kind: tensors, or arrays with a leading axis.

:mod:`minigrad.backward` has the pass for arrays, in which each part is written out for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from . import hooks
from .backward import check_residuals, fit, graph_of, miscounted, needed_edges
from .core import Node, plain
from .graph.order import dependents
from .recording import recorder, say_where
from .rules import Primitive

__all__ = ["Pull", "pull_back", "pull_back_to_edge", "pull_through"]

Rule = Callable[[Node, Any, "tuple[bool, ...]"], Any]
"""``rule(node, g, needs)``: what a rule of the node's primitive makes of a cotangent, or a tuple of several."""
Fire = Callable[[Node, tuple[Any, ...]], tuple[Any, ...]]


class Pull(Protocol):
    """``pull(node, cotangents, needs)``: the VJP of a node, of one cotangent for each output (None for one unused).

    Returns one cotangent for each input that is needed, in that input's shape and dtype.
    """

    def __call__(self, node: Node, cotangents: tuple[Any, ...], needs: tuple[bool, ...], /) -> Sequence[Any]: ...


def pull_back(
    seeds: Sequence[tuple[Node, int, Any]],
    sources: Sequence[Node],
    pull: Pull,
    fire: Fire = hooks.fire,
) -> dict[Any, Any]:
    """Cotangents of the first outputs of some sources, given those of some outputs.

    What is behind a source is not gone into.

    Args:
        seeds: node, output index and cotangent. fire: calls hooks with the cotangents of a node.

    Returns:
        the cotangent of each source that the outputs depend on, and of each inner tensor that retains its gradient, by
        what holds that. An error carries a note of where the forward made the node, if known.
    """
    grads: dict[Any, Any] = {}

    def attend(node: Node, gs: tuple[Any, ...]) -> tuple[Any, ...]:
        gs = fire(node, gs)
        grads.update(hooks.retained(node, gs))
        return gs

    found = pull_back_to_edge(seeds, sources, pull, attend)
    for (node, index), g in found.items():
        if not index:
            try:
                grads[node], *_ = attend(node, (g, *(None for _ in node.later_outputs)))
            except BaseException as error:
                say_where(error, node)
                raise
    return grads


def pull_back_to_edge(
    seeds: Sequence[tuple[Node, int, Any]],
    sources: Sequence[Node],
    pull: Pull,
    fire: Fire = hooks.fire,
) -> dict[tuple[Node, int], Any]:
    """The same for all outputs of the sources, by node and index; the sources' own hooks are not called."""
    ends = set(sources)

    def parents(node: Node) -> tuple[Node, ...]:
        return () if node in ends else node.parents

    order = graph_of([node for node, _, _ in seeds], parents)
    live = dependents(order, ends, parents)
    cotangents: dict[tuple[Node, int], Any] = {}

    def arrive(node: Node, index: int, g: Any) -> None:
        key = node, index
        cotangents[key] = _sum_of(cotangents[key], g) if key in cotangents else g

    for seed in seeds:
        arrive(*seed)
    for node in reversed(order.nodes):
        if node.primitive is None or node in ends or node not in live:
            continue
        gs = tuple(cotangents.pop((node, index), None) for index in range(1 + len(node.later_outputs)))
        if all(g is None for g in gs):
            continue
        edges = needed_edges(node, live)
        try:
            grads = pull(node, fire(node, gs), edges[2])
        except BaseException as error:
            say_where(error, node)
            raise
        for parent, argnum, index in zip(edges[0], edges[1], edges[3], strict=True):
            arrive(parent, index, grads[argnum])
    return {key: _narrowed(g, *key) for key, g in cotangents.items() if key[0] in ends}


def _sum_of(a: Any, b: Any) -> Any:
    """The sum of two cotangents; of half precision in single, since sums of ones would stop at 2,048."""
    return (a.astype(np.float32) if a.dtype == np.float16 else a) + b


def _narrowed(g: Any, node: Node, index: int) -> Any:
    """A sum in the dtype of its output."""
    dtype = node.outputs[index][1]
    return g if g.dtype == dtype else g.astype(dtype)


def pull_through(
    node: Node, cotangents: tuple[Any, ...], needs: tuple[bool, ...], rule: Rule, batch: tuple[int, ...] = ()
) -> list[Any]:
    """The VJP of a node by some rule of its primitive, in the shapes (behind that of a batch) and dtypes of its inputs.

    Raises:
        ValueError: if residuals were freed or written into, or the rule returns a wrong shape. TypeError: if it returns
            anything but a tuple with an entry for each input.
    """
    primitive = cast(Primitive, node.primitive)
    check_residuals(node)
    several = len(cotangents) > 1  # as it was when they were collected: hidden outputs may have joined since
    observer = recorder()
    if observer is not None and batch and not observer.of_batches:
        observer = None
    if observer is not None:
        arrays = tuple(map(plain, cotangents))
        observer.cotangent(node, arrays if several else arrays[0])
    grads = rule(node, cotangents if several else cotangents[0], needs)
    if type(grads) is not tuple or len(grads) != len(needs):
        raise TypeError(miscounted(primitive, len(needs), grads))
    fitted: list[Any] = [None] * len(needs)
    for parent, argnum, index in zip(node.parents, node.edges[0], node.edges[2], strict=True):
        if needs[argnum]:
            fitted[argnum] = fit(primitive, argnum, grads[argnum], *parent.outputs[index], batch)
    if observer is not None:
        observer.flows(node, {i: plain(g) for i, g in enumerate(fitted) if g is not None})
    return fitted
