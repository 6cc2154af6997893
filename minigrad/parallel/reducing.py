"""Gradients that are there already, summed over ranks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..core import Tensor, plain
from .broadcasting import check_alike
from .buckets import BUCKET_BYTES, Buckets
from .communicators import pin, unpin, world
from .sharding import blocks_of_shards

__all__ = ["all_reduce_gradients"]


def all_reduce_gradients(params: Iterable[Tensor], comm: Any = None) -> None:
    """Put the sum over all ranks, in their order, in place of each parameter's ``.grad``: a new array.

    For gradients that are there after a pass; `DataParallel` sends them while it goes on. A parameter without a
    gradient here, but with one elsewhere, gets the sum of those; without any it has none.

    Args:
        params: the same parameters on every rank, in the same order.
        comm: mpi4py's communicator; all that were started together by default.

    Raises:
        ValueError: if another rank has others, by shapes or dtypes; on every rank.

    >>> import minigrad as mg
    >>> p = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> all_reduce_gradients([p])
    >>> p.grad
    array([2., 4.], dtype=float32)
    """
    comm = world() if comm is None else comm
    if comm.size == 1:
        return
    params = list(params)
    check_alike([p.data for p in params], comm)
    buckets = Buckets(params, blocks_of_shards(comm.size, comm.size), comm, BUCKET_BYTES)
    pin(buckets)
    for i, p in enumerate(params):
        if p.grad is not None:
            buckets.put(i, plain(p.grad))
    buckets.close()
    for p, total in zip(params, buckets.sums(), strict=True):
        p.grad = total
    unpin(buckets)
    buckets.free()
