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
from ..graph import topological_order
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
    for node in order:
        depth[node] = max([depth[parent] for parent in node.parents], default=-1) + 1
    joins = [node for node in order if len([parent for parent in node.parents if depth[parent]]) > 1]
    votes: dict[Any, list[int]] = {}  # for each kind of operation the lengths of its arguments' histories, summed
    for node in joins:
        depths, kind = [depth[parent] for parent in node.parents], _kind(node)
        votes[kind] = [a + b for a, b in zip(votes.get(kind, [0] * len(depths)), depths, strict=True)]
    users = Counter(parent for node in order for parent in node.parents)
    totals = _totals(order, users)
    parents = {node: _visits(node, depth, votes[_kind(node)], totals.get(node)) for node in joins}
    first = [*_sliced(order, depth), *(node for node in order if node not in users)]
    result = topological_order(first, lambda node: parents.get(node, node.parents))
    return [node for node in result.nodes if node.primitive is not None]


def _kind(node: Node) -> Any:
    return node.primitive, node.shape, tuple([(parent.primitive, parent.shape) for parent in node.parents])


def _totals(order: Sequence[Node], users: Counter[Node]) -> dict[Node, Node]:
    """For each sum in a row of several, each of which only the next one takes, the one before."""
    before: dict[Node, Node] = {}
    length: dict[Node, int] = {}  # of the row up to a sum, then of the whole row
    for node in order:
        if node.primitive is add.primitive:
            sums = [p for p in node.parents[::-1] if p in length and users[p] == 1 and p.shape == node.shape]
            before |= {node: max(sums, key=length.__getitem__)} if sums else {}
            length[node] = 1 + max([length[p] for p in sums], default=0)
    for node, total in reversed(before.items()):
        length[total] = length[node]
    return {node: total for node, total in before.items() if length[node] >= _ROW}


def _sliced(order: Sequence[Node], depth: dict[Node, int]) -> list[Node]:
    """What the steps of a loop take slices of, which was there before the first of them."""
    late: dict[Node, int] = {}  # when it is needed, if all else is done as soon as it can be
    for node in reversed(order):
        when = late.setdefault(node, depth[node]) - 1
        for parent in node.parents:
            late[parent] = min(late.get(parent, when), when)
    needed: dict[Node, list[int]] = {}
    for node in order:
        if node.primitive is getitem.primitive and node.parents[0].primitive is not None:
            needed.setdefault(node.parents[0], []).append(late[node])
    return [node for node, when in needed.items() if len(when) > 2 and max(when) - min(when) > _NEAR]


def _visits(node: Node, depth: dict[Node, int], votes: Sequence[int], total: Node | None) -> list[Node]:
    """The parents, that to be visited first last; `votes` are those of its kind."""
    parents = list(dict.fromkeys(node.parents))[::-1]
    if len(parents) > 2 and len({(parent.primitive, parent.shape) for parent in parents}) == 1:
        return sorted(parents, key=depth.__getitem__, reverse=True)
    if total is not None:
        return sorted(parents, key=lambda parent: parent is total)
    depths = [depth[parent] for parent in node.parents]
    decided = votes if max(depths) - min(depths) <= _NEAR else depths
    if max(decided) - min(decided) < 2:
        return parents  # as Python does
    return sorted(parents, key=dict(zip(node.parents[::-1], decided[::-1], strict=True)).__getitem__)
