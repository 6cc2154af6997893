"""What one rank has and all are to have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..core import Tensor
from ..spec import Array
from ..writes import written
from .communicators import gather, wait, world

__all__ = ["broadcast_arrays", "broadcast_bytes", "broadcast_parameters", "check_alike", "check_same"]


def broadcast_parameters(module: Any, root: int = 0, comm: Any = None) -> None:
    """Give all ranks the parameters and buffers that one of them has; they are written into, in place.

    Args:
        module: an `nn.Module`, or an iterable of tensors.
        root: whose they are.
        comm: mpi4py's communicator; all that were started together by default.

    Raises:
        ValueError: if another rank has others, by shapes or dtypes; on every rank, and nothing was written. If there is
            no rank ``root``.

    >>> import minigrad as mg
    >>> broadcast_parameters(mg.nn.Linear(2, 3))
    """
    comm = world() if comm is None else comm
    if not 0 <= root < comm.size:
        raise ValueError(f"parallel: root must be from 0 to below {comm.size}, the number of ranks, not {root!r}")
    if comm.size > 1:
        arrays = [tensor.data for tensor in _tensors(module)]
        broadcast_arrays(arrays, root, comm)


def _tensors(module: Any) -> Iterable[Tensor]:
    if hasattr(module, "parameters"):
        return [*module.parameters(), *module.buffers()]
    return list(module)


def broadcast_arrays(arrays: Iterable[Array], root: int, comm: Any) -> None:
    """Write into arrays what they are on rank `root`.

    Raises:
        ValueError: if another rank has others, by shapes or dtypes; on every rank.
    """
    arrays = list(arrays)
    if comm.size == 1:
        return
    check_alike(arrays, comm)
    for array in arrays:
        message = np.ascontiguousarray(array)
        wait(comm.Ibcast(message.reshape(-1).view(np.uint8), root))
        written(array)
        if message is not array:
            array[...] = message.reshape(array.shape)


def broadcast_bytes(content: bytes, root: int, comm: Any) -> bytes:
    """What rank `root` has, of any length."""
    if comm.size == 1:
        return content
    length = int(gather(comm, [len(content)])[root, 0])
    message = np.frombuffer(content.ljust(length)[:length], np.uint8).copy()
    wait(comm.Ibcast(message, root))
    return message.tobytes()


def check_same(what: str, numbers: list[float], comm: Any) -> None:
    """Raise a ValueError, on every rank, unless these numbers are the same on all of them.

    what: they are, in words.
    """
    facts = gather(comm, numbers)
    other = _unlike_first(facts)
    if other is not None:
        raise ValueError(f"parallel: {what} must be the same on every rank; rank 0 and rank {other} differ")


def check_alike(arrays: list[Array], comm: Any) -> None:
    """Raise a ValueError, on every rank, unless all have as many arrays, of the same shapes and dtypes."""
    import zlib

    told = str([(array.shape, array.dtype.str) for array in arrays])
    facts = gather(comm, [len(arrays), sum(array.size for array in arrays), zlib.crc32(told.encode())])
    other = _unlike_first(facts)
    if other is not None:
        raise ValueError(
            f"parallel: rank 0 has {facts[0, 0]:.0f} arrays of {facts[0, 1]:.0f} numbers, rank {other} has "
            f"{facts[other, 0]:.0f} of {facts[other, 1]:.0f}, or other shapes or dtypes: build the same on every rank"
        )


def _unlike_first(facts: Array) -> int | None:
    """The first rank whose facts, a row each, are not those of rank 0; None if there is none."""
    unlike = np.flatnonzero((facts != facts[0]).any(axis=1))
    return int(unlike[0]) if len(unlike) else None
