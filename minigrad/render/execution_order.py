"""The order of execution, as far as a graph reveals it.

Nodes do not record when they were made. A depth-first sort may list the heads of a loop's steps from last to first, or
what each step takes before all steps. So it matters which parent the sort visits first:

- among similar parents, such as the stacked outputs of all steps, the one with the shortest history, so that each is
  listed right after its step;
- for a running total, the total so far, for the same reason;
- otherwise the parent with the longest history. Thus the state comes before what a step takes from outside, which is
  then listed where it is used. In the first step of a loop both are short: there the other steps decide;
- among histories of equal length, the first argument's, as in Python.

The sort visits first whatever a loop takes apart slice by slice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..core import Node
from ..graph import Order, topological_order
from ..ops.elementwise import add
from ..ops.indexing import getitem

__all__ = ["executed"]

_NEAR = 8  # histories that differ by no more count as equally long: operations of the same kind decide between them
_ROW = 5  # so many sums in a row are a running total; fewer may be within one step


def executed(order: Sequence[Node]) -> list[Node]:
    """The operations of a topological order, in a likely order of execution.

    >>> import minigrad as mg
    >>> h, heads = mg.tensor([1.0], requires_grad=True), []
    >>> for _ in range(3):
    ...     h = mg.tanh(h)
    ...     heads.append(mg.exp(h))
    >>> [node.primitive.name for node in executed(mg.backward.graph_of([mg.stack(heads).node]).nodes)]
    ['tanh', 'exp', 'tanh', 'exp', 'tanh', 'exp', 'stack']
    """
    depth: dict[Node, int] = {}
    joins: list[Node] = []
    users: Counter[Node] = Counter()
    for node in order:
        inner = [depth[parent] for parent in node.parents]
        depth[node] = max(inner, default=-1) + 1
        users.update(node.parents)
        if len(inner) - inner.count(0) > 1:
            joins.append(node)
    votes: dict[Any, list[int]] = {}  # for each kind of operation the lengths of its arguments' histories, summed
    for node in joins:
        depths, kind = [depth[parent] for parent in node.parents], _kind(node)
        votes[kind] = [a + b for a, b in zip(votes.get(kind, [0] * len(depths)), depths, strict=True)]
    totals = _totals(order, users)
    parents = {node: _visits(node, depth, votes, totals) for node in joins}
    first = [*_sliced(order, depth), *(node for node in order if node not in users)]
    result = topological_order(first, lambda node: parents.get(node, node.parents))
    assert isinstance(result, Order)
    return [node for node in result.nodes if node.primitive is not None]


def _kind(node: Node) -> Any:
    return node.primitive, node.shape, tuple([(parent.primitive, parent.shape) for parent in node.parents])


def _totals(order: Sequence[Node], users: Counter[Node]) -> dict[Node, Node]:
    """For each sum in a row of several, each of which only the next one takes, the one before."""
    before: dict[Node, Node] = {}
    length: dict[Node, int] = {}
    for node in order:
        if node.primitive is not add.primitive:
            continue
        length[node] = 1
        for parent in node.parents:
            alone = parent in length and users[parent] == 1 and parent.shape == node.shape
            if alone and length[parent] >= length[node]:
                before[node], length[node] = parent, length[parent] + 1
    totals: dict[Node, Node] = {}
    rows: set[Node] = set()  # all in rows that are long enough
    for node, parent in reversed(before.items()):
        if length[node] >= _ROW or node in rows:
            totals[node] = parent
            rows.add(parent)
    return totals


def _sliced(order: Sequence[Node], depth: dict[Node, int]) -> list[Node]:
    """What the steps of a loop take slices of, which was there before the first of them."""
    slices: dict[Node, list[Node]] = {}
    for node in order:
        if node.primitive is getitem.primitive and node.parents[0].primitive is not None:
            slices.setdefault(node.parents[0], []).append(node)
    slices = {node: parts for node, parts in slices.items() if len(parts) > 2}
    if not slices:
        return []
    late: dict[Node, int] = {}  # when it is needed, if all else is done as soon as it can be
    for node in reversed(order):
        when = late.setdefault(node, depth[node]) - 1
        for parent in node.parents:
            late[parent] = min(late.get(parent, when), when)
    needed = {node: [late[part] for part in parts] for node, parts in slices.items()}
    return [node for node, when in needed.items() if max(when) - min(when) > _NEAR]


def _visits(node: Node, depth: dict[Node, int], votes: dict[Any, list[int]], totals: dict[Node, Node]) -> list[Node]:
    """The parents, that to be visited first last."""
    parents = list(dict.fromkeys(node.parents))[::-1]
    if len(parents) > 2 and len({(parent.primitive, parent.shape) for parent in parents}) == 1:
        return sorted(parents, key=depth.__getitem__, reverse=True)
    total = totals.get(node)
    if total is not None:
        return [*(parent for parent in parents if parent is not total), total]
    depths = [depth[parent] for parent in node.parents]
    decided = votes[_kind(node)] if max(depths) - min(depths) <= _NEAR else depths
    if max(decided) - min(decided) < 2:
        return parents  # as Python does
    of = dict(zip(reversed(node.parents), reversed(decided), strict=True))
    return sorted(parents, key=of.__getitem__)
