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

__all__ = ["AttentionMask", "attend", "attend_back"]

_LARGEST = 2**18  # scores in a block: a megabyte in float32, which stays in the processor's cache
_CAUSAL = 128  # queries in a block, if they do not attend to keys after their own
_WORTH_THREADS = 2**24  # multiplications, an exponential counted as 32, from which two threads are faster than one


class AttentionMask(NamedTuple):
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


def attend(q: Array, k: Array, v: Array, mask: AttentionMask) -> tuple[Array, Array]:
    """Return softmax(q k') v for q (B, T, D), k (B, S, D) and v (B, S, E), as (B, T, E), and the logsums (B, T).

    A query that may attend to no key gets 0, and the logsum 0.
    """
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    logsums = np.empty(q.shape[:2], q.dtype)

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        s = q[stack, rows] @ k[stack, :keys].swapaxes(1, 2)
        mask.hide(s, stack, rows)
        weights, total, logsum = _weights(s)
        np.divide(weights @ v[stack, :keys], total, out=out[stack, rows])
        logsums[stack, rows] = logsum[:, :, 0]

    _in_blocks(q, k, mask, blocks)
    return out, logsums


@fused
def _weights(s: Any) -> tuple[Any, Any, Any]:
    """Return the exponentials of scores, in units of the largest one, their sums, and the logarithms of all sums."""
    top = s.max(-1, keepdims=True, initial=-np.inf)
    top = np.where(top == -np.inf, 0, top)  # no key to attend to
    weights = np.exp(s - top)
    total = weights.sum(-1, keepdims=True)
    total = np.where(total == 0, 1, total)
    return weights, total, np.log(total) + top


def attend_back(
    g: Array, needs: tuple[bool, ...], q: Array, k: Array, v: Array, out: Array, logsums: Array, mask: AttentionMask
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the needed cotangents of q, k and v, given that of out, g (B, T, E).

    With dp = g v': ds = p (dp - sum(p dp)), whose sum over the keys is that of g out; dq = ds k, dk = ds' q, dv = p' g.
    """
    empty = np.empty_like if q.shape[1] else np.zeros_like
    dq, dk, dv = (empty(x) if need else None for x, need in zip((q, k, v), needs, strict=True))
    sums, means = logsums[:, :, None], np.vecdot(g, out)[:, :, None]

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        s = q[stack, rows] @ k[stack, :keys].swapaxes(1, 2)
        mask.hide(s, stack, rows)
        p = _shares(s, sums[stack, rows])
        if dv is not None:
            _add_products(dv, stack, rows, p, g)
        if dq is None and dk is None:
            return
        ds = _slopes(g[stack, rows] @ v[stack, :keys].swapaxes(1, 2), p, means[stack, rows])
        if dq is not None:
            np.matmul(ds, k[stack, :keys], out=dq[stack, rows])
        if dk is not None:
            _add_products(dk, stack, rows, ds, q)

    _in_blocks(q, k, mask, blocks)
    return dq, dk, dv


_shares = fused(lambda s, logsums: np.exp(s - logsums))
_slopes = fused(lambda dp, p, means: p * (dp - means))


def _add_products(into: Array, stack: slice, rows: slice, weights: Array, x: Array) -> None:
    """Add weights' x of some problems' rows to the first keys; the first rows of a problem overwrite it."""
    keys, turned = weights.shape[2], weights.swapaxes(1, 2)
    multiply: Any = np.matmul if weights.shape[1] > 1 else np.multiply  # for one row five times as fast
    if rows.start:
        into[stack, :keys] += multiply(turned, x[stack, rows])
    else:
        multiply(turned, x[stack, rows], out=into[stack, :keys])
        into[stack, keys:] = 0


def _in_blocks(q: Array, k: Array, mask: AttentionMask, work: Callable[[slice, slice, int], None]) -> None:
    """Call ``work(stack, rows, keys)`` for all blocks; blocks of different problems may run in parallel."""
    (B, T), S = q.shape[:2], k.shape[1]
    # Use fewer queries in causal blocks, because keys after the last query are skipped.
    step = max(1, min(T, _CAUSAL if mask.causal else T, _LARGEST // max(S, 1)))
    together = max(1, _LARGEST // max(step * S, 1))

    def go_through(part: slice) -> None:
        for start in range(part.start, part.stop, together):
            stack = slice(start, min(start + together, part.stop))
            for first in range(0, T, step):
                end = min(first + step, T)
                work(stack, slice(first, end), min(S, end) if mask.causal else S)

    multiplications = B * T * S * (2 * q.shape[2] + 32)  # with as many values as features
    parts = split(B, min(B, get_num_threads() if multiplications >= _WORTH_THREADS else 1))
    run_in_parallel([partial(go_through, part) for part in parts])
