"""Attention: for each query a mean of values, weighted by the fit of their keys, by a product or a small network.

T queries and S keys of D features, and S values of E features. All may be stacked, (…, T, D), and the stacks broadcast.
Dtypes promote as in NumPy; half precision is computed in single, and rounded once. Masked keys have weight 0, and a
query that may attend to no key gets 0. (0 times a NaN or an infinity is NaN: replace masked NaNs in values by numbers.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, plain, scope, untracked
from ..primitives import primitive
from ..spec import Array, as_array, explain, refuse_masked
from .elementwise import greater_equal
from .kernels.attention_scores import AttentionMask, attend, attend_back
from .kernels.numerics import narrowed_all, single
from .reductions import softmax

__all__ = ["additive_attention", "attention"]


# --- what both share ----------------------------------------------------------------------------------


def check_attention(q: Array, k: Array, v: Array, mask: Any) -> tuple[tuple[int, ...], Array | None]:
    """Raise unless the shapes fit; return the shape of the stack, and the mask as an array."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        if x.ndim < 2:
            raise ValueError(f"{name} must be rows of features or a stack of them, (…, rows, features), not {x.shape}")
    if k.shape[-2] != v.shape[-2]:
        raise ValueError(f"v must have a row for each of the {k.shape[-2]} keys, not {v.shape[-2]}")
    shapes = [x.shape[:-2] for x in (q, k, v)]
    if mask is not None:
        refuse_masked(mask)
        mask = np.asarray(plain(mask))
        if mask.dtype.kind not in "bf":
            raise TypeError(
                f"mask must be boolean or floating, not {mask.dtype}. Pass mask.astype(bool), true for keys to which a "
                "query may attend, or floats that are added to the scores."
            )
        refuse_misfit("mask", mask, q.shape[:-1], k.shape[-2])
        shapes.append(mask.shape[:-2])
    try:
        return np.broadcast_shapes(*shapes), mask
    except ValueError:
        raise ValueError(f"the stacks of q, k, v and mask must broadcast, not {', '.join(map(str, shapes))}") from None


def refuse_misfit(name: str, mask: Array, queries: tuple[int, ...], S: int) -> None:
    """Raise unless the last axes of a mask broadcast to those of queries (…, T) and S keys."""
    T = queries[-1]
    if mask.ndim >= 2 and all(n in (1, m) for n, m in zip(mask.shape[-2:], (T, S), strict=True)):
        return
    hint = ""
    if len(queries) > 1 and mask.shape == (queries[0], S):  # padding, without an axis for the queries
        axes = ", None" * (len(queries) - 1)
        hint = f"; one for each sequence, which hides its padding, is mask[:{axes}, :]"
    raise ValueError(f"{name} must broadcast to (…, T, S) = (…, {T}, {S}), not {mask.shape}{hint}")


def check_causal(causal: Any) -> None:
    """Raise unless it is boolean."""
    if not isinstance(causal, (bool, np.bool_)):
        raise TypeError(f"causal must be True or False, not {causal!r}")


def with_causal(mask: Any, causal: bool, T: int, S: int, compare: Callable[..., Any] = np.greater_equal) -> Any:
    """Combine the mask (array, tensor or None) with the causal mask, which ``compare`` makes."""
    if not causal:
        return mask
    earlier = compare(np.arange(T)[:, None], np.arange(S))
    if mask is None:
        return earlier
    return np.where(earlier, mask, -np.inf) if mask.dtype.kind == "f" else np.logical_and(earlier, mask)


def _minus_row_maximum(mask: Any, dtype: Any) -> Any:
    """Subtract each row's maximum, which leaves the softmax unchanged: adding -1e9 would round the scores."""
    with np.errstate(over="ignore"):  # for the least float64 in single precision
        mask = mask.astype(dtype)
    if not mask.shape[-1]:
        return mask
    top = np.max(mask, axis=-1, keepdims=True)
    return mask - np.where(np.equal(top, -np.inf), 0, top)


def weights_of(scores: Any, allowed: Any) -> Any:
    """Return the softmax of each query's scores over the keys to which it may attend; 0 if there are none.

    The scores are a tensor, and the mask may be one. A mask of floats is added to the scores.
    """
    if allowed is None:
        return softmax(scores, -1)
    if allowed.dtype.kind == "f":
        added = _minus_row_maximum(allowed, scores.dtype)
        allowed = np.not_equal(added, -np.inf)
        scores = scores + np.where(allowed, added, 0)
    hidden = np.where(np.any(allowed, axis=-1, keepdims=True), -np.inf, 0).astype(scores.dtype)
    return np.where(allowed, softmax(np.where(allowed, scores, hidden), -1), 0)


