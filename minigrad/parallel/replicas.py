"""Copy the data of one rank to all ranks, and check that all ranks have the same."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..spec import Array
from ..writes import written
from .communicators import gather, wait, world

__all__ = ["as_bytes", "broadcast_arrays", "broadcast_bytes", "broadcast_parameters", "check_alike", "check_same"]


def broadcast_parameters(module: Any, root: int = 0, comm: Any = None) -> None:
    """Copy one rank's parameters and buffers into those of all ranks, in place.

    Args:
        module: an `nn.Module`, or an iterable of tensors.
        root: the rank whose values are copied.
        comm: mpi4py's communicator; by default all processes that were started together.

    Raises:
        ValueError: on every rank, if one has other shapes or dtypes; then nothing is written. If there is no rank
            ``root``.

    >>> import minigrad as mg
    >>> broadcast_parameters(mg.nn.Linear(2, 3))
    """
    comm = world() if comm is None else comm
    if not 0 <= root < comm.size:
        raise ValueError(f"parallel: root must be from 0 to below {comm.size}, the number of ranks, not {root!r}")
    tensors = [*module.parameters(), *module.buffers()] if hasattr(module, "parameters") else module
    broadcast_arrays([tensor.data for tensor in tensors], root, comm)


def broadcast_arrays(arrays: Iterable[Array], root: int, comm: Any) -> None:
    """Overwrite arrays with their values on rank `root`.

    Raises:
        ValueError: on every rank, if one has other shapes or dtypes.
    """
    arrays = list(arrays)
    if comm.size == 1:
        return
    check_alike(arrays, comm)
    for array in arrays:
        message = np.array(array, order="C")
        wait(comm.Ibcast(as_bytes(message), root))
        written(array)
        array[...] = message


def broadcast_bytes(content: bytes, root: int, comm: Any) -> bytes:
    """Return the bytes of rank `root`, of any length."""
    if comm.size == 1:
        return content
    length = int(gather(comm, [len(content)])[root, 0])
    message = np.frombuffer(content.ljust(length)[:length], np.uint8).copy()
    wait(comm.Ibcast(message, root))
    return message.tobytes()


def as_bytes(array: Array) -> Array:
    """View a contiguous array as bytes for MPI, which has no name for float16."""
    return array.reshape(-1).view(np.uint8)


def check_same(what: str, numbers: list[int], comm: Any) -> None:
    """Raise a ValueError on every rank unless all have the same numbers. what: their names, for the message."""
    told = gather(comm, numbers).astype(int)
    for other in np.flatnonzero((told != told[0]).any(axis=1)):
        raise ValueError(f"parallel: {what} must be the same on every rank; rank 0 has {told[0].tolist()}, rank "
                         f"{other} has {told[other].tolist()}. Build it in the same way on every rank.")  # fmt: skip


def check_alike(arrays: list[Array], comm: Any) -> None:
    """Raise a ValueError on every rank unless all have the same number of arrays with the same shapes and dtypes."""
    shapes = str([(array.shape, array.dtype.str) for array in arrays])
    facts = [len(arrays), sum(array.size for array in arrays), zlib.crc32(shapes.encode())]
    check_same("the numbers of arrays and of entries, and a checksum of shapes and dtypes", facts, comm)
