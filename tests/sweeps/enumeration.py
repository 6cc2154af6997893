"""Cases that fill a space of many axes evenly, the same on every machine.

Case i takes on axis k the level at the fraction i sqrt(p_k) mod 1 of its levels, with p_k the k-th prime: a Kronecker
sequence. Any run of consecutive cases is spread over the space as well as it can be, so a sample is a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["levels"]

_PRIMES = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53]


def levels(i: int, axes: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The i-th case: one level of each axis.

    >>> [levels(i, {"a": "xyz", "b": [1, 2]}) for i in range(3)]
    [{'a': 'x', 'b': 1}, {'a': 'y', 'b': 2}, {'a': 'z', 'b': 1}]
    """
    fractions = (i * math.sqrt(prime) % 1 for prime in _PRIMES)
    return {name: choices[int(f * len(choices))] for (name, choices), f in zip(axes.items(), fractions, strict=False)}
