"""Functional transforms: derivatives of functions of tensors, as functions.

``f`` takes tensors (other positional arguments pass through untouched, and so do keyword arguments) and returns a
tensor. Results are constants, unless ``f`` met a tensor that requires a gradient, as an argument or through a closure.
Then they depend on that tensor, and a backward pass that reaches them raises: derivatives of derivatives are not
available, and taking the results for constants would make them silently zero. Inside ``no_grad`` transforms
work as outside, since they record what they differentiate, and their results are constants.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from . import overwrites
from .backward import graph_of, reverse_pass, seed_of
from .core import Leaf, Node, Tensor, current_scope, recording, set_outputs, untracked
from .primitives import primitive
from .spec import Array

__all__ = ["grad", "jacobian", "value_and_grad", "vjp"]


class _Variable(Leaf):
    """The leaf that a transform puts in place of an argument. A transform within it that meets this leaf raises."""

    __slots__ = ()


_UNAVAILABLE = "derivatives of derivatives are not available, call .detach()"


@primitive
def _derivative(*met: Array) -> Any:
    """A transform's results, as a vertex of the graph: it depends on the tensors that the transform met."""
    raise NotImplementedError("made by transforms alone")


@_derivative.vjp
def _(g: Any, needs: Any) -> Any:
    raise TypeError(f"backward came to the result of mg.grad, vjp or jacobian: {_UNAVAILABLE} on it for a constant")


def _variable(name: str, value: Any) -> Tensor:
    """A fresh leaf for a primal; it shares the array with the primal."""
    primal = value if isinstance(value, Tensor) else Tensor(value)
    if primal.node is not None and not _is_plain_leaf(primal.node):
        raise TypeError(
            f"{name}: an argument is tracked by an enclosing differentiation; {_UNAVAILABLE} for a constant"
        )
    if primal.dtype.kind != "f":
        raise TypeError(f"{name}: can only differentiate in floating arguments, not {primal.dtype} {primal.shape}")
    leaf = primal.detach()
    leaf.node = _Variable(leaf.data)
    return leaf


def _is_plain_leaf(node: Node) -> bool:
    return isinstance(node, Leaf) and not isinstance(node, _Variable)


def _leaves_met(
    name: str, outputs: Sequence[Tensor], variables: Sequence[Tensor], primals: Sequence[Any]
) -> list[Leaf]:
    """The user's leaves among the primals and behind the outputs.

    Raises:
        TypeError: if the outputs also depend on a variable of an enclosing transform, through a closure.
    """
    own = {v.node for v in variables}
    found = [p.node for p in primals if isinstance(p, Tensor)]
    found += graph_of([o.node for o in outputs if o.node is not None]).nodes
    if any(isinstance(node, _Variable) and node not in own for node in found):
        raise TypeError(
            f"{name}: the function uses a variable of an enclosing differentiation; {_UNAVAILABLE} on it for a constant"
        )
    return list(dict.fromkeys(node for node in found if isinstance(node, Leaf) and node not in own))


def _results(arrays: Sequence[Array], met: Sequence[Leaf]) -> tuple[Tensor, ...]:
    """Arrays as tensors that depend on the leaves that a transform met; as constants if there are none."""
    results = tuple(map(untracked, arrays))
    path = current_scope()
    if met and path is not None and results:
        node = Node()
        node.primitive, node.params, node.scope, node.born = _derivative.primitive, {}, path, overwrites.clock
        node.parents = tuple(met)
        node.edges = tuple(range(len(met))), (True,) * len(met), (0,) * len(met)
        node.residuals = ()
        set_outputs(node, results)
    return results


def _pull(seeds: list[Any], variables: Sequence[Tensor], retain_graph: bool) -> tuple[Array, ...]:
    """Gradients for the variables: zeros where nothing depends on one."""
    sources = [cast(Leaf, v.node) for v in variables]
    grads = reverse_pass(seeds, retain_graph, sources) if seeds else {}
    return tuple(grads.get(s, np.zeros_like(v.data)) for s, v in zip(sources, variables, strict=True))


