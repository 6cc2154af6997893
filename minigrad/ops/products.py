"""Products: matmul, affine maps, einsum and related functions, which contract axes with BLAS if that is faster.

Products of half precision are computed in single, by BLAS, and rounded once, at the end; so are their gradients.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..core import Tensor, plain
from ..primitives import ForwardResult, Shape, Shapes, primitive
from ..spec import Array, as_array, describe
from ..summation import block_sum
from .elementwise import add
from .kernels.blocked_products import product, products
from .kernels.numerics import narrowed_all, reached_rows, sum_single, widened
from .linear import apply_linear
from .shaping import ravel


@primitive(broadcasts=True, residuals=("a", "b"))
def matmul(a: Array, b: Array) -> ForwardResult:
    """The matrix product in all of NumPy's shapes: vectors, matrices, and stacks that broadcast.

    Args:
        a: (…, n, k), or (k,) for a row vector.
        b: (…, k, m), or (k,) for a column vector.

    Returns:
        (…, n, m), without the axis of a vector.

    Raises:
        ValueError: if the inner dimensions differ, the stacks do not broadcast, or an input is a single number.

    >>> matmul([[1.0, 2.0]], [3.0, 4.0])
    tensor([11.])
    """
    if not (getattr(a, "ndim", 0) and getattr(b, "ndim", 0)):
        raise ValueError("a single number has no matrix product: use multiply")
    if b.shape[max(b.ndim - 2, 0)] != a.shape[-1]:
        raise ValueError(f"a has rows of {a.shape[-1]} entries, but b has columns of {b.shape[max(b.ndim - 2, 0)]}")
    return narrowed_all(_matmul(widened(a), widened(b)), (a, b)), (a, b)


def _matmul(a: Any, b: Any) -> Any:
    """Return a @ b, for arrays or tensors; a stack of arrays times a single matrix is one GEMM over all rows."""
    if isinstance(a, Tensor) or isinstance(b, Tensor):
        return matmul(a, b)
    if a.ndim > 2 and b.ndim <= 2:
        rows = _rows(a)
        y = product(rows, b) if b.ndim == 2 else rows @ b
        return y.reshape(a.shape[:-1] + b.shape[1:])
    return product(a, b) if a.ndim == b.ndim == 2 else np.asarray(np.matmul(a, b))


def _rows(x: Any) -> Any:
    """Return (…, D) as (rows, D), even if some axis has no entries."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


@matmul.vjp
def _(g: Any, needs: Any, a: Any, b: Any, many: bool = False) -> Any:
    # Y = A B: dA = G B', dB = A' G. Vectors become matrices of one row or column first. For many cotangents, along a
    # leading axis, the engine sums over stacks.
    g, a, b = widened(g), widened(a), widened(b)
    row, column = a.ndim == 1, b.ndim == 1
    A, B = a[None] if row else a, b[:, None] if column else b
    G = g[..., None] if column else g
    G = G[..., None, :] if row else G
    dA = dB = None
    if needs[0]:
        one_for_all = A.ndim == 2 < B.ndim and not many
        dA = _contracted(G, B, -1) if one_for_all else _matmul(G, B.swapaxes(-1, -2))
        dA = dA[..., 0, :] if row else dA
    if needs[1]:
        one_for_all = B.ndim == 2 < A.ndim and not many
        dB = _contracted(A, G, -2) if one_for_all else _matmul(A.swapaxes(-1, -2), G)
        dB = dB[..., 0] if column else dB
    return dA, dB


def _contracted(left: Any, right: Any, axis: int) -> Any:
    """Return the cotangent of a single matrix that met a stack: one GEMM contracts the stack's axes and one more."""
    axes = [*range(left.ndim - 2), axis]
    return np.tensordot(left, right, (axes, axes))


matmul.batched_vjp(lambda g, needs, a, b: matmul.primitive.vjp(g, needs, a, b, many=True))


matmul.cost(lambda inputs, output, options: math.prod(output) * inputs[0][-1])


@matmul.reference
def _(a: Tensor, b: Tensor) -> Any:
    row, column = a.ndim == 1, b.ndim == 1
    stack = "" if row and column else "..."
    left, right = "k" if row else "...nk", "k" if column else "...km"
    return einsum(f"{left},{right}->{stack}{'' if row else 'n'}{'' if column else 'm'}", a, b)


# --- affine maps ------------------------------------------------------------------------------------


