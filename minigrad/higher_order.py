"""Derivatives of any order: a reverse pass that leaves a graph, by running the VJPs on tensors.

A VJP maps a cotangent and residuals to cotangents. If all of these are tensors, the primitives that it calls leave
nodes, and its results can be differentiated like anything else. The residuals are arrays, but a primitive declares what
they are: an input belongs to the parent that the node's edges name, an output to the node itself, and a constant stays
an array. So this pass keeps nothing that the usual one does not, but needs

- rules that run on tensors: written in NumPy's functions, which know tensors, or as a rule of their own,
  ``vjp_on_tensors``;
- for a residual between inputs and outputs, such as the gates of an LSTM, a node: it becomes one more output of the
  call, *hidden* from its users, whose cotangent the VJP gets behind those of the others;
- otherwise the reference, which is run on the inputs and differentiated. Nodes keep their inputs for it
  (``keeps_inputs`` of :class:`.Primitive`).

A float residual that is not declared counts as derived from the inputs, never as a constant.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from itertools import chain, repeat
from typing import Any, cast

import numpy as np

from .backward import pull_back
from .core import Node, Tensor, current_scope, enable_grad, number_check, untracked
from .observers import setting
from .primitives import Primitive, primitive
from .spec import Array

__all__ = ["create_graph", "differentiating", "in_rule", "leaves_graph", "pull_tensors", "recorded_pass", "variable"]

_differentiable: ContextVar[bool] = ContextVar("minigrad_differentiable", default=False)
is_differentiating = _differentiable.get


def differentiating(on: bool = True) -> setting[bool]:
    """Let the reverse passes of transforms and of ``backward`` leave a graph within a ``with`` block."""
    return setting(_differentiable, lambda _: on)


def leaves_graph() -> bool:
    """Whether a reverse pass is to leave a graph."""
    return _differentiable.get() and current_scope() is not None


def create_graph() -> setting[bool]:
    """Make derivatives differentiable within a ``with`` block: backward passes leave a graph.

    ``.grad`` is then a tensor, which depends on all that the gradient depends on: for penalties on gradients of
    parameters. Results of :func:`minigrad.grad` and its relatives depend on the leaves that their function met. All of
    the graph stays in memory as long as anything of it does; a leaf whose ``.grad`` depends on it makes a circle, which
    Python's collector breaks. It holds for the thread or task that enters it, and decorates functions too.

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
    return differentiating()


@primitive
def _variable(x: Array) -> Any:
    """The identity: a new node on top of x, at which an inner pass stops."""
    return x, ()


@_variable.batched_vjp
@_variable.vjp
def _(g: Any, needs: Any) -> Any:
    return (g,)


def variable(tensor: Tensor) -> Tensor:
    """A tensor with a new node on top of its own. A pass with this node as its source stops there."""
    return _variable(tensor)  # type: ignore[no-any-return]


def recorded_pass(seeds: Iterable[tuple[Node, int, Tensor]], sources: Iterable[Node]) -> dict[Any, Tensor]:
    """Cotangents of some sources as tensors whose graph records how they were computed.

    Residuals are kept, since they belong to the graph behind the results.

    Returns:
        the cotangents, by source, and by `Retained` for inner tensors that retain theirs.

    Raises:
        TypeError: names a primitive whose derivative cannot be differentiated.
        ValueError: if residuals were freed or written into, or a rule returns a wrong shape.
    """
    with enable_grad():
        found = pull_back(seeds, sources, pull_tensors)
    # Copy untracked results: they may share memory with the caller's arrays.
    return {
        key[0] if isinstance(key, tuple) else key: g if g.node is not None else untracked(np.array(g.data))
        for key, g in found.items()
    }


