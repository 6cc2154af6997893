"""Replace parts of a picture with one vertex each: close modules, and drop what exceeds a limit.

The depth of a scope is the length of its path. At depth 2 the parts of a network are closed, and the operations between
them stay.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import Any, NamedTuple

from ..nn.module import Module
from .labels import alike, title_parts
from .picture import Edge, Kind, Path, Picture, Rewriting, Vertex, parameters_of, shared_path

__all__ = ["LARGE", "closed", "is_one_of", "limited", "readable_depth"]

LARGE = 60  # operations: a picture with more is simplified
_READABLE = 30


def limited(picture: Picture, most: int) -> Picture:
    """Keep the `most` operations nearest to the outputs, and at most `most` leaves.

    One vertex of the kind 'omitted' replaces the rest of each and shows their number.
    """
    picture = _with_omitted(picture, range(_leaf_count(picture), len(picture.vertices) - most), "")
    return _with_omitted(picture, range(most, _leaf_count(picture)), " leaves")


def _leaf_count(picture: Picture) -> int:
    return sum(vertex.is_leaf for vertex in picture.vertices)


def _with_omitted(picture: Picture, rest: range, noun: str) -> Picture:
    """Replace these vertices, if any, with one that shows their number."""
    left = sum(picture.vertices[i].stands_for or 1 for i in rest)
    return _merged(picture, [_Group(rest, f"and {left:,} more{noun}")]) if rest else picture


def closed(
    picture: Picture,
    depth: int | None,
    skips: bool = False,
    opened: Collection[str | Module] = (),
    collapsed: Collection[str | Module] = (),
) -> Picture:
    """Replace every scope at this depth with one vertex, or several if the scope is left and re-entered.

    In a comparison, a scope with a difference stays open. ``skips`` keeps the sums at the ends of skip connections, and
    replaces what is between them. Modules and names in ``opened`` stay open, with all that is around and in them; those
    in ``collapsed`` are closed at any depth.

    >>> import minigrad as mg
    >>> from minigrad.render.nodes import picture_of
    >>> with mg.scope("net"):
    ...     with mg.scope("head"):
    ...         y = mg.exp(mg.tanh(mg.tensor([1.0], requires_grad=True)))
    ...     y = y * 2.0
    >>> [(vertex.label, vertex.remark) for vertex in closed(picture_of([y], {}), 2).vertices]
    [('input', ''), ('head', '2 operations'), ('multiply', '')]
    """
    groups = []
    users = Counter(edge.source for vertex in picture.vertices for edge in vertex.inputs)
    around_opened = {
        v.around[:depth]
        for v in picture.vertices
        for k, title in enumerate(v.around)
        for depth in range(1, k + 1)
        if is_one_of(title, opened)
    }

    def closes(path: Path) -> bool:
        inside = any(is_one_of(title, opened) for title in path)
        at_depth = depth is not None and len(path) >= depth and not inside and path not in around_opened
        return at_depth or is_one_of(path[-1], collapsed)

    for path, run in _runs(picture, closes):
        if not path or all(picture.vertices[i].kind == "omitted" for i in run) or _differs(picture, run):
            continue
        parts = _between_skips(picture.vertices, run, users) if skips else [run]
        for part in [part for part in parts if len(part) > 1 or len(parts) == 1]:
            ends = picture.vertices[part[0]], picture.vertices[part[-1]]
            inner = [title_parts(v.around[len(path)])[0] if v.around[len(path) :] else v.label for v in ends]
            label, scope = (" … ".join(dict.fromkeys(inner)), path) if len(parts) > 1 else (path[-1], path[:-1])
            groups.append(_Group(range(part[0], part[-1] + 1), label, "module", scope, _contents(picture, part)))
    return _merged(picture, groups)


def _differs(picture: Picture, run: Sequence[int]) -> bool:
    """Whether a comparison marks one of these vertices, or a leaf that they take."""
    sources = [edge.source for i in run for edge in picture.vertices[i].inputs if picture.vertices[edge.source].is_leaf]
    return any(picture.vertices[i].mark for i in (*run, *sources))


def _between_skips(vertices: Sequence[Vertex], run: Sequence[int], users: Counter[int]) -> list[list[int]]:
    """Split a run at each skip connection: at its sum, and around its shorter path."""
    length: dict[int, int] = {}  # of the longest path to an operation
    part: dict[int, tuple[str, int]] = {}
    sums = 0
    for i in run:
        sources = [edge.source for edge in vertices[i].inputs if not vertices[edge.source].is_held]
        lengths = [length.get(source, 0) for source in sources]
        length[i], part[i] = 1 + max(lengths, default=0), ("between", sums)
        if vertices[i].label == "add" and len(set(lengths)) == 2:
            sums, part[i], shorter = sums + 1, ("sum", i), sources[lengths.index(min(lengths))]
            while shorter in part and users[shorter] == 1:  # up to where the paths part
                part[shorter], shorter = ("shorter path", i), vertices[shorter].inputs[0].source
    return [list(same) for _, same in groupby(run, part.__getitem__)]


def readable_depth(picture: Picture) -> int | None:
    """Return the depth at which a large picture shows about 30 operations; None to show the whole picture."""
    operations = [vertex for vertex in picture.vertices if not vertex.is_leaf]
    if len(operations) <= LARGE:
        return None
    sizes: dict[int | None, int] = {None: len(operations)}
    for depth in range(1, max(len(vertex.around) for vertex in operations) + 1):
        sizes[depth] = sum(1 if path else len(run) for path, run in _runs(picture, _is_at(depth)))
    return min(sizes, key=lambda depth: abs(math.log(sizes[depth] / _READABLE)))


def _is_at(depth: int) -> Callable[[Path], bool]:
    return lambda path: len(path) == depth


def is_one_of(title: str, frames: Iterable[str | Module]) -> bool:
    """Return whether a frame is of one of these modules or names."""
    return any(
        title_parts(title)[0] == frame if isinstance(frame, str) else getattr(title, "module", None) is frame
        for frame in frames
    )


def _runs(picture: Picture, closes: Callable[[Path], bool]) -> Iterator[tuple[Path, list[int]]]:
    """Yield runs of operations with the path of the outermost scope around them that closes.

    The path is empty for operations without one.
    """

    def path(i: int) -> Path:
        around = picture.vertices[i].around
        return next((around[:k] for k in range(1, len(around) + 1) if closes(around[:k])), ())

    operations = (i for i, vertex in enumerate(picture.vertices) if not vertex.is_leaf)
    return ((key, list(run)) for key, run in groupby(operations, path))


def _contents(picture: Picture, run: Sequence[int]) -> str:
    """Describe a closed scope: its operation (or their number) and its number of parameters."""
    members = [picture.vertices[i] for i in run]
    count = sum(member.stands_for or 1 for member in members)
    leaves = [picture.vertices[i] for i in {edge.source for member in members for edge in member.inputs}]
    total = sum(math.prod(leaf.specs[0][0]) for leaf in leaves if leaf.kind == "parameter")
    said = members[0].label if count == 1 else f"{count:,} operations"
    return f"{said}\n{total:,} parameters" if total else said


# Merging ----------------------------------------------------------------------------------------


class _Group(NamedTuple):
    """Consecutive vertices that one omitted vertex or closed module replaces."""

    members: range
    label: str
    kind: Kind = "omitted"
    scope: Path = ()
    caveat: str = ""


def _merged(picture: Picture, groups: Sequence[_Group]) -> Picture:
    """Replace each group with one vertex; drop leaves that only groups use, except inputs of modules."""
    owner = {i: group for group in groups for i in group.members}
    kept, ports = _uses(picture, owner)
    new = Rewriting(picture)

    def key(edge: Edge) -> Any:
        """An omitted vertex feeds each kind of argument once."""
        return _kind_of_argument(edge) if new.vertices[edge.source].kind == "omitted" else edge

    for i, vertex in enumerate(picture.vertices):
        if i not in owner:
            if not vertex.is_leaf or i in kept:
                copy = new.keep(i)
                copy.inputs = _distinct(copy.inputs, key)
        elif i == owner[i].members.start:
            _replace(new, owner[i], ports.get(i, {}))
    return new.finish()


def _uses(picture: Picture, owner: Mapping[int, _Group]) -> tuple[set[int], dict[int, dict[tuple[int, int], int]]]:
    """Return the vertices used outside of groups, and the outputs that each group keeps.

    The outputs of its members are by the start of the group. Outputs of equal shape become one output of an omitted
    vertex.
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
        start = owner[source].members.start
        numbers = known.setdefault(start, {})
        spec = picture.vertices[source].specs[slot]
        place = (source, slot, spec) if owner[source].kind == "module" else (slot, spec)
        ports.setdefault(start, {})[source, slot] = numbers.setdefault(place, len(numbers))
    return kept, ports


