"""What a picture calls its leaves and its outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from .picture import Picture, Vertex

__all__ = ["default_name", "full_name", "leaf_names", "output_name", "short_name"]


def default_name(number: int, total: int) -> str:
    """The name of an output that was given none.

    >>> default_name(0, 1), default_name(1, 3)
    ('output', 'output 1')
    """
    return "output" if total == 1 else f"output {number}"


def output_name(vertex: Vertex, slot: int) -> str:
    """Which of several outputs: of a sequence the state's name, else its number; nothing where there is but one."""
    if slot in vertex.hidden:
        return f"hidden {slot}"
    if len(vertex.specs) - len(vertex.hidden) < 2 or vertex.node is None or vertex.node.primitive is None:
        return ""
    steps = vertex.node.primitive.steps
    return steps.names[slot] if steps else f"[{slot}]"


def full_name(leaf: Vertex) -> str:
    """A parameter's name with its module's path in front.

    >>> full_name(Vertex("parameter", "Wx", scope=("Captioner", "cell")))
    'Captioner.cell.Wx'
    """
    return ".".join([*leaf.scope, leaf.label])


def leaf_names(picture: Picture) -> dict[int, str]:
    """A name for each leaf by its number, no two alike: its own, with its module's path where that tells it apart.

    >>> leaves = [Vertex("input", "x"), Vertex("parameter", "W", scope=("a",)), Vertex("parameter", "W", scope=("b",))]
    >>> leaf_names(Picture(leaves, []))
    {0: 'x', 1: 'a.W', 2: 'b.W'}
    """
    leaves = {number: vertex for number, vertex in enumerate(picture.vertices) if vertex.is_leaf}
    plain = Counter(vertex.label for vertex in leaves.values())
    names = {i: v.label if plain[v.label] == 1 else full_name(v) for i, v in leaves.items()}
    total, used = Counter(names.values()), Counter[str]()
    taken = {name for name, count in total.items() if count == 1}
    for number, name in names.items():
        if total[name] == 1:
            continue
        used[name] += 1
        while f"{name}{used[name]}" in taken:
            used[name] += 1
        names[number] = f"{name}{used[name]}"
    return names


def short_name(picture: Picture, names: Mapping[int, str], number: int, user: Vertex) -> str:
    """The name of a leaf, without the path of its module where the frame around its user says that."""
    leaf, name = picture.vertices[number], names[number]
    return leaf.label if leaf.scope == user.around and name == full_name(leaf) else name
