"""Sum gradients over shards in the order of shards, and send them while the reverse pass continues.

Floating-point sums depend on their order, and MPI chooses its own. So MPI adds nothing: each rank gets a slice of every
shard's gradients (all-to-all), adds the slices in the order of shards, and all ranks get all sums (all-gather). This
sends as many bytes as a reduction of large arrays, which has the same two phases.

Gradients are stored in flat buckets of a few megabytes: a message for each parameter takes longer to start than to
send, and one for all can start only when the pass has ended. The last layers' gradients come first and are in the first
bucket. All ranks send their buckets in the same order, as MPI requires.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..core import Tensor, plain
from ..runtime.threads import split
from ..spec import Array
from .communicators import merge, wait, world
from .replicas import as_bytes, check_alike

__all__ = ["BUCKET_BYTES", "Buckets", "all_reduce_gradients", "blocks_of_shards", "groups_of"]

BUCKET_BYTES = 2**22
"""The default size of a bucket."""


def groups_of(params: Sequence[Tensor], bucket_bytes: int = BUCKET_BYTES) -> list[list[int]]:
    """Return the numbers of the parameters in each bucket, the last ones first.

    A bucket has one dtype; only a bucket with a single parameter may exceed ``bucket_bytes``.

    >>> import minigrad as mg
    >>> groups_of([mg.tensor([1.0, 2.0]), mg.tensor([3.0])], bucket_bytes=8)
    [[1], [0]]
    """
    groups: list[list[int]] = []
    size = 0
    for i, p in reversed(list(enumerate(params))):
        if not groups or params[groups[-1][0]].dtype != p.dtype or size + p.data.nbytes > bucket_bytes:
            groups.append([])
            size = 0
        groups[-1].append(i)
        size += p.data.nbytes
    return groups


def blocks_of_shards(shards: int, ranks: int) -> list[range]:
    """Return the shards that each rank computes: runs of about equal length.

    Raises:
        ValueError: if there are fewer shards than ranks.

    >>> blocks_of_shards(4, 2)
    [range(0, 2), range(2, 4)]
    """
    if shards < ranks:
        raise ValueError(
            f"{ranks} ranks cannot share {shards} shard{'s' if shards > 1 else ''}: each needs one. Start at most "
            f"{shards}, or create {ranks} shards"
        )
    return [range(part.start, part.stop) for part in split(shards, ranks)]


class _Bucket:
    """The sum over shards of the gradients of some parameters, reused for every batch.

    Each rank fills ``rows[k]`` for its k-th shard and calls `send`; then `gather` and `sums` give the sum. Every rank
    calls `send` and `gather` in the same order. Two communicators separate outgoing from incoming messages.
    """

    def __init__(self, params: dict[int, Tensor], blocks: list[range], there: Any, back: Any) -> None:
        self._params = params
        ends = np.cumsum([p.size for p in params.values()])
        self.slices = {i: slice(end - p.size, end) for (i, p), end in zip(params.items(), ends, strict=True)}
        self.missing = set(params)  # parameters whose gradient of the current shard has not arrived yet
        self._blocks, self._there, self._back = blocks, there, back
        rounds, width = max(map(len, blocks)), -(-ends[-1] // len(blocks))  # the last slice is padded
        self.rows = np.zeros((rounds, width * len(blocks)), next(iter(params.values())).dtype)
        self._received = np.zeros((rounds, len(blocks), width), self.rows.dtype)
        self._requests: list[Any] = []
        self._returning: Any = None

    def send(self, k: int) -> None:
        """Send the slices of ``rows[k]`` to their ranks; if a rank has no k-th shard, its slices are ignored."""
        if k == 0:  # keep in memory until all has arrived, even after an error: MPI continues writing
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))
        self._requests.append(self._there.Ialltoall(as_bytes(self.rows[k]), as_bytes(self._received[k])))

    def arrived(self) -> bool:
        """Return whether all slices for this rank are here."""
        return len(self._requests) == len(self.rows) and all(request.Test() for request in self._requests)

    def gather(self) -> None:
        """Add up this rank's slices when all are here, and start to send the sum to all ranks."""
        for request in self._requests:
            wait(request)
        self._requests.clear()
        slices = [self._received[k, rank] for rank, block in enumerate(self._blocks) for k in range(len(block))]
        own = slices[0].copy()
        with np.errstate(over="ignore", invalid="ignore"):  # the loss shows an overflow
            for more in slices[1:]:
                own += more
        self._returning = self._back.Iallgather(as_bytes(own), as_bytes(self.rows[0]))

    def sums(self) -> dict[int, Array]:
        """Return the sum of each parameter's gradients, a new array."""
        wait(self._returning)
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(self))
        return {i: self.rows[0, where].reshape(self._params[i].shape).copy() for i, where in self.slices.items()}


