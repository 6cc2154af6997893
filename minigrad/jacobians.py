"""Jacobians and Hessians: all partial derivatives of a function, many rows or columns in one pass.

A pass takes a batch of cotangents, the rows of the unit matrix, and so returns rows of the Jacobian. Columns are rows
of the transposed map (:func:`.linearize`). VJPs of entrywise primitives take a batch, because they broadcast. Other
primitives have a rule for it (``batched_vjp``), or their VJP runs once for each cotangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import numpy as np

from .backward import graph_of, parents_until, reverse_pass
from .core import Leaf, Node, Tensor, untracked
from .higher_order import NotDifferentiableError
from .primitives import Primitive
from .spec import Array
from .transforms import Differentiation, argument_numbers, as_results, auxiliary_of, gradient_of, with_variables
from .trees import unflatten, unflatten_each

__all__ = ["hessian", "jacobian"]

_LARGEST = 2**22  # entries in the batch of cotangents of one node: 16 MB in single precision


def jacobian(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False, mode: str | None = None
) -> Callable[..., Any]:
    """Make a function that returns all partial derivatives. One pass serves many rows or columns.

    Args:
        f: a function that returns a tensor or a structure of tensors.
        argnums, has_aux: as for :func:`value_and_grad`.
        mode: "reverse" computes a row u'J for each entry of the output, "forward" a column J v for each entry of the
            arguments, as :func:`linearize` does. By default the shapes decide: columns if there are far fewer of them.

    Returns:
        a function. For tensors, its result has the shape ``output.shape + argument.shape`` and the argument's dtype.
        For structures, the result has the structure of the output, and a structure of the argument replaces each leaf.
        If ``argnums`` is a sequence, a tuple with an entry for each argument replaces each leaf of the output. With
        ``has_aux`` the function returns ``(jacobian, aux)``.

    Raises:
        TypeError: if an argument to differentiate with respect to is not floating. In forward mode also if a VJP cannot
            be differentiated.
        ValueError: if there is no such mode.

    >>> import minigrad as mg
    >>> jacobian(lambda x: x * x)(mg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"jacobian: mode must be 'forward', 'reverse' or None, not {mode!r}")
    return _jacobian("jacobian", f, argnums, has_aux, mode)


def _jacobian(
    name: str, f: Callable[..., Any], argnums: int | Sequence[int], has_aux: bool, mode: str | None = None
) -> Callable[..., Any]:
    numbers = argument_numbers(argnums)

    def evaluate(*args: Any, **kwargs: Any) -> Any:
        run = Differentiation(name)
        chosen, arguments = with_variables(run, numbers, args)
        out, aux = run.call(f, arguments, kwargs, has_aux)
        derivatives = _partial_derivatives(run, mode)
        if not (run.differentiable and run.outer):
            derivatives = [as_results(block, run.outer) for block in derivatives]
        blocks = [unflatten_each(chosen, block) for block in derivatives]
        result = unflatten(out, [block if isinstance(argnums, Sequence) else block[0] for block in blocks])
        run.close()
        return (result, auxiliary_of(run, aux)) if has_aux else result

    return evaluate


def _partial_derivatives(run: Differentiation, mode: str | None) -> list[list[Any]]:
    """Return the partial derivatives of each output y by each variable v, of shape ``y.shape + v.shape``."""
    rows, columns = sum(y.size for y in run.outputs), sum(v.size for v in run.variables)
    # A column costs about as much as four rows, and the graph of u'J as much as the rows of a small array.
    if mode == "forward" or (mode is None and rows > 4 * columns + 256):
        try:
            return _by_columns(run)
        except NotDifferentiableError:
            if mode == "forward":
                raise
    return [_rows(run, y) for y in run.outputs]


def _by_columns(run: Differentiation) -> list[list[Any]]:
    """Compute the blocks of a Jacobian as the rows of its transpose."""
    transposed = run.transposed()
    transposed.outer = run.outer  # so that `_rows` returns tensors for both or for neither
    by_variable = [_rows(transposed, g) for g in transposed.outputs]  # of shape v.shape + y.shape
    return [
        [_swapped(block[i], v.ndim).astype(v.dtype) for v, block in zip(run.variables, by_variable, strict=True)]
        for i in range(len(run.outputs))
    ]


