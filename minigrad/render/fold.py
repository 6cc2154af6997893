"""Pictures with less in them: one vertex for the middle of every loop, for every module, or for all that is too much.

Six steps of h = tanh(h @ W) are one repeat of period 2 (see :mod:`.repeats`). Its first and its last block stay. An
elision replaces the eight vertices between them. What they took from outside feeds it, and what others take of them
comes from it:

    before  0 h  1 W  2 matmul  3 tanh | 4 matmul  5 tanh  …  10 matmul  11 tanh | 12 matmul    13 tanh
    edges                 0 1     2          3 1     4             9 1     10          11 1        12
    after   0 h  1 W  2 matmul  3 tanh | 4 more like this                        |  5 matmul     6 tanh
    edges                 0 1     2          3 1                                        4 1         5

At depth 2 the parts of a network are closed, and the operations between them stay. The depth of a scope is the length
of its path:

    before  x  W  b   affine (net, head)  tanh (net, head)  multiply (net)
    after   x         head (net)                            multiply (net)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Any, NamedTuple

from .labels import alike
from .picture import Edge, Kind, Path, Picture, Rewriting, Vertex, shared_path
from .repeats import find_repeats

__all__ = ["MANY", "closed", "folded", "limited", "readable_depth"]

MANY = 60  # operations that a person can look over
_READABLE = 30


def folded(picture: Picture, least: int = 4) -> Picture:
    """The picture with one elision in place of the middle blocks of every repeat.

    It is folded until nothing is left to fold, for loops within loops.

    >>> import minigrad as mg
    >>> from minigrad.render.nodes import picture_of
    >>> h, W = [mg.tensor([[1.0]], requires_grad=True) for _ in range(2)]
    >>> for _ in range(6):
    ...     h = mg.tanh(h @ W)
    >>> [(vertex.label, [edge.source for edge in vertex.inputs]) for vertex in folded(picture_of([h], {})).vertices[3:]]
    [('tanh', [2]), ('4 more like this', [3, 1]), ('matmul', [4, 1]), ('tanh', [5])]
    """
    while found := find_repeats(picture, least):
        groups = []
        for repeat in found:
            members = range(repeat.start + repeat.period, repeat.stop - repeat.period)
            steps = repeat.period == 1 and picture.vertices[members[0]].step is not None
            label = f"{repeat.count - 2:,} more {'steps' if steps else 'like this'}"
            groups.append(_Group(members, label, repeat.period))
        picture = _merged(picture, groups)
    return picture


def limited(picture: Picture, most: int) -> Picture:
    """The picture with at most `most` operations, those nearest to the outputs, and at most as many leaves.

    An elision with their number stands for the rest of either.
    """
    for what in ("", " leaves"):
        leaves, total = sum(v.is_leaf for v in picture.vertices), len(picture.vertices)
        rest = range(most, leaves) if what else range(leaves, total - most)
        if rest:
            left = sum(picture.vertices[i].stands_for or 1 for i in rest)
            picture = _merged(picture, [_Group(rest, f"and {left:,} more{what}", 1)])
    return picture


def closed(picture: Picture, depth: int) -> Picture:
    """The picture with one vertex for every scope at this depth, or several if it is left and entered again.

    >>> import minigrad as mg
    >>> from minigrad.render.nodes import picture_of
    >>> with mg.scope("net"):
    ...     with mg.scope("head"):
    ...         y = mg.exp(mg.tanh(mg.tensor([1.0], requires_grad=True)))
    ...     y = y * 2.0
    >>> [(vertex.label, vertex.remark) for vertex in closed(picture_of([y], {}), 2).vertices]
    [('input', ''), ('head', '2 operations'), ('multiply', '')]
    """
    groups = [
        _Group(range(run[0], run[-1] + 1), path[-1], len(run), "module", path[:-1], _contents(picture, run))
        for path, run in _runs(picture, depth)
        if path and any(picture.vertices[i].kind == "operation" for i in run)
    ]
    return _merged(picture, groups)


def readable_depth(picture: Picture) -> int | None:
    """The depth at which a large picture shows about 30 operations; None if that is the whole, or it is not large."""
    operations = [vertex for vertex in picture.vertices if not vertex.is_leaf]
    if len(operations) <= MANY:
        return None
    sizes: dict[int | None, int] = {None: len(operations)}
    for depth in range(1, max(len(vertex.around) for vertex in operations) + 1):
        sizes[depth] = sum(1 if path else len(run) for path, run in _runs(picture, depth))
    return min(sizes, key=lambda depth: abs(math.log(sizes[depth] / _READABLE)))


def _runs(picture: Picture, depth: int) -> Iterator[tuple[Path, list[int]]]:
    """Neighbouring operations, with the path of their scope at a depth; empty for those that lie less deep."""

    def path(i: int) -> Path:
        around = picture.vertices[i].around
        return around[:depth] if len(around) >= depth else ()

    operations = (i for i, vertex in enumerate(picture.vertices) if not vertex.is_leaf)
    return ((key, list(run)) for key, run in groupby(operations, path))


def _contents(picture: Picture, run: Sequence[int]) -> str:
    """The contents of a closed scope: its operation, or how many, and the size of its parameters."""
    members = [picture.vertices[i] for i in run]
    count = sum(member.stands_for or 1 for member in members)
    leaves = [picture.vertices[i] for i in {edge.source for member in members for edge in member.inputs}]
    total = sum(math.prod(leaf.specs[0][0]) for leaf in leaves if leaf.kind == "parameter")
    said = members[0].label if count == 1 else f"{count:,} operations"
    return f"{said}\n{total:,} parameters" if total else said


# Merging ----------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Neighbours that an elision or a closed module in a scope replaces; `period` is the length of a block."""

    members: range
    label: str
    period: int
    kind: Kind = "elision"
    scope: Path = ()
    caveat: str = ""