def _turned(x: Any) -> Any:
    """Transpose each matrix of a stack."""
    return np.swapaxes(x, -1, -2)


# --- by a product -------------------------------------------------------------------------------------


@primitive(
    broadcasts=True,
    residuals=("q", "k", "v", "output", "derived", "constant", "constant", "constant"),
)
def attention(
    q: Array, k: Array, v: Array, mask: Any = None, causal: bool = False, scale: float | None = None
) -> tuple[Array, tuple[Any, ...]]:
    """Compute softmax(scale q k') v: for each query the mean of the values, weighted by its products with the keys.

    Scores are computed in blocks, forward and backward, and not kept: memory grows with T + S. Source: A. Vaswani et
    al., Attention is all you need (2017).

    Args:
        q: (…, T, D). k: (…, S, D). v: (…, S, E). Heads are an axis of the stack.
        mask: broadcasts to (…, T, S): booleans, true where a query may attend to a key, or floats that are added to the
            scores after scaling, -inf for masked keys, both as in PyTorch. It is a constant; by default no key is
            masked.
        causal: true if query t may attend only to the keys 0 … t, like PyTorch's ``is_causal``; a mask restricts it
            further.
        scale: 1 / sqrt(D) by default.

    Returns:
        (…, T, E).

    Raises:
        ValueError: if the shapes do not fit, or the scale is not finite.
        TypeError: if the mask is neither boolean nor floating, tracked, or NumPy's masked array, causal is not boolean,
            or the scale is not a number.

    >>> q, k, v = [[0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]], [[2.0], [4.0]]
    >>> attention(q, k, v), attention(q, k, v, mask=[[False, True]]), attention(q, k, v, mask=[[-np.inf, 0.0]])
    (tensor([[3.]]), tensor([[4.]]), tensor([[4.]]))
    """
    if q.shape[-1:] != k.shape[-1:]:
        raise ValueError(f"q and k must have the same number of features, not {q.shape[-1:]} and {k.shape[-1:]}")
    stack, mask = check_attention(q, k, v, mask)
    check_causal(causal)
    scale = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    if not isinstance(scale, (int, float, np.integer, np.floating)):
        raise TypeError(f"scale must be a finite number, not {scale!r}")
    if not math.isfinite(scale):
        raise ValueError(f"scale must be a finite number, not {scale!r}")
    problems = _problems(stack, q, k, v, mask, causal, float(scale))
    out, logsums = (x.reshape(stack + x.shape[1:]) for x in attend(*problems))
    return narrowed_all(out, (q, k, v)), (q, k, v, out, logsums, mask, bool(causal), float(scale))


def _problems(
    stack: tuple[int, ...], q: Array, k: Array, v: Array, mask: Array | None, causal: bool, scale: float
) -> tuple[Array, Array, Array, AttentionMask]:
    """Stack problems along one axis, B: q times the scale, k and v, (B, rows, features), and their masks."""
    wide, T, S = np.result_type(*map(single, (q, k, v))), q.shape[-2], k.shape[-2]
    # Use C order immediately: q of several heads is a view of rows with all heads, and would otherwise be copied twice.
    scaled = np.multiply(single(q), wide.type(scale), dtype=wide, order="C")
    joined_k, joined_v = (_joined(x.astype(wide, copy=False), stack) for x in (k, v))
    masks, which = None, np.zeros(0, np.intp)
    if mask is not None and mask.dtype.kind == "f":
        mask, causal = _minus_row_maximum(with_causal(mask, causal, T, S), wide), False
    if mask is not None:
        number = np.arange(math.prod(mask.shape[:-2])).reshape(mask.shape[:-2])
        which = np.broadcast_to(number, stack).ravel()
        masks = np.broadcast_to(mask.reshape(number.size, *mask.shape[-2:]), (number.size, T, S))
    return _joined(scaled, stack), joined_k, joined_v, AttentionMask(masks, which, causal)


def _joined(x: Array, stack: tuple[int, ...]) -> Array:
    """Return (…, rows, features), of a stack or broadcast to it, as (B, rows, features)."""
    return (x if x.shape[:-2] == stack else np.broadcast_to(x, stack + x.shape[-2:])).reshape(
        math.prod(stack), *x.shape[-2:]
    )


