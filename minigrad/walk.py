"""The reverse pass as its definition has it, for cotangents of any kind: tensors, or arrays with a leading axis.

:mod:`minigrad.backward` has the pass for arrays, in which each part is written out for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

from . import hooks
from .backward import graph_of, needed_edges
from .core import Node
from .graph import dependents
from .recording import say_where

__all__ = ["Pull", "pull_back"]

_parents = attrgetter("parents")


class Pull(Protocol):
    """``pull(node, cotangents, needs)``: the VJP of a node, of one cotangent for each output (None for one unused).

    Returns one cotangent for each input that is needed, in that input's shape and dtype.
    """

    def __call__(self, node: Node, cotangents: tuple[Any, ...], needs: tuple[bool, ...], /) -> Sequence[Any]: ...


def pull_back(
    seeds: Sequence[tuple[Node, int, Any]],
    sources: Sequence[Node],
    pull: Pull,
    add: Callable[[Any, Any], Any],
    fire: Callable[[Node, tuple[Any, ...]], tuple[Any, ...]] = hooks.fire,
) -> dict[Any, Any]:
    """Cotangents of some sources, given those of some outputs; what is behind a source is not gone into.

    Args:
        seeds: node, output index and cotangent. sources: nodes with one output. fire: how hooks are called with the
            cotangents of a node.

    Returns:
        the cotangent of each source that the outputs depend on, and that for each inner ``grad`` that is retained.
        An error in the pass carries a note of where the forward made the node, if known.
    """
    order = graph_of([node for node, _, _ in seeds])
    live = dependents(order, list(sources), _parents)
    ends = set(sources)
    cotangents: dict[tuple[Node, int], Any] = {}

    def arrive(node: Node, index: int, g: Any) -> None:
        key = node, index
        cotangents[key] = add(cotangents[key], g) if key in cotangents else g

    for seed in seeds:
        arrive(*seed)
    found: dict[Any, Any] = {}  # by what is to have it: a source, or what holds a grad
    for node in reversed(order.nodes):
        if node not in live:
            continue
        gs = tuple(cotangents.pop((node, index), None) for index in range(1 + len(node.later_outputs)))
        if all(g is None for g in gs):
            continue
        try:
            gs = fire(node, gs)
            found.update(hooks.retained(node, gs))
            if node in ends:
                found[node] = gs[0]
                continue
            parents, argnums, needs, indices = needed_edges(node, live)
            grads = pull(node, gs, needs)
        except BaseException as error:
            say_where(error, node)
            raise
        for parent, argnum, index in zip(parents, argnums, indices, strict=True):
            arrive(parent, index, grads[argnum])
    return found