class Buckets:
    """The gradients of parameters, summed over all shards.

    For each of a rank's shards, `put` takes its gradients in any order, and `close` ends it. Full buckets are sent in
    the meantime. `sums` returns the sums and prepares the buckets for the next batch.
    """

    def __init__(
        self, params: Sequence[Tensor], blocks: list[range], comm: Any, bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        self._rounds = max(map(len, blocks))
        self._there, self._back = comm.Dup(), comm.Dup()
        groups = [{i: params[i] for i in group} for group in groups_of(params, bucket_bytes)]
        self._buckets = [_Bucket(group, blocks, self._there, self._back) for group in groups]
        self._bucket_of = {i: bucket for bucket in self._buckets for i in bucket.slices}
        self._round = self._sent = self._gathered = 0
        self._found = np.zeros(len(params), int)  # whether any shard here had a gradient

    def put(self, i: int, gradient: Any) -> None:
        """Take the gradient of parameter ``i`` of the current shard.

        Raises:
            ValueError: if it has already arrived.
            TypeError: if it has a graph.
        """
        bucket = self._bucket_of[i]
        if isinstance(gradient, Tensor):
            raise TypeError("parallel: a pass that leaves a graph (create_graph) cannot be summed over ranks")
        if i not in bucket.missing:
            raise ValueError(
                "parallel: a second backward pass computed a gradient of the same part, and the first one may have "
                "been sent. Add up the losses of a part, and call backward once."
            )
        bucket.rows[self._round, bucket.slices[i]] = gradient.reshape(-1)
        bucket.missing.remove(i)
        self._found[i] = 1
        self._advance()

    def close(self) -> None:
        """End the current shard: parameters without a gradient add nothing to the sum."""
        for bucket in self._buckets:
            for i in bucket.missing:
                bucket.rows[self._round, bucket.slices[i]] = -0.0  # unlike 0.0, it also preserves x = -0.0
            bucket.missing.clear()
        self._advance()
        self._round, self._sent = self._round + 1, 0
        for bucket in self._buckets:
            bucket.missing.update(bucket.slices)

    def _advance(self) -> None:
        """Send full buckets, and return complete sums, both in the order of buckets."""
        while self._sent < len(self._buckets) and not self._buckets[self._sent].missing:
            self._buckets[self._sent].send(self._round)
            self._sent += 1
        while self._gathered < len(self._buckets) and self._buckets[self._gathered].arrived():
            self._buckets[self._gathered].gather()
            self._gathered += 1

    def sums(self) -> list[Array | None]:
        """Return the gradient of each parameter summed over all shards, a new array; None where no shard had one."""
        while self._round < self._rounds:  # a rank with fewer shards than others
            self.close()
        for bucket in self._buckets[self._gathered :]:
            bucket.gather()
        sums = {i: total for bucket in self._buckets for i, total in bucket.sums().items()}
        found = merge(self._there, self._found)
        self._round = self._gathered = 0
        self._found = np.zeros_like(found)
        return [sums[i] if there else None for i, there in enumerate(found)]

    def free(self) -> None:
        """Free the communicators."""
        self._there.Free()
        self._back.Free()


def all_reduce_gradients(params: Iterable[Tensor], comm: Any = None) -> None:
    """Replace each parameter's ``.grad`` by the sum over all ranks, in their order: a new array.

    Call it after the reverse pass; `DataParallel` sends gradients during the pass. A parameter without a gradient on
    some ranks gets the sum of the others; it stays None if no rank has one.

    Args:
        params: the same parameters on every rank, in the same order.
        comm: mpi4py's communicator; by default all processes that were started together.

    Raises:
        ValueError: on every rank, if one has other shapes or dtypes.

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
    buckets = Buckets(params, blocks_of_shards(comm.size, comm.size), comm)
    for i, p in enumerate(params):
        if p.grad is not None:
            buckets.put(i, plain(p.grad))
    for p, total in zip(params, buckets.sums(), strict=True):
        p.grad = total
    buckets.free()
