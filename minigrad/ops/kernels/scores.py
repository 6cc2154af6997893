"""Softmax of the scores of queries against keys, forward and backward, in blocks: never all scores at once.

B stacked problems, T queries, S keys, D features, E values. With scores s = q k' and weights p = softmax(s), out = p v.
The forward pass keeps the logarithm of the sum of exponentials of each query. The backward pass recomputes
p = exp(s - logsum) from it, block by block, so memory grows with T + S and not with T S (M. Rabe and C. Staats,
Self-attention does not need O(n^2) memory, 2021; T. Dao et al., FlashAttention, 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...compiler import fused
from ...runtime.threads import get_num_threads, run_in_parallel, split
from ...spec import Array
from .columns import workspace

__all__ = ["Looking", "attend", "attend_back"]

_LARGEST = 2**18  # scores in a block: a megabyte in float32, which stays in the processor's cache
_CAUSAL = 128  # queries in a block, if they do not attend to keys after their own
_SMALL = 30.0  # scores: e^30 is 1e13


class Looking(NamedTuple):
    """The keys to which queries may attend.

    Fields:
        masks: (M, T, S), true for keys to which a query may attend, or floats to add to scores; None for all keys.
        which: the mask of each problem (B,).
        causal: whether query t may attend only to the keys 0 … t.
    """

    masks: Array | None
    which: Array
    causal: bool

    def hide(self, scores: Array, stack: slice, rows: slice) -> None:
        """Set scores of some stacked problems, queries and the first keys to -inf if the mask excludes a key."""
        if self.masks is not None:
            masks = self.masks[self.which[stack], rows, : scores.shape[2]]
            if masks.dtype == bool:
                np.copyto(scores, -np.inf, where=~masks)
            else:
                scores += masks
        if self.causal and rows.start < scores.shape[2] - 1:
            later = np.arange(rows.start, rows.stop)[:, None] < np.arange(scores.shape[2])
            np.copyto(scores, -np.inf, where=later)


def attend(q: Array, k: Array, v: Array, looking: Looking) -> tuple[Array, Array]:
    """Return softmax(q k') v for q (B, T, D), k (B, S, D) and v (B, S, E), as (B, T, E), and the logsums (B, T).

    A query that may attend to no key gets 0, and the logsum 0.
    """
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    logsums = np.empty(q.shape[:2], q.dtype)
    turned, ones, small = _turned(k, q.shape[1]), np.ones(k.shape[1], q.dtype), _are_small(q, k, v)

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        s = _products("scores", q, turned, stack, rows, keys)
        looking.hide(s, stack, rows)
        top = None if small else s.max(axis=2, keepdims=True, initial=-np.inf)
        if top is not None:
            top[np.isneginf(top)] = 0  # no key to attend to
        _exponentials(s, top)
        # No sum of weights is invalid, but OpenBLAS may raise the flag for entries that it skips.
        with np.errstate(invalid="ignore"):
            total = s @ ones[:keys]
        total[total == 0] = 1
        np.matmul(s, v[stack, :keys], out=out[stack, rows])
        out[stack, rows] /= total[:, :, None]
        logsums[stack, rows] = np.log(total) + (0 if top is None else top[:, :, 0])

    _in_blocks(q, k, looking, blocks)
    return out, logsums


def attend_back(
    g: Array, needs: tuple[bool, ...], q: Array, k: Array, v: Array, out: Array, logsums: Array, looking: Looking
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the needed cotangents of q, k and v, given that of out, g (B, T, E).

    With dp = g v': ds = p (dp - sum(p dp)), whose sum over the keys is that of g out; dq = ds k, dk = ds' q, dv = p' g.
    """
    T = q.shape[1]
    turned_k, turned_v, along = _turned(k, T), _turned(v, T), np.vecdot(g, out)[:, :, None]
    dq = np.empty_like(q) if needs[0] else None
    dk, dv = ((np.empty_like if T else np.zeros_like)(x) if need else None
              for x, need in zip((k, v), needs[1:], strict=True))  # fmt: skip

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        p = _products("scores", q, turned_k, stack, rows, keys)
        looking.hide(p, stack, rows)
        _exponentials(p, logsums[stack, rows, None].copy())  # contiguous, as kernels need them
        if dv is not None:
            _add_products(dv, stack, rows, p, g)
        if dq is None and dk is None:
            return
        ds = _products("dscores", g, turned_v, stack, rows, keys)
        _pull_weights(ds, p, along[stack, rows].copy())
        if dq is not None:
            np.matmul(ds, k[stack, :keys], out=dq[stack, rows])
        if dk is not None:
            _add_products(dk, stack, rows, ds, q)

    _in_blocks(q, k, looking, blocks)
    return dq, dk, dv


def _are_small(q: Array, k: Array, v: Array) -> bool:
    """Return whether no exponential of a score, nor a sum of values times these, could overflow or vanish.

    This uses |q k'| <= |q| |k|. NaN is not small. Otherwise the largest score of each query is found and subtracted, in
    two passes over all scores. For few queries this is cheaper than the norms of the keys.
    """
    if q.shape[1] < q.shape[2] or not q.size or not k.size:
        return False
    squares = float(np.vecdot(q, q).max()) * float(np.vecdot(k, k).max())
    return squares < _SMALL**2 and float(np.abs(v).max(initial=0)) < 1e15


@fused(writes=(0,))
def _exponentials(s: Any, less: Any) -> None:
    if less is not None:
        s -= less
    np.exp(s, out=s)


@fused(writes=(0,))
def _pull_weights(ds: Any, p: Any, less: Any) -> None:
    ds -= less
    ds *= p


def _turned(x: Array, T: int) -> Array:
    """Return x (B, S, D) as (B, D, S), by which to multiply T rows; contiguous if T makes up for the copy."""
    turned = x.swapaxes(1, 2)
    return turned.copy() if 2 * x.shape[2] <= T else turned


def _products(name: str, rows_of: Array, turned: Array, stack: slice, rows: slice, keys: int) -> Array:
    """Multiply some problems' rows by the first keys, in memory that the next call with the name reuses."""
    shape = stack.stop - stack.start, rows.stop - rows.start, keys
    out = workspace(name, shape, rows_of.dtype)
    return np.matmul(rows_of[stack, rows], turned[stack, :, :keys], out=out)


def _add_products(into: Array, stack: slice, rows: slice, weights: Array, x: Array) -> None:
    """Add weights' x of some problems' rows to the first keys; the first rows of a problem overwrite it."""
    keys, turned = weights.shape[2], weights.swapaxes(1, 2)
    multiply: Any = np.matmul if weights.shape[1] > 1 else np.multiply  # for one row five times as fast
    if rows.start:
        into[stack, :keys] += multiply(turned, x[stack, rows])
    else:
        multiply(turned, x[stack, rows], out=into[stack, :keys])
        into[stack, keys:] = 0


def _in_blocks(q: Array, k: Array, looking: Looking, work: Callable[[slice, slice, int], None]) -> None:
    """Call ``work(stack, rows, keys)`` for all blocks; blocks of different problems may run in parallel."""
    (B, T), S = q.shape[:2], k.shape[1]
    # Use fewer queries in causal blocks, because keys after the last query are skipped.
    step = max(1, min(T, _CAUSAL if looking.causal else T, _LARGEST // max(S, 1)))
    together = max(1, _LARGEST // max(step * S, 1))

    def go_through(part: slice) -> None:
        for start in range(part.start, part.stop, together):
            stack = slice(start, min(start + together, part.stop))
            for first in range(0, T, step):
                end = min(first + step, T)
                work(stack, slice(first, end), min(S, end) if looking.causal else S)

    parts = split(B, min(B, get_num_threads() if B * T * S > _LARGEST else 1))
    run_in_parallel([partial(go_through, part) for part in parts])