@primitive(residuals=("x", "W"))
def affine(x: Array, W: Array, b: Array | None = None) -> ForwardResult:
    """x W + b on the last axis: one GEMM over all rows, to which the bias is added in place.

    Args:
        x: (…, D). W: (D, M). b: (M,), or None. Dtypes promote as in NumPy; half precision is computed in single and
            rounded once.

    Returns:
        (…, M).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    >>> affine([[1.0, 2.0], [3.0, 4.0]], [[1.0], [10.0]], [0.5])
    tensor([[21.5],
            [43.5]])
    """
    if x.ndim == 0:
        raise ValueError("x must be (…, D), not a single number")
    D = x.shape[-1]
    if W.ndim != 2 or W.shape[0] != D:
        raise ValueError(f"W must be (D, M) with D = {D} as in x, not {W.shape}")
    if b is not None and b.shape != W.shape[1:]:
        raise ValueError(f"b must be (M,) = {W.shape[1:]} as W's columns, not {b.shape}")
    y = product(_rows(widened(x)), widened(W))
    if b is not None:
        y = y.astype(np.result_type(y, widened(b)), copy=False)
        y += b
    inputs = (x, W) if b is None else (x, W, b)
    return y.reshape(*x.shape[:-1], W.shape[1]).astype(np.result_type(*inputs), copy=False), (x, W)


@affine.vjp
def _(g: Any, needs: Any, x: Any, W: Any) -> tuple[Any, Any, Any]:
    """Return the needed cotangents of x, W and b: dx = g W', dW = x' g over all rows, db = the sum of g's rows.

    Works on arrays and tensors. If an array g is large, its zero rows are skipped.
    """
    g, x, W = widened(g), widened(x), widened(W)
    rows, inputs = _rows(g), _rows(x)
    if isinstance(g, Tensor):
        dx = matmul(rows, W.T) if needs[0] else None
        dW = matmul(inputs.T, rows) if needs[1] else None
        return None if dx is None else dx.reshape(x.shape), dW, rows.sum(axis=0) if needs[2] else None
    reached = reached_rows(rows)
    if reached is not None:
        rows, inputs = rows[reached], inputs[reached]
    dx, dW = products((rows, W.T) if needs[0] else None, (inputs.T, rows) if needs[1] else None)
    if dx is not None and reached is not None:
        few, dx = dx, np.zeros(_rows(x).shape, dx.dtype)
        dx[reached] = few
    return None if dx is None else dx.reshape(x.shape), dW, block_sum(rows, 0) if needs[2] else None


@affine.batched_vjp
def _(g: Array, needs: Any, x: Array, W: Array) -> tuple[Any, Any, Any]:
    # of cotangents (B, …, M): cotangents (B, …, D), (B, D, M) and (B, M)
    g, x, W = widened(g), widened(x), widened(W)
    rows = g.reshape(len(g), math.prod(g.shape[1:-1]), g.shape[-1])
    dx = product(_rows(g), W.T).reshape(len(g), *x.shape) if needs[0] else None
    dW = np.tensordot(_rows(x), rows, (0, 1)).swapaxes(0, 1) if needs[1] else None
    return dx, dW, block_sum(rows, 1) if needs[2] else None


affine.cost(lambda inputs, output, options: math.prod(output) * inputs[0][-1])


affine.reference(lambda x, W, b=None: matmul(x, W) if b is None else add(matmul(x, W), b))


def temporal_affine(x: Any, W: Any, b: Any) -> Tensor:
    """The same affine map at every step, x_t W + b: :func:`affine` of (N, T, D).

    Args:
        x: (N, T, D). W: (D, M). b: (M,). Dtypes promote as in NumPy; half precision is computed in single.

    Returns:
        (N, T, M).

    Raises:
        ValueError: if the shapes do not fit; the message names the argument and the shape that would.

    Source: the captioning exercises.

    >>> temporal_affine([[[1.0, 2.0], [3.0, 4.0]]], [[1.0], [10.0]], [0.5])
    tensor([[[21.5],
             [43.5]]])
    """
    if np.ndim(plain(x)) != 3:
        raise ValueError(f"temporal_affine: x must have 3 axes (N, T, D), not shape {np.shape(plain(x))}")
    return affine(x, W, b)  # type: ignore[no-any-return]


# --- Einstein summation ----------------------------------------------------------------------------

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _contract(subscripts: str, *operands: Any) -> Any:
    """Call np.einsum with a plan, which uses BLAS if possible, if that saves more than the plan's 10 µs; or without."""
    if any(isinstance(x, Tensor) for x in operands):
        return einsum(subscripts, *operands)
    # (25,16,512) x (512,256): 13.2 ms without a plan, 1.7 with one (float32)
    planned = len(operands) > 2 or (len(operands) == 2 and operands[0].size + operands[1].size > 4096)
    return np.asarray(np.einsum(subscripts, *operands, optimize=planned))


