"""Scores of queries against keys, never all at once: the softmax of each query's scores, and its way back, in blocks.

B stacked problems, T queries, S keys, D features, E values. With scores s = q k' and weights p = softmax(s), out = p v.
Forwards each query keeps the logarithm of the sum of its exponentials, from which p = exp(s - logsum) comes again on
the way back, block by block: memory grows with T + S and not with T S (M. Rabe and C. Staats, Self-attention does not
need O(n^2) memory, 2021; T. Dao et al., FlashAttention, 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ...runtime.threads import get_num_threads, run_in_parallel, split
from ...spec import Array
from .columns import workspace

__all__ = ["Looking", "attend", "attend_back"]

_LARGEST = 2**18  # scores at a time: a megabyte in float32, so that a block stays in the processor's cache
_CAUSAL = 128  # queries at a time, if these do not look at keys behind their own
_SMALL = 30.0  # scores: e^30 is 1e13


class Looking(NamedTuple):
    """Where queries may look.

    Fields:
        masks: (M, T, S), true where a query may look, or floats to add to scores; None for everywhere.
        which: the mask of each problem (B,).
        causal: whether query t may look at the keys 0 … t alone.
    """

    masks: Array | None
    which: Array
    causal: bool

    def hide(self, scores: Array, stack: slice, rows: slice) -> None:
        """-inf where a query may not look, in the scores of some stacked problems, queries and the first keys."""
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
    """softmax(q k') v of q (B, T, D), k (B, S, D) and v (B, S, E), as (B, T, E), and the logsums (B, T).

    A query that may look nowhere gets 0, and the logsum 0.
    """
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    logsums = np.empty(q.shape[:2], q.dtype)
    turned, ones, small = _turned(k, q.shape[1]), np.ones(k.shape[1], q.dtype), _are_small(q, k, v)

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        s = _products("scores", q, turned, stack, rows, keys)
        looking.hide(s, stack, rows)
        top: Any = 0.0 if small else s.max(axis=2, initial=-np.inf)
        if not small:
            top[np.isneginf(top)] = 0  # nothing to look at
            s -= top[:, :, None]
        np.exp(s, out=s)
        # No sum of weights is invalid, but OpenBLAS may raise the flag for entries that it skips.
        with np.errstate(invalid="ignore"):
            total = s @ ones[:keys]
        total[total == 0] = 1
        np.matmul(s, v[stack, :keys], out=out[stack, rows])
        out[stack, rows] /= total[:, :, None]
        logsums[stack, rows] = np.log(total) + top

    _in_blocks(q, k, looking, blocks)
    return out, logsums


def attend_back(
    g: Array, needs: tuple[bool, ...], q: Array, k: Array, v: Array, out: Array, logsums: Array, looking: Looking
) -> tuple[Array | None, Array | None, Array | None]:
    """Cotangents of q, k and v from that of out, g (B, T, E), each if it is needed.

    With dp = g v': ds = p (dp - sum(p dp)), whose sum over the keys is that of g out; dq = ds k, dk = ds' q, dv = p' g.
    What is taken off the scores and off dp is a column of q and of g, which meets ones in k' and v'.
    """
    T = q.shape[1]
    to_scores, turned_k = _with_column(q, -logsums), _turned(k, T, ones=True)
    dq = np.empty_like(q) if needs[0] else None
    dk, dv = ((np.empty_like if T else np.zeros_like)(x) if need else None
              for x, need in zip((k, v), needs[1:], strict=True))  # fmt: skip
    if needs[0] or needs[1]:
        to_slopes, turned_v = _with_column(g, -np.vecdot(g, out)), _turned(v, T, ones=True)

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        p = _products("scores", to_scores, turned_k, stack, rows, keys)
        looking.hide(p, stack, rows)
        np.exp(p, out=p)
        if dv is not None:
            _add_products(dv, stack, rows, p, g)
        if dq is None and dk is None:
            return
        ds = _products("dscores", to_slopes, turned_v, stack, rows, keys)
        ds *= p
        if dq is not None:
            np.matmul(ds, k[stack, :keys], out=dq[stack, rows])
        if dk is not None:
            _add_products(dk, stack, rows, ds, q)

    _in_blocks(q, k, looking, blocks)
    return dq, dk, dv


def _are_small(q: Array, k: Array, v: Array) -> bool:
    """Whether no score is so large that its exponential, or a sum of values times these, could overflow or vanish.

    By |q k'| <= |q| |k|. NaN is not small. Else the largest score of each query is found and taken off, in two passes
    over all scores; few queries have fewer of these than the keys have features.
    """
    if q.shape[1] < q.shape[2] or not q.size or not k.size:
        return False
    squares = float(np.vecdot(q, q).max()) * float(np.vecdot(k, k).max())
    return squares < _SMALL**2 and float(np.abs(v).max(initial=0)) < 1e15


def _turned(x: Array, T: int, ones: bool = False) -> Array:
    """x (B, S, D) as (B, D, S), for T rows to be multiplied with; with a row of ones below if they are wanted.

    In memory so, too, where T rows make up for the copy.
    """
    (B, S, D), copied = x.shape, 2 * x.shape[2] <= T
    if not ones and not copied:
        return x.swapaxes(1, 2)
    if copied:
        turned = np.empty((B, D + ones, S), x.dtype)
    else:
        turned = np.empty((B, S, D + ones), x.dtype).swapaxes(1, 2)
    turned[:, :D], turned[:, D:] = x.swapaxes(1, 2), 1
    return turned


def _with_column(x: Array, column: Array) -> Array:
    """x (B, T, D) with one more column (B, T)."""
    return np.concatenate([x, column[:, :, None]], axis=2)


def _products(name: str, rows_of: Array, turned: Array, stack: slice, rows: slice, keys: int) -> Array:
    """Products of some problems' rows with the first keys, in memory that the next call for the name uses again."""
    shape = stack.stop - stack.start, rows.stop - rows.start, keys
    out = workspace(name, shape, rows_of.dtype)
    return np.matmul(rows_of[stack, rows], turned[stack, :, :keys], out=out)


def _add_products(into: Array, stack: slice, rows: slice, weights: Array, x: Array) -> None:
    """Add weights' x of some problems' rows to the first keys; the first rows of a problem write it."""
    keys, turned = weights.shape[2], weights.swapaxes(1, 2)
    multiply: Any = np.matmul if weights.shape[1] > 1 else np.multiply  # of one row five times as fast
    if rows.start:
        into[stack, :keys] += multiply(turned, x[stack, rows])
    else:
        multiply(turned, x[stack, rows], out=into[stack, :keys])
        into[stack, keys:] = 0


def _in_blocks(q: Array, k: Array, looking: Looking, work: Callable[[slice, slice, int], None]) -> None:
    """Call ``work(stack, rows, keys)`` for all blocks; those of unlike problems may run side by side."""
    (B, T), S = q.shape[:2], k.shape[1]
    # Of causal queries fewer, since keys behind the last are left out.
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
