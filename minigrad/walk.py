"""The reverse pass as its definition has it, for cotangents of any kind: tensors, or arrays with a leading axis.

:mod:`minigrad.backward` has the pass for arrays, in which each part is written out for speed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Protocol

from .backward import graph_of, needed_edges
from .core import Node
from .graph import dependents

__all__ = ["Pull", "pull_back"]

_parents = attrgetter("parents")


class Pull(Protocol):
    """``pull(node, cotangents, needs)``: the VJP of a node, of one cotangent for each output (None for one unused).

    Returns one cotangent for each input that is needed, in that input's shape and dtype.
    """

    def __call__(self, node: Node, cotangents: tuple[Any, ...], needs: tuple[bool, ...], /) -> Sequence[Any]: ...


def pull_back(
    seeds: Sequence[tuple[Node, int, Any]], sources: Sequence[Node], pull: Pull, add: Callable[[Any, Any], Any]
) -> dict[Node, Any]:
    """Cotangents of some sources, given those of some outputs; what is behind a source is not gone into.

    Args:
        seeds: node, output index and cotangent. sources: nodes with one output.

    Returns:
        the cotangent of each source that the outputs depend on.
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
    for node in reversed(order.nodes):
        if node.primitive is None or node in ends or node not in live:
            continue
        gs = tuple(cotangents.pop((node, index), None) for index in range(1 + len(node.later_outputs)))
        if all(g is None for g in gs):
            continue
        parents, argnums, needs, indices = needed_edges(node, live)
        grads = pull(node, gs, needs)
        for parent, argnum, index in zip(parents, argnums, indices, strict=True):
            arrive(parent, index, grads[argnum])
    return {source: cotangents[source, 0] for source in sources if (source, 0) in cotangents}