def pull_tensors(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    """The VJP of a node on tensors, by whichever of its rules can."""
    outside = number_check.set(_refuse_tracked)
    try:
        grads = _run_rule(node, g, needs)
    except Exception as error:
        name = cast(Primitive, node.primitive).name
        error.add_note(
            f"the VJP of {name} ran on tensors, for a derivative of a derivative: it must be made of functions that "
            f"know tensors, or have a rule of its own for them, @{name}.vjp_on_tensors"
        )
        raise
    finally:
        number_check.reset(outside)
    if type(grads) is not tuple:
        return grads
    return tuple(g if g is None or isinstance(g, Tensor) else untracked(np.asarray(g)) for g in grads)


def in_rule() -> bool:
    """Whether a VJP is running on tensors."""
    return number_check.get() is _refuse_tracked


def _refuse_tracked(x: Tensor) -> None:
    if x.node is not None:
        raise TypeError(
            "a VJP that runs on tensors took a Python number out of a tracked tensor, which loses its gradient. "
            "Compute with the tensor instead."
        )


def _run_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    primitive, residuals = cast(Primitive, node.primitive), cast("tuple[Any, ...]", node.residuals)
    declared, rule = primitive.residuals or (), primitive.vjp_on_tensors
    undeclared = _may_depend(residuals[len(declared) :])
    if primitive.keeps_inputs and (undeclared or "derived" in declared):
        return _pull_reference(node, primitive, g, needs)
    if undeclared:
        raise TypeError(
            f"{primitive.name} has no derivative of its derivative: declare what its residuals are, "
            "@primitive(residuals=…), if its VJP can run on tensors, or a reference"
        )
    if rule is None and "derived" in declared:
        raise TypeError(
            f"{primitive.name} has no derivative of its derivative: give it a reference or vjp_on_tensors, since some "
            "residuals are derived"
        )
    return (rule or primitive.vjp)(g, needs, *_residual_tensors(node, primitive, residuals))


def _may_depend(value: Any) -> bool:
    """Whether a value may depend on floats: it is neither integers, booleans, words nor nested sequences of these."""
    if isinstance(value, (tuple, list)):
        return any(map(_may_depend, value))
    if isinstance(value, dict):
        return any(map(_may_depend, value.values()))
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype.kind not in "biuUSO"
    if isinstance(value, slice):
        return _may_depend((value.start, value.stop, value.step))
    return not (value is None or value is Ellipsis or isinstance(value, (bool, int, str, np.dtype, type)))


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
        return attached(value, node, index) if node.outputs[index][1].kind == "f" else value
    argnum = primitive.arguments.index(name)
    if primitive.variadic and argnum == len(primitive.arguments) - 1:
        return [_input_tensor(node, x, argnum + i) for i, x in enumerate(value)]
    return _input_tensor(node, value, argnum)


def attached(array: Any, node: Node, index: int) -> Tensor:
    """An output of a node, as a tensor again."""
    tensor = untracked(np.asarray(array))
    tensor.node, tensor.index = node, index
    return tensor


def _input_tensor(node: Node, value: Any, argnum: int) -> Any:
    """An input as a tensor with the node that made it; as it is if it is a constant."""
    argnums, _, indices = node.edges
    if argnum not in argnums:
        return value
    place = argnums.index(argnum)
    return attached(value, node.parents[place], indices[place])


def _pull_reference(node: Node, primitive: Primitive, g: Any, needs: tuple[bool, ...]) -> tuple[Any, ...]:
    """The cotangents of the inputs by the reference, which is run on the inputs and differentiated."""
    inputs = [_input_tensor(node, x, i) for i, x in enumerate(node.inputs)]
    inputs = [untracked(x) if isinstance(x, np.ndarray) else x for x in inputs]
    variables = {i: variable(inputs[i]) for i, need in enumerate(needs) if need}
    reference: Any = primitive.reference
    out = reference(*(variables.get(i, x) for i, x in enumerate(inputs)), **node.params)
    outputs = out if isinstance(out, tuple) else (out,)
    cotangents = g if isinstance(g, tuple) else (g,)
    seeds = [(y.node, y.index, c) for y, c in zip(outputs, cotangents, strict=True) if y.node and c is not None]
    found = pull_back(seeds, [cast(Node, v.node) for v in variables.values()], pull_tensors)
    zeros = {i: np.zeros_like(v.data) for i, v in variables.items()}
    return tuple(found.get((variables[i].node, 0), zeros[i]) if need else None for i, need in enumerate(needs))