def _replace(new: Rewriting, group: _Group, ports: Mapping[tuple[int, int], int]) -> None:
    """Write the vertex that replaces a group."""
    vertices = new.picture.vertices
    members = [vertices[i] for i in group.members]
    edges = [e for member in members for e in member.inputs if e.source not in group.members]
    inputs = [edge._replace(part="") for edge in new.edges(e for e in edges if (e.source, e.slot) in new.moved)]
    specs = {port: vertices[source].specs[slot] for (source, slot), port in ports.items()}
    names = [(ports[i, slot], name) for i in group.members for slot, name in vertices[i].names if (i, slot) in ports]
    new.moved |= {output: (len(new.vertices), port) for output, port in ports.items()}
    new.vertices.append(
        Vertex(
            group.kind,
            group.label,
            tuple(specs[port] for port in range(len(specs))),
            group.scope if group.kind == "module" else reduce(shared_path, (member.scope for member in members)),
            _distinct(inputs, _kind_of_argument if group.kind == "omitted" else lambda edge: edge[:2]),
            stands_for=sum(member.stands_for or 1 for member in members),
            caveat=group.caveat,
            names=tuple(names) if group.kind == "module" else (),  # an omitted one replaces many vertices
            birth=next((member.birth for member in members if member.birth), ""),
            inside=tuple(members) if group.kind == "module" else (),
            parameters=frozenset().union(*(parameters_of(vertices, i) for i in group.members)),
        )
    )


def _distinct(edges: Iterable[Edge], key: Callable[[Edge], Any]) -> tuple[Edge, ...]:
    """Return the first edge with each key."""
    found: dict[Any, Edge] = {}
    for edge in edges:
        found.setdefault(key(edge), edge)
    return tuple(found.values())


def _kind_of_argument(edge: Edge) -> Any:
    return edge[:2], alike(edge.argument)