def _output(name: str, out: Any) -> Tensor:
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}: the function must return a tensor, not {type(out).__name__}")
    return out


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., tuple[Tensor, ...]]]:
    """The value of a function, and the map from a cotangent of the output to those of the inputs.

    Args:
        f: a function of tensors that returns a tensor or a tuple of tensors.
        primals: floating tensors, ndarrays or numbers, of any shapes.

    Returns:
        ``(out, pullback)``; ``pullback`` takes one cotangent for each output, of its shape, and returns
        a tuple with one tensor for each primal, of its shape and dtype. It may be called repeatedly.

    Raises:
        TypeError: for primals that are not floating.

    >>> import minigrad as mg
    >>> out, pullback = vjp(lambda x, y: x * y, 2.0, 3.0)
    >>> [t.item() for t in pullback(1.0)]
    [3.0, 2.0]
    """
    variables = [_variable("vjp", p) for p in primals]
    with recording():
        out = f(*variables)
    outputs = tuple(_output("vjp", o) for o in (out if isinstance(out, tuple) else (out,)))
    met = _leaves_met("vjp", outputs, variables, primals)

    def pullback(*cotangents: Any) -> tuple[Tensor, ...]:
        if len(cotangents) != len(outputs):
            raise ValueError(f"vjp: {len(outputs)} outputs need as many cotangents, not {len(cotangents)}")
        seeds = [seed_of(o, c) for o, c in zip(outputs, cotangents, strict=True) if o.node is not None]
        return _results(_pull(seeds, variables, retain_graph=True), met)

    values = _results([o.data for o in outputs], met)
    return (values if isinstance(out, tuple) else values[0]), pullback


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that returns ``(f(...), gradient)`` for a function whose value is a single number.

    Args:
        f: a function of tensors that returns a tensor of one entry.
        argnums: the number of the argument to differentiate in, or several.

    Returns:
        a function; its gradient is a tensor of the argument's shape and dtype, or a tuple of them if
        ``argnums`` is a sequence.

    Raises:
        ValueError: if the value is not a single number, or ``argnums`` names no argument.
        TypeError: if an argument to differentiate in is not floating.

    >>> import minigrad as mg
    >>> value, gradient = value_and_grad(lambda x: (x * x).sum())(mg.tensor([1.0, 2.0]))
    >>> value.item(), gradient
    (5.0, tensor([2., 4.]))
    """
    return _value_and_grad("value_and_grad", f, argnums)


def _value_and_grad(name: str, f: Callable[..., Any], argnums: int | Sequence[int]) -> Callable[..., Any]:
    numbers = _numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        variables, out, met = _call_with_variables(name, f, numbers, args, kwargs)
        if out.size != 1:
            raise ValueError(f"{name}: the function must return one number, not shape {out.shape}")
        seeds = [seed_of(out)] if out.node is not None else []
        value, *grads = _results([out.data, *_pull(seeds, variables, retain_graph=False)], met)
        return value, tuple(grads) if isinstance(argnums, Sequence) else grads[0]

    return evaluate


def _numbers(argnums: int | Sequence[int]) -> tuple[int, ...]:
    """The numbers of arguments as a tuple."""
    try:
        return tuple(map(operator.index, argnums if isinstance(argnums, Sequence) else (argnums,)))
    except TypeError:
        raise TypeError(f"argnums must be an integer, or a list or tuple of integers, not {argnums!r}") from None


def _call_with_variables(
    name: str, f: Callable[..., Any], numbers: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[list[Tensor], Tensor, list[Leaf]]:
    """Call ``f`` with fresh leaves in place of the numbered arguments; these, the output, and the user's leaves met."""
    if any(not -len(args) <= n < len(args) for n in numbers):
        raise ValueError(f"{name}: argnums {numbers} do not fit {len(args)} arguments")
    arguments = list(args)
    for n in numbers:
        arguments[n] = _variable(name, args[n])
    variables = [arguments[n] for n in numbers]
    with recording():
        out = _output(name, f(*arguments, **kwargs))
    return variables, out, _leaves_met(name, [out], variables, [args[n] for n in numbers])


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The gradient of a function whose value is a single number; see :func:`value_and_grad`.

    >>> grad(lambda x: x * x)(3.0)
    tensor(6.)
    """
    evaluate = _value_and_grad("grad", f, argnums)
    return lambda *args, **kwargs: evaluate(*args, **kwargs)[1]


def jacobian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """The matrix of all partial derivatives, one reverse pass for each entry of the output.

    Returns:
        a function; its result has the output's shape followed by the argument's, and the argument's
        dtype; a tuple of such tensors if ``argnums`` is a sequence.

    Raises:
        TypeError: if an argument to differentiate in is not floating.

    >>> import minigrad as mg
    >>> jacobian(lambda x: x * x)(mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    numbers = _numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        variables, out, met = _call_with_variables("jacobian", f, numbers, args, kwargs)
        rows = [np.zeros((out.size, *v.shape), v.dtype) for v in variables]
        for i in range(out.size if out.node is not None else 0):
            one_hot = np.zeros(out.size, out.dtype)
            one_hot[i] = 1
            pulled = _pull([seed_of(out, one_hot.reshape(out.shape))], variables, retain_graph=True)
            for matrix, row in zip(rows, pulled, strict=True):
                matrix[i] = row
        results = _results([m.reshape(out.shape + v.shape) for m, v in zip(rows, variables, strict=True)], met)
        return results if isinstance(argnums, Sequence) else results[0]

    return evaluate