@primitive(broadcasts=True, residuals=("constant", "constant", "operands"))
def _einsum(*operands: Array, subscripts: str) -> ForwardResult:
    """Einstein's summation convention; see :func:`einsum`."""
    arrays = [x if type(x) is np.ndarray else as_array(x) for x in operands]  # a Python number has no shape
    inputs, output, alone = explicit_subscripts(subscripts, tuple([x.ndim for x in arrays]))
    terms, summed = zip(*map(_sum_alone, inputs, alone, arrays), strict=True)
    y = _contract(f"{','.join(terms)}->{output}", *summed)
    return narrowed_all(y, arrays), (inputs, output, arrays)


def _sum_alone(term: str, alone: tuple[int, ...], x: Array) -> tuple[str, Array]:
    """Sum an operand over the axes that only it has, float16 in float32; return its other indices and the sums."""
    if not alone or x.dtype.kind != "f":
        return term, widened(x)
    return "".join([c for k, c in enumerate(term) if k not in alone]), sum_single(x, alone)


def einsum(subscripts: str, *operands: Any) -> Tensor:
    """Einstein's summation convention, like ``numpy.einsum``: products of entries, summed over indices.

    Args:
        subscripts: such as ``"nij,njk->nik"``. The output may be implicit (then the indices that occur once, in
            alphabetical order), ``...`` broadcasts, an index repeated within an operand takes its
            diagonal, and an index that the output lacks is summed.
        operands: a tensor for each part of the left-hand side.

    Returns:
        a tensor with an axis for each output index. With a single operand it may be a view of it.

    Raises:
        ValueError: if the subscripts do not fit the operands.
        TypeError: if they are not a string (NumPy's form with lists of numbers is not supported).

    >>> einsum("ij,j->i", [[1.0, 2.0]], [3.0, 4.0])
    tensor([11.])
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts must be a string such as 'ij,jk->ik', not {describe(subscripts)}")
    return _einsum(*operands, subscripts=subscripts)  # type: ignore[no-any-return]


einsum.primitive = _einsum.primitive  # type: ignore[attr-defined]


@_einsum.vjp
def _(g: Any, needs: Any, inputs: tuple[str, ...], output: str, operands: list[Array], batch: str = "") -> Any:
    # The cotangent of one operand is the einsum of g with the other operands, on that operand's indices.
    g, parts = widened(g), list(zip(inputs, map(widened, operands), strict=True))
    lead = g.shape[: len(batch)]
    return tuple(
        _pull_operand(g, batch + output, batch + own, lead + x.shape, parts[:i] + parts[i + 1 :]) if needs[i] else None
        for i, (own, x) in enumerate(parts)
    )


@_einsum.batched_vjp
def _(g: Array, needs: Any, inputs: tuple[str, ...], output: str, operands: list[Array]) -> Any:
    letter = next(c for c in _LETTERS if c not in "".join([output, *inputs]))
    return _einsum.primitive.vjp(g, needs, inputs, output, operands, letter)


@_einsum.cost
def _(inputs: Shapes, output: Shape, options: Any) -> int:
    """Contract two operands at a time, in NumPy's order: a multiply-add for each combination of their indices."""
    # arrays of the right shapes without their own memory: NumPy plans only by shapes
    operands = [np.broadcast_to(np.float32(0), shape) for shape in inputs]
    explicit, result, _ = explicit_subscripts(options["subscripts"], tuple(map(len, inputs)))
    terms = list(explicit)
    size: dict[str, int] = {}
    for letter, length in zip("".join(terms), chain(*inputs), strict=True):
        size[letter] = max(size.get(letter, 1), length)
    plan = np.einsum_path(f"{','.join(terms)}->{result}", *operands, optimize="greedy")[0][1:]
    total = 0
    for places in plan:
        met = [terms.pop(place) for place in sorted(places, reverse=True)]
        indices = set().union(*met)
        total += (len(met) - 1) * math.prod(size[letter] for letter in indices)
        needed = set(result).union(*terms)
        terms.append("".join(sorted(indices & needed)))
    return total


@lru_cache
def explicit_subscripts(subscripts: str, ndims: tuple[int, ...]) -> tuple[tuple[str, ...], str, list[Any]]:
    """Make the output of subscripts for operands of some numbers of axes explicit, with letters for each ellipsis.

    Returns:
        the indices of the operands and of the output, and the axes of each operand that nothing else has.
    """
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    inputs = left.split(",")
    if len(inputs) != len(ndims):
        raise ValueError(f"subscripts {subscripts!r} are for {len(inputs)} operands, not {len(ndims)}")
    if not arrow:
        letters = left.replace(",", "").replace(".", "")
        output = ("..." if "..." in left else "") + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    # the axes of an ellipsis are aligned from the right, as in broadcasting
    counts = [n - len(s.replace("...", "")) if "..." in s else 0 for s, n in zip(inputs, ndims, strict=True)]
    batch = [c for c in _LETTERS if c not in text][: max(0, *counts)]
    if batch and "..." not in output:
        raise ValueError(f"the output of {subscripts!r} needs '...', which stands for {max(counts)} axes")
    inputs = [s.replace("...", "".join(batch[len(batch) - n :])) for s, n in zip(inputs, counts, strict=True)]
    for i, (term, n) in enumerate(zip(inputs, ndims, strict=True)):
        if len(term) != n:
            raise ValueError(f"operand {i} has {n} axes, but {subscripts!r} names {len(term)}")
    output, letters = output.replace("...", "".join(batch)), "".join(inputs)
    alone = [tuple(k for k, c in enumerate(s) if c not in output and letters.count(c) == 1) for s in inputs]
    return tuple(inputs), output, alone


