"""Derivatives of any order: a reverse pass that leaves a graph, by running the VJPs on tensors.

A VJP maps a cotangent and residuals to cotangents. If all of these are tensors, calls of primitives within it leave
nodes, and what it returns can be differentiated like anything else. The residuals are arrays, but if one is an input of
the call, the parent whose output that was is known by the node's edges; if it is an output, its node is the node itself
(:func:`_residual_tensors`). What is constant stays an array. So the pass needs nothing that the usual one does not, but

- rules that run on tensors: written in NumPy's functions, which tensors answer to (:mod:`minigrad.ops.protocols`), or
  as a rule of their own, ``vjp_on_tensors``;
- for a residual between the inputs and the outputs, such as the gates of an LSTM, a node that it comes from: it becomes
  one more output of the call, *hidden* from its users, and the VJP gets its cotangent behind those of the others;
- for residuals that are derived from the inputs in some other way, the inputs themselves, which calls keep where that
  was asked for (:mod:`minigrad.keeping`). The rule on tensors gets them, or else the reference is differentiated.

A float residual of which nobody said what it is counts as derived, never as a constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from operator import add
from typing import Any, cast

import numpy as np

from .backward import check_residuals
from .core import Node, Tensor, recording, untracked
from .keeping import Kept, needs_inputs
from .overwrites import overwritten
from .primitives import primitive
from .recording import recorder
from .rules import Primitive
from .spec import Array, describe
from .walk import pull_back

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
        return pull_back(seeds, sources, pull_tensors, add)


def pull_tensors(node: Node, cotangents: tuple[Tensor | None, ...], needs: tuple[bool, ...]) -> Sequence[Any]:
    """The VJP of a node on tensors: its cotangents in the shapes and dtypes of its inputs."""
    primitive = cast(Primitive, node.primitive)
    check_residuals(node)
    g = cotangents if node.later_outputs else cotangents[0]
    observer = recorder()
    if observer is not None:
        arrays = tuple(None if c is None else c.data for c in cotangents)
        observer.cotangent(node, arrays if node.later_outputs else arrays[0])
        observer.rules += 1
    try:
        grads = _run_rule(node, primitive, g, needs)
    finally:
        if observer is not None:
            observer.rules -= 1
    if type(grads) is not tuple or len(grads) != len(needs):
        raise TypeError(f"the VJP of {primitive.name} on tensors must return a tuple of {len(needs)} cotangents")
    fitted: list[Tensor | None] = [None] * len(needs)
    for parent, argnum, index in zip(node.parents, node.edges[0], node.edges[2], strict=True):
        if needs[argnum]:
            fitted[argnum] = _fit(primitive, argnum, grads[argnum], *parent.outputs[index])
    if observer is not None:
        observer.flows(node, {i: t.data for i, t in enumerate(fitted) if t is not None})
    return fitted


def _run_rule(node: Node, primitive: Primitive, g: Any, needs: tuple[bool, ...]) -> Any:
    """The VJP of a node on tensors, by whichever of its rules can."""
    residuals = cast("tuple[Any, ...]", node.residuals)
    rule: Any = primitive.vjp_on_tensors
    needy = needs_inputs(primitive, residuals)
    if needy and rule is None and primitive.reference is None:
        raise TypeError(
            f"{primitive.name} has no derivative of its derivative: declare what its residuals are, "
            "@primitive(residuals=…), if its VJP can run on tensors, or a reference"
        )
    inputs = _input_tensors(node, primitive, residuals) if needy else None
    if rule is None and inputs is None:
        rule = primitive.vjp
    if rule is not None:
        met = _residual_tensors(node, primitive, residuals)
        return rule(g, needs, *met) if inputs is None else rule(g, needs, *met, inputs=inputs)
    return _pull_reference(node, primitive, g, needs, inputs)


def _attached(array: Any, node: Node, index: int) -> Tensor:
    tensor = untracked(np.asarray(array))
    tensor.node, tensor.index = node, index
    return tensor


def _residual_tensors(node: Node, primitive: Primitive, residuals: tuple[Any, ...]) -> list[Any]:
    """Residuals that are tracked inputs, or outputs, as tensors with their nodes; others as they are."""
    return [
        _residual_tensor(node, primitive, value, name)
        for value, name in zip(residuals, chain(primitive.residuals or (), repeat("constant")), strict=False)
    ]


def _residual_tensor(node: Node, primitive: Primitive, value: Any, name: str) -> Any:
    if name in ("constant", "derived"):
        return value
    if name.startswith(("output", "hidden")):
        index = int(name.partition(" ")[2] or 0)
        if index > len(node.later_outputs):  # a hidden one becomes an output when it is first asked for
            node.later_outputs = (*node.later_outputs, (value.shape, value.dtype))
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
            "run the forward within mg.create_graph(), or within the function of a transform such as mg.grad"
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
    found = pull_back(seeds, [cast(Node, v.node) for v in variables.values()], pull_tensors, add)
    zeros = {i: np.zeros_like(v.data) for i, v in variables.items()}
    return tuple(found.get(cast(Node, variables[i].node), zeros[i]) if need else None for i, need in enumerate(needs))


def _fit(primitive: Primitive, argnum: int, grad: Any, shape: tuple[int, ...], dtype: Any) -> Tensor:
    """A cotangent in its input's shape and dtype, or an error that names the primitive."""
    if grad is None:
        raise ValueError(f"the VJP of {primitive.name} gave None for {primitive.input_name(argnum)}, which needs one")
    grad = grad if isinstance(grad, Tensor) else untracked(np.asarray(grad))
    if grad.shape != shape:
        lead = grad.ndim - len(shape)
        if not primitive.broadcasts or lead < 0:
            raise ValueError(
                f"the VJP of {primitive.name} gave {describe(grad)} for {primitive.input_name(argnum)}, "
                f"which is {dtype} {shape}"
            )
        stretched = (lead + i for i, n in enumerate(shape) if n == 1 and grad.shape[lead + i] != 1)
        grad = grad.sum((*range(lead), *stretched)).reshape(shape)
    return grad if grad.dtype == dtype else grad.astype(dtype)  # type: ignore[no-any-return]
