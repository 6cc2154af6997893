"""Guard what a gradient needs against writes that the engine does not see."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import Node, number_check
from ..graph_levels import Kept
from ..overwrites import arrays_in, owner
from ..recording import place_of
from ..spec import Array, describe

__all__ = ["Fingerprinted", "guard_residuals"]

_MAX_COPIED_BYTES = 2**20
_SAMPLES = 4096


class Fingerprinted(Kept):
    """The residuals of a node, with checksums of some arrays.

    ``born`` is when the node was made; ``node.born`` is -1, so that every reverse pass verifies the checksums.
    ``sampled`` says whether checksums of large arrays are of a sample of their entries.
    """

    born: int
    sampled: bool
    checksums: list[tuple[Array, int]]

    @classmethod
    def attach(cls, node: Node, arrays: Sequence[Array], sampled: bool) -> None:
        """Add checksums of arrays to the residuals of a node, unless it has some."""
        residuals: Any = node.residuals
        if isinstance(residuals, Fingerprinted):
            return
        self = cls(residuals)
        self.inputs = residuals.inputs if isinstance(residuals, Kept) else ()
        self.sampled, self.checksums = sampled, [(array, _checksum(array, sampled)) for array in arrays]
        self.born, node.born, node.residuals = node.born, -1, self

    def verify(self, node: Node) -> None:
        """Raise ValueError if an array has changed."""
        assert node.primitive is not None
        for array, expected in self.checksums:
            if _checksum(array, self.sampled) != expected:
                raise ValueError(
                    f"backward: {node.primitive.name}{place_of(node)} saved {describe(array)} for its gradient, and it "
                    "was written into since, through an ndarray that shares its memory: .data, .numpy(), or a NumPy "
                    "array that was passed without a copy. Call backward before you overwrite it, or pass a copy."
                )


@functools.cache
def _sample_positions() -> Array:
    """Random numbers, to be taken modulo the size of an array."""
    return np.random.default_rng(0).integers(2**62, size=_SAMPLES)


def _distinct(array: Array) -> Array:
    """An array without the repetitions of broadcasting."""
    return array[tuple(slice(None) if step else slice(1) for step in array.strides)] if 0 in array.strides else array


def _checksum(array: Array, sampled: bool) -> int:
    if sampled and _distinct(array).nbytes > _MAX_COPIED_BYTES:
        array = array.flat[_sample_positions() % array.size]
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def guard_residuals(node: Node, arguments: Sequence[Any]) -> None:
    """Protect the residuals of a node from writes to the ndarrays among its arguments.

    Small residuals that share memory with one are copied. Of large ones a sample is hashed, and ``backward`` raises if
    it has changed.
    """
    if number_check.get():  # a VJP runs on tensors, or a module is exported: nobody writes in between
        return
    owners = {id(owner(array)) for array in arrays_in(arguments)}
    residuals: Any = node.residuals
    if not owners or isinstance(residuals, Fingerprinted):
        return
    large = []

    def copy_if_shared(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            if id(owner(value)) not in owners:
                return value
            distinct = _distinct(value)
            if distinct.nbytes > _MAX_COPIED_BYTES:
                large.append(value)
                return value
            return value.copy("K") if distinct is value else np.broadcast_to(distinct.copy("K"), value.shape)
        if type(value) in (tuple, list):
            return type(value)(map(copy_if_shared, value))
        return value._make(map(copy_if_shared, value)) if hasattr(value, "_make") else value  # a named tuple

    copied = tuple(map(copy_if_shared, residuals))
    node.residuals = Kept.of(copied, copy_if_shared(residuals.inputs)) if isinstance(residuals, Kept) else copied
    if large:
        Fingerprinted.attach(node, large, sampled=True)