def _pull_operand(g: Any, output: str, own: str, shape: Shape, others: list[tuple[str, Any]]) -> Any:
    """Return the cotangent of an operand of a shape; longer along an axis of length 1 that the others stretched."""
    distinct, terms = "".join(dict.fromkeys(own)), ",".join([output, *[s for s, _ in others]])
    found = "".join([c for c in distinct if c in terms])  # the rest was summed only within this operand
    part = _contract(f"{terms}->{found}", g, *[x for _, x in others])
    if found == own and part.shape == shape:
        return part
    lengths = dict(zip(found, part.shape, strict=True))
    part = part.reshape([lengths.get(c, 1) for c in distinct])
    # summed indices, and those along which the others broadcast, have the same cotangent in every place
    sizes = dict(zip(own, shape, strict=True))
    full = {c: sizes[c] if lengths.get(c, 1) == 1 else lengths[c] for c in distinct}
    if len(distinct) == len(own):
        return np.broadcast_to(part, [full[c] for c in own])

    def place(part: Array) -> Array:
        """Put entries of repeated indices, as in "iij", in their places in zeros."""
        whole = np.zeros([full[c] for c in own], part.dtype)
        np.einsum(f"{own}->{distinct}", whole)[...] = part  # NumPy gives a writable view of the diagonal
        return whole

    part = np.broadcast_to(part, [full[c] for c in distinct])
    return apply_linear(part, place, lambda u: np.einsum(f"{own}->{distinct}", u))


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """Sum products over pairs of axes, like ``numpy.tensordot``; an :func:`einsum`.

    Args:
        a, b: tensors.
        axes: the number of last axes of a that are contracted with the first axes of b, or a pair of axes (or of
            sequences of axes), one for a and one for b.

    Returns:
        a tensor with a's other axes, then b's.

    Raises:
        ValueError: if the axes do not exist, do not pair, have different lengths, or their number is negative.

    >>> tensordot([[1.0, 2.0]], [[3.0], [4.0]], axes=1)
    tensor([[11.]])
    """
    shapes = np.shape(plain(a)), np.shape(plain(b))
    if isinstance(axes, (int, np.integer)):
        if axes < 0:
            raise ValueError(f"tensordot: the number of axes must not be negative: {axes}")
        axes = range(-axes, 0), range(axes)
    try:
        first, second = (normalize_axis_tuple(pair, len(shape)) for pair, shape in zip(axes, shapes, strict=True))
    except (TypeError, ValueError) as error:
        raise ValueError(f"tensordot: axes {axes} do not fit a {shapes[0]} and b {shapes[1]}: {error}") from None
    if [shapes[0][i] for i in first] != [shapes[1][j] for j in second]:
        raise ValueError(f"tensordot: axes {axes} of a {shapes[0]} and b {shapes[1]} do not have the same lengths")
    left, right = list(_LETTERS[: len(shapes[0])]), list(_LETTERS[len(_LETTERS) - len(shapes[1]) :])
    for i, j in zip(first, second, strict=True):
        right[j] = left[i]
    kept = [c for c in left if c not in right] + [c for c in right if c not in left]
    return einsum(f"{''.join(left)},{''.join(right)}->{''.join(kept)}", a, b)


def dot(a: Any, b: Any) -> Tensor:
    """The product over a's last axis and b's second-to-last (or only) axis, like ``numpy.dot``.

    For vectors and matrices it equals :func:`matmul`; stacks are not paired, but combined all with all.

    Raises:
        ValueError: if these axes differ in length, or an input is a single number.

    >>> dot([1.0, 2.0], [3.0, 4.0])
    tensor(11.)
    """
    second = np.ndim(plain(b))
    if np.ndim(plain(a)) == 0 or second == 0:
        raise ValueError("dot: a single number has no dot product: use multiply")
    return matmul(a, b) if second <= 2 else tensordot(a, b, (-1, second - 2))


def outer(a: Any, b: Any) -> Tensor:
    """All products of an entry of a with one of b, like ``numpy.outer``: (n, m) for n and m entries, in any shape.

    >>> outer([1.0, 2.0], [3.0, 4.0])
    tensor([[3., 4.],
            [6., 8.]])
    """
    return einsum("i,j->ij", ravel(a), ravel(b))
