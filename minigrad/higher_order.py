"""Derivatives of any order: a reverse pass that leaves a graph, by running the VJPs on tensors.

A VJP maps a cotangent and residuals to cotangents. If all of these are tensors, calls of primitives within it leave
nodes, and what it returns can be differentiated like anything else. The residuals are arrays, but if one is an input of
the call, the parent whose output that was is known by the node's edges; if it is an output, its node is the node itself
(:func:`_residual_tensors`). What is constant stays an array. So the pass needs nothing that the usual one does not, but

- rules that run on tensors: written in NumPy's functions, which tensors answer to
  (:mod:`minigrad.ops.numpy_protocols`), or as a rule of their own, ``vjp_on_tensors``;
- for a residual between the inputs and the outputs, such as the gates of an LSTM, a node that it comes from: it becomes
  one more output of the call, *hidden* from its users, and the VJP gets its cotangent behind those of the others;
- for residuals that are derived from the inputs in some other way, the inputs themselves, which calls keep where that
  was asked for (:mod:`minigrad.graph_levels`). The rule on tensors gets them, or else the reference is differentiated.

A float residual of which nobody said what it is counts as derived, never as a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any, cast

import numpy as np

from .core import Node, Tensor, number_check, recording, untracked
from .generic_backward import pull_back, pull_through
from .graph_levels import Kept, is_undeclared, needs_inputs
from .overwrites import overwritten
from .primitives import primitive
from .recording import recorder
from .rules import Primitive
from .spec import Array, describe

__all__ = ["pull_tensors", "recorded_pass", "variable"]


@primitive
def _variable(x: Array) -> Any:
    """x itself, as a vertex of its own: what a function is differentiated in, though it depends on something else."""
    return x, ()


@_variable.batched_vjp
@_variable.vjp
def _(g: Any, needs: Any) -> Any:
    return (g,)


def variable(tensor: Tensor) -> Tensor:
    """A tensor with a node of its own, behind which a pass that has it as its source does not go."""
    return _variable(tensor)  # type: ignore[no-any-return]


def recorded_pass(seeds: Sequence[tuple[Node, int, Tensor]], sources: Sequence[Node]) -> dict[Any, Tensor]:
    """Cotangents of some sources as tensors that depend on all that they depend on, given those of some outputs.

    Residuals are kept, for the graph is behind the results.

    Raises:
        TypeError: names a primitive whose derivative cannot be differentiated.
        ValueError: if residuals were freed or written into, or a rule returns a wrong shape.
    """
    observer = recorder()
    if observer is not None:
        observer.start({(node, index): g.data for node, index, g in seeds})
    with recording():
        found = pull_back(seeds, sources, pull_tensors)
    # What depends on nothing is the caller's, or another source's, array yet.
    return {key: g if g.node is not None else untracked(np.array(g.data)) for key, g in found.items()}


def pull_tensors(node: Node, cotangents: tuple[Tensor | None, ...], needs: tuple[bool, ...]) -> Sequence[Any]:
    """The VJP of a node on tensors: its cotangents in the shapes and dtypes of its inputs."""
    fitted = pull_through(node, cotangents, needs, _run_rule)
    return [untracked(g) if isinstance(g, np.ndarray) else g for g in fitted]


def _run_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    """The VJP of a node on tensors, by whichever of its rules can; a recorder hears of no step of it."""
    observer = recorder()
    if observer is not None:
        observer.rules += 1
    outside = number_check.set(_refuse_tracked)
    try:
        return _chosen_rule(node, g, needs)
    except Exception as error:
        name = cast(Primitive, node.primitive).name
        error.add_note(
            f"the VJP of {name} ran on tensors, for a derivative of a derivative: it must be made of functions that "
            f"know tensors, or have a rule of its own for them, @{name}.vjp_on_tensors"
        )
        raise
    finally:
        number_check.reset(outside)
        if observer is not None:
            observer.rules -= 1


def _refuse_tracked(x: Tensor) -> None:
    if x.node is not None:
        raise TypeError(
            "a VJP that runs on tensors took a Python number out of a tracked tensor, which loses its gradient. "
            "Compute with the tensor instead."
        )


def _chosen_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    primitive, residuals = cast(Primitive, node.primitive), cast("tuple[Any, ...]", node.residuals)
    by_reference = needs_inputs(primitive, residuals)
    lost = primitive.reference is None if by_reference else is_undeclared(primitive, residuals)
    if lost:
        advice = "give it a reference or vjp_on_tensors, since some are derived"
        if is_undeclared(primitive, residuals):
            advice = (
                "declare what its residuals are, @primitive(residuals=…), if its VJP can run on tensors, or a reference"
            )
        raise TypeError(f"{primitive.name} has no derivative of its derivative: {advice}")
    if by_reference:
        return _pull_reference(node, primitive, g, needs, _input_tensors(node, primitive, residuals))
    rule: Any = primitive.vjp_on_tensors or primitive.vjp
    return rule(g, needs, *_residual_tensors(node, primitive, residuals))


def _attached(array: Any, node: Node, index: int) -> Tensor:
    tensor = untracked(np.asarray(array))
    tensor.node, tensor.index = node, index
    return tensor


def _residual_tensors(node: Node, primitive: Primitive, residuals: tuple[Any, ...]) -> list[Any]:
    """Residuals that are tracked inputs, or outputs, as tensors with their nodes; others as they are."""
    names = primitive.residuals or ()
    if len(names) > len(residuals):
        raise TypeError(f"{primitive.name} declares {len(names)} residuals, and its forward gave {len(residuals)}")
    if primitive.first_hidden is not None:
        _show_hidden(node, primitive, residuals)
    pairs = zip(residuals, chain(names, repeat("constant")), strict=False)
    return [_residual_tensor(node, primitive, value, name) for value, name in pairs]


def _show_hidden(node: Node, primitive: Primitive, residuals: tuple[Any, ...]) -> None:
    """Make hidden outputs of a node outputs, which they then stay; threads that do it at once do the same."""
    first, names = cast(int, primitive.first_hidden), cast("tuple[str, ...]", primitive.residuals)
    later = node.later_outputs
    if len(later) < first - 1:
        raise TypeError(f"{primitive.name}: hidden {first} is declared, but it has {1 + len(later)} output(s)")
    hidden = [value for value, name in zip(residuals, names, strict=False) if name.startswith("hidden")]
    node.later_outputs = (*later[: first - 1], *((value.shape, value.dtype) for value in hidden))


def _residual_tensor(node: Node, primitive: Primitive, value: Any, name: str) -> Any:
    if name in ("constant", "derived"):
        return value
    if name.startswith(("output", "hidden")):
        index = int(name.partition(" ")[2] or 0)
        return _attached(value, node, index) if node.outputs[index][1].kind == "f" else value
    argnum = primitive.arguments.index(name)
    if primitive.variadic and argnum == len(primitive.arguments) - 1:
        return [_input_tensor(node, x, argnum + i) for i, x in enumerate(value)]
    return _input_tensor(node, value, argnum)


def _input_tensor(node: Node, value: Any, argnum: int) -> Any:
    """An input as a tensor with the node that made it; as it is if it is a constant."""
    argnums, _, indices = node.edges
    if argnum not in argnums:
        return value
    place = argnums.index(argnum)
    return _attached(value, node.parents[place], indices[place])


def _input_tensors(node: Node, primitive: Primitive, residuals: Any) -> list[Any]:
    """All inputs of a call as tensors (None for one that was left out), if the call kept them."""
    if not isinstance(residuals, Kept) or len(residuals.inputs) != len(node.edges[1]):
        raise ValueError(
            f"{primitive.name} kept too little for a derivative of its derivative: "
            "run the forward within mg.create_graph(), or in a transform within another one"
        )
    if (array := overwritten(residuals.inputs, getattr(residuals, "born", node.born))) is not None:
        raise ValueError(f"{primitive.name}: an input, {describe(array)}, was written into since the call")
    tensors = [_input_tensor(node, x, i) for i, x in enumerate(residuals.inputs)]
    return [untracked(x) if isinstance(x, np.ndarray) else x for x in tensors]


def _pull_reference(node: Node, primitive: Primitive, g: Any, needs: tuple[bool, ...], inputs: Any) -> tuple[Any, ...]:
    """The cotangents of the inputs by the reference, which is run and differentiated."""
    variables = {i: variable(inputs[i]) for i, need in enumerate(needs) if need}
    reference: Any = primitive.reference
    out = reference(*(variables.get(i, x) for i, x in enumerate(inputs)), **node.params)
    outputs = out if isinstance(out, tuple) else (out,)
    cotangents = g if isinstance(g, tuple) else (g,)
    seeds = [(y.node, y.index, c) for y, c in zip(outputs, cotangents, strict=True) if y.node and c is not None]
    found = pull_back(seeds, [cast(Node, v.node) for v in variables.values()], pull_tensors)
    zeros = {i: np.zeros_like(v.data) for i, v in variables.items()}
    return tuple(found.get(cast(Node, variables[i].node), zeros[i]) if need else None for i, need in enumerate(needs))