def _merged(picture: Picture, groups: Sequence[_Group]) -> Picture:
    """Each group replaced by one vertex, without leaves that only groups use, except for inputs of modules."""
    if not groups:
        return picture
    owner = {i: group for group in groups for i in group.members}
    kept, ports = _uses(picture, owner)
    new = Rewriting(picture)

    def key(edge: Edge) -> Any:
        """An elision feeds each kind of argument once."""
        return _kind_of_argument(edge) if new.vertices[edge.source].kind == "elision" else edge

    for i, vertex in enumerate(picture.vertices):
        if i not in owner:
            if not vertex.is_leaf or i in kept:
                copy = new.keep(i)
                copy.inputs = _distinct(copy.inputs, key)
        elif i == owner[i].members.start:
            _replace(new, owner[i], ports.get(i, {}))
    return new.finish()


def _uses(picture: Picture, owner: Mapping[int, _Group]) -> tuple[set[int], dict[int, dict[tuple[int, int], int]]]:
    """The vertices used outside of groups; for each group, by its start, which outputs of members are its outputs.

    In every block the same output of the same vertex is one output of the new vertex.
    """
    kept: set[int] = set()
    outputs: list[tuple[int, int]] = []
    for i, vertex in enumerate(picture.vertices):
        group = owner.get(i)
        for edge in vertex.inputs:
            if edge.source in owner and owner[edge.source] is not group:
                outputs.append((edge.source, edge.slot))
            # a closed module shows its inputs, but not its parameters
            elif group is None or (group.kind == "module" and picture.vertices[edge.source].kind == "input"):
                kept.add(edge.source)
    outputs += [(output.source, output.slot) for output in picture.outputs if output.source in owner]
    kept |= {output.source for output in picture.outputs}
    ports: dict[int, dict[tuple[int, int], int]] = {}
    known: dict[int, dict[Any, int]] = {}
    for source, slot in outputs:
        start, period = owner[source].members.start, owner[source].period
        numbers = known.setdefault(start, {})
        place = (source - start) % period, slot, picture.vertices[source].specs[slot]
        ports.setdefault(start, {})[source, slot] = numbers.setdefault(place, len(numbers))
    return kept, ports


def _replace(new: Rewriting, group: _Group, ports: Mapping[tuple[int, int], int]) -> None:
    """Write the vertex that stands for a group."""
    vertices = new.picture.vertices
    members = [vertices[i] for i in group.members]
    edges = [e for member in members for e in member.inputs if e.source not in group.members]
    inputs = [edge._replace(part="") for edge in new.edges(e for e in edges if (e.source, e.slot) in new.moved)]
    first = members[0]
    steps = group.kind == "elision" and members[-1].node is first.node and first.step is not None
    specs = {port: vertices[source].specs[slot] for (source, slot), port in ports.items()}
    names = [(ports[i, slot], name) for i in group.members for slot, name in vertices[i].names if (i, slot) in ports]
    new.moved |= {output: (len(new.vertices), port) for output, port in ports.items()}
    new.vertices.append(
        Vertex(
            group.kind,
            group.label,
            tuple(specs[port] for port in range(len(specs))),
            group.scope if group.kind == "module" else reduce(shared_path, (member.scope for member in members)),
            _distinct(inputs, _kind_of_argument if group.kind == "elision" else lambda edge: edge[:2]),
            first.node if steps else None,
            step=first.step if steps else None,
            stands_for=sum(member.stands_for or 1 for member in members),
            caveat=group.caveat,
            names=tuple(names) if group.kind == "module" else (),  # an elision stands for many, each with its own
        )
    )


def _distinct(edges: Iterable[Edge], key: Callable[[Edge], Any]) -> tuple[Edge, ...]:
    """The first edge with each key."""
    found: dict[Any, Edge] = {}
    for edge in edges:
        found.setdefault(key(edge), edge)
    return tuple(found.values())


def _kind_of_argument(edge: Edge) -> Any:
    return edge[:2], alike(edge.argument)