@attention.batched_vjp
@attention.vjp
def _(
    g: Any, needs: tuple[bool, ...], q: Array, k: Array, v: Array, out: Array, logsums: Array, mask: Any, causal: bool,
    scale: float,
) -> Any:  # fmt: skip
    stack = g.shape[:-2]
    q, k, v, attention_mask = _problems(stack, q, k, v, mask, causal, scale)
    arriving, left = _joined(g.astype(out.dtype, copy=False), stack), _joined(out, stack)
    sums = _joined(logsums[..., None], stack)[..., 0]
    dq, dk, dv = attend_back(arriving, needs, q, k, v, left, sums, attention_mask)
    if dq is not None:
        dq *= scale
    return tuple(None if d is None else d.reshape(stack + d.shape[1:]) for d in (dq, dk, dv))


attention.cost(lambda inputs, output, options: math.prod(output[:-1]) * inputs[1][-2] * (inputs[0][-1] + output[-1]))


@attention.reference
def _(q: Any, k: Any, v: Any, mask: Any = None, causal: bool = False, scale: float | None = None) -> Any:
    scale = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else scale
    mask = None if mask is None else untracked(np.asarray(plain(mask)))  # the same array, which may be an input in ONNX
    scores = single(q) @ _turned(single(k)) * scale
    # By a primitive, so that ONNX's dynamic axes extend the ranges of the causal mask.
    mask = with_causal(mask, causal, q.shape[-2], k.shape[-2], greater_equal)
    return _rounded(weights_of(scores, mask) @ single(v), (q, k, v))


# --- by a small network -------------------------------------------------------------------------------


def additive_attention(q: Any, k: Any, v: Any, Wq: Any, Wk: Any, w: Any, mask: Any = None) -> tuple[Tensor, Tensor]:
    """Return for each query the mean of the values with the weights softmax(tanh(q Wq + k Wk) w), and these weights.

    Source: D. Bahdanau, K. Cho and Y. Bengio, Neural machine translation by jointly learning to align and translate
    (2015). For a captioner q is the state, (N, 1, H), and k and v are the regions of its photo, (N, 49, D).

    Args:
        q: (…, T, Q). k: (…, S, K). v: (…, S, E). Wq: (Q, A). Wk: (K, A). w: (A,).
        mask: booleans or floats, as in :func:`attention`.

    Returns:
        ``(values, weights)``: (…, T, E) and (…, T, S).

    Raises:
        ValueError: if the shapes do not fit. TypeError: for a mask as in :func:`attention`.

    >>> one = [[1.0]]
    >>> values, weights = additive_attention([[0.0]], [[0.0], [9.0]], [[2.0], [4.0]], one, one, [1.0])
    >>> [round(float(w), 4) for w in weights.data[0]], round(values.item(), 4)
    ([0.2689, 0.7311], 3.4621)
    """
    given = {"q": q, "k": k, "v": v, "Wq": Wq, "Wk": Wk, "w": w}
    try:
        inputs = [x if isinstance(x, Tensor) else Tensor(as_array(x)) for x in given.values()]  # copies arrays
        q, k, v, Wq, Wk, w = map(single, inputs)
        if w.ndim != 1 or Wq.shape != q.shape[-1:] + w.shape or Wk.shape != k.shape[-1:] + w.shape:
            raise ValueError(
                f"Wq must be (Q, A), Wk (K, A) and w (A,) for q (…, T, Q) and k (…, S, K), not Wq {Wq.shape}, "
                f"Wk {Wk.shape} and w {w.shape} for {q.shape} and {k.shape}"
            )
        stack, mask = check_attention(q, k, v, mask)
    except (TypeError, ValueError) as error:
        raise explain("additive_attention", given.items(), error) from None
    with scope("additive_attention"):
        hidden = np.tanh(np.expand_dims(q @ Wq, -2) + np.expand_dims(k @ Wk, -3))
        p: Any = weights_of(hidden @ w, None if mask is None else Tensor(mask))
        p = np.broadcast_to(p, (*stack, q.shape[-2], k.shape[-2]))
        return _rounded(p @ v, inputs), _rounded(p, inputs)


def _rounded(y: Tensor, inputs: Sequence[Tensor]) -> Tensor:
    """Convert a result that was computed in single precision back to half if all inputs have it."""
    return y.astype(np.float16) if np.result_type(*(x.dtype for x in inputs)) == np.float16 else y
