"""Train on shards of each batch, in one process or on many ranks, to the same bits.

Each shard has one forward and one backward pass, and the gradient of the batch is the sum over shards in their order.
Shards, not ranks, determine the computation: for the same shards, any number of ranks gives the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from ..core import Leaf, Tensor
from ..spec import as_whole
from .communicators import world
from .gradient_sums import BUCKET_BYTES, Buckets, blocks_of_shards
from .replicas import broadcast_parameters, check_same

__all__ = ["DataParallel", "Part", "shard"]


def shard(rows: Any, number: int | None = None, of: int | None = None) -> Any:
    """Return the rows of a shard: every ``of``-th of them, from ``number`` on.

    Args:
        rows: an array, a list or anything that has slices: (N, …).
        number: the number of the shard, from 0; by default the rank of this process.
        of: the number of shards; by default the number of ranks.

    Returns:
        rows[number::of], about N / of rows. Adjacent rows go to different shards. If rows are sorted by length, shards
        are similar.

    Raises:
        ValueError: unless 0 <= number < of.

    >>> shard([5, 6, 7, 8, 9], 1, of=2)
    [6, 8]
    """
    number = world().rank if number is None else number
    of = world().size if of is None else of
    if not 0 <= number < of:
        raise ValueError(f"shard: number must be from 0 to below {of}, the number of shards; got {number}")
    return rows[number::of]


class Part(NamedTuple):
    """One shard of a batch.

    number: the number of the shard, from 0. rows: its rows of the batch. share: their share of all rows, above 0 and at
        most 1, which is the weight of a mean over them in the mean over the batch.
    """

    number: int
    rows: Any
    share: float


class DataParallel:
    """Trains a module on shards of each batch, which the ranks divide among them.

    Every rank creates one from a module built in the same way; all ranks get the weights and buffers of rank 0. Then,
    for a loss that is a mean over rows:

    >>> import numpy as np, minigrad as mg
    >>> model = mg.nn.Linear(3, 1)
    >>> sgd = mg.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = np.ones((6, 3), np.float32), np.zeros((6, 1), np.float32)
    >>> parallel = DataParallel(model, shards=2)
    >>> for part in parallel.parts(np.arange(6)):
    ...     loss = mg.mse_loss(model(x[part.rows]), y[part.rows])
    ...     (part.share * loss).backward()
    >>> sgd.step()

    For the same shards, any number of ranks gives the same bits, on identical machines (same processor, threads
    and versions). Every gradient is the sum over shards in their order, and the loop leaves it on all ranks. Draw
    random numbers by shard, for example from a generator of (seed, iteration, part.number). Buffers that a forward pass
    changes, such as the running statistics of batch normalisation, are not summed: each rank has those of its own
    shards.

    An error on one rank leaves the others waiting: `minigrad.parallel.together` ends them, too.

    Args:
        module: an `nn.Module`.
        shards: the number of shards of each batch; by default the number of ranks.
        comm: mpi4py's communicator; by default all processes that were started together.
        bucket_bytes: the size of a message, see `minigrad.parallel.gradient_sums`.

    Raises:
        ValueError: if there are fewer shards than ranks. On every rank, if one has other parameters or options.
    """

    def __init__(
        self, module: Any, shards: int | None = None, comm: Any = None, bucket_bytes: int = BUCKET_BYTES
    ) -> None:
        self.module, self.comm = module, world() if comm is None else comm
        self.shards = self.comm.size if shards is None else as_whole("DataParallel", "shards", shards)
        size = as_whole("DataParallel", "bucket_bytes", bucket_bytes)
        self._blocks = blocks_of_shards(self.shards, self.comm.size)
        self._params: list[Tensor] = list(module.parameters())
        check_same("shards and bucket_bytes", [self.shards, size], self.comm)
        broadcast_parameters(module, comm=self.comm)
        self._buckets = Buckets(self._params, self._blocks, self.comm, size) if self.comm.size > 1 else None
        self._travelling = False

    def parts(self, rows: Any) -> Iterator[Part]:
        """Return the shards of a batch that this rank computes, one after the other; every rank loops to the end.

        The loop's body has one backward pass of the part's loss. The loop clears earlier gradients, and after it
        ``.grad`` of every parameter has the sum over all shards, on every rank. A shard without rows is skipped.

        Args:
            rows: the rows of the batch, the same on every rank: an array (N, …), such as row numbers.

        Raises:
            ValueError: on several ranks, if a second pass computes a gradient of the same part: the first may have been
                sent. A single process adds it up, as ``backward`` does.
            RuntimeError: if an earlier loop was left before its end, by an error or by `break`. If the parameters of
                the module have changed since this object was created.
        """
        if [*map(id, self.module.parameters())] != [*map(id, self._params)]:
            raise RuntimeError("parallel: the module's parameters have changed since the DataParallel was created, "
                               "so their gradients would not be summed. Create a new one on every rank.")  # fmt: skip
        return self._alone(rows) if self._buckets is None else self._among_others(rows, self._buckets)

    def own(self, rows: Any) -> list[Part]:
        """Return the parts of `parts` without the loop, to read their rows ahead."""
        rows_of = {number: shard(rows, number, self.shards) for number in self._blocks[self.comm.rank]}
        return [Part(number, own, len(own) / len(rows)) for number, own in rows_of.items() if len(own)]

    def _alone(self, rows: Any) -> Iterator[Part]:
        self.module.zero_grad()
        yield from self.own(rows)

    def _among_others(self, rows: Any, buckets: Buckets) -> Iterator[Part]:
        if self._travelling:
            raise RuntimeError("parallel: a loop over parts was left before its end, and its gradients are still being "
                               "sent. Create a new DataParallel on every rank.")  # fmt: skip
        self._travelling = True
        hooks = [
            p.register_hook(partial(buckets.put, i))
            for i, p in enumerate(self._params)
            if isinstance(p.node, Leaf)  # a frozen parameter has no gradient
        ]
        try:
            for part in self.own(rows):
                self.module.zero_grad()
                yield part
                buckets.close()
        finally:
            for hook in hooks:
                hook.remove()
        for p, total in zip(self._params, buckets.sums(), strict=True):
            p.grad = total
        self._travelling = False
