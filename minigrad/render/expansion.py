"""Expand primitives: sequences into their steps, other primitives into their references.

Step t of a sequence takes x[:, t], or the rows of x that indices[:, t] selects, and the states that step t - 1 returns.
A vertex `stack` gathers each state that is used. An LSTM over 3 steps from constants, whose output h is used:

    number  label      scope   inputs (source, slot, argument)
    4       lstm_step  step 0  x[:, 0] Wx Wh b
    5       lstm_step  step 1  x[:, 1] (4, 0, h) (4, 1, c) Wx Wh b
    6       lstm_step  step 2  x[:, 2] (5, 0, h) (5, 1, c) Wx Wh b
    7       stack              (4, 0, arrays[0]) (5, 0, arrays[1]) (6, 0, arrays[2])

A reference is traced again, on placeholders of the same shapes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any, TypeAlias

import numpy as np

from ..core import Tensor, current_scope, enable_grad
from ..observers import observing
from ..primitives import Primitive
from ..spec import Array
from .labels import constant_of, free_names
from .nodes import picture_of
from .picture import STACK, Edge, Path, Picture, Rewriting, Vertex, reordered

__all__ = ["expanded", "unrolled"]

# For each argument a placeholder, or None if it was left out; whether it is tracked; and its edge, if any.
_Arguments: TypeAlias = "dict[str, tuple[Array | None, bool, Edge | None]]"


def unrolled(picture: Picture) -> Picture:
    """Replace every sequence primitive with its steps, such as `lstm_step`, each in its own scope.

    A sequence of at most one step stays, such as a layer that is called step by step.
    """
    lengths = [_length(vertex) for vertex in picture.vertices]
    if max(lengths, default=0) < 2:
        return picture
    used = {(edge.source, edge.slot) for vertex in picture.vertices for edge in vertex.inputs}
    used |= {(output.source, output.slot) for output in picture.outputs}
    used |= {(number, slot) for number, vertex in enumerate(picture.vertices) for slot, _ in vertex.names}
    new = Rewriting(picture)
    for number, vertex in enumerate(picture.vertices):
        if lengths[number] < 2:
            new.keep(number)
            continue
        vertex, first = vertex.with_inputs(new.edges(vertex.inputs)), len(new.vertices)
        new.vertices += [_step(vertex, first, t) for t in range(lengths[number])]
        for slot in [slot for slot in range(len(vertex.specs)) if (number, slot) in used]:
            new.moved[number, slot] = len(new.vertices), 0
            edges = tuple([Edge(first + t, slot, STACK.input_name(t)) for t in range(lengths[number])])
            stack = Vertex("operation", STACK.name, (vertex.specs[slot],), vertex.scope, edges, vertex.node)
            stack.options, stack.gathers = {"axis": 1}, slot
            stack.names = tuple((0, name) for place, name in vertex.names if place == slot)
            new.vertices.append(stack)
    return new.finish()


def _length(vertex: Vertex) -> int:
    """Return the number of steps of a sequence primitive.

    It is 0 for other primitives, and for sequences with hidden outputs.
    """
    primitive = vertex.primitive
    return vertex.specs[0][0][1] if primitive and primitive.steps and not vertex.hidden else 0


def _step(vertex: Vertex, first: int, t: int) -> Vertex:
    """Return step t of a sequence, whose step 0 has the number `first`."""
    steps = vertex.called.steps
    assert steps is not None
    (N, _, H), dtype = vertex.specs[0]
    part = f"[:, {t}]" if vertex.options.get(steps.indices or "") is None else f"[{steps.indices}[:, {t}]]"
    by_name = {edge.argument: edge for edge in vertex.inputs}
    inputs = [by_name.pop(steps.inputs)._replace(part=part)] if steps.inputs in by_name else []
    begin = [by_name.pop(start)._replace(argument=state) for start, state in steps.states.items() if start in by_name]
    before = [Edge(first + t - 1, slot, state) for slot, state in enumerate(steps.names)]
    constants = [name for name in vertex.constants if t == 0 or name not in steps.states]
    return Vertex(
        "operation",
        steps.step.name,
        (((N, H), dtype),) * len(steps.states),
        (*vertex.scope, f"step {t}"),
        (*inputs, *(before if t else begin), *by_name.values()),
        vertex.node,
        vertex.options,
        tuple([steps.states.get(name, name) for name in constants]),
        t,
    )


# References -------------------------------------------------------------------------------------


def expanded(picture: Picture, names: Set[str]) -> Picture:
    """Replace each primitive of these names with its reference, in its own scope.

    The inner operations were never part of a pass, so nothing is recorded about them.
    """
    numbered = enumerate(picture.vertices)
    calls = {i: p for i, v in numbered if v.label in names and (p := v.primitive) and p.reference}
    if not calls:
        return picture
    frames = _frames(picture.vertices, calls.keys())
    traces: dict[Any, Picture | str] = {}  # equal references are traced once
    new = Rewriting(picture)
    for i, vertex in enumerate(picture.vertices):
        if i not in calls:
            new.keep(i)
            continue
        arguments = _arguments(picture, vertex, calls[i])
        shown = [(None if a is None else (a.shape, a.dtype, str(a)), tracked) for a, tracked, _ in arguments.values()]
        key = calls[i].name, id(vertex.options), *shown
        trace = traces[key] = traces.get(key) or _traced(calls[i], arguments, vertex)
        if isinstance(trace, str):
            new.keep(i).caveat = trace
            continue
        step = () if vertex.step is None else vertex.scope[-1:]
        edges = {name: edge for name, (_, _, edge) in arguments.items() if edge is not None}
        _insert(new, trace, edges, i, (*frames[_call(i, vertex)], *step))
    result = new.finish()
    # constants within references become leaves, too, and leaves come first
    return reordered(result, sorted(range(len(result.vertices)), key=lambda i: not result.vertices[i].is_leaf))


def _insert(new: Rewriting, trace: Picture, edges: Mapping[str, Edge], number: int, scope: Path) -> None:
    """Write a reference in place of a vertex, whose inputs replace the leaves of their names."""
    vertex = new.picture.vertices[number]
    places: dict[tuple[int, int], Edge] = {}  # an output in the trace -> the edge that brings it
    for i, inner in enumerate(trace.vertices):
        if inner.is_leaf and inner.label in edges:
            (places[i, 0],) = new.edges([edges[inner.label]])
            continue
        places |= {(i, slot): Edge(len(new.vertices), slot, "") for slot in range(len(inner.specs))}
        inputs = [places[edge.source, edge.slot]._replace(argument=edge.argument) for edge in inner.inputs]
        new.vertices.append(inner.with_inputs(tuple(inputs)))
        new.vertices[-1].scope = () if inner.is_leaf else (*scope, *inner.scope)
    for slot, output in enumerate(trace.outputs):
        new.moved[number, slot] = places[output.source, output.slot][:2]
    for slot, name in vertex.names:
        source, inner_slot = new.moved[number, slot]
        new.vertices[source].names += ((inner_slot, name),)


def _call(number: int, vertex: Vertex) -> Any:
    """Return the identity of a call: all steps of a sequence are one call."""
    return number if vertex.step is None else vertex.node


def _frames(vertices: Sequence[Vertex], calls: Set[int]) -> dict[Any, Path]:
    """Give each expanded call its own scope, named after the primitive and numbered if necessary.

    The steps of a sequence have scopes already; they get one more around them if these scopes contain other vertices.
    """
    taken = {v.around[:depth] for v in vertices for depth in range(1, len(v.around) + 1)}
    users: dict[Path, set[Any]] = {path: {None} for path in taken}  # the calls in a scope; None for all else
    for i, v in enumerate(vertices):
        if v.step is not None:
            users.setdefault(v.scope, set()).add(_call(i, v) if i in calls else None)
    frames: dict[Any, Path] = {}
    alike = defaultdict[tuple[Path, str], list[Any]](list)
    for i in sorted(calls):
        v, call = vertices[i], _call(i, vertices[i])
        if call not in frames and (v.step is None or users[v.scope] != {call}):
            alike[v.around, v.label if v.step is None else v.called.name].append(call)
        frames[call] = v.around
    for (parent, name), several in alike.items():
        names = free_names(name, len(several), {path[-1] for path in taken if path[:-1] == parent})
        frames |= {call: (*parent, name) for call, name in zip(several, names, strict=True)}
    return frames


def _arguments(picture: Picture, vertex: Vertex, primitive: Primitive) -> _Arguments:
    """Return all arguments in the order of the call.

    The states of a sequence and of its steps that were left out have the shape of the outputs.
    """
    steps, edges = vertex.called.steps, {edge.argument: edge for edge in vertex.inputs}
    states = () if steps is None else steps.states if vertex.step is None else steps.names
    result: _Arguments = {}
    for name in primitive.arguments:
        placeholder, tracked, edge = None, False, edges.get(name)
        if edge is not None:
            source = picture.vertices[edge.source]
            shape, dtype = source.specs[edge.slot]
            if edge.part:  # a step takes one row of a part for each row of its own
                shape = vertex.specs[0][0][:1] + shape[-1:]
            tracked = source.kind != "input" or source.node is not None
            placeholder = np.full(shape, 0 if tracked or dtype.kind != "f" else np.nan, dtype)
        elif name in states:
            (N, *_, H), dtype = vertex.specs[0]
            placeholder = np.full((N, H), np.nan, dtype)
        elif (number := constant_of(vertex, name)) is not None:
            placeholder = np.asarray(number)
        result[name] = placeholder, tracked, edge
    return result


def _traced(primitive: Primitive, arguments: _Arguments, vertex: Vertex) -> Picture | str:
    """Return the picture of a reference, whose leaves have the names of the arguments; or why there is none."""
    if vertex.hidden:
        return "reference not shown: a derivative uses its residuals"
    tensors = {name: None if a is None else Tensor(a, requires_grad=t) for name, (a, t, _) in arguments.items()}
    assert primitive.reference is not None
    with enable_grad(), observing(alone=True), np.errstate(all="ignore"):
        depth = len(current_scope())
        outputs = primitive.reference(*tensors.values(), **({} if vertex.step is not None else vertex.options))
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    if any(output.node is None for output in several):
        return "reference not shown: its result is constant here"
    names = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    picture = picture_of(several, names, strict=False)
    for inner in picture.vertices:
        inner.scope = inner.scope[depth:]
    return picture
