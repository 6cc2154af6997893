"""Sequence primitives as their steps.

Step t takes x[:, t], or of rows x those with the indices[:, t], and the states that step t - 1 leaves. A vertex `stack`
gathers each state that is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...rules import Steps
from ..picture import Edge, Output, Picture, Vertex

__all__ = ["unrolled"]


def unrolled(picture: Picture) -> Picture:
    """The picture with every sequence primitive as its steps: T vertices `lstm_step`, each in a scope of its own.

    One without steps (T = 0) stays as it is.
    """
    if not any(map(_steps, picture.vertices)):
        return picture
    vertices: list[Vertex] = []
    moved: dict[tuple[int, int], tuple[int, int]] = {}  # an output before -> the output now
    used = _used_outputs(picture)
    for number, vertex in enumerate(picture.vertices):
        vertex = vertex.with_inputs(_moved(vertex.inputs, moved))
        if steps := _steps(vertex):
            unrolled, stacks = _unroll(vertex, steps, len(vertices), used.get(number, []))
            moved |= {(number, slot): (place, 0) for slot, place in stacks.items()}
            vertices += unrolled
        else:
            moved |= {(number, slot): (len(vertices), slot) for slot in range(len(vertex.specs))}
            vertices.append(vertex)
    outputs = [Output(*moved[output.source, output.slot], output.name) for output in picture.outputs]
    return Picture(vertices, outputs)


def _steps(vertex: Vertex) -> Steps | None:
    """How a sequence primitive is made of steps, if there is at least one; None of all else."""
    primitive = None if vertex.node is None else vertex.node.primitive
    if primitive is None or primitive.steps is None or vertex.step is not None:
        return None
    return primitive.steps if vertex.specs[0][0][1] else None


def _moved(edges: Sequence[Edge], moved: Mapping[tuple[int, int], tuple[int, int]]) -> tuple[Edge, ...]:
    places = [moved[edge.source, edge.slot] for edge in edges]
    return tuple(e._replace(source=source, slot=slot) for e, (source, slot) in zip(edges, places, strict=True))


def _used_outputs(picture: Picture) -> dict[int, list[int]]:
    """For each vertex the outputs that something uses, once, in order."""
    edges = {(edge.source, edge.slot) for vertex in picture.vertices for edge in vertex.inputs}
    result: dict[int, list[int]] = {}
    for source, slot in sorted(edges | {(output.source, output.slot) for output in picture.outputs}):
        result.setdefault(source, []).append(slot)
    return result


def _unroll(
    vertex: Vertex, steps: Steps, first: int, used: Sequence[int]
) -> tuple[list[Vertex], dict[int, int]]:
    """The steps of a sequence, numbered from `first`, and for each used output the number of its stack."""
    (N, T, H), dtype = vertex.specs[0]
    states = steps.states
    by_name = {edge.argument: edge for edge in vertex.inputs}
    feeds = by_name.pop(steps.inputs, None)
    indices = None if steps.indices is None else vertex.options.get(steps.indices)
    begin = [edge._replace(argument=state) for start, state in states.items() if (edge := by_name.pop(start, None))]
    specs = tuple(((N, H), dtype) for _ in states)
    vertices = []
    for t in range(T):
        part = f"[:, {t}]" if indices is None else f"[{steps.indices}[:, {t}]]"
        inputs = [] if feeds is None else [feeds._replace(part=part)]
        inputs += [Edge(first + t - 1, slot, state) for slot, state in enumerate(steps.names)] if t else begin
        inputs += by_name.values()
        scope = (*vertex.scope, f"step {t}")
        still = [name for name in vertex.constants if t == 0 or name not in states]
        constants = tuple(states.get(name, name) for name in still)
        vertices.append(
            replace(
                vertex,
                label=steps.step.name,
                specs=specs,
                scope=scope,
                inputs=tuple(inputs),
                constants=constants,
                step=t,
            )
        )
    stacks = {slot: first + T + i for i, slot in enumerate(used)}
    for slot in stacks:
        edges = tuple(Edge(first + t, slot, f"arrays[{t}]") for t in range(T))
        spec = (vertex.specs[slot],)
        vertices.append(Vertex("operation", "stack", spec, vertex.scope, edges, vertex.node, {"axis": 1}, gathers=slot))
    return vertices, stacks
