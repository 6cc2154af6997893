"""Residuals with their checksums: whether something wrote into them where the engine does not see it."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from ..core import Node
from ..graph_levels import Kept
from ..overwrites import arrays_in
from ..recording import place_of
from ..spec import Array, describe

__all__ = ["Fingerprinted"]


class Fingerprinted(Kept):
    """The residuals of a node, with the checksum of each array among them.

    ``born`` is the node's; the node has -1 instead, so that the reverse pass looks at it.
    """

    born: int
    sums: list[int]

    @classmethod
    def taken(cls, residuals: tuple[Any, ...]) -> Fingerprinted:
        self = cls(residuals)
        self.inputs = residuals.inputs if isinstance(residuals, Kept) else ()
        self.sums = list(map(_checksum, arrays_in(residuals)))
        return self

    def verify(self, node: Node) -> None:
        """Raise if an array is not what it was."""
        assert node.primitive is not None
        for array, sum in zip(arrays_in(tuple(self)), self.sums, strict=True):
            if _checksum(array) != sum:
                raise ValueError(
                    f"backward: {node.primitive.name}{place_of(node)} saved {describe(array)} for its gradient, and it "
                    "was written into since, where the engine does not see it: through .data, .numpy() or an array "
                    "that the tensor shares"
                )


def _checksum(array: Array) -> int:
    return zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
