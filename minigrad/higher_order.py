"""Derivatives of any order: a reverse pass that leaves a graph, by running the VJPs on tensors.

A VJP maps a cotangent and residuals to cotangents. If these are tensors, the primitives that the VJP calls make nodes,
and its results can be differentiated. Residuals are saved as arrays, and a primitive declares what they are. So this
pass can make them tensors again:

- An input gets the node of its parent.
- An output gets the node itself.
- An intermediate result, such as the gates of an LSTM, becomes an additional output of the node, *hidden* from its
  users. The VJP takes the cotangents of hidden outputs after those of the others.
- A constant stays an array.

The VJP has to run on tensors: it uses NumPy's functions, which accept tensors, or it has a separate variant,
``vjp_on_tensors``. Otherwise the pass runs the reference on the inputs and differentiates it. Nodes then keep their
inputs (``keeps_inputs`` of :class:`.Primitive`). A float residual that is not declared counts as derived from the
inputs, never as a constant.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, cast

import numpy as np

from .backward import reverse_pass
from .core import Node, Tensor, enable_grad, grad_enabled, number_check, untracked
from .observers import setting
from .primitives import Primitive, primitive
from .spec import Array

__all__ = [
    "NotDifferentiableError",
    "attached",
    "builds_graph",
    "create_graph",
    "differentiable_pass",
    "in_rule",
    "is_differentiating",
    "rule_on_tensors",
    "variable",
]

_differentiable: ContextVar[bool] = ContextVar("minigrad_differentiable", default=False)
is_differentiating = _differentiable.get


class NotDifferentiableError(TypeError):
    """A VJP cannot be differentiated: it does not run on tensors, and no other rule replaces it."""


def builds_graph() -> bool:
    """Return whether a reverse pass leaves a graph now."""
    return _differentiable.get() and grad_enabled()


def create_graph() -> setting[bool]:
    """Make derivatives differentiable within a ``with`` block: backward passes leave a graph.

    ``.grad`` is then a tensor with a graph, so you can penalise gradients of parameters. Results of
    :func:`minigrad.grad` and the other transforms depend on all leaves that their function used, also through closures.

    The whole graph stays in memory as long as any part of it does. A leaf whose ``.grad`` depends on the leaf makes a
    reference cycle, which Python's garbage collector frees. It applies to the thread or task that enters it, and also
    works as a decorator.

    >>> import minigrad as mg
    >>> x = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> with mg.create_graph():
    ...     (x * x * x).sum().backward()
    ...     penalty = (x.grad * x.grad).sum()  # the sum of (3 x^2)^2
    >>> x.zero_grad()
    >>> penalty.backward()
    >>> x.grad  # 36 x^3
    array([ 36., 288.], dtype=float32)
    """
    return setting(_differentiable, lambda _: True)


@primitive(entrywise=True)
def variable(x: Array) -> Any:
    """The identity. Its output has a new node, whose parent is that of x. A pass to this node stops there."""
    return x, ()


@variable.vjp
def _(g: Any, needs: Any) -> Any:
    return (g,)


def differentiable_pass(seeds: Iterable[tuple[Node, int, Tensor]], sources: Iterable[Node]) -> dict[Any, Tensor]:
    """Compute the cotangents of some sources as tensors with a graph that leads to everything that they depend on.

    The pass keeps the residuals, since they belong to that graph.

    Returns:
        the cotangents by source.

    Raises:
        NotDifferentiableError: names a primitive whose VJP cannot be differentiated.
        ValueError: if residuals were freed or written into, or a rule returns a wrong shape.
    """
    with enable_grad():
        found = reverse_pass(seeds, True, sources, rule_on_tensors)
    # Copies untracked results, since they may share memory with the caller's arrays.
    return {node: g if g.node is not None else untracked(np.array(g.data)) for node, g in found.items()}


def rule_on_tensors(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    """Run the VJP of a node on tensors, with whichever of its rules supports them."""
    outside = number_check.set(_refuse_tracked)
    try:
        grads = _run_rule(node, g, needs)
    except Exception as error:
        name = node.primitive.name
        error.add_note(
            f"the VJP of {name} ran on tensors, for a derivative of a derivative. Use only functions in it that "
            f"accept tensors, or declare another rule with @{name}.vjp_on_tensors"
        )
        raise
    finally:
        number_check.reset(outside)
    if type(grads) is not tuple:
        return grads
    return tuple([g if g is None or isinstance(g, Tensor) else untracked(np.asarray(g)) for g in grads])


def in_rule() -> bool:
    """Return whether a VJP is running on tensors now."""
    return number_check.get() is _refuse_tracked


def _refuse_tracked(x: Tensor) -> None:
    if x.node is not None:
        raise TypeError(
            "a VJP that runs on tensors took a Python number out of a tracked tensor, which would lose its gradient. "
            "Compute with the tensor instead."
        )


def _run_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    primitive, residuals = node.primitive, node.residuals
    declared, rule = primitive.residuals or (), primitive.vjp_on_tensors
    undeclared = len(residuals) > len(declared) and _may_depend(residuals[len(declared) :])
    derived = "derived" in declared
    if residuals and primitive.keeps_inputs and (undeclared or derived):
        return _differentiate_reference(node, primitive, g, needs)
    if undeclared:
        raise NotDifferentiableError(
            f"{primitive.name} has no derivative of its derivative: it declares {len(declared)} of {len(residuals)} "
            "residuals. If its VJP or vjp_on_tensors can run on tensors, declare them all, @primitive(residuals=…). "
            "Otherwise declare none of them and no vjp_on_tensors, but a reference."
        )
    if rule is None and derived:
        raise NotDifferentiableError(
            f"{primitive.name} has no derivative of its derivative, since some residuals are derived: declare a "
            "reference or vjp_on_tensors"
        )
    tensors = _residual_tensors(node, primitive, residuals)
    if rule is not None:
        return rule(g, needs, *tensors)
    try:
        return primitive.vjp(g, needs, *tensors)
    except TypeError as error:  # such as a function that accepts only arrays
        raise NotDifferentiableError(str(error)) from error


def _may_depend(value: Any) -> bool:
    """Return whether a value may hold floats: not only integers, booleans, strings and nested sequences of these."""
    if isinstance(value, (tuple, list)):
        return any(map(_may_depend, value))
    if isinstance(value, dict):
        return any(map(_may_depend, value.values()))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind not in "biuUS"
    if isinstance(value, slice):
        return _may_depend((value.start, value.stop, value.step))
    return not (value is None or value is Ellipsis or isinstance(value, (bool, int, str, np.dtype, type)))


def _residual_tensors(node: Node, primitive: Primitive, residuals: tuple[Any, ...]) -> list[Any]:
    """Turn residuals that are outputs or tracked inputs into tensors with their nodes; leave others as they are."""
    names, tensors = primitive.residuals or (), list(residuals)
    if len(names) > len(residuals):
        raise TypeError(f"{primitive.name} declares {len(names)} residuals, but its forward returned {len(residuals)}")
    if primitive.first_hidden is not None:
        _show_hidden(node, primitive, residuals)
    for place, kind, number in primitive.attachments:
        value = residuals[place]
        if kind == "input":
            tensors[place] = _input_tensor(node, value, number)
        elif kind == "inputs":
            tensors[place] = [_input_tensor(node, x, number + i) for i, x in enumerate(value)]
        elif node.outputs[number][1].kind == "f":
            tensors[place] = attached(value, node, number)
    return tensors


def _show_hidden(node: Node, primitive: Primitive, residuals: tuple[Any, ...]) -> None:
    """Add the hidden outputs to the outputs of a node. Several threads may do so at once: the result is the same."""
    first, names = cast(int, primitive.first_hidden), cast("tuple[str, ...]", primitive.residuals)
    later = node.later_outputs
    hidden = [value for value, name in zip(residuals, names, strict=False) if name.startswith("hidden")]
    node.later_outputs = (*later[: first - 1], *((value.shape, value.dtype) for value in hidden))


def attached(array: Any, node: Node, index: int) -> Tensor:
    """Return the tensor that is an output of a node, from its array."""
    tensor = untracked(np.asarray(array))
    tensor.node, tensor.index = node, index
    return tensor


def _input_tensor(node: Node, value: Any, argnum: int) -> Any:
    """Turn a tracked input into a tensor with its node; return a constant as it is."""
    argnums, _, indices = node.edges
    if argnum not in argnums:
        return value
    place = argnums.index(argnum)
    return attached(value, node.parents[place], indices[place])


def _differentiate_reference(node: Node, primitive: Primitive, g: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """Compute the cotangents of the inputs: run the reference on the inputs and differentiate it."""
    inputs = [_input_tensor(node, x, i) for i, x in enumerate(node.inputs)]
    inputs = [untracked(x) if isinstance(x, np.ndarray) else x for x in inputs]
    variables = {i: variable(inputs[i]) for i, need in enumerate(needs) if need}
    reference: Any = primitive.reference
    out = reference(*(variables.get(i, x) for i, x in enumerate(inputs)), **node.params)
    outputs = out if isinstance(out, tuple) else (out,)
    cotangents = g if isinstance(g, tuple) else (g,)
    seeds = [(y.node, y.index, c) for y, c in zip(outputs, cotangents, strict=True) if y.node and c is not None]
    found = reverse_pass(seeds, True, [cast(Node, v.node) for v in variables.values()], rule_on_tensors)
    return tuple(
        found.get(variables[i].node, np.zeros_like(variables[i].data)) if need else None for i, need in enumerate(needs)
    )