def _swapped(x: Any, first: int) -> Any:
    """Move the first axes of an array or tensor to the end."""
    return np.transpose(x, (*range(first, x.ndim), *range(first)))


def _rows(run: Differentiation, y: Tensor) -> list[Any]:
    """Return the partial derivatives of one output: tensors if they may be differentiated, else arrays."""
    if not (run.differentiable and run.outer):
        return _jacobian_rows(y, cast("list[Leaf]", run.sources))
    if not y.size:
        return [untracked(np.zeros(y.shape + v.shape, v.dtype)) for v in run.variables]
    one_hot = np.eye(y.size, dtype=y.dtype).reshape(y.size, *y.shape)
    rows = [run.differentiable_backward([y], [untracked(np.asarray(row))]) for row in one_hot]
    stack: Callable[..., Any] = np.stack  # of tensors, which is mg.stack
    columns = zip(*rows, strict=True)
    return [stack(column).reshape(y.shape + v.shape) for column, v in zip(columns, run.variables, strict=True)]


def _jacobian_rows(y: Tensor, sources: Sequence[Leaf]) -> list[Array]:
    """Return the partial derivatives of an output with respect to each leaf, of shape ``y.shape + leaf.shape``."""
    matrices = [np.zeros((y.size, *leaf.shape), leaf.dtype) for leaf in sources]
    if y.node is not None and y.size:
        nodes = graph_of([y.node], parents_until(set(sources))).nodes
        largest = max(sum(math.prod(shape) for shape, _ in node.outputs) for node in nodes)
        step = max(1, _LARGEST // max(1, largest))
        for start in range(0, y.size, step):
            n = min(step, y.size - start)
            one_hot = np.eye(n, y.size, start, dtype=y.dtype).reshape(n, *y.shape)
            found = reverse_pass([(y.node, y.index, one_hot)], True, sources, _batched_rule, (n,))
            for leaf, matrix in zip(sources, matrices, strict=True):
                if leaf in found:
                    matrix[start : start + n] = found[leaf]
    return [m.reshape(y.shape + leaf.shape) for m, leaf in zip(matrices, sources, strict=True)]


def _batched_rule(node: Node, g: Any, needs: tuple[bool, ...]) -> Any:
    """Compute the VJP of a node for a batch of cotangents, by a rule that takes the batch, or else one by one.

    The VJPs of entrywise primitives take a batch too, because they broadcast.
    """
    primitive, residuals = node.primitive, node.residuals
    rule = primitive.batched_vjp or (primitive.vjp if primitive.entrywise else partial(_one_by_one, primitive))
    return rule(g, needs, *residuals)


def _one_by_one(primitive: Primitive, g: Any, needs: tuple[bool, ...], *residuals: Any) -> tuple[Any, ...]:
    """Call the VJP for each cotangent of a batch and stack the results."""
    several = isinstance(g, tuple)
    cotangents = g if several else (g,)
    results: list[Any] = []
    for i in range(next(len(c) for c in cotangents if c is not None)):
        gs = tuple(None if c is None else c[i] for c in cotangents)
        results.append(primitive.vjp(gs if several else gs[0], needs, *residuals))
        if type(results[-1]) is not tuple or len(results[-1]) != len(needs):
            return results[-1]  # type: ignore[no-any-return]  # `reverse_pass` raises
    return tuple(np.stack([r[k] for r in results]) if need else None for k, need in enumerate(needs))


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make a function that returns all second partial derivatives of ``f``, whose value is a single number.

    Args:
        f, argnums, has_aux: as for :func:`value_and_grad`.

    Returns:
        a function. For a tensor x, its result has the shape ``x.shape + x.shape``. For a structure, another copy of the
        structure replaces each leaf. With ``has_aux`` the function returns ``(hessian, aux)``.

    >>> import minigrad as mg
    >>> hessian(lambda x: x[0] * x[1])(mg.tensor([2.0, 3.0]))
    tensor([[0., 1.],
            [1., 0.]])
    """
    return _jacobian("hessian", gradient_of("hessian", f, argnums, has_aux), argnums, has_aux)
