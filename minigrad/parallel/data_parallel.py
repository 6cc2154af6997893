"""Training on shards of each batch, in one process or on many ranks, to the same bits.

For each shard there is one forward and one backward pass, and the gradient of the batch is the sum over shards, in
their order. One process does one after the other and lets ``backward`` add up; ranks do them side by side, and send
what the reverse pass has completed while it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..core import Leaf, Tensor
from ..nn import Embedding
from ..spec import DType, describe
from .broadcasting import broadcast_parameters, check_same
from .buckets import BUCKET_BYTES, Buckets
from .communicators import pin, unpin, world
from .sharding import blocks_of_shards, shard

__all__ = ["DataParallel", "Part"]


class Part(NamedTuple):
    """One shard of a batch.

    number: which shard, from 0. rows: those of the batch that belong to it. share: how many of all rows these are, from
    above 0 to 1: by it a mean over them counts in the mean over the batch.
    """

    number: int
    rows: Any
    share: float


class DataParallel:
    """Trains a module on shards of each batch, which the ranks divide among them.

    Every rank makes one, of a module built alike; the weights and buffers of rank 0 become those of all. Then, for a
    loss that is a mean over rows:

    >>> import minigrad as mg
    >>> model = mg.nn.Linear(3, 1)
    >>> sgd = mg.optim.SGD(model.parameters(), lr=0.1)
    >>> x, y = np.ones((6, 3), np.float32), np.zeros((6, 1), np.float32)
    >>> parallel = DataParallel(model, shards=2)
    >>> for part in parallel.parts(np.arange(6)):
    ...     loss = mg.mse_loss(model(x[part.rows]), y[part.rows])
    ...     (part.share * loss).backward()
    >>> sgd.step()

    Any number of ranks that divides the same shards gives the same bits, on machines that compute alike (the same
    processor, threads and versions): every gradient is the sum over shards in their order, and the loop leaves it on
    all ranks. What is drawn at random belongs to a shard, so that it does not depend on who computes it: a generator
    of (seed, iteration, part.number) does. Not summed are buffers that a forward changes, such as the running
    statistics of batch normalisation, which is by shard, too: those of each rank are of its own shards.

    An error on one rank leaves the others waiting: `minigrad.parallel.together` ends them, too.

    Args:
        module: an `nn.Module`.
        shards: into how many each batch is cut; as many as ranks by default.
        comm: mpi4py's communicator; all that were started together by default.
        bucket_bytes: how much travels in one message, see `minigrad.parallel.buckets`.
        compress: 'float16' lets gradients of wider dtypes travel in half precision; they are added up as ever. After a
            loop over `parts` the attribute ``compression_error`` says what that lost of what this rank sent: the norm
            of the rounding over that of the numbers, infinite where one was too large. The bits are then not those of
            one process, where nothing travels. A share from above 0 to below 1, such as 0.01, lets of each bucket and
            shard only so many numbers travel, the largest in size, and adds the others to the next batch's (error
            feedback, see `minigrad.parallel.top_sums`); tables of embeddings travel whole. ``compression_error`` is
            then the norm of what this rank kept over that of what it had. A parameter that once had a gradient has one
            from then on, and what is kept is in no checkpoint: a training that goes on from one begins without.

    Raises:
        ValueError: if there are fewer shards than ranks, or a module of other parameters or other options on another
            rank, or for another compression.
    """

    def __init__(
        self,
        module: Any,
        shards: int | None = None,
        comm: Any = None,
        bucket_bytes: int = BUCKET_BYTES,
        compress: str | float | None = None,
    ) -> None:
        wire, share = _compression(compress)
        self.module, self.comm = module, world() if comm is None else comm
        self.shards = self.comm.size if shards is None else _count("shards", shards)
        size = _count("bucket_bytes", bucket_bytes)
        self._blocks = blocks_of_shards(self.shards, self.comm.size)
        self._params: list[Tensor] = list(module.parameters())
        check_same("shards, bucket_bytes and compress", [self.shards, size, wire is not None, share or 0], self.comm)
        broadcast_parameters(module, comm=self.comm)
        self._buckets: Buckets | None = None
        self._travelling = False
        self.compression_error = 0.0
        if self.comm.size > 1:
            tables = _tables(module, self._params)
            self._buckets = Buckets(self._params, self._blocks, self.comm, size, tables, wire, share)

    def parts(self, rows: Any) -> Iterator[Part]:
        """The shards of a batch that this rank computes, one after the other; every rank loops to the end.

        In the loop's body is one backward pass of the part's loss. The gradients that were there before are dropped,
        and after the loop ``.grad`` of every parameter has the sum over all shards, on every rank. A shard without rows
        is left out.

        Args:
            rows: of the batch, the same on every rank: an array (N, …), such as row numbers.

        Raises:
            ValueError: on ranks, where a second pass brings a gradient of the same part: the first may have been sent.
                One process adds it up, as ``backward`` does, and says nothing: it would have to have a hook on every
                parameter, for which every pass takes longer.
            RuntimeError: if an earlier loop was left before its end, by an error or by `break`; or if the module has
                other parameters than when this was made.
        """
        now = list(self.module.parameters())
        if len(now) != len(self._params) or any(a is not b for a, b in zip(now, self._params, strict=True)):
            raise RuntimeError("parallel: the module has other parameters than when the DataParallel was made, whose "
                               "gradients would not be summed: make a new one, on every rank")  # fmt: skip
        return self._alone(rows) if self._buckets is None else self._among_others(rows, self._buckets)

    def own(self, rows: Any) -> list[Part]:
        """What `parts` goes through, without the loop: for who reads on before."""
        return [part for number in self._blocks[self.comm.rank] for part in self._part(rows, number)]

    def _alone(self, rows: Any) -> Iterator[Part]:
        self._drop()
        yield from self.own(rows)

    def _among_others(self, rows: Any, buckets: Buckets) -> Iterator[Part]:
        if self._travelling:
            raise RuntimeError("parallel: a loop over parts was left before its end, and its gradients are still on "
                               "their way: make a new DataParallel, on every rank")  # fmt: skip
        self._travelling = True
        pin(buckets)
        with self._sending(buckets):
            for number in self._blocks[self.comm.rank]:
                self._drop()
                yield from self._part(rows, number)
                buckets.close()
        for p, total in zip(self._params, buckets.sums(), strict=True):
            p.grad = total
        self.compression_error = buckets.rounding()
        unpin(buckets)
        self._travelling = False

    def _drop(self) -> None:
        for p in self._params:
            p.grad = None

    def _part(self, rows: Any, number: int) -> Iterator[Part]:
        own = shard(rows, number, self.shards)
        if len(own):
            yield Part(number, own, len(own) / len(rows))

    @contextmanager
    def _sending(self, buckets: Buckets) -> Iterator[None]:
        """Within this context gradients go into buckets when a reverse pass has completed them."""
        with ExitStack() as handles:
            for i, p in enumerate(self._params):
                if isinstance(p.node, Leaf):  # a frozen parameter has no gradient
                    handles.callback(p.register_hook(partial(_put, buckets, i)).remove)
            yield


def _tables(module: Any, params: list[Tensor]) -> list[int]:
    """The numbers of parameters that are tables of embeddings."""
    weights = {id(part.weight) for _, part in module.named_modules() if isinstance(part, Embedding)}
    return [i for i, p in enumerate(params) if id(p) in weights]


def _put(buckets: Buckets, i: int, gradient: Any) -> None:
    if isinstance(gradient, Tensor):
        raise TypeError("parallel: a pass that leaves a graph (create_graph) cannot be summed over ranks")
    buckets.put(i, gradient)


def _compression(compress: Any) -> tuple[DType | None, float | None]:
    """The dtype in which gradients travel, and the share of them that does; None where nothing is asked for."""
    if compress is None:
        return None, None
    if isinstance(compress, str) and compress == "float16":
        return np.dtype(np.float16), None
    if isinstance(compress, float | np.floating) and 0 < compress < 1:
        return None, float(compress)
    told = describe(compress) if not isinstance(compress, str | int | float) else repr(compress)
    raise ValueError(f"DataParallel: compress must be 'float16', a share from above 0 to below 1, or None, not {told}")


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ValueError(f"DataParallel: {name} must be an integer of at least 1, not {value!r}")
    return int(value)
