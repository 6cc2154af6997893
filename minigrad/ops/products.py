"""Products of tensors: matmul and einsum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..primitives import primitive
from ..spec import Array

__all__ = ["einsum", "matmul"]


@primitive(broadcasts=True)
def matmul(a: Array, b: Array) -> tuple[Array, tuple[Any, ...]]:
    """The matrix product in all of NumPy's shapes: vectors, matrices, and stacks that broadcast.

    Args:
        a: (…, n, k), or (k,) for a row vector.
        b: (…, k, m), or (k,) for a column vector.

    Returns:
        (…, n, m), without the axis of a vector.

    Raises:
        ValueError: if the inner dimensions differ, the stacks do not broadcast, or an input is 0-d.

    >>> matmul(np.array([[1.0, 2.0]]), np.array([3.0, 4.0])).numpy()
    array([11.])
    """
    return np.matmul(a, b), (a, b)


@matmul.vjp
def _(g: Array, needs: tuple[bool, ...], a: Array, b: Array) -> Any:
    # Y = A B: dA = G B', dB = A' G. Vectors become matrices of one row or column first.
    row, column = a.ndim == 1, b.ndim == 1
    A, B = a[None, :] if row else a, b[:, None] if column else b
    G = g[..., None] if column else g
    G = G[..., None, :] if row else G
    dA = dB = None
    if needs[0]:
        dA = G @ np.swapaxes(B, -1, -2)
        dA = dA[..., 0, :] if row else dA
    if needs[1]:
        if B.ndim == 2 and A.ndim > 2:  # one GEMM over all rows of the stack
            dB = A.reshape(-1, A.shape[-1]).T @ G.reshape(-1, G.shape[-1]) if A.size and G.size else np.zeros_like(B)
        else:
            dB = np.swapaxes(A, -1, -2) @ G
        dB = dB[..., 0] if column else dB
    return dA, dB


@matmul.reference
def _(a: Tensor, b: Tensor) -> Any:
    row, column = a.ndim == 1, b.ndim == 1
    left, right = "k" if row else "...nk", "k" if column else "...km"
    stack = "..." if not (row and column) else ""
    return einsum(f"{left},{right}->{stack}{'' if row else 'n'}{'' if column else 'm'}", a, b)


@primitive(broadcasts=True)
def _einsum(*operands: Array, subscripts: str) -> tuple[Array, tuple[Any, ...]]:
    return np.einsum(subscripts, *operands, optimize=len(operands) > 1), (subscripts, operands)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Einstein's summation convention, as ``numpy.einsum``.

    Args:
        subscripts: such as ``"nij,njk->nik"``; the output may be implicit, ``...`` broadcasts, and an index
            repeated within an operand takes its diagonal.
        operands: a tensor for each part of the left-hand side.

    Returns:
        a tensor with an axis for each output index.

    Raises:
        ValueError: if the subscripts do not fit the operands.

    >>> einsum("ij,j->i", np.array([[1.0, 2.0]]), np.array([3.0, 4.0])).numpy()
    array([11.])
    """
    return _einsum(*operands, subscripts=subscripts)  # type: ignore[no-any-return]


einsum.primitive = _einsum.primitive  # type: ignore[attr-defined]


@_einsum.vjp
def _(g: Array, needs: tuple[bool, ...], subscripts: str, operands: tuple[Array, ...]) -> Any:
    # The cotangent of one operand is the einsum of g with the other operands, on that operand's indices.
    inputs, output = _explicit(subscripts, operands)
    grads: list[Any] = []
    for i, (need, own, operand) in enumerate(zip(needs, inputs, operands, strict=True)):
        if not need:
            grads.append(None)
            continue
        others = [(s, x) for j, (s, x) in enumerate(zip(inputs, operands, strict=True)) if j != i]
        grads.append(_pull_operand(g, output, own, operand, others))
    return tuple(grads)


def _explicit(subscripts: str, operands: tuple[Array, ...]) -> tuple[list[str], str]:
    """Subscripts with an explicit output and letters in place of each ellipsis."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    spare = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in text]
    counts = [x.ndim - len(s.replace("...", "")) if "..." in s else 0 for s, x in zip(inputs, operands, strict=True)]
    batch = "".join(spare[: max(counts)])
    if not arrow:
        letters = left.replace(",", "").replace("...", "")
        output = ("..." if "..." in left else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    inputs = [s.replace("...", batch[len(batch) - n :]) for s, n in zip(inputs, counts, strict=True)]
    return inputs, output.replace("...", batch)


def _pull_operand(g: Array, output: str, own: str, operand: Array, others: list[tuple[str, Array]]) -> Array:
    """The cotangent of one operand, of the operand's shape or one that broadcasts from it."""
    distinct = "".join(dict.fromkeys(own))  # a repeated index contributes its diagonal only
    known = set(output).union(*(s for s, _ in others))
    found = "".join(c for c in distinct if c in known)  # the rest was summed over within the operand
    # An axis of length 1 here may have been stretched by the other operands: the engine sums it back.
    terms = ",".join([output, *(s for s, _ in others)])
    grad = np.einsum(f"{terms}->{found}", g, *(x for _, x in others), optimize=len(others) > 1)
    sizes = {c: max(operand.shape[i] for i in range(len(own)) if own[i] == c) for c in distinct}
    lengths = dict(zip(found, grad.shape, strict=True))
    shape = [lengths.get(c, sizes[c]) for c in distinct]
    grad = grad.reshape([lengths.get(c, 1) for c in distinct])
    if len(distinct) == len(own):
        return np.broadcast_to(grad, shape)
    full = np.zeros([lengths.get(c, sizes[c]) for c in own], grad.dtype)
    np.einsum(f"{own}->{distinct}", full)[...] = grad  # NumPy gives a writable view of the diagonal
    return full
