"""Sequence primitives as their steps.

Step t takes x[:, t], or of rows x those with the indices[:, t], and the states that step t - 1 leaves. A vertex `stack`
gathers each state that is used. Of a long sequence three steps are written: the first, one that stands for all between,
and the last. An LSTM over 16 steps from constants, whose output h is used:

    number  label      scope             stands for  inputs (source, slot, argument)
    4       lstm_step  step 0                        x[:, 0] Wx Wh b
    5       lstm_step  step 1 … step 14          14  x[:, 1 … 14] (4, 0, h) (4, 1, c) Wx Wh b
    6       lstm_step  step 15                       x[:, 15] (5, 0, h) (5, 1, c) Wx Wh b
    7       stack                                    (4, 0, arrays[0]) (5, 0, arrays[1]) (6, 0, arrays[15])
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...primitives import Steps
from ..picture import STACK, Edge, Output, Picture, Vertex

__all__ = ["unrolled"]

_SHORT = 3
"""Steps of a sequence that are always written, each."""
_Moved = dict[tuple[int, int], tuple[int, int]]
"""An output in the picture before -> the output in the new one."""


def unrolled(picture: Picture, most: int) -> Picture:
    """The picture with every sequence primitive as its steps, `lstm_step`, each in a scope of its own.

    Every step is written if the picture then has at most `most` operations. A sequence without steps (T = 0) stays as
    it is.
    """
    lengths = {number: length for number, vertex in enumerate(picture.vertices) if (length := _length(vertex))}
    if not lengths:
        return picture
    used = _used_outputs(picture)
    more = sum(length - 1 + len(used[number]) for number, length in lengths.items())
    in_full = sum(not vertex.is_leaf for vertex in picture.vertices) + more <= most
    vertices: list[Vertex] = []
    moved: _Moved = {}
    for number, old in enumerate(picture.vertices):
        vertex, first = old.with_inputs(_redirected(old.inputs, moved)), len(vertices)
        if number in lengths:
            steps = _steps_of(vertex, first, lengths[number], in_full)
            vertices += [*steps, *(_stack(vertex, first, steps, slot) for slot in used[number])]
            moved |= {(number, slot): (first + len(steps) + i, 0) for i, slot in enumerate(used[number])}
        else:
            vertices.append(vertex)
            moved |= {(number, slot): (first, slot) for slot in range(len(vertex.specs))}
    outputs = [Output(*moved[output.source, output.slot], output.name) for output in picture.outputs]
    return Picture(vertices, outputs)


def _declared(vertex: Vertex) -> Steps | None:
    """How what a vertex shows is made of steps; None of what is no sequence primitive."""
    return None if vertex.primitive is None else vertex.primitive.steps


def _length(vertex: Vertex) -> int:
    """The number of steps of a sequence primitive; 0 of all else, and of one with hidden outputs, which no step has."""
    return vertex.specs[0][0][1] if _declared(vertex) and not vertex.hidden else 0


def _redirected(edges: Sequence[Edge], moved: _Moved) -> tuple[Edge, ...]:
    places = [moved[edge.source, edge.slot] for edge in edges]
    return tuple(e._replace(source=source, slot=slot) for e, (source, slot) in zip(edges, places, strict=True))


def _used_outputs(picture: Picture) -> Mapping[int, Sequence[int]]:
    """For each vertex the outputs that something uses or names, once, in order."""
    used = {(edge.source, edge.slot) for vertex in picture.vertices for edge in vertex.inputs}
    used |= {(output.source, output.slot) for output in picture.outputs}
    used |= {(number, slot) for number, vertex in enumerate(picture.vertices) for slot, _ in vertex.names}
    result = defaultdict[int, list[int]](list)
    for source, slot in sorted(used):
        result[source].append(slot)
    return result


def _steps_of(vertex: Vertex, first: int, length: int, in_full: bool) -> list[Vertex]:
    """The steps of a sequence, numbered from `first` on; of a long one, if it is not wanted in full, three."""
    if in_full or length <= _SHORT:
        return [_step(vertex, first + t, range(t, t + 1)) for t in range(length)]
    times = (range(1), range(1, length - 1), range(length - 1, length))
    return [_step(vertex, first + i, several) for i, several in enumerate(times)]


def _step(vertex: Vertex, number: int, times: range) -> Vertex:
    """The step at a time, or one for several times; its states come from the vertex before, `number` - 1."""
    steps = _declared(vertex)
    assert steps is not None
    (N, _, H), dtype = vertex.specs[0]
    by_name = {edge.argument: edge for edge in vertex.inputs}
    inputs = [by_name.pop(steps.inputs)._replace(part=_part(vertex, steps, times))] if steps.inputs in by_name else []
    begin = [by_name.pop(start)._replace(argument=state) for start, state in steps.states.items() if start in by_name]
    before = [Edge(number - 1, slot, state) for slot, state in enumerate(steps.names)]
    constants = [name for name in vertex.constants if times[0] == 0 or name not in steps.states]
    return replace(
        vertex,
        label=steps.step.name,
        specs=tuple(((N, H), dtype) for _ in steps.states),
        scope=(*vertex.scope, " … ".join(f"step {t}" for t in _ends(times))),
        inputs=(*inputs, *(before if times[0] else begin), *by_name.values()),
        constants=tuple(steps.states.get(name, name) for name in constants),
        step=times[0],
        stands_for=len(times) if len(times) > 1 else 0,
        names=(),
    )


def _part(vertex: Vertex, steps: Steps, times: range) -> str:
    """What a step takes of the sequence's input, as an index."""
    text = f"[:, {' … '.join(map(str, _ends(times)))}]"
    looked_up = steps.indices is not None and vertex.options.get(steps.indices) is not None
    return f"[{steps.indices}{text}]" if looked_up else text


def _ends(times: range) -> Sequence[int]:
    """The first and the last of several, once if they are the same."""
    return (times[0],) if len(times) == 1 else (times[0], times[-1])


def _stack(vertex: Vertex, first: int, steps: Sequence[Vertex], slot: int) -> Vertex:
    """What gathers the states that the steps, numbered from `first` on, give as their output `slot`."""
    edges = tuple(Edge(first + i, slot, STACK.input_name(step.step or 0)) for i, step in enumerate(steps))
    names = tuple((0, name) for number, name in vertex.names if number == slot)
    return Vertex("operation", STACK.name, (vertex.specs[slot],), vertex.scope, edges, vertex.node,
                  {"axis": 1}, gathers=slot, names=names)  # fmt: skip
