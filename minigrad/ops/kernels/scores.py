"""Scores of queries against keys, never all at once: the softmax of each query's scores, and its way back, in blocks.

B stacked problems, T queries, S keys, D features, E values. With scores s = q k' and weights p = softmax(s), out = p v.
Forwards each query keeps the logarithm of the sum of its exponentials, from which p = exp(s - logsum) comes again on
the way back, block by block: memory grows with T + S and not with T S (M. Rabe and C. Staats, Self-attention does not
need O(n^2) memory, 2021; T. Dao et al., FlashAttention, 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from ...runtime.threads import get_num_threads, run_in_parallel, split
from ...spec import Array
from .columns import workspace

__all__ = ["Looking", "attend", "attend_back"]

_LARGEST = 2**17  # scores at a time: half a megabyte in float32, so that a block stays in the processor's cache


class Looking(NamedTuple):
    """Where queries may look.

    Fields:
        masks: (M, T, S), true where a query may look; None for everywhere. which: the mask of each problem (B,).
        causal: whether query t may look at the keys 0 … t alone.
    """

    masks: Array | None
    which: Array
    causal: bool

    def hide(self, scores: Array, stack: slice, rows: slice) -> None:
        """-inf where a query may not look, in the scores of some stacked problems, queries and the first keys."""
        if self.masks is not None:
            np.copyto(scores, -np.inf, where=~self.masks[self.which[stack], rows, : scores.shape[2]])
        if self.causal and rows.start < scores.shape[2] - 1:
            later = np.arange(rows.start, rows.stop)[:, None] < np.arange(scores.shape[2])
            np.copyto(scores, -np.inf, where=later)


def attend(q: Array, k: Array, v: Array, looking: Looking) -> tuple[Array, Array]:
    """softmax(q k') v of q (B, T, D), k (B, S, D) and v (B, S, E), as (B, T, E), and the logsums (B, T).

    A query that may look nowhere gets 0, and the logsum inf.
    """
    out = np.empty((*q.shape[:2], v.shape[2]), q.dtype)
    logsums = np.empty(q.shape[:2], q.dtype)

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        s = _scores(q, k, looking, stack, rows, keys)
        top = s.max(axis=2, keepdims=True, initial=-np.inf)
        top[np.isneginf(top)] = 0  # nothing to look at
        s -= top
        np.exp(s, out=s)
        total = s.sum(axis=2, keepdims=True)
        nowhere = total == 0
        total[nowhere] = 1
        np.matmul(s, v[stack, :keys], out=out[stack, rows])
        out[stack, rows] /= total
        top += np.log(total)
        top[nowhere] = np.inf
        logsums[stack, rows] = top[:, :, 0]

    _in_blocks(q, k, looking, blocks)
    return out, logsums


def attend_back(
    g: Array, needs: tuple[bool, ...], q: Array, k: Array, v: Array, out: Array, logsums: Array, looking: Looking
) -> tuple[Array | None, Array | None, Array | None]:
    """Cotangents of q, k and v from that of out, g (B, T, E), each if it is needed.

    With dp = g v': ds = p (dp - sum(p dp)), whose sum over the keys is that of g out; dq = ds k, dk = ds' q, dv = p' g.
    """
    dq = np.empty_like(q) if needs[0] else None
    dk, dv = (np.zeros_like(x) if need else None for x, need in zip((k, v), needs[1:], strict=True))

    def blocks(stack: slice, rows: slice, keys: int) -> None:
        p = _scores(q, k, looking, stack, rows, keys)
        p -= logsums[stack, rows, None]
        np.exp(p, out=p)
        g_rows = g[stack, rows]
        if dv is not None:
            dv[stack, :keys] += p.swapaxes(1, 2) @ g_rows
        if dq is None and dk is None:
            return
        ds = np.matmul(g_rows, v[stack, :keys].swapaxes(1, 2), out=workspace("dscores", p.shape, p.dtype))
        ds -= np.einsum("bte,bte->bt", g_rows, out[stack, rows])[:, :, None]
        ds *= p
        if dq is not None:
            np.matmul(ds, k[stack, :keys], out=dq[stack, rows])
        if dk is not None:
            dk[stack, :keys] += ds.swapaxes(1, 2) @ q[stack, rows]

    _in_blocks(q, k, looking, blocks)
    return dq, dk, dv


def _scores(q: Array, k: Array, looking: Looking, stack: slice, rows: slice, keys: int) -> Array:
    """Scores of some problems and queries against the first keys, in memory that the next call uses again."""
    shape = stack.stop - stack.start, rows.stop - rows.start, keys
    s = np.matmul(q[stack, rows], k[stack, :keys].swapaxes(1, 2), out=workspace("scores", shape, q.dtype))
    looking.hide(s, stack, rows)
    return s


def _in_blocks(q: Array, k: Array, looking: Looking, work: Callable[[slice, slice, int], None]) -> None:
    """Call ``work(stack, rows, keys)`` for all blocks; those of unlike problems may run side by side."""
    (B, T), S = q.shape[:2], k.shape[1]
    parts = split(B, min(B, get_num_threads() if B * T * S > _LARGEST else 1))
    run_in_parallel([partial(_go_through, part, T, S, looking.causal, work) for part in parts])


def _go_through(part: slice, T: int, S: int, causal: bool, work: Callable[[slice, slice, int], None]) -> None:
    for stack, rows in _blocks(part, T, S):
        work(stack, rows, min(S, rows.stop) if causal else S)


def _blocks(part: slice, T: int, S: int) -> Iterator[tuple[slice, slice]]:
    """Several problems with all their queries, if these fit; else one problem, and some of its queries."""
    together = _LARGEST // max(T * S, 1)
    if together:
        for start in range(part.start, part.stop, together):
            yield slice(start, min(start + together, part.stop)), slice(0, T)
        return
    rows = max(1, _LARGEST // S)
    for number in range(part.start, part.stop):
        for start in range(0, T, rows):
            yield slice(number, number + 1), slice(start, min(start + rows, T))
